"""gMLP: a channel MLP whose hidden half is gated by a linear function of all patches.

Paper: https://arxiv.org/abs/2105.08050 (Liu et al., 2021). The authors published no code. Reference
code: timm (`mlp_mixer.py`), whose weights this follows where the paper is silent: the epsilons, a
norm before the pooling, no norm after the stem, and one drop path rate for all blocks.
"""

import keras

from keras_shiftmlp.kernels.dense import Dense
from keras_shiftmlp.kernels.gelu import gelu
from keras_shiftmlp.layers.functional import add_branch, patch_embedding, pyramid_level
from keras_shiftmlp.layers.spatial_gating_unit import SpatialGatingUnit
from keras_shiftmlp.models._arguments import check_integers
from keras_shiftmlp.models._constructor import Constructor

# Table 1 of the paper.
CONFIGS = {
    "Tiny": dict(patch_size=16, dim=128, depth=30, mlp_ratio=6),
    "Small": dict(patch_size=16, dim=256, depth=30, mlp_ratio=6),
    "Base": dict(patch_size=16, dim=512, depth=30, mlp_ratio=6),
}
# Table 2.
PAPER = {
    "Tiny": dict(params="5.9M", macs="1.4", top1="72.3"),
    "Small": dict(params="19.5M", macs="4.5", top1="79.6"),
    "Base": dict(params="73.4M", macs="15.8", top1="81.6"),
}


def gmlp_block(x, *, mlp_ratio, norm_epsilon, gate_norm_epsilon, drop_path_rate, name):
    """Eq. 1 and 4 of the paper on `(B, S, C)`, with one shortcut."""
    dim = x.shape[-1]
    y = keras.layers.LayerNormalization(epsilon=norm_epsilon, name=f"{name}_norm")(x)
    y = Dense(mlp_ratio * dim, gelu, name=f"{name}_channel_fc1")(y)  # Z = GELU(X U)
    y = SpatialGatingUnit(gate_norm_epsilon, name=f"{name}_spatial")(y)  # s(Z) = Z1 * f(Z2)
    y = Dense(dim, name=f"{name}_channel_fc2")(y)  # Y = s(Z) V
    return add_branch(x, y, drop_path_rate, name=name)


def gmlp(
    patch_size: int = 16,
    dim: int = 256,
    depth: int = 30,
    mlp_ratio: int = 6,
    norm_epsilon: float = 1e-6,
    gate_norm_epsilon: float = 1e-5,
):
    """gMLP of any size.

    Args:
        patch_size: Side of a patch in pixels.
        dim: Channels `C` of every token.
        depth: Number of blocks.
        mlp_ratio: Hidden width before the gate, in multiples of `dim`. The gate halves it, so
            `mlp_ratio * dim` must be even.
        norm_epsilon: Epsilon of the LayerNormalizations of the blocks and before the pooling.
        gate_norm_epsilon: Epsilon of the LayerNormalization in each gate.

    Reference: [gMLP](https://arxiv.org/abs/2105.08050).

    Example:

    >>> GMLP(patch_size=8, dim=16, depth=2, input_shape=(32, 32, 3), classes=5).output_shape
    (None, 5)
    """
    check_integers(patch_size=patch_size, dim=dim, depth=depth, mlp_ratio=mlp_ratio)
    if mlp_ratio * dim % 2:
        raise ValueError(
            "`mlp_ratio * dim` must be even, because the gate halves the channels. "
            f"Received: `mlp_ratio={mlp_ratio!r}`, `dim={dim!r}`"
        )

    def features(x, drop_path_rate):
        x = patch_embedding(x, dim, patch_size, kernel_initializer="lecun_normal", name="stem")
        _, height, width, _ = x.shape
        # (B, H, W, C) -> (B, S, C), S = H * W, row by row
        x = keras.layers.Reshape((height * width, dim), name="tokens")(x)
        for i in range(depth):
            x = gmlp_block(
                x,
                mlp_ratio=mlp_ratio,
                norm_epsilon=norm_epsilon,
                gate_norm_epsilon=gate_norm_epsilon,
                drop_path_rate=drop_path_rate,
                name=f"block_{i}",
            )
        x = keras.layers.LayerNormalization(epsilon=norm_epsilon, name="norm")(x)
        # (B, S, C) -> (B, H, W, C)
        x = keras.layers.Reshape((height, width, dim), name="map")(x)
        return pyramid_level(x, patch_size)

    return features


GMLP = Constructor("GMLP", gmlp, preprocessing="minus_one_to_one", any_size=False)
GMLPTiny = GMLP.size("GMLPTiny", CONFIGS["Tiny"], PAPER["Tiny"])
GMLPSmall = GMLP.size("GMLPSmall", CONFIGS["Small"], PAPER["Small"])
GMLPBase = GMLP.size("GMLPBase", CONFIGS["Base"], PAPER["Base"])
