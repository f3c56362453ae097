"""MS-MLP with Swin Transformer: mix-shift blocks on the large maps, window attention on the others.

Paper: https://arxiv.org/abs/2202.06510 (Zheng et al., 2022), section 3.5 and Table 5. A
reconstruction without published code: two MS-blocks on patches of 2 pixels stand in front of Swin
Transformer, MS-blocks replace its first stage. How many is open; the rest is as in MS-MLP's code.
"""

from collections.abc import Sequence
from typing import Any

import keras

from keras_shiftmlp.kernels.dense import Dense
from keras_shiftmlp.layers.functional import (
    NORMAL,
    add_branch,
    channel_mlp,
    linear_rates,
    patch_embedding,
    pyramid_level,
)
from keras_shiftmlp.layers.mix_shift import check_groups, chunk_sizes
from keras_shiftmlp.layers.patch_merging import PatchMerging
from keras_shiftmlp.layers.shifted_window_attention import ShiftedWindowAttention
from keras_shiftmlp.models import ms_mlp
from keras_shiftmlp.models._arguments import check_hidden_widths, check_integers, check_stages
from keras_shiftmlp.models._constructor import Constructor

# Swin Transformer's sizes, with stage 0 in front.
_TINY = dict(dims=(48, 96, 192, 384, 768), num_heads=(6, 12, 24))
_BASE = dict(dims=(64, 128, 256, 512, 1024), num_heads=(8, 16, 32))
CONFIGS = {
    "Tiny": dict(_TINY, depths=(2, 2, 2, 6, 2)),
    "Small": dict(_TINY, depths=(2, 2, 2, 18, 2)),
    "Base": dict(_BASE, depths=(2, 2, 2, 18, 2)),
}
PAPER = {
    "Tiny": dict(params="29M", macs="4.5", top1="81.9"),
    "Small": dict(params="50M", macs="8.7", top1="83.5"),
    "Base": dict(params="88M", macs="15.4", top1="83.8"),
}
NORM_EPSILON = 1e-5  # of Swin Transformer


def swin_block(x, *, attention, mlp_ratio, drop_path_rate, name):
    """Eq. 3 of the Swin Transformer paper on `(B, H, W, C)`."""
    y = keras.layers.LayerNormalization(epsilon=NORM_EPSILON, name=f"{name}_spatial_norm")(x)
    y = ShiftedWindowAttention(**attention, kernel_initializer=NORMAL, name=f"{name}_spatial")(y)
    x = add_branch(x, y, drop_path_rate, name=f"{name}_spatial")

    y = keras.layers.LayerNormalization(epsilon=NORM_EPSILON, name=f"{name}_channel_norm")(x)
    hidden_dim = int(mlp_ratio * x.shape[-1])
    y = channel_mlp(y, hidden_dim, kernel_initializer=NORMAL, name=f"{name}_channel")
    return add_branch(x, y, drop_path_rate, name=f"{name}_channel")


