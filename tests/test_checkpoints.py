"""`weights=` end to end: files, addresses and tags of every source, through the real code path."""

import functools
import hashlib
import http.server
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import hub
import keras
import numpy as np
import pytest
import safetensors.numpy
import test_readers
from cases import HERE, MODEL_CASES, once, run
from families import GOLDEN

import keras_shiftmlp as k
from keras_shiftmlp.checkpoints import containers, manifest
from keras_shiftmlp.downloads import fetch, places

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


def weights_of(case):
    with np.load(DATA / f"{case}.npz") as file:
        return {key[8:]: file[key] for key in file.files if key.startswith("weights/")}


def write_original(case, folder, name=None):
    """The reference weights in a container like the authors'; the name may be misleading."""
    path = folder / (name or f"{case}.{FILES[case]}")
    save = test_readers.npz if FILES[case] == "npz" else save_safetensors
    path.write_bytes(save(weights_of(case)))
    return path


def save_safetensors(arrays):
    return safetensors.numpy.save({key: np.ascontiguousarray(x) for key, x in arrays.items()})


def own_entry(case, file, **changes):
    """What a `manifest.json` in a place of one's own says about a reference file."""
    return {
        "model": "Mixer",
        "tag": "ours",
        "file": file,
        "dataset": "none",
        "license": "CC-BY-NC-4.0",
        "classes": 11,
        "class_names": list("abcdefghijk"),
        "hyperparameters": {"gelu": "tanh" if "google" in case else "erf"},
        "preprocessing": {"mean": [0.1] * 3, "std": [0.2] * 3},
        "image_size": 32,
        **changes,
    }


def build(case, weights, **kwargs):
    name, hyperparameters = GOLDEN[case].constructor, GOLDEN[case].hyperparameters
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


def files_in(folder):
    """The files that are kept; the empty lock files stay for those who wait for them."""
    return [x for x in folder.rglob("*") if x.is_file() and x.suffix != ".lock"]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(places.ENVIRONMENT, raising=False)
    places._remote_manifest.cache_clear()
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


@once
@pytest.mark.parametrize("case", FILES)
def test_original_file_by_path_whatever_its_name(case, tmp_path):
    path = write_original(case, tmp_path, "misleading.bin")
    model = build(case, path, include_preprocessing=False)
    check_logits(case, model)
    body = build(case, path, include_top=False)
    assert body.output_shape[-1] == model.layers[-1].input.shape[-1]


@once
def test_original_file_by_url_is_downloaded_once(home, server):
    folder, url, asked = server
    path = write_original("mixer_timm_erf", folder)
    for _ in range(2):
        model = build("mixer_timm_erf", f"{url}/{path.name}", include_preprocessing=False)
        check_logits("mixer_timm_erf", model)
    assert asked == [f"/{path.name}"]


@once
def test_two_addresses_that_end_alike_are_two_files(home, server):
    folder, url, _ = server
    for part, case in (("a", "mixer_google_tanh"), ("b", "mixer_timm_erf")):
        (folder / part).mkdir()
        write_original(case, folder / part, "file.bin")
    for part, case in (("a", "mixer_google_tanh"), ("b", "mixer_timm_erf")):
        check_logits(case, build(case, f"{url}/{part}/file.bin", include_preprocessing=False))


@once
@pytest.mark.parametrize("kind", ["folder", "url"])
def test_tag_from_a_place_of_ones_own(kind, home, server, monkeypatch):
    folder, url, _ = server
    path = write_original("mixer_google_tanh", folder)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    entry = own_entry("mixer_google_tanh", path.name, sha256=digest)
    (folder / "manifest.json").write_text(json.dumps([entry]))
    monkeypatch.setenv(places.ENVIRONMENT, url if kind == "url" else str(folder))
    model = build("mixer_google_tanh", "ours", include_preprocessing=False)
    check_logits("mixer_google_tanh", model)
    assert model.class_names == tuple("abcdefghijk")
    assert model.preprocessing.mean == (0.1, 0.1, 0.1)
    assert model.preprocessing.interpolation == "bicubic"
    assert k.list_weights("mixer")[0]["verified_by"] == "sha256"
    (folder / "manifest.json").write_text(json.dumps([{**entry, "sha256": "0" * 64}]))
    places._remote_manifest.cache_clear()
    with pytest.raises(ValueError, match="0000"):
        build("mixer_google_tanh", "ours")


@once
def test_non_commercial_licence_is_said(home, tmp_path, monkeypatch, caplog):
    entry = own_entry("mixer_google_tanh", "missing.npz", tag="nc")
    (tmp_path / "manifest.json").write_text(json.dumps([entry]))
    monkeypatch.setenv(places.ENVIRONMENT, str(tmp_path))
    with caplog.at_level(logging.WARNING), pytest.raises(OSError, match=r"missing\.npz"):
        build("mixer_google_tanh", "nc")
    assert "CC-BY-NC-4.0" in caplog.text


