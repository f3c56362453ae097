"""State dicts of the released CycleMLP code (`.pth`, under `model`)."""

from keras_shiftmlp.checkpoints.sources import Source, as_is, conv, dense


def reweight(array):
    """Logits of three branches: from index `3 * c + k` (channel `c`, branch `k`) to `k * C + c`."""
    # (3C, ...) -> (C, 3, ...) -> (3, C, ...) -> (3C, ...), in Keras (..., 3C)
    return array.reshape(-1, 3, *array.shape[1:]).swapaxes(0, 1).reshape(array.shape).T


def pointwise(array):
    """PyTorch's `(out, in, 1, 1)` to Keras's `(in, out)`."""
    return array[:, :, 0, 0].T


def _block(theirs, ours):
    """The rows of the blocks of one stage."""
    fusion = rf"{ours}_spatial_attention"
    return [
        (rf"{theirs}\.norm1\.weight", rf"{ours}_spatial_norm/gamma", as_is),
        (rf"{theirs}\.norm1\.bias", rf"{ours}_spatial_norm/beta", as_is),
        # In the code, `sfc_h` reads along the width and `sfc_w` along the height.
        (rf"{theirs}\.attn\.sfc_h\.weight", rf"{ours}_spatial_width/kernel", pointwise),
        (rf"{theirs}\.attn\.sfc_h\.bias", rf"{ours}_spatial_width/bias", as_is),
        (rf"{theirs}\.attn\.sfc_w\.weight", rf"{ours}_spatial_height/kernel", pointwise),
        (rf"{theirs}\.attn\.sfc_w\.bias", rf"{ours}_spatial_height/bias", as_is),
        # The distances that `CycleFC` computes.
        (rf"{theirs}\.attn\.sfc_[hw]\.offset", None, None),
        (rf"{theirs}\.attn\.mlp_c\.weight", rf"{ours}_spatial_channel/kernel", dense),
        (rf"{theirs}\.attn\.reweight\.fc1\.weight", rf"{fusion}/fc1/kernel", dense),
        (rf"{theirs}\.attn\.reweight\.fc1\.bias", rf"{fusion}/fc1/bias", as_is),
        (rf"{theirs}\.attn\.reweight\.fc2\.weight", rf"{fusion}/fc2/kernel", reweight),
        (rf"{theirs}\.attn\.reweight\.fc2\.bias", rf"{fusion}/fc2/bias", reweight),
        (rf"{theirs}\.attn\.proj\.weight", rf"{ours}_spatial_project/kernel", dense),
        (rf"{theirs}\.attn\.proj\.bias", rf"{ours}_spatial_project/bias", as_is),
        (rf"{theirs}\.norm2\.weight", rf"{ours}_channel_norm/gamma", as_is),
        (rf"{theirs}\.norm2\.bias", rf"{ours}_channel_norm/beta", as_is),
        (rf"{theirs}\.mlp\.(fc[12])\.weight", rf"{ours}_channel_\2/kernel", dense),
        (rf"{theirs}\.mlp\.(fc[12])\.bias", rf"{ours}_channel_\2/bias", as_is),
    ]


# The modules alternate between blocks and downsampling; a pattern cannot halve their number.
STATE_DICT = [
    (r"patch_embed\.proj\.weight", "stage_0_stem/kernel", conv),
    (r"patch_embed\.proj\.bias", "stage_0_stem/bias", as_is),
    *(row for s in range(8) for row in _block(rf"network\.{2 * s}\.(\d+)", rf"stage_{s}_block_\1")),
    *(
        row
        for s in range(1, 8)
        for row in (
            (rf"network\.{2 * s - 1}\.proj\.weight", f"stage_{s}_stem/kernel", conv),
            (rf"network\.{2 * s - 1}\.proj\.bias", f"stage_{s}_stem/bias", as_is),
        )
    ),
    (r"norm\.weight", "norm/gamma", as_is),
    (r"norm\.bias", "norm/beta", as_is),
    (r"head\.weight", "predictions/kernel", dense),
    (r"head\.bias", "predictions/bias", as_is),
]

SOURCES = [
    Source(
        "official_cycle_mlp",
        family="CycleMLP",
        marker="network.0.0.attn.sfc_h.weight",
        head="head.bias",
        table=STATE_DICT,
    )
]
