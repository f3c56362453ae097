"""Files written by the first release that had a family open in every later one.

`python tests/test_frozen_files.py` writes the files of new cases. It never rewrites a file.
"""

import sys

import keras
import numpy as np
import pytest
from cases import BACKEND, HERE, MODEL_CASES, SAMPLE, run

FROZEN = HERE / "frozen"
NAMES = sorted(path.stem for path in FROZEN.glob("*.keras"))
if BACKEND != "numpy":  # a few networks stand for all
    NAMES = [name for name in NAMES if name in SAMPLE]


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
    if BACKEND == "numpy":  # `test_keras_file` has these logits on every backend
        np.testing.assert_allclose(run(ours, expected["pixels"]), expected["logits"], atol=2e-6)
    keras_own = MODEL_CASES[name].build(classifier_activation=None)
    keras_own.load_weights(path)
    for weight, right in zip(keras_own.get_weights(), ours.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, right)


def write():
    for name, case in MODEL_CASES.items():
        if (FROZEN / f"{name}.keras").exists():
            continue
        rng = np.random.default_rng(0)
        model = case.build(classifier_activation=None)
        # Values unlike 0 and 1, so that every weight affects the output.
        model.set_weights([w + 0.1 * rng.normal(size=w.shape) for w in model.get_weights()])
        model.class_names = "abcde"
        pixels = rng.uniform(0, 255, (2, *case.input_shape)).round().astype("float32")
        model.save(FROZEN / f"{name}.keras")
        model.save_weights(FROZEN / f"{name}.weights.h5")
        np.savez_compressed(FROZEN / f"{name}.npz", pixels=pixels, logits=run(model, pixels))


if __name__ == "__main__":
    sys.exit(write())
