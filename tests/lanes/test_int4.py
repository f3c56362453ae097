"""Dense layers with weights of four bits: `make int4`."""

import keras
import numpy as np
import pytest
from cases import run


@pytest.mark.filterwarnings("ignore:(?s).*`custom_gradient` for the numpy backend")
def test_four_bits_compute_alike_and_survive_saving(case, pixels, tmp_path):
    model = case.build()
    rng = np.random.default_rng(0)
    # Some weights start as zeros, which rounding does not change.
    noisy = [w + rng.uniform(0, 0.02, w.shape).astype(w.dtype) for w in model.get_weights()]
    model.set_weights(noisy)
    exact = run(model, pixels)
    dense = (keras.layers.Dense, keras.layers.EinsumDense)
    model.quantize("int4", filters=lambda layer: isinstance(layer, dense))
    model.save(tmp_path / "int4.keras")
    again = keras.models.load_model(tmp_path / "int4.keras")
    kernel = next(x for x in again.weights if x.path == "predictions/kernel")
    # Two numbers per byte: five classes take three bytes.
    assert kernel.dtype == "int8" and kernel.shape[1] == 3
    rounded = run(again, pixels)
    np.testing.assert_allclose(rounded, run(model, pixels), atol=1e-6)
    error = np.abs(rounded - exact).max() / np.ptp(exact)
    assert 0 < error < 0.25