@once
def test_gelu_comes_from_the_file(tmp_path):
    path = write_original("mixer_google_tanh", tmp_path)
    model = build("mixer_google_tanh", path)
    assert model.get_layer("block_0_token_fc1").activation.__name__ == "gelu_tanh"
    path = write_original("mixer_timm_erf", tmp_path)
    model = build("mixer_timm_erf", path)
    assert model.get_layer("block_0_token_fc1").activation.__name__ == "gelu"
    with pytest.raises(ValueError, match="belong to `gelu='erf'`"):
        build("mixer_timm_erf", path, gelu="tanh")


@once
def test_preprocessing_by_name(tmp_path):
    path = write_original("mixer_timm_erf", tmp_path)
    assert build("mixer_timm_erf", path).preprocessing.std == (0.5, 0.5, 0.5)
    model = build("mixer_timm_erf", path, preprocessing="zero_to_one")
    assert model.preprocessing.std == (1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="`preprocessing='miil'`"):
        build("mixer_timm_erf", path, preprocessing="miil")


@once
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


@once
def test_tags_without_a_checkpoint_say_what_there_is(home):
    with pytest.raises(k.WeightsNotAvailableError) as error:
        k.S2MLPv2Small()
    for text in (
        "S2MLPv2Small",
        "MixerB16",
        "MSMLPTiny",
        "keras-shiftmlp publish",
        places.ENVIRONMENT,
    ):
        assert text in str(error.value)
    with pytest.raises(k.WeightsNotAvailableError, match=r"\['imagenet_gsam', 'imagenet_sam'\]"):
        k.MixerB32()


@once
def test_wrong_arguments_are_found_before_a_download(home, monkeypatch):
    # Nothing can be downloaded here; reaching the network would raise DownloadError instead.
    monkeypatch.setattr(keras.layers.Conv2D, "build", None)
    with pytest.raises(ValueError, match="`pooling='mean'`"):
        k.MixerB16(pooling="mean")
    with pytest.raises(ValueError, match="pretrained head"):
        k.MixerB16(classifier_activation="sigmoid")
    assert not home.exists() or not list(home.rglob("*.npz"))


@once
def test_manifest_is_complete():
    for entry in manifest.entries():
        if "place" in entry:  # comes with the package, see test_shipped.py
            continue
        if entry["class_names"] is not None:
            assert len(manifest.class_names(entry["class_names"])) == entry["classes"]
        assert entry["license"]
        for source in entry["files"]:
            assert source["url"].startswith(("https://", "hf://"))
        assert (entry["top1"] is None) == (entry["top1_source"] is None)
        assert hasattr(k, entry["model"])
    assert k.weights_info("mixer_b16", "imagenet_miil")["preprocessing"] == "zero_to_one"
    white = np.full((1, 1, 3), 255, "uint8")
    assert k.preprocess_input(white, "MixerB16/imagenet_miil").max() == 1
    with pytest.raises(ValueError, match="No such checkpoint"):
        k.weights_info("MixerB16", "imagenot")
    assert {row["model"] for row in k.list_weights()} >= {"MixerS8", "MSMLPBase"}


@once
def test_table_of_weights(home):
    measured = json.loads((HERE.parent / "docs" / "models.json").read_text())
    measured = {row["model"]: (row["params"], row["classes"]) for row in measured}
    for row in k.list_weights():
        params, classes = measured[row["model"]]
        config = getattr(k, row["model"]).config
        width = config["dim"] if "dim" in config else config["dims"][-1]
        assert row["params"] == params + ((row["classes"] or 0) - classes) * (width + 1)
        # Eight digits detect damage, but not forgery.
        prefix = k.weights_info(row["model"], row["tag"])["files"][0].get("sha256_prefix")
        assert ("checksum" in row["verified_by"]) == bool(prefix)
        if row["host"] == "storage.googleapis.com":
            # An .npz adds a few hundred bytes per array to its numbers.
            assert 0 < row["size"] - 4 * row["params"] < 100_000


@once
@pytest.mark.parametrize("name", ["MixerS32", "MixerS16"])
def test_parameters_of_small_checkpoints(home, name):
    [row] = k.list_weights(name)
    model = k.get_model(name, weights=None, classes=row["classes"])
    assert model.count_params() == row["params"]


@once
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


