"""ResMLP in the containers of the authors and timm."""

import numpy as np
import pytest
from cases import once, once_on_torch, run
from families import GOLDEN
from test_golden import load, weights_of

import keras_shiftmlp
from keras_shiftmlp.layers.resample import resample_tokens
from keras_shiftmlp.publishing.checkpoints import save_safetensors


@once_on_torch
@pytest.mark.parametrize("case", ["resmlp_deit", "resmlp_timm"])
@pytest.mark.parametrize("nested", [True, False])
def test_pth_files(case, nested, tmp_path):
    torch = pytest.importorskip("torch")
    arrays = load(case)
    tensors = {key: torch.from_numpy(value) for key, value in weights_of(arrays).items()}
    torch.save({"model": tensors, "epoch": 3} if nested else tensors, tmp_path / "resmlp.pth")
    shape = arrays["input"].shape[1:]
    model = keras_shiftmlp.get_model(
        "ResMLP",
        **GOLDEN[case].hyperparameters,
        weights=tmp_path / "resmlp.pth",
        input_shape=shape,
        include_preprocessing=False,
        classifier_activation=None,
    )
    expected = arrays["logits_f64"]
    np.testing.assert_allclose(run(model, arrays["input"]), expected, rtol=1e-5, atol=1e-5)


@once
def test_another_image_size(tmp_path):
    build = dict(patch_size=8, dim=6, depth=2, classes=3)
    small = keras_shiftmlp.get_model("ResMLP", **build, input_shape=(32, 32, 3))
    rng = np.random.default_rng(0)
    for weight in small.weights:
        weight.assign(rng.normal(size=weight.shape))
    save_safetensors(small, tmp_path / "small.safetensors")
    large = keras_shiftmlp.get_model(
        "ResMLP", **build, input_shape=(48, 40, 3), weights=tmp_path / "small.safetensors"
    )
    old, new = ({w.path: np.asarray(w) for w in model.weights} for model in (small, large))
    for path, expected in old.items():
        if path.endswith("_token/kernel"):
            expected = resample_tokens(expected, 0, (6, 5), inputs=True)
            expected = resample_tokens(expected, 1, (6, 5), inputs=False)
        if path.endswith("_token/bias"):
            expected = resample_tokens(expected, 0, (6, 5), inputs=False)
        np.testing.assert_allclose(new[path], expected, rtol=1e-5, atol=1e-6)


def test_every_block_has_the_same_drop_path_rate():
    model = keras_shiftmlp.get_model(
        "ResMLP", patch_size=8, dim=6, depth=3, input_shape=(16, 16, 3), drop_path_rate=0.2
    )
    rates = [layer.rate for layer in model.layers if layer.name.endswith("_drop_path")]
    assert rates == [0.2] * 6


def test_height_and_width_must_be_known():
    with pytest.raises(ValueError, match=r"known height and width.*\(None, None, 3\)"):
        keras_shiftmlp.get_model("ResMLP", input_shape=(None, None, 3))
