"""State dicts of the released Hire-MLP code (`.pth`, under `model`)."""

from keras_shiftmlp.checkpoints.sources import (
    Source,
    as_is,
    batch_norm,
    conv,
    dense,
    group_major,
    split_attention,
)

# The files index a region's values `c * p + k`, so the size `p` of each stage's regions must be
# known. All 1 x 1 convolutions are dense layers here.
REGION_SIZES = (4, 3, 3, 2)


def _stage(stage, region_size):
    """The rows of a stage's blocks, and of the downsampling before the stage."""

    def order(array):
        """`(C * p, ...)` to `(p * C, ...)`."""
        return group_major(array, region_size)

    def regions_in(array):
        """`(C // 2, C * p, 1, 1)` to `(p * C, C // 2)`."""
        return order(array[..., 0, 0].T)

    def regions_out(array):
        """`(C * p, C // 2, 1, 1)` to `(C // 2, p * C)`."""
        return order(array[..., 0, 0]).T

    block, ours = rf"network\.{2 * stage}\.(\d+)", rf"stage_{stage}_block_\1"
    stem = r"patch_embed" if stage == 0 else rf"network\.{2 * stage - 1}"
    rows = [
        (rf"{stem}\.proj\.weight", f"stage_{stage}_stem/kernel", conv),
        (rf"{stem}\.proj\.bias", f"stage_{stage}_stem/bias", as_is),
        *batch_norm(rf"{stem}\.norm", f"stage_{stage}_stem_norm"),
        *batch_norm(rf"{block}\.norm1", f"{ours}_spatial_norm"),
        *batch_norm(rf"{block}\.norm2", f"{ours}_channel_norm"),
        (rf"{block}\.mlp\.(fc\d)\.weight", rf"{ours}_channel_\2/kernel", dense),
        (rf"{block}\.mlp\.(fc\d)\.bias", rf"{ours}_channel_\2/bias", as_is),
    ]
    attn, ours = rf"{block}\.attn", f"{ours}_spatial"
    for letter, branch in (("h", "height"), ("w", "width")):
        rows += [
            (rf"{attn}\.mlp_{letter}1\.weight", f"{ours}/{branch}_fc1/kernel", regions_in),
            *batch_norm(rf"{attn}\.mlp_{letter}1_norm", f"{ours}/{branch}_norm"),
            (rf"{attn}\.mlp_{letter}2\.weight", f"{ours}/{branch}_fc2/kernel", regions_out),
            (rf"{attn}\.mlp_{letter}2\.bias", f"{ours}/{branch}_fc2/bias", order),
        ]
    return rows + [
        (rf"{attn}\.mlp_c\.weight", f"{ours}/channel/kernel", dense),
        (rf"{attn}\.mlp_c\.bias", f"{ours}/channel/bias", as_is),
        *split_attention(rf"{attn}\.reweight", f"{ours}/attention"),
        (rf"{attn}\.proj\.weight", f"{ours}/project/kernel", dense),
        (rf"{attn}\.proj\.bias", f"{ours}/project/bias", as_is),
    ]


STATE_DICT = [
    *(row for stage, size in enumerate(REGION_SIZES) for row in _stage(stage, size)),
    *batch_norm("norm", "norm"),
    (r"head\.weight", "predictions/kernel", dense),
    (r"head\.bias", "predictions/bias", as_is),
]

SOURCES = [
    Source(
        "official_hire_mlp",
        family="HireMLP",
        marker="network.0.0.attn.mlp_h1.weight",
        head="head.bias",
        table=STATE_DICT,
        hyperparameters={"region_sizes": REGION_SIZES},
    )
]