@once
def test_published_model_is_found_by_its_tag(home, tmp_path, monkeypatch):
    """What S2-MLPv2 needs: a model is published, and the plain line works for everybody."""
    model = k.S2MLPv2Small(weights=None, input_shape=(28, 28, 3))
    images = np.random.default_rng(0).integers(0, 256, (2, 28, 28, 3)).astype("uint8")
    model.save(tmp_path / "trained.keras")
    publish = [sys.executable, HERE.parent / "weights" / "publish.py", tmp_path / "trained.keras"]
    options = ["--folder", tmp_path / "lab", "--dataset", "two images", "--license", "Apache-2.0"]
    subprocess.run([*publish, "S2MLPv2Small", "imagenet", *options], check=True)
    monkeypatch.setenv(places.ENVIRONMENT, str(tmp_path / "lab"))
    found = k.S2MLPv2Small(weights="imagenet", input_shape=(28, 28, 3))
    np.testing.assert_allclose(run(found, images), run(model, images), atol=1e-6)
    (tmp_path / "lab" / "manifest.json").unlink()
    with pytest.raises(k.WeightsNotAvailableError):
        k.S2MLPv2Small(weights="imagenet")
    shutil.rmtree(tmp_path / "lab")
    with pytest.raises(ValueError, match="there is no such folder"):
        k.S2MLPv2Small(weights="imagenet")


# ---------------------------------------------------------------------------------------------
# What goes wrong on the way, on one backend


def bad_files():
    """`{name: (content, whether the reader alone sees it)}` of files that are no good."""
    torch = pytest.importorskip("torch")
    good = weights_of("mixer_timm_erf")
    key = "blocks.0.mlp_tokens.fc1.weight"
    bad = {**good, key: np.where(good[key] > 0, good[key], np.nan)}
    nan = test_readers.FOREIGN_H5["NaN"]
    tensors = {name: torch.from_numpy(value.copy()) for name, value in bad.items()}
    return {
        "npz": (test_readers.npz(bad), True),
        "cut": (test_readers.npz(good)[:-100], True),
        "safetensors": (save_safetensors(bad), True),
        "torch": (test_readers.torch_file(tensors), True),
        "legacy torch": (test_readers.torch_file(tensors, legacy=True), True),
        "call": (test_readers.torch_file({"model": test_readers.Call(exec, "1 / 0")}), True),
        "h5": (test_readers.h5(test_readers.H5_ARRAYS, nan), True),
        "page": (b"<!DOCTYPE html><title>Not found</title>", True),
        "integers": (save_safetensors({**good, key: good[key].astype("int32")}), False),
        "scalar head": (save_safetensors({**good, "head.bias": np.float32([1])[0]}), False),
        "another shape": (save_safetensors({**good, key: good[key][1:]}), False),
        "another network": (save_safetensors(weights_of("ms_mlp_official_lastrow1")), False),
    }


@once
def test_nothing_of_a_bad_file_stays_in_the_cache(home, server, monkeypatch):
    folder, url, asked = server
    monkeypatch.setenv(places.ENVIRONMENT, url)
    entry = own_entry("mixer_timm_erf", "file.bin")
    (folder / "manifest.json").write_text(json.dumps([entry]))
    for name, (content, seen_by_reader) in bad_files().items():
        (folder / "file.bin").write_bytes(content)
        for weights in ("ours", f"{url}/file.bin")[: 1 + seen_by_reader]:
            with pytest.raises((ValueError, OSError)):
                build("mixer_timm_erf", weights)
            assert not files_in(home), name
    # Nor is it remembered: once the host has mended it, the file is taken.
    write_original("mixer_timm_erf", folder, "file.bin")
    check_logits("mixer_timm_erf", build("mixer_timm_erf", "ours", include_preprocessing=False))
    # Who asks for another network has the wrong model, not the wrong file.
    with pytest.raises(ValueError, match="does not fit"):
        build("mixer_timm_erf", f"{url}/file.bin", dim=12)
    assert asked.count("/file.bin") == len(bad_files()) + 8 + 2


@once
def test_file_is_read_once_on_first_use(home, server, monkeypatch):
    folder, url, _ = server
    path = write_original("mixer_timm_erf", folder)
    (folder / "manifest.json").write_text(json.dumps([own_entry("mixer_timm_erf", path.name)]))
    monkeypatch.setenv(places.ENVIRONMENT, url)
    load, calls = containers.load, []
    monkeypatch.setattr(containers, "load", lambda x: calls.append(x) or load(x))
    for count, weights in enumerate((f"{url}/{path.name}", "ours"), 1):
        check_logits(
            "mixer_timm_erf", build("mixer_timm_erf", weights, include_preprocessing=False)
        )
        assert len(calls) == count


@once
def test_file_in_the_working_directory_never_wins_over_a_tag(home, tmp_path, monkeypatch):
    planted = k.MixerNano(weights=None)
    planted.save_weights(tmp_path / "planted.weights.h5")
    monkeypatch.chdir(tmp_path)
    for tag in ("cifar10", "imagenet"):
        shutil.copy("planted.weights.h5", tag)
    model = k.MixerNano()
    assert model.class_names is not None
    kernel = model.get_layer("predictions").kernel
    assert not np.array_equal(kernel, planted.get_layer("predictions").kernel)
    with pytest.raises(k.WeightsNotAvailableError, match=r"file of this name is './imagenet'"):
        k.MixerNano(weights="imagenet")
    for weights in ("./imagenet", Path("imagenet")):
        np.testing.assert_array_equal(
            k.MixerNano(weights=weights).get_layer("predictions").kernel,
            planted.get_layer("predictions").kernel,
        )


