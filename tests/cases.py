"""The table that drives the suite: tiny networks of each family and their properties."""

import dataclasses
from pathlib import Path

import keras

import keras_shiftmlp

HERE = Path(__file__).parent
BACKEND = keras.backend.backend()
TRAINS = BACKEND in ("tensorflow", "jax", "torch")


def run(model, x):
    """The outputs as an array. A call on JAX would compile each operation separately."""
    if BACKEND == "jax":
        return model.predict(x, verbose=0)
    return keras.ops.convert_to_numpy(model(x))


def run_jitted(model, x):
    """The outputs as an array, always compiled by XLA."""
    if BACKEND == "jax":
        return model.predict(x, verbose=0)
    import tensorflow as tf

    return tf.function(lambda x: model(x), jit_compile=True)(x).numpy()


@dataclasses.dataclass(frozen=True)
class Case:
    """One network of a family, small enough to build quickly."""

    constructor: str
    hyperparameters: dict
    map_shape: tuple[int, int, int]
    levels: tuple[str, ...]
    any_size: bool = True

    def build(self, **kwargs) -> keras_shiftmlp.ImageModel:
        defaults = dict(input_shape=(32, 48, 3), classes=5, classifier_activation="softmax")
        return keras_shiftmlp.get_model(
            self.constructor, **{**self.hyperparameters, **defaults, **kwargs}
        )


MODEL_CASES = {
    "mixer": Case(
        "Mixer",
        dict(patch_size=8, dim=20, depth=2, token_dim=12, channel_dim=40),
        map_shape=(4, 6, 20),
        levels=("P3",),
        any_size=False,
    ),
    "s2_mlp": Case(
        "S2MLP", dict(patch_size=8, dim=18, depth=2), map_shape=(4, 6, 18), levels=("P3",)
    ),
    "s2_mlp_deep": Case(
        "S2MLP",
        dict(patch_size=8, dim=18, depth=2, norm="affine", norm_position="pre", shift="b"),
        map_shape=(4, 6, 18),
        levels=("P3",),
    ),
    "s2_mlp_v2": Case(
        "S2MLPv2",
        dict(patch_sizes=(4, 2), dims=(16, 22), depths=(1, 2)),
        map_shape=(4, 6, 22),
        levels=("P2", "P3"),
    ),
    "ms_mlp": Case(
        "MSMLP",
        dict(
            dims=(13, 26),
            depths=(1, 2),
            mix_sizes=((1, 1, 3, 5, 7), (1, 3, 3, 5, 7)),
            layer_scale_init=0.1,
        ),
        map_shape=(4, 6, 26),
        levels=("P2", "P3"),
    ),
}
