"""State dicts of the released Wave-MLP code (`.pth.tar`)."""

from keras_shiftmlp.checkpoints.sources import (
    END,
    Source,
    as_is,
    dense,
    depthwise,
    linear,
    norm,
    of_stage,
    reweight,
    row,
)


def _phase(array):
    """`(C, 1, 3, 3)` of a depthwise convolution, or `(C, C, 1, 1)` of a dense layer."""
    return depthwise(array) if array.shape[2:] == (3, 3) else dense(array)


def _pairs(array):
    """`(C, 2, kh, kw)` to `(kh, kw, 2C, 1)`: group `g` convolves the channels `2g` and `2g + 1`."""
    channels, _, kh, kw = array.shape
    return depthwise(array.reshape(2 * channels, 1, kh, kw))


def _stage(stage):
    attn, ours = f"network.{2 * stage}.#.attn", f"stage_{stage}_block_#_spatial"
    rows = of_stage(stage)
    # Their "h" mixes along the width.
    for letter, branch in (("h", "row"), ("w", "column")):
        rows += [
            *linear(f"{attn}.theta_{letter}_conv.0", f"{ours}/{branch}_phase", _phase),
            *norm(f"{attn}.theta_{letter}_conv.1", f"{ours}/{branch}_norm"),
            *linear(f"{attn}.fc_{letter}", f"{ours}/{branch}_amplitude"),
            row(f"{attn}.tfc_{letter}.weight", f"{ours}/{branch}_kernel", _pairs),
        ]
    return rows + [
        *linear(f"{attn}.fc_c", f"{ours}/channel"),
        *reweight(f"{attn}.reweight", f"{ours}/attention"),
        *linear(f"{attn}.proj", f"{ours}/project"),
    ]


STATE_DICT = [
    *(row for stage in range(4) for row in _stage(stage)),
    *END,
    # Left in the files by a counter of operations.
    (r"(.*\.)?total_(ops|params)", None, as_is),
]

MARKER = "network.0.0.attn.theta_h_conv.0.weight"
SOURCES = [Source("official_wave_mlp", family="WaveMLP", marker=MARKER, table=STATE_DICT)]