@once
def test_two_places_with_one_file_name(home, server, monkeypatch):
    folder, url, _ = server
    for lab, case in (("a", "mixer_google_tanh"), ("b", "mixer_timm_erf")):
        (folder / lab).mkdir()
        write_original(case, folder / lab, "file.bin")
        (folder / lab / "manifest.json").write_text(json.dumps([own_entry(case, "file.bin")]))
    for lab, case in (("a", "mixer_google_tanh"), ("b", "mixer_timm_erf")):
        monkeypatch.setenv(places.ENVIRONMENT, f"{url}/{lab}")
        check_logits(case, build(case, "ours", include_preprocessing=False))


class Broken(http.server.BaseHTTPRequestHandler):
    """Answers everything with one status; 0 means never."""

    def log_message(self, *args):
        pass

    def do_GET(self):
        if not self.server.code:
            self.server.go_on.wait(20)
            return
        self.send_response(self.server.code)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def broken(home, monkeypatch):
    monkeypatch.setattr(fetch, "BACKOFF", 0.001)
    monkeypatch.setattr(fetch, "TIMEOUT", 0.3)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Broken) as httpd:
        httpd.go_on, httpd.code = threading.Event(), 0
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        monkeypatch.setenv(places.ENVIRONMENT, f"http://127.0.0.1:{httpd.server_port}/lab?t=SECRET")
        yield httpd
        httpd.go_on.set()
        httpd.shutdown()
        thread.join()


@once
@pytest.mark.parametrize("code", [401, 403, 410, 500, 503, 0])
def test_place_that_fails_is_not_a_place_without_a_manifest(broken, code):
    broken.code = code
    place = f"http://127.0.0.1:{broken.server_port}/lab"
    asks = [k.MixerNano, k.MixerB16, k.list_weights, lambda: k.weights_info("MixerB16", "imagenet")]
    for ask in asks:
        with pytest.raises(OSError, match=place) as error:
            ask()
        assert "SECRET" not in str(error.value)
    # A tag that the package knows needs no place to prepare pixels.
    white = np.full((1, 1, 3), 255, "uint8")
    assert k.preprocess_input(white, "MixerB16/imagenet_miil").max() == 1
    with pytest.raises(OSError, match=place):
        k.preprocess_input(white, "MixerB16/ours")
    broken.code = 404
    assert k.MixerNano().class_names is not None


@once
def test_manifest_of_a_url_is_read_once(home, server, monkeypatch):
    folder, url, asked = server
    path = write_original("mixer_google_tanh", folder)
    entries = [own_entry("mixer_google_tanh", path.name), own_entry("", "x.npz", model="MixerB16")]
    (folder / "manifest.json").write_text(json.dumps(entries))
    monkeypatch.setenv(places.ENVIRONMENT, f"{url}/")
    white = np.full((1, 1, 3), 255, "uint8")
    for _ in range(2):
        build("mixer_google_tanh", "ours")
        assert k.list_weights("MixerB16")[0]["tag"] == "ours"
        assert k.preprocess_input(white, "MixerB16/ours").max() == pytest.approx(0.9 / 0.2)
    assert asked == ["/manifest.json", f"/{path.name}"]


@once
def test_manifest_of_a_url_is_bounded(home, server, monkeypatch):
    folder, url, _ = server
    (folder / "manifest.json").write_text(json.dumps([own_entry("", "x.npz")]))
    monkeypatch.setenv(places.ENVIRONMENT, url)
    monkeypatch.setattr(places, "MANIFEST_BYTES", 9)
    with pytest.raises(ValueError, match="at most 9 bytes"):
        k.list_weights()


BAD_ENTRIES = {
    "model": [None, 3, "", {}],
    "tag": [None, ["imagenet"]],
    "license": [None, 1],
    "dataset": [None],
    "file": [None, "", "../file.bin", "/etc/passwd", "a/b", "f.part"],
    "classes": [None, "11", 0, 11.0, True],
    "image_size": [None, "32"],
    "class_names": [3, ["a"], list("abcdefghij") + [1], "imagenet", "nobody", "../../x"],
    "hyperparameters": [None, "tanh"],
    "preprocessing": ["zero_to_one", 3, {"mean": 1}, {"mean": ["a"] * 3}, {"men": [0, 0, 0]}],
    "sha256": ["abc", 3],
    "sha256_prefix": ["abc"],
    "size": ["9", -1],
    "source": ["nobody"],
}


