"""The operations that the papers name, as Keras layers and as functions on Keras tensors."""

# Keras comes first. Its import makes `registration` import the models, and they need the modules of
# this package fully imported.
import keras  # noqa: F401

from keras_shiftmlp.kernels.gelu import gelu_tanh
from keras_shiftmlp.layers.affine import Affine
from keras_shiftmlp.layers.axial_shift import AxialShift
from keras_shiftmlp.layers.cycle_fc import CycleFC
from keras_shiftmlp.layers.functional import (
    channel_mlp,
    patch_embedding,
    stochastic_depth,
    token_mixing_mlp,
)
from keras_shiftmlp.layers.global_filter import GlobalFilter
from keras_shiftmlp.layers.hierarchical_rearrangement import HierarchicalRearrangement
from keras_shiftmlp.layers.image_preprocessing import ImagePreprocessing
from keras_shiftmlp.layers.layer_scale import LayerScale
from keras_shiftmlp.layers.mix_shift import MixShift
from keras_shiftmlp.layers.partial_shift import PartialShift
from keras_shiftmlp.layers.patch_merging import PatchMerging
from keras_shiftmlp.layers.phase_aware_token_mixing import PhaseAwareTokenMixing
from keras_shiftmlp.layers.position_embedding import PositionEmbedding
from keras_shiftmlp.layers.s2_attention import S2Attention
from keras_shiftmlp.layers.shifted_window_attention import ShiftedWindowAttention
from keras_shiftmlp.layers.silu_gate import SiLUGate
from keras_shiftmlp.layers.sparse_mlp import SparseMLP
from keras_shiftmlp.layers.spatial_gating_unit import SpatialGatingUnit
from keras_shiftmlp.layers.spatial_shift import SpatialShift
from keras_shiftmlp.layers.split_attention import SplitAttention
from keras_shiftmlp.layers.strided_conv import strided_conv
from keras_shiftmlp.layers.token_dense import TokenDense
from keras_shiftmlp.layers.weighted_permute_mlp import WeightedPermuteMLP

__all__ = [
    "Affine",
    "AxialShift",
    "CycleFC",
    "GlobalFilter",
    "HierarchicalRearrangement",
    "ImagePreprocessing",
    "LayerScale",
    "MixShift",
    "PartialShift",
    "PatchMerging",
    "PhaseAwareTokenMixing",
    "PositionEmbedding",
    "S2Attention",
    "ShiftedWindowAttention",
    "SiLUGate",
    "SparseMLP",
    "SpatialGatingUnit",
    "SpatialShift",
    "SplitAttention",
    "TokenDense",
    "WeightedPermuteMLP",
    "channel_mlp",
    "gelu_tanh",
    "patch_embedding",
    "stochastic_depth",
    "strided_conv",
    "token_mixing_mlp",
]
