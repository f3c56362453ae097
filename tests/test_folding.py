"""`export.fold_batch_norm`: which normalisations it folds, and that the outputs stay the same."""

import keras
import numpy as np
import pytest
from cases import MODEL_CASES, once, run

from keras_shiftmlp.export import fold_batch_norm

# The normalisations that stay, by case: what reads their output is no product over the channels,
# or something beside the product reads the same map.
REMAINING = {
    "s2_mlp_pyramid": [],
    "s2_mlp_v2_batch": ["norm"],
    "ms_mlp_batch": [],
    "mixer_batch": ["block_0_token_norm", "norm"],
}
SMALL = {
    "s2_mlp_pyramid": ("s2_mlp_pyramid", {}),
    "s2_mlp_v2_batch": ("s2_mlp_v2", dict(norm="batch", depths=(1, 1))),
    "ms_mlp_batch": ("ms_mlp", dict(norm="batch")),
    "mixer_batch": ("mixer", dict(norm="batch", depth=1)),
}


def norms(model):
    return [x.name for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]


def drawn(model, rng):
    """Weights unlike those of a fresh model; variances and scales are positive."""
    for variable in model.weights:
        if "seed" not in variable.path:
            values = 0.3 * rng.normal(size=variable.shape)
            is_positive = variable.path.rpartition("/")[2] in ("gamma", "moving_variance")
            variable.assign(np.abs(values) + 0.5 if is_positive else values)
    return model


@once
@pytest.mark.parametrize("name", SMALL)
def test_folded_model_gives_the_same_logits(name):
    case, changes = SMALL[name]
    rng = np.random.default_rng(0)
    model = drawn(MODEL_CASES[case].build(classifier_activation=None, **changes), rng)
    images = rng.uniform(0, 255, (2, *model.input_shape[1:])).astype("float32")
    expected, weights = run(model, images), model.get_weights()
    folded = fold_batch_norm(model)
    keras.models.clone_model(folded)  # exports copy it by its configuration
    assert norms(folded) == REMAINING[name] and set(norms(model)) > set(norms(folded))
    np.testing.assert_allclose(run(folded, images), expected, atol=2e-5 * np.abs(expected).max())
    for before, now in zip(weights, model.get_weights()):
        np.testing.assert_array_equal(before, now)  # the model itself does not change
    assert folded.count_params() < model.count_params()


def test_what_is_read_twice_or_activated_stays():
    image = keras.Input((4, 4, 3))
    layers, norm = keras.layers, keras.layers.BatchNormalization
    x = layers.Dense(5, activation="relu", name="activated")(image)
    x = norm(name="after_activation")(x)
    both = layers.Dense(6, use_bias=False, name="without_bias")(x)
    y = norm(name="read_twice")(both)
    z = layers.Conv2D(2, 3, padding="same", name="pads_with_zeros")(norm(name="before_conv")(both))
    model = drawn(keras.Model(image, [y, layers.Dense(3)(y), z]), np.random.default_rng(1))
    folded = fold_batch_norm(model)
    assert norms(folded) == ["read_twice", "before_conv"]
    assert folded.get_layer("without_bias").use_bias  # the offset of the norm needs one
    images = np.random.default_rng(2).normal(size=(2, 4, 4, 3)).astype("float32")
    for found, expected in zip(folded(images), model(images)):
        found, expected = map(keras.ops.convert_to_numpy, (found, expected))
        np.testing.assert_allclose(found, expected, atol=1e-5)
