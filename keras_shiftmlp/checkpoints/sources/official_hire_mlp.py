"""State dicts of the released Hire-MLP code (`.pth`, under `model`)."""

from keras_shiftmlp.checkpoints.sources import (
    END,
    Source,
    dense,
    group_major,
    linear,
    norm,
    of_stage,
    reweight,
    row,
)

# The files index a region's values `c * p + k`, so the size `p` of each stage's regions must be
# known. All 1 x 1 convolutions are dense layers here.
REGION_SIZES = (4, 3, 3, 2)


def _stage(stage, region_size):
    """The rows of a stage's blocks, and of the downsampling before the stage."""

    def order(array):
        """`(C * p, ...)` to `(p * C, ...)`."""
        return group_major(array, region_size)

    attn, ours = f"network.{2 * stage}.#.attn", f"stage_{stage}_block_#_spatial"
    rows = of_stage(stage)
    for theirs, branch in (("mlp_h", "height"), ("mlp_w", "width")):
        theirs, branch = f"{attn}.{theirs}", f"{ours}/{branch}"
        rows += [
            # Kernels from and to the regions.
            row(f"{theirs}1.weight", f"{branch}_fc1/kernel", lambda x: order(dense(x))),
            *norm(f"{theirs}1_norm", f"{branch}_norm"),
            row(f"{theirs}2.weight", f"{branch}_fc2/kernel", lambda x: dense(order(x))),
            row(f"{theirs}2.bias", f"{branch}_fc2/bias", order),
        ]
    return rows + [
        *linear(f"{attn}.mlp_c", f"{ours}/channel"),
        *reweight(f"{attn}.reweight", f"{ours}/attention"),
        *linear(f"{attn}.proj", f"{ours}/project"),
    ]


STATE_DICT = [
    *(row for stage, size in enumerate(REGION_SIZES) for row in _stage(stage, size)),
    *END,
]

SOURCES = [
    Source(
        "official_hire_mlp",
        family="HireMLP",
        marker="network.0.0.attn.mlp_h1.weight",
        table=STATE_DICT,
        hyperparameters={"region_sizes": REGION_SIZES},
    )
]
