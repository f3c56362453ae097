"""`weights=` end to end: files, addresses and tags of every source, through the real code path."""

import functools
import hashlib
import http.server
import json
import logging
import shutil
import subprocess
import sys
import threading

import golden
import keras
import numpy as np
import pytest
from cases import BACKEND, HERE, MODEL_CASES, run

import keras_shiftmlp as k
from keras_shiftmlp.checkpoints import manifest, resample

DATA = HERE / "golden_data"
# Source layout of each reference file, and the ending its kind of file usually has.
FILES = {
    "mixer_google_tanh": "npz",
    "mixer_google_legacy_layout": "npz",
    "mixer_timm_erf": "safetensors",
    "s2_mlp_v1_jittor": "safetensors",
    "s2_mlp_v2_jittor": "safetensors",
    "ms_mlp_official_lastrow1": "safetensors",
}


def write_original(case, folder, name=None):
    """The reference weights in a container like the authors'; the name may be misleading."""
    from safetensors.numpy import save_file

    with np.load(DATA / f"{case}.npz") as file:
        weights = {key[8:]: file[key] for key in file.files if key.startswith("weights/")}
    path = folder / (name or f"{case}.{FILES[case]}")
    if FILES[case] == "npz":
        with open(path, "wb") as target:
            np.savez(target, **weights)
    else:
        save_file({key: np.ascontiguousarray(value) for key, value in weights.items()}, path)
    return path


def build(case, weights, **kwargs):
    name, hyperparameters, _ = golden.CASES[case]
    hyperparameters = {key: value for key, value in hyperparameters.items() if key != "gelu"}
    defaults = dict(input_shape=(32, 48, 3), classifier_activation=None)
    if "v2" in case:
        defaults["input_shape"] = (28, 42, 3)
    if name == "MSMLP":
        defaults["input_shape"] = (32, 160, 3)
    return k.get_model(name, **{**hyperparameters, **defaults, **kwargs}, weights=weights)


def check_logits(case, model):
    with np.load(DATA / f"{case}.npz") as file:
        x, expected = file["input"], file["logits_f64"]
    tolerance = 1e-5 * max(1, np.abs(expected).max())
    assert np.abs(run(model, x) - expected).max() <= tolerance


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(manifest.ENVIRONMENT, raising=False)
    return tmp_path / "home"