@once
@pytest.mark.parametrize(
    "manifest_text",
    ["{}", "3", "[3]", '["a"]', "[[]]", "{", "", "\udcff", "[" * 100_000, "[{}]"]
    + [
        pytest.param(json.dumps([own_entry("", "f.bin"), {**own_entry("", "f.bin"), key: value}]))
        for key, values in BAD_ENTRIES.items()
        for value in values
    ],
)
def test_malformed_manifest_names_the_place_and_the_entry(
    home, tmp_path, monkeypatch, manifest_text
):
    path = tmp_path / "lab" / "manifest.json"
    path.parent.mkdir()
    path.write_bytes(manifest_text.encode("utf-8", "surrogateescape"))
    monkeypatch.setenv(places.ENVIRONMENT, str(path.parent))
    for ask in (k.MixerNano, k.list_weights):
        with pytest.raises(ValueError, match="lab") as error:
            ask()
        assert not isinstance(error.value, k.WeightsNotAvailableError)
    entries = json.loads(manifest_text) if manifest_text.endswith("}]") else []
    for key, value in entries[-1].items() if len(entries) > 1 else ():
        if value != entries[0].get(key):
            assert f"Entry 1 of the manifest in {path.parent} is malformed: `{key}" in str(
                error.value
            )


@once
def test_file_of_another_layout_than_the_entry_says(home, tmp_path, monkeypatch):
    path = write_original("mixer_timm_erf", tmp_path)
    entry = own_entry("mixer_timm_erf", path.name, source="google_mixer")
    (tmp_path / "manifest.json").write_text(json.dumps([entry]))
    monkeypatch.setenv(places.ENVIRONMENT, str(tmp_path))
    with pytest.raises(ValueError, match=r"layout google_mixer. Received: timm_mixer"):
        build("mixer_timm_erf", "ours")


def published_entry(*files):
    """An entry of the package's own manifest, for a reference file."""
    [entry] = manifest._checked([own_entry("mixer_timm_erf", "unused")], "nowhere")
    del entry["place"], entry["file"]
    return {**entry, "source": "timm_mixer", "license": "MIT", "files": list(files)}


@once
def test_each_source_of_a_file_has_its_own_layout(home, server, monkeypatch):
    folder, url, _ = server
    path = write_original("mixer_timm_erf", folder)
    known = {"url": f"{url}/{path.name}", "source": "timm_mixer"}
    wrong = {**published_entry(known), "source": "google_mixer"}
    monkeypatch.setattr(manifest, "entries", lambda: (wrong,))
    check_logits("mixer_timm_erf", build("mixer_timm_erf", "ours", include_preprocessing=False))
    del known["source"]
    with pytest.raises(ValueError, match="should have the layout google_mixer"):
        build("mixer_timm_erf", "ours")


@once
def test_a_head_that_was_not_trained_is_not_loaded(home, server, monkeypatch):
    folder, url, _ = server
    path = write_original("mixer_timm_erf", folder)
    entry = {**published_entry({"url": f"{url}/{path.name}"}), "classes": None}
    monkeypatch.setattr(manifest, "entries", lambda: ({**entry, "class_names": None},))
    with pytest.raises(ValueError, match="`classes` must say how many"):
        build("mixer_timm_erf", "ours")
    model = build("mixer_timm_erf", "ours", classes=11)
    trained = build("mixer_timm_erf", path)
    for layer, other in zip(model.layers, trained.layers):
        equal = [np.array_equal(a, b) for a, b in zip(layer.get_weights(), other.get_weights())]
        assert not any(equal[1:]) if layer.name == "predictions" else all(equal)


@once
def test_google_drive(home, tmp_path, monkeypatch):
    path = write_original("mixer_timm_erf", tmp_path)
    url, asked = "https://drive.google.com/file/d/1_xr-f/view?usp=sharing", []
    gdown = pytest.importorskip("gdown", reason="needs the extra drive")

    def download(id, output, **kwargs):
        asked.append(id)
        if len(asked) == 1:
            raise gdown.exceptions.DownloadError("too many requests")
        shutil.copy(path if len(asked) == 3 else __file__, output)

    monkeypatch.setattr(gdown, "download", download)
    monkeypatch.setattr(manifest, "entries", lambda: (published_entry({"url": url}),))
    monkeypatch.setitem(sys.modules, "gdown", None)
    with pytest.raises(OSError, match=r"pip install 'keras_shiftmlp\[drive\]'"):
        build("mixer_timm_erf", "ours")
    monkeypatch.setitem(sys.modules, "gdown", gdown)
    with pytest.raises(OSError, match="too many requests"):
        build("mixer_timm_erf", "ours")
    with pytest.raises(ValueError, match="must be a whole checkpoint"):
        build("mixer_timm_erf", "ours")
    assert not files_in(home)
    check_logits("mixer_timm_erf", build("mixer_timm_erf", "ours", include_preprocessing=False))
    build("mixer_timm_erf", "ours")
    assert asked == ["1_xr-f"] * 3
    # The content of the first download is enforced from now on.
    names = ["Mixer.ours.1_xr-f", "Mixer.ours.1_xr-f.sha256"]
    assert sorted(x.name for x in files_in(home)) == names


