"""Every later version opens the files of the first release: the saved format is frozen.

`python tests/test_frozen_files.py` wrote them once and refuses to overwrite them.
"""

import sys

import keras
import numpy as np
import pytest
from cases import HERE, MODEL_CASES, run

FROZEN = HERE / "frozen"
NAMES = ["mixer", "s2_mlp", "s2_mlp_v2", "ms_mlp"]


@pytest.mark.parametrize("name", NAMES)
def test_keras_file(name):
    expected = np.load(FROZEN / f"{name}.npz")
    model = keras.models.load_model(FROZEN / f"{name}.keras")
    np.testing.assert_allclose(run(model, expected["pixels"]), expected["logits"], atol=2e-6)
    assert model.class_names == ("a", "b", "c", "d", "e")


@pytest.mark.parametrize("name", NAMES)
def test_weight_file(name):
    expected = np.load(FROZEN / f"{name}.npz")
    path = FROZEN / f"{name}.weights.h5"
    ours = MODEL_CASES[name].build(weights=path, classifier_activation=None)
    np.testing.assert_allclose(run(ours, expected["pixels"]), expected["logits"], atol=2e-6)
    keras_own = MODEL_CASES[name].build(classifier_activation=None)
    keras_own.load_weights(path)
    np.testing.assert_allclose(run(keras_own, expected["pixels"]), expected["logits"], atol=2e-6)


def write():
    FROZEN.mkdir()
    rng = np.random.default_rng(0)
    for name in NAMES:
        model = MODEL_CASES[name].build(classifier_activation=None)
        # Values unlike 0 and 1, so that every weight affects the output.
        model.set_weights([w + 0.1 * rng.normal(size=w.shape) for w in model.get_weights()])
        model.class_names = "abcde"
        pixels = rng.uniform(0, 255, (2, 32, 48, 3)).round().astype("float32")
        model.save(FROZEN / f"{name}.keras")
        model.save_weights(FROZEN / f"{name}.weights.h5")
        np.savez_compressed(FROZEN / f"{name}.npz", pixels=pixels, logits=run(model, pixels))


if __name__ == "__main__":
    sys.exit(write())
