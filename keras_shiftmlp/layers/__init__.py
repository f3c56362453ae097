"""What the papers name, as Keras layers and as functions on Keras tensors."""

# Keras comes first: once it is there, `registration` imports the models, and they need modules of
# this package whole.
import keras  # noqa: F401

from keras_shiftmlp.kernels.gelu import gelu_tanh
from keras_shiftmlp.layers.affine import Affine
from keras_shiftmlp.layers.channel_mlp import channel_mlp
from keras_shiftmlp.layers.image_preprocessing import ImagePreprocessing
from keras_shiftmlp.layers.layer_scale import LayerScale
from keras_shiftmlp.layers.mix_shift import MixShift
from keras_shiftmlp.layers.patch_embedding import patch_embedding
from keras_shiftmlp.layers.s2_attention import S2Attention
from keras_shiftmlp.layers.spatial_shift import SpatialShift
from keras_shiftmlp.layers.split_attention import SplitAttention
from keras_shiftmlp.layers.stochastic_depth import stochastic_depth
from keras_shiftmlp.layers.token_dense import TokenDense
from keras_shiftmlp.layers.token_mixing_mlp import token_mixing_mlp

__all__ = [
    "Affine",
    "ImagePreprocessing",
    "LayerScale",
    "MixShift",
    "S2Attention",
    "SpatialShift",
    "SplitAttention",
    "TokenDense",
    "channel_mlp",
    "gelu_tanh",
    "patch_embedding",
    "stochastic_depth",
    "token_mixing_mlp",
]