@once
def test_next_source_is_tried_and_all_failures_are_named(home, server, monkeypatch, caplog):
    folder, url, asked = server
    path = write_original("mixer_timm_erf", folder)
    files = [
        {"url": "hf://nobody/mixer/model.safetensors"},
        {"url": f"{url}/{path.name}", "sha256_prefix": "00000000"},
        {"url": f"{url}/gone.npz"},
    ]
    monkeypatch.setattr(manifest, "entries", lambda: (published_entry(*files),))
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError) as error:
        build("mixer_timm_erf", "ours")
    for text in (
        files[0]["url"],
        "pip install",
        files[1]["url"],
        "00000000",
        "/gone.npz",
        "404",
        "Mixer.ours.model.safetensors",
        places.ENVIRONMENT,
    ):
        assert text in str(error.value)
    caplog.clear()
    del files[1]["sha256_prefix"]
    model = build("mixer_timm_erf", "ours", include_preprocessing=False)
    check_logits("mixer_timm_erf", model)
    [line] = [x.getMessage() for x in caplog.records if x.levelno >= logging.WARNING]
    assert "hf://nobody" in line and "pip install" in line
    assert "/gone.npz" in asked and asked.count(f"/{path.name}") == 2

    # A copy in the user's place comes first, under the name of model and tag.
    place = folder / "copies"
    place.mkdir()
    shutil.copy(path, place / "Mixer.ours.model.safetensors")
    monkeypatch.setattr(manifest, "entries", lambda: (published_entry(files[0]),))
    for name in (place, f"{url}/copies"):
        monkeypatch.setenv(places.ENVIRONMENT, str(name))
        model = build("mixer_timm_erf", "ours", include_preprocessing=False)
        check_logits("mixer_timm_erf", model)


@once
def test_size_of_an_entry_bounds_the_download(home, server, monkeypatch):
    folder, url, _ = server
    path = write_original("mixer_timm_erf", folder)
    path.write_bytes(path.read_bytes() + bytes(2**21))
    entry = published_entry({"url": f"{url}/{path.name}", "size": path.stat().st_size - 2**21})
    monkeypatch.setattr(manifest, "entries", lambda: (entry,))
    with pytest.raises(ValueError, match="expected at most"):
        build("mixer_timm_erf", "ours")
    assert not files_in(home)


@once
def test_address_with_a_token_is_kept_secret(home, server):
    folder, url, _ = server
    path = write_original("ms_mlp_official_lastrow1", folder)
    with pytest.raises(ValueError, match="holds a MSMLP") as error:
        build("mixer_timm_erf", f"{url}/{path.name}?token=SECRET")
    assert "SECRET" not in str(error.value)


CHILD = """
import hashlib, json, os, sys, time
import keras
import keras_shiftmlp
from keras_shiftmlp.checkpoints.containers import npz

def halt(*args, **kwargs):
    print("there", flush=True)
    time.sleep(60)

def load():
    model = keras_shiftmlp.get_model("Mixer", weights="ours", **json.loads(sys.argv[2]))
    weights = b"".join(array.tobytes() for array in model.get_weights())
    # In one piece, as others write there too.
    os.write(1, f"{hashlib.sha256(weights).hexdigest()}\\n".encode())

if sys.argv[1] == "reading":
    npz.arrays = halt
if sys.argv[1] == "filling":
    assign, filled = keras.Variable.assign, []
    keras.Variable.assign = lambda *args: filled.append(assign(*args)) or filled[9:] and halt()
if sys.argv[1] == "eight":
    for _ in range(8):
        if not os.fork():
            load()
            os._exit(0)
    for _ in range(8):
        assert os.wait()[1] == 0
else:
    load()
"""


def start_child(code, *arguments, **environment):
    command = [sys.executable, "-c", code, *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, env={**os.environ, **environment}, **pipes)


def convert(moment):
    hyperparameters = GOLDEN["mixer_google_tanh"].hyperparameters
    hyperparameters = {key: value for key, value in hyperparameters.items() if key != "gelu"}
    return start_child(CHILD, moment, json.dumps({**hyperparameters, "input_shape": [32, 48, 3]}))


def undisturbed(folder):
    """What `CHILD` prints, of the file itself."""
    path = write_original("mixer_google_tanh", folder)
    weights = build("mixer_google_tanh", path).get_weights()
    return hashlib.sha256(b"".join(array.tobytes() for array in weights)).hexdigest()


def lines_of(child):
    output, errors = child.communicate(timeout=100)
    assert child.returncode == 0, errors
    return output.splitlines()