@pytest.fixture
def server(tmp_path):
    """A folder that is served over HTTP, and the paths that were asked for."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

    asked, folder = [], tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(Handler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{httpd.server_port}", asked
        httpd.shutdown()
        thread.join()


@pytest.mark.parametrize("case", FILES)
def test_original_file_by_path_whatever_its_name(case, tmp_path):
    path = write_original(case, tmp_path, "misleading.bin")
    model = build(case, path, include_preprocessing=False)
    check_logits(case, model)
    body = build(case, path, include_top=False)
    assert body.output_shape[-1] == model.layers[-1].input.shape[-1]


def test_original_file_by_url_is_downloaded_once(home, server):
    folder, url, asked = server
    path = write_original("mixer_timm_erf", folder)
    for _ in range(2):
        model = build("mixer_timm_erf", f"{url}/{path.name}", include_preprocessing=False)
        check_logits("mixer_timm_erf", model)
    assert asked == [f"/{path.name}"]


def test_two_addresses_that_end_alike_are_two_files(home, server):
    folder, url, _ = server
    for part, case in (("a", "mixer_google_tanh"), ("b", "mixer_timm_erf")):
        (folder / part).mkdir()
        write_original(case, folder / part, "file.bin")
    for part, case in (("a", "mixer_google_tanh"), ("b", "mixer_timm_erf")):
        check_logits(case, build(case, f"{url}/{part}/file.bin", include_preprocessing=False))


@pytest.mark.parametrize("kind", ["folder", "url"])
def test_tag_from_a_place_of_ones_own(kind, home, server, monkeypatch):
    folder, url, _ = server
    path = write_original("mixer_google_tanh", folder)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    entry = {
        "model": "Mixer",
        "tag": "ours",
        "file": path.name,
        "sha256": digest,
        "dataset": "none",
        "license": "CC-BY-NC-4.0",
        "classes": 11,
        "class_names": list("abcdefghijk"),
        "gelu": "tanh",
        "preprocessing": {"mean": [0.1] * 3, "std": [0.2] * 3},
        "image_size": 32,
    }
    (folder / "manifest.json").write_text(json.dumps([entry]))
    monkeypatch.setenv(manifest.ENVIRONMENT, url if kind == "url" else str(folder))
    model = build("mixer_google_tanh", "ours", include_preprocessing=False)
    check_logits("mixer_google_tanh", model)
    assert model.class_names == tuple("abcdefghijk")
    assert model.preprocessing.mean == (0.1, 0.1, 0.1)
    assert model.preprocessing.interpolation == "bicubic"
    assert k.list_weights("mixer")[0]["verified_by"] == "sha256"
    (folder / "manifest.json").write_text(json.dumps([{**entry, "sha256": "0" * 64}]))
    with pytest.raises(ValueError, match="0000"):
        build("mixer_google_tanh", "ours")


def test_non_commercial_licence_is_said(home, tmp_path, monkeypatch, caplog):
    entry = {**manifest.entries()[0], "model": "Mixer", "tag": "nc", "license": "CC-BY-NC-4.0"}
    (tmp_path / "manifest.json").write_text(json.dumps([{**entry, "file": "missing.npz"}]))
    monkeypatch.setenv(manifest.ENVIRONMENT, str(tmp_path))
    with caplog.at_level(logging.WARNING), pytest.raises(OSError, match=r"missing\.npz"):
        build("mixer_google_tanh", "nc", classes=1000)
    assert "CC-BY-NC-4.0" in caplog.text


def test_gelu_comes_from_the_file(tmp_path):
    path = write_original("mixer_google_tanh", tmp_path)
    model = build("mixer_google_tanh", path)
    assert model.get_layer("block_0_token_fc1").activation.__name__ == "gelu_tanh"
    path = write_original("mixer_timm_erf", tmp_path)
    model = build("mixer_timm_erf", path)
    assert model.get_layer("block_0_token_fc1").activation.__name__ == "gelu"
    with pytest.raises(ValueError, match="'erf' flavour"):
        build("mixer_timm_erf", path, gelu="tanh")


def test_preprocessing_by_name(tmp_path):
    path = write_original("mixer_timm_erf", tmp_path)
    assert build("mixer_timm_erf", path).preprocessing.std == (0.5, 0.5, 0.5)
    model = build("mixer_timm_erf", path, preprocessing="zero_to_one")
    assert model.preprocessing.std == (1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="`preprocessing='miil'`"):
        build("mixer_timm_erf", path, preprocessing="miil")


def test_other_classes_and_wrong_family(tmp_path, caplog):
    path = write_original("ms_mlp_official_lastrow1", tmp_path)
    with caplog.at_level(logging.WARNING, "keras_shiftmlp"):
        model = build("ms_mlp_official_lastrow1", path, classes=3)
    assert model.output_shape == (None, 3) and "fresh head of 3 classes" in caplog.text
    with pytest.raises(ValueError, match="holds a MSMLP"):
        build("mixer_timm_erf", path)
    np.savez(tmp_path / "nobody.npz", x=np.zeros(3, "float32"))
    with pytest.raises(ValueError, match="one of these layouts"):
        build("mixer_timm_erf", tmp_path / "nobody.npz")


def test_tags_without_a_checkpoint_say_what_there_is(home):
    with pytest.raises(k.WeightsNotAvailableError) as error:
        k.S2MLPv2Small()
    for text in ("S2MLPv2Small", "MixerB16", "MSMLPTiny", "publish.py", manifest.ENVIRONMENT):
        assert text in str(error.value)
    with pytest.raises(k.WeightsNotAvailableError, match=r"\['imagenet_gsam', 'imagenet_sam'\]"):
        k.MixerB32()


def test_wrong_arguments_are_found_before_a_download(home, monkeypatch):
    # Nothing can be downloaded here; reaching the network would raise DownloadError instead.
    monkeypatch.setattr(keras.layers.Conv2D, "build", None)
    with pytest.raises(ValueError, match="`pooling='mean'`"):
        k.MixerB16(pooling="mean")
    with pytest.raises(ValueError, match="pretrained head"):
        k.MixerB16(classifier_activation="sigmoid")
    assert not home.exists() or not list(home.rglob("*.npz"))


def test_manifest_is_complete():
    for entry in manifest.entries():
        names = manifest.class_names(entry["class_names"])
        assert len(names) == entry["classes"]
        assert entry["url"].startswith("https://") and entry["license"]
        assert entry["gelu"] == ("tanh" if entry["source"] == "google_mixer" else "erf")
        assert (entry["top1"] is None) == (entry["top1_source"] is None)
        assert hasattr(k, entry["model"])
    assert k.weights_info("mixer_b16", "imagenet_miil")["preprocessing"] == "zero_to_one"
    white = np.full((1, 1, 3), 255, "uint8")
    assert k.preprocess_input(white, "MixerB16/imagenet_miil").max() == 1
    with pytest.raises(ValueError, match="No such checkpoint"):
        k.weights_info("MixerB16", "imagenot")
    assert {row["model"] for row in k.list_weights()} >= {"MixerS8", "MSMLPBase"}


@pytest.mark.parametrize("grid", [(4, 4), (7, 5), (2, 2), (1, 3)])
def test_resampled_weights_are_right_in_space(grid):
    rows, columns = np.mgrid[:4, :4].reshape(2, -1) + 0.5
    kernel = np.stack([rows / 4, columns / 4, np.ones(16)], -1)  # (16 tokens, 3)
    new = resample.resample_tokens(kernel, 0, grid, inputs=True) * np.prod(grid) / 16
    new_rows, new_columns = (np.mgrid[: grid[0], : grid[1]].reshape(2, -1) + 0.5).astype(float)
    np.testing.assert_allclose(new[:, 2], 1)
    inner = (new_rows / grid[0] > 0.13) & (new_rows / grid[0] < 0.87)
    np.testing.assert_allclose(new[inner, 0], (new_rows / grid[0])[inner], atol=0.06)
    inner = (new_columns / grid[1] > 0.13) & (new_columns / grid[1] < 0.87)
    np.testing.assert_allclose(new[inner, 1], (new_columns / grid[1])[inner], atol=0.06)
    transposed = resample.resample_tokens(kernel.T, 1, grid, inputs=True).T
    np.testing.assert_allclose(transposed * np.prod(grid) / 16, new)
    if grid == (4, 4):
        assert resample.resample_tokens(kernel, 0, grid, inputs=True) is kernel


def test_mixer_at_another_size_sees_the_same(tmp_path):
    """A constant image gives the same logits at any size; a smooth one nearly."""
    case = MODEL_CASES["mixer"]
    model = case.build(input_shape=(32, 32, 3), classifier_activation=None)
    model.set_weights(
        [w + 0.05 * np.random.default_rng(0).normal(size=w.shape) for w in model.get_weights()]
    )
    model.save_weights(tmp_path / "small.weights.h5")
    larger = case.build(
        input_shape=(64, 96, 3),
        classifier_activation=None,
        weights=tmp_path / "small.weights.h5",
    )
    grey = np.full((1, 32, 32, 3), 99.0, "float32")
    wide = np.full((1, 64, 96, 3), 99.0, "float32")
    small, large = run(model, grey), run(larger, wide)
    assert np.abs(small - large).max() < 0.2 * np.ptp(small) + 0.05
    again = case.build(
        input_shape=(32, 32, 3),
        classifier_activation=None,
        weights=tmp_path / "small.weights.h5",
    )
    np.testing.assert_array_equal(run(again, grey), small)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="once is enough")
def test_published_model_is_found_by_its_tag(home, tmp_path, monkeypatch):
    """The loop that S2-MLPv2 needs: train, publish, and the plain line works for everybody."""
    model = k.S2MLPv2Small(weights=None, input_shape=(28, 28, 3))
    model.compile("sgd", "sparse_categorical_crossentropy")
    images = np.random.default_rng(0).integers(0, 256, (2, 28, 28, 3)).astype("uint8")
    model.fit(images, np.array([3, 7]), verbose=0)
    model.save(tmp_path / "trained.keras")
    publish = [sys.executable, HERE.parent / "weights" / "publish.py", tmp_path / "trained.keras"]
    options = ["--folder", tmp_path / "lab", "--dataset", "two images", "--license", "Apache-2.0"]
    subprocess.run([*publish, "S2MLPv2Small", "imagenet", *options], check=True)
    monkeypatch.setenv(manifest.ENVIRONMENT, str(tmp_path / "lab"))
    found = k.S2MLPv2Small(weights="imagenet", input_shape=(28, 28, 3))
    np.testing.assert_allclose(run(found, images), run(model, images), atol=1e-6)
    shutil.rmtree(tmp_path / "lab")
    with pytest.raises(k.WeightsNotAvailableError):
        k.S2MLPv2Small(weights="imagenet")
