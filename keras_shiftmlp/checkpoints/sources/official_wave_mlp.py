"""State dicts of the released Wave-MLP code (`.pth.tar`)."""

from keras_shiftmlp.checkpoints.sources import (
    Source,
    as_is,
    batch_norm,
    conv,
    dense,
    depthwise,
    split_attention,
)


def phase(array):
    """`(C, 1, 3, 3)` of a depthwise convolution, or `(C, C, 1, 1)` of a dense layer."""
    return depthwise(array) if array.shape[2] == 3 else dense(array)


def pairs(array):
    """`(C, 2, kh, kw)` to `(kh, kw, 2C, 1)`: group `g` convolves the channels `2g` and `2g + 1`."""
    channels, _, kh, kw = array.shape
    return depthwise(array.reshape(2 * channels, 1, kh, kw))


def _stage(stage):
    """The rows of a stage's blocks, and of the downsampling before the stage."""
    block, ours = rf"network\.{2 * stage}\.(\d+)", rf"stage_{stage}_block_\1"
    stem = r"patch_embed" if stage == 0 else rf"network\.{2 * stage - 1}"
    rows = [
        (rf"{stem}\.proj\.weight", f"stage_{stage}_stem/kernel", conv),
        (rf"{stem}\.proj\.bias", f"stage_{stage}_stem/bias", as_is),
        # A group norm has the first two of these rows.
        *batch_norm(rf"{stem}\.norm", f"stage_{stage}_stem_norm"),
        *batch_norm(rf"{block}\.norm1", f"{ours}_spatial_norm"),
        *batch_norm(rf"{block}\.norm2", f"{ours}_channel_norm"),
        (rf"{block}\.mlp\.(fc\d)\.weight", rf"{ours}_channel_\2/kernel", dense),
        (rf"{block}\.mlp\.(fc\d)\.bias", rf"{ours}_channel_\2/bias", as_is),
    ]
    attn, ours = rf"{block}\.attn", f"{ours}_spatial"
    # Their "h" mixes along the width.
    for letter, branch in (("h", "row"), ("w", "column")):
        theta = rf"{attn}\.theta_{letter}_conv"
        rows += [
            (rf"{theta}\.0\.weight", f"{ours}/{branch}_phase/kernel", phase),
            (rf"{theta}\.0\.bias", f"{ours}/{branch}_phase/bias", as_is),
            *batch_norm(rf"{theta}\.1", f"{ours}/{branch}_norm"),
            (rf"{attn}\.fc_{letter}\.weight", f"{ours}/{branch}_amplitude/kernel", dense),
            (rf"{attn}\.tfc_{letter}\.weight", f"{ours}/{branch}_kernel", pairs),
        ]
    return rows + [
        (rf"{attn}\.fc_c\.weight", f"{ours}/channel/kernel", dense),
        *split_attention(rf"{attn}\.reweight", f"{ours}/attention"),
        (rf"{attn}\.proj\.weight", f"{ours}/project/kernel", dense),
        (rf"{attn}\.proj\.bias", f"{ours}/project/bias", as_is),
    ]


STATE_DICT = [
    *(row for stage in range(4) for row in _stage(stage)),
    *batch_norm("norm", "norm"),
    (r"head\.weight", "predictions/kernel", dense),
    (r"head\.bias", "predictions/bias", as_is),
    # What a counter of operations left in the files.
    (r"(.*\.)?total_(ops|params)", None, None),
]

SOURCES = [
    Source(
        "official_wave_mlp",
        family="WaveMLP",
        marker="network.0.0.attn.theta_h_conv.0.weight",
        head="head.bias",
        table=STATE_DICT,
    )
]