@pytest.fixture
def mirror(home, server, monkeypatch):
    """A served place with a foreign file of no known hash, and what was asked for."""
    folder, url, asked = server
    path = write_original("mixer_google_tanh", folder)
    entry = own_entry("mixer_google_tanh", path.name)
    (folder / "manifest.json").write_text(json.dumps([entry]))
    monkeypatch.setenv(places.ENVIRONMENT, url)
    monkeypatch.setenv("no_proxy", "*")
    return lambda: asked.count(f"/{path.name}")


@once
@pytest.mark.skipif(not hasattr(os, "fork"), reason="starts them in a moment, by fork")
def test_many_processes_at_once_download_once_and_agree(mirror, home):
    assert lines_of(convert("eight")) == [undisturbed(home)] * 8
    assert mirror() == 1
    assert sorted(path.suffix for path in files_in(home / "models")) == [".npz", ".sha256"]


@once
def test_killed_while_converting(mirror, home):
    for moment in ("reading", "filling"):
        with convert(moment) as child:
            assert child.stdout.readline() == "there\n"
            child.kill()
        assert child.returncode != 0
        assert len(list(home.rglob("*.npz"))) == 1
    assert lines_of(convert("alone")) == [undisturbed(home)]
    # What had come whole before the first was killed is not asked for again.
    assert mirror() == 1


# ---------------------------------------------------------------------------------------------
# The script that completes the manifest


@once
def test_hashes_are_filled_in(home, server, tmp_path):
    image = pytest.importorskip("PIL.Image")
    folder, url, _ = server
    model = k.MixerNano(weights=None, classes=2)
    head = model.get_layer("predictions")
    head.set_weights([np.zeros(head.kernel.shape), np.array([0.0, 1.0])])  # always the second
    model.save_weights(folder / "a.weights.h5")
    content = (folder / "a.weights.h5").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    for name, count in (("cat", 1), ("dog", 3)):
        (tmp_path / "val" / name).mkdir(parents=True)
        for index in range(count):
            image.new("RGB", (40, 50)).save(tmp_path / "val" / name / f"{index}.png")
    facts = {"model": "MixerNano", "tag": "cifar10", "classes": 2, "class_names": ["cat", "dog"]}
    good = {"url": f"{url}/a.weights.h5", "sha256_prefix": digest[:8], "size": len(content) - 9}
    gone = {"url": f"{url}/gone.npz", "size": 5}
    forged = {"url": f"{url}/a.weights.h5", "sha256": "0" * 64}
    entries = [
        {**facts, "files": [gone, good]},
        {**facts, "tag": "forged", "files": [forged]},
        {**facts, "tag": "wide", "classes": 3, "files": [good]},
        {**facts, "tag": "layout", "source": "timm_mixer", "files": [good]},
    ]
    (tmp_path / "manifest.json").write_text(json.dumps(entries))
    command = [sys.executable, HERE.parent / "weights" / "hashes.py"]
    options = ["--manifest", tmp_path / "manifest.json", "--imagenet", tmp_path / "val"]
    run = subprocess.run([*command, *options], capture_output=True, text=True)
    assert run.returncode == 1, run.stderr
    for text in ("gone.npz", "0" * 64, "3 classes were expected, 2 came", "one of these layouts"):
        assert text in run.stderr.partition("These failed:")[2]
    done = {"url": good["url"], "sha256": digest, "size": len(content)}
    first = {**entries[0], "files": [gone, done], "measured": {"top1": 75.0, "images": 4}}
    assert json.loads((tmp_path / "manifest.json").read_text()) == [first, *entries[1:]]

    (tmp_path / "manifest.json").write_text(json.dumps([{**facts, "files": [done]}]))
    subprocess.run([*command, *options[:2]], check=True, capture_output=True)
    assert json.loads((tmp_path / "manifest.json").read_text()) == [{**facts, "files": [done]}]


# ---------------------------------------------------------------------------------------------
# The Hugging Face Hub


LOAD = """
import hashlib, sys
import keras_shiftmlp
from keras_shiftmlp.checkpoints import manifest
for weights in sys.argv[1:]:
    try:
        model = keras_shiftmlp.MixerNano(weights=weights)
    except (ValueError, OSError) as error:
        print(type(error).__name__, error)
    else:
        weights = b"".join(array.tobytes() for array in model.get_weights())
        print(hashlib.sha256(weights).hexdigest(), model.class_names)
"""

LOAD_BY_KERAS = """
import hashlib, sys
import keras
import keras_shiftmlp
model = keras.saving.load_model(sys.argv[1])
weights = b"".join(array.tobytes() for array in model.get_weights())
print(hashlib.sha256(weights).hexdigest(), type(model).__name__)
"""


@pytest.fixture
def local_hub(home, monkeypatch):
    pytest.importorskip("huggingface_hub", reason="needs the extra hf")
    with hub.running() as server:
        # It reads them when it is imported, which is done by processes of their own.
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_HOME", str(home / "hub"))
        monkeypatch.setenv("HF_TOKEN", "hf_none")
        monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
        monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
        monkeypatch.setenv("no_proxy", "*")
        yield server


