"""A training step has the same loss and the same gradients on every backend.

`python tests/test_gradients.py` (in `make generate`) adds the gradients of new cases to
`frozen/gradients.npz`.
"""

import re
import sys

import keras
import numpy as np
import pytest
from cases import HERE, MODEL_CASES, loss_and_gradients, trains

pytestmark = trains
PATH = HERE / "frozen" / "gradients.npz"


def step(name):
    """The network in its frozen file, its loss there, and the gradient of each weight."""
    model = keras.models.load_model(HERE / "frozen" / f"{name}.keras")
    pixels = np.load(HERE / "frozen" / f"{name}.npz")["pixels"]
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return model, *loss_and_gradients(model, pixels, lambda y: cross_entropy(np.arange(2), y))


def measured(gradients):
    """The norm of each gradient, and its product with a random direction: `(weights, 2)`."""
    rng = np.random.default_rng(0)
    directions = [rng.normal(size=gradient.shape) for gradient in gradients]
    return np.array(
        [[np.linalg.norm(g), np.sum(g * d, dtype="float64")] for g, d in zip(gradients, directions)]
    )


def test_every_weight_has_the_gradient_of_other_backends(case):
    model, loss, gradients = step(case.name)
    with np.load(PATH) as file:
        expected = file[case.name]
    assert loss == pytest.approx(expected[0, 0], rel=1e-5)
    actual = measured(gradients)
    for weight, (norm, product), right in zip(
        model.trainable_weights, actual, expected[1:], strict=True
    ):
        if re.search(case.without_gradient, weight.path):
            assert norm < 1e-5, weight.path
        else:
            assert norm > 1e-4, weight.path
            # Two numbers that differ where a part of the gradient is missing or misplaced.
            np.testing.assert_allclose((norm, product), right, rtol=1e-3, atol=1e-3 * norm)


def write():
    known = dict(np.load(PATH)) if PATH.exists() else {}
    for name in MODEL_CASES.keys() - known.keys():
        _, loss, gradients = step(name)
        known[name] = np.array([[loss, 0], *measured(gradients)])
    np.savez_compressed(PATH, **{name: known[name] for name in MODEL_CASES})


if __name__ == "__main__":
    sys.exit(write())