def ms_mlp_swin(
    patch_size: int = 2,
    dims: Sequence[int] = (48, 96, 192, 384, 768),
    depths: Sequence[int] = (2, 2, 2, 6, 2),
    kernel_sizes: Sequence[Sequence[int]] = ((1, 1, 3, 5, 7),) * 2,
    shifts: Sequence[int] = (-2, -1, 0, 1, 2),
    num_heads: Sequence[int] = (6, 12, 24),
    window_size: int = 7,
    mlp_ratio: float = 4,
    layer_scale_init: float = 1e-6,
):
    """MS-MLP with Swin Transformer of any size: a reconstruction, the authors published no code.

    Args:
        patch_size: Side of the first stage's patches in pixels; later stages halve the map.
        dims: Channels of each stage.
        depths: Blocks of each stage. Stage 1 is ours: the depth of the stage that it replaces.
        kernel_sizes: For each stage of MS-blocks, the odd kernel size of each channel group.
        shifts: Signed distance in positions by which each channel group of an MS-block is rolled.
        num_heads: Attention heads of each later stage, a divisor of its channels.
        window_size: Side of the attention windows; every second block shifts them by half of it.
        mlp_ratio: Hidden width of the channel MLP, in multiples of the stage's channels.
        layer_scale_init: Initial value of every layer scale.

    Reference: [MS-MLP](https://arxiv.org/abs/2202.06510).

    Example:

    >>> MSMLPSwin(dims=(10, 20, 40), depths=(1, 1, 2), num_heads=(2,), window_size=4,
    ...           input_shape=(32, 48, 3), classes=5).output_shape
    (None, 5)
    """
    check_stages(dims=dims, depths=depths)
    check_integers(patch_size=patch_size, dims=dims, depths=depths)
    check_integers(window_size=window_size, num_heads=num_heads)
    check_hidden_widths(mlp_ratio=mlp_ratio, dims=dims)
    for dim, sizes in zip(dims, kernel_sizes):
        check_groups(sizes, shifts)
        chunk_sizes(dim, groups=len(sizes))
    mixing = len(kernel_sizes)  # stages of MS-blocks
    if len(dims) != mixing + len(num_heads) or any(d % h for d, h in zip(dims[mixing:], num_heads)):
        raise ValueError(
            "Each stage needs an entry of `kernel_sizes`, the later ones of `num_heads` instead, a "
            f"divisor of the stage's channels. Received: `kernel_sizes={kernel_sizes!r}`, "
            f"`num_heads={num_heads!r}`, `dims={dims!r}`"
        )

    def features(x, drop_path_rate):
        rates = iter(linear_rates(drop_path_rate, sum(depths)))
        for s, (dim, depth) in enumerate(zip(dims, depths)):
            stem = f"stage_{s}_stem"
            epsilon = ms_mlp.NORM_EPSILON if s < mixing else NORM_EPSILON
            if s < max(1, mixing):
                x = patch_embedding(x, dim, 2 if s else patch_size, name=stem)
                x = keras.layers.LayerNormalization(epsilon=epsilon, name=f"{stem}_norm")(x)
            else:
                x = PatchMerging(name=stem)(x)
                x = keras.layers.LayerNormalization(epsilon=epsilon, name=f"{stem}_norm")(x)
                start = dict(kernel_initializer=NORMAL, name=f"{stem}_reduction")
                x = Dense(dim, use_bias=False, **start)(x)
            for i in range(depth):
                block: dict[str, Any] = dict(mlp_ratio=mlp_ratio, name=f"stage_{s}_block_{i}")
                block["drop_path_rate"] = next(rates)
                if s < mixing:
                    block |= dict(kernel_sizes=kernel_sizes[s], shifts=shifts, norm="layer")
                    x = ms_mlp.ms_mlp_block(x, **block, scale_init=layer_scale_init)
                else:
                    attention = dict(num_heads=num_heads[s - mixing], window_size=window_size)
                    attention["shift_size"] = window_size // 2 if i % 2 else 0
                    x = swin_block(x, attention=attention, **block)
            if s == len(dims) - 1:
                x = keras.layers.LayerNormalization(epsilon=epsilon, name="norm")(x)
            x = pyramid_level(x, patch_size * 2**s)
        return x

    return features


MSMLPSwin = Constructor(
    "MSMLPSwin", ms_mlp_swin, preprocessing="imagenet_mean_std", head_initializer=NORMAL
)
MSMLPSwinTiny = MSMLPSwin.size("MSMLPSwinTiny", CONFIGS["Tiny"], PAPER["Tiny"])
MSMLPSwinSmall = MSMLPSwin.size("MSMLPSwinSmall", CONFIGS["Small"], PAPER["Small"])
MSMLPSwinBase = MSMLPSwin.size("MSMLPSwinBase", CONFIGS["Base"], PAPER["Base"])
