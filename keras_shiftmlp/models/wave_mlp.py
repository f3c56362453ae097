"""Wave-MLP: every value is a wave, and its phase decides how it adds to its neighbours.

Paper: https://arxiv.org/abs/2111.12294 (Tang et al., 2021). Reference code:
huawei-noah/Efficient-AI-Backbones (`wavemlp_pytorch`). This follows the code.
"""

from collections.abc import Sequence

import keras

from keras_shiftmlp.kernels.batch_norm import BatchNormalization
from keras_shiftmlp.layers.functional import (
    NORMAL,
    add_branch,
    channel_mlp,
    linear_rates,
    pyramid_level,
)
from keras_shiftmlp.layers.phase_aware_token_mixing import (
    NORM_EPSILON,
    PHASE_CONVS,
    PhaseAwareTokenMixing,
)
from keras_shiftmlp.layers.strided_conv import strided_conv
from keras_shiftmlp.models._arguments import check_choice, check_integers, check_stages
from keras_shiftmlp.models._constructor import Constructor

# The released code; Tiny DW is "T*" there.
_TINY = dict(depths=(2, 2, 4, 2), norm="batch")
CONFIGS = {
    "Tiny DW": dict(_TINY, phase_conv="depthwise"),
    "Tiny": _TINY,
    "Small": dict(depths=(2, 3, 10, 3)),
    "Medium": dict(depths=(3, 4, 18, 3), mlp_ratios=(8, 8, 4, 4), stem_norm=False),
    "Base": dict(dims=(96, 192, 384, 768), depths=(2, 2, 18, 2), stem_norm=False),
}
# The README of the code. It has no row for Base, which is from keras_cv_attention_models.
PAPER = {
    "Tiny DW": dict(params="15M", macs="2.1", top1="80.1"),
    "Tiny": dict(params="17M", macs="2.4", top1="80.9"),
    "Small": dict(params="30M", macs="4.5", top1="82.9"),
    "Medium": dict(params="44M", macs="7.9", top1="83.3"),
    "Base": dict(params="63M", macs="10.26", top1="83.6"),
}


def normalize(x, norm, name):
    """BatchNormalization, or one mean and variance over each image's positions and channels."""
    if norm == "batch":
        return BatchNormalization(momentum=0.9, epsilon=NORM_EPSILON, name=name)(x)
    return keras.layers.GroupNormalization(groups=1, epsilon=NORM_EPSILON, name=name)(x)


def wave_mlp_block(x, *, phase_conv, mlp_ratio, norm, drop_path_rate, name):
    """The paper's block on `(B, H, W, C)`: phase-aware token mixing, then a channel MLP."""
    y = normalize(x, norm, name=f"{name}_spatial_norm")
    y = PhaseAwareTokenMixing(phase_conv, name=f"{name}_spatial")(y)
    x = add_branch(x, y, drop_path_rate, name=f"{name}_spatial")

    y = normalize(x, norm, name=f"{name}_channel_norm")
    y = channel_mlp(y, mlp_ratio * x.shape[-1], kernel_initializer=None, name=f"{name}_channel")
    return add_branch(x, y, drop_path_rate, name=f"{name}_channel")


def wave_mlp(
    dims: Sequence[int] = (64, 128, 320, 512),
    depths: Sequence[int] = (2, 2, 4, 2),
    mlp_ratios: Sequence[int] = (4, 4, 4, 4),
    norm: str = "group",
    stem_norm: bool = True,
    phase_conv: str = "dense",
):
    """Wave-MLP of any size.

    Args:
        dims: Channels of each stage.
        depths: Blocks of each stage.
        mlp_ratios: Hidden width of each stage's channel MLP, in multiples of its channels.
        norm: `"group"` for GroupNormalization with one group, `"batch"` for BatchNormalization. The
            norms inside the token mixing are BatchNormalizations in any case.
        stem_norm: Whether a norm follows the stem of each stage.
        phase_conv: What estimates the phases: `"dense"` or `"depthwise"`, see
            `layers.PhaseAwareTokenMixing`.

    Reference: [Wave-MLP](https://arxiv.org/abs/2111.12294).

    Example:

    >>> WaveMLP(dims=(16, 32), depths=(1, 1), mlp_ratios=(4, 4),
    ...         input_shape=(32, 48, 3), classes=5).output_shape
    (None, 5)
    """
    check_stages(dims=dims, depths=depths, mlp_ratios=mlp_ratios)
    check_integers(dims=dims, depths=depths, mlp_ratios=mlp_ratios)
    check_choice(("batch", "group"), norm=norm)
    check_choice(PHASE_CONVS, phase_conv=phase_conv)

    def features(x, drop_path_rate):
        rates = iter(linear_rates(drop_path_rate, sum(depths)))
        for s, (dim, depth) in enumerate(zip(dims, depths)):
            name = f"stage_{s}"
            conv = (3, 2, 1) if s else (7, 4, 2)  # kernel size, stride and padding
            x = strided_conv(x, dim, *conv, name=f"{name}_stem")
            if stem_norm:
                x = normalize(x, norm, name=f"{name}_stem_norm")
            for i in range(depth):
                x = wave_mlp_block(
                    x,
                    phase_conv=phase_conv,
                    mlp_ratio=mlp_ratios[s],
                    norm=norm,
                    drop_path_rate=next(rates),
                    name=f"{name}_block_{i}",
                )
            if s == len(dims) - 1:
                x = normalize(x, norm, name="norm")
            x = pyramid_level(x, 4 * 2**s)
        return x

    return features


def check_shape(shape, **_) -> None:
    """Raises for an image that the 7 x 7 kernel of the stem, with 2 zeros on each side, exceeds."""
    if any(side is not None and side < 3 for side in shape[:2]):
        raise ValueError(f"Images need at least 3 by 3 pixels. Received: `input_shape={shape}`")


WaveMLP = Constructor(
    "WaveMLP",
    wave_mlp,
    preprocessing="imagenet_mean_std",
    check_shape=check_shape,
    head_initializer=NORMAL,
)
WaveMLPTinyDW = WaveMLP.size("WaveMLPTinyDW", CONFIGS["Tiny DW"], PAPER["Tiny DW"])
WaveMLPTiny = WaveMLP.size("WaveMLPTiny", CONFIGS["Tiny"], PAPER["Tiny"])
WaveMLPSmall = WaveMLP.size("WaveMLPSmall", CONFIGS["Small"], PAPER["Small"])
WaveMLPMedium = WaveMLP.size("WaveMLPMedium", CONFIGS["Medium"], PAPER["Medium"])
WaveMLPBase = WaveMLP.size("WaveMLPBase", CONFIGS["Base"], PAPER["Base"])
