"""Pictures of models, layers, training and results. Needs Matplotlib.

Each `plot_` function returns a `matplotlib.figure.Figure` and saves it if `path` is given.
"""

from keras_shiftmlp.visualization.accuracy import plot_accuracy
from keras_shiftmlp.visualization.benchmark import plot_benchmark, plot_profile
from keras_shiftmlp.visualization.curves import plot_curves
from keras_shiftmlp.visualization.grad_cam import grad_cam, plot_grad_cam
from keras_shiftmlp.visualization.mix_shift import plot_mix_shift, plot_mix_shift_kernels
from keras_shiftmlp.visualization.predictions import plot_confusion, plot_predictions
from keras_shiftmlp.visualization.receptive_fields import (
    effective_receptive_field,
    plot_receptive_fields,
)
from keras_shiftmlp.visualization.spatial_shift import plot_spatial_shift
from keras_shiftmlp.visualization.split_attention import plot_split_attention
from keras_shiftmlp.visualization.token_mixing import plot_token_mixing

__all__ = [
    "effective_receptive_field",
    "grad_cam",
    "plot_accuracy",
    "plot_benchmark",
    "plot_confusion",
    "plot_curves",
    "plot_grad_cam",
    "plot_mix_shift",
    "plot_mix_shift_kernels",
    "plot_predictions",
    "plot_profile",
    "plot_receptive_fields",
    "plot_spatial_shift",
    "plot_split_attention",
    "plot_token_mixing",
]
