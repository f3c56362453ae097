"""Keras's NNX mode on JAX, where layers are Flax modules: `make nnx`."""

import keras
import numpy as np
import pytest
from cases import MODEL_CASES, run


def test_networks_compute(model, outputs, pixels):
    assert keras.config.is_nnx_enabled()
    assert outputs.shape == (2, 5) and np.isfinite(outputs).all()


# One with a token-mixing layer, one with attention, one with a BatchNormalization.
@pytest.mark.parametrize("name", ["mixer", "s2_mlp_v2", "hire_mlp"])
def test_networks_train_and_survive_saving(name, pixels, tmp_path):
    trained = MODEL_CASES[name].build()
    before = trained.get_weights()
    trained.compile("sgd", "sparse_categorical_crossentropy")
    history = trained.fit(pixels, np.array([0, 1]), verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert any((x != y).any() for x, y in zip(before, trained.get_weights()))
    trained.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(run(again, pixels), run(trained, pixels), atol=1e-6)