@once
def test_hub(local_hub, home, tmp_path):
    """Published by one, loaded by another, bit-identical."""
    model = k.MixerNano(weights=None, classes=3)
    head = model.get_layer("predictions")
    head.set_weights([np.ones(head.kernel.shape), np.arange(3)])
    model.save(tmp_path / "trained.keras")
    expected = hashlib.sha256(b"".join(x.tobytes() for x in model.get_weights())).hexdigest()
    publish = [sys.executable, HERE.parent / "weights" / "publish.py", tmp_path / "trained.keras"]
    options = ["--dataset", "none", "--license", "Apache-2.0", "--push-to-hub", "lab/nano"]
    subprocess.run([*publish, "MixerNano", "ours", *options], check=True)
    assert set(local_hub.repositories["lab/nano"]) == {
        "README.md",
        "config.json",
        "manifest.json",
        "metadata.json",
        "model.safetensors",
        "model.weights.h5",
    }
    large = [request for request in local_hub.requests if request[1].startswith("/blobs/")]
    assert [method for method, _ in large] == ["PUT", "PUT"]
    addresses = ["hf://lab/nano", "hf://lab/nano/model.safetensors", "ours"]
    place = {places.ENVIRONMENT: "hf://lab/nano"}
    output, errors = start_child(LOAD, *addresses, **place).communicate()
    assert output == f"{expected} None\n" * 3, errors
    requests = local_hub.requests[local_hub.requests.index(large[-1]) + 1 :]
    large = [request for request in requests if request[1].startswith("/blobs/")]
    assert [method for method, _ in large if method != "HEAD"] == ["GET"]
    output, errors = start_child(LOAD_BY_KERAS, "hf://lab/nano").communicate()
    assert output == f"{expected} ImageModel\n", errors

    # From the cache.
    offline = {**place, "HF_HUB_OFFLINE": "1"}
    output, errors = start_child(LOAD, *addresses[1:], **offline).communicate()
    assert output == f"{expected} None\n" * 2, errors


@once
def test_revision_of_a_hub(local_hub, home, tmp_path):
    digests = {}
    for revision, classes in (("main", 3), ("v1", 4)):
        model = k.MixerNano(weights=None, classes=classes)
        model.save_weights(tmp_path / "model.weights.h5")
        content = (tmp_path / "model.weights.h5").read_bytes()
        local_hub.add("lab/nano", "a.weights.h5", content, revision)
        weights = b"".join(x.tobytes() for x in model.get_weights())
        digests[revision] = hashlib.sha256(weights).hexdigest()
    addresses = [f"hf://lab/nano{revision}/a.weights.h5" for revision in ("", "@v1")]
    output, errors = start_child(LOAD, *addresses).communicate()
    assert output == f"{digests['main']} None\n{digests['v1']} None\n", errors
    bad = ["hf://lab/nano@", "hf://lab/nano@/a.h5", "hf://lab/nano@a@b/a.h5", "hf://lab/nano/../x"]
    output, errors = start_child(LOAD, *bad, "hf://lab/nano/", "hf://l%2F/n").communicate()
    assert output.count("ValueError `weights` must be of the form") == 6, errors


@once
def test_what_a_hub_does_not_have(local_hub, home):
    content = test_readers.h5(test_readers.H5_ARRAYS)
    local_hub.add("lab/two", "a.weights.h5", content)
    local_hub.add("lab/two", "b.weights.h5", content)
    digest = hashlib.sha256(content).hexdigest()
    local_hub.blobs[digest] = bytes(len(content))
    addresses = ["hf://lab/none", "hf://lab/two/c.h5", "hf://lab/two", "hf://lab/two/a.weights.h5"]
    environment = {places.ENVIRONMENT: "hf://lab/two"}
    child = start_child(LOAD, *addresses, "ours", "hf://two", **environment)
    lines = child.communicate()[0].splitlines()
    assert lines[0].startswith("RepositoryNotFoundError")
    for line, expected in zip(
        [line for line in lines if line.split(" ")[0].endswith("Error")][1:],
        [
            "FileNotFoundError hf://lab/two/c.h5 does not exist",
            "ValueError `weights` must name one file of the repository, such as ['a.weights.h5', ",
            "ValueError ",
            "WeightsNotAvailableError ",
            "ValueError `weights` must be of the form",
        ],
        strict=True,
    ):
        assert line.startswith(expected)
    assert "expected the sha256" in lines[-3]
    # It is not the file that the Hub named, so nothing of it is kept.
    assert not list((home / "hub").rglob(digest))


@once
def test_hub_without_its_client(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"pip install 'keras_shiftmlp\[hf\]'"):
        k.MixerNano(weights="hf://lab/nano")
