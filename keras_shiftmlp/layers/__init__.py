"""The operations that the papers name, as Keras layers and as functions on Keras tensors."""

# Keras comes first. Its import makes `registration` import the models, and they need the modules of
# this package fully imported.
import keras  # noqa: F401

from keras_shiftmlp.kernels.gelu import gelu_tanh
from keras_shiftmlp.layers.affine import Affine
from keras_shiftmlp.layers.cycle_fc import CycleFC
from keras_shiftmlp.layers.functional import (
    channel_mlp,
    patch_embedding,
    stochastic_depth,
    token_mixing_mlp,
)
from keras_shiftmlp.layers.global_filter import GlobalFilter
from keras_shiftmlp.layers.image_preprocessing import ImagePreprocessing
from keras_shiftmlp.layers.layer_scale import LayerScale
from keras_shiftmlp.layers.mix_shift import MixShift
from keras_shiftmlp.layers.position_embedding import PositionEmbedding
from keras_shiftmlp.layers.s2_attention import S2Attention
from keras_shiftmlp.layers.spatial_shift import SpatialShift
from keras_shiftmlp.layers.split_attention import SplitAttention
from keras_shiftmlp.layers.token_dense import TokenDense
from keras_shiftmlp.layers.weighted_permute_mlp import WeightedPermuteMLP

__all__ = [
    "Affine",
    "CycleFC",
    "GlobalFilter",
    "ImagePreprocessing",
    "LayerScale",
    "MixShift",
    "PositionEmbedding",
    "S2Attention",
    "SpatialShift",
    "SplitAttention",
    "TokenDense",
    "WeightedPermuteMLP",
    "channel_mlp",
    "gelu_tanh",
    "patch_embedding",
    "stochastic_depth",
    "token_mixing_mlp",
]
