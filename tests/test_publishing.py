"""Publishing a model, converting a publisher's file, and comparing with the original network."""

import json
import runpy
import sys

import keras
import numpy as np
import pytest
from cases import once, run

import keras_shiftmlp as k
from keras_shiftmlp import cli, publishing
from keras_shiftmlp.benchmark import originals
from keras_shiftmlp.checkpoints import containers
from keras_shiftmlp.downloads import places
from keras_shiftmlp.downloads.cache import sha256_of
from keras_shiftmlp.publishing.checkpoints import save_safetensors
from keras_shiftmlp.publishing.model_card import model_card

pytestmark = once
FACTS = {"dataset": "Toys, 2nd edition", "license": "Apache-2.0"}
REPOSITORY = {
    "README.md", "config.json", "manifest.json", "metadata.json", "model.safetensors",
    "model.weights.h5",
}  # fmt: skip
# Different from what the constructor alone would build, and from each other.
BUILDS = {
    "gelu": ("MixerNano", {"gelu": "erf"}, {}),
    "any_size": ("MSMLPNano", {"input_shape": (None, None, 3)}, {}),
    "logits": ("S2MLPNano", {"classifier_activation": None, "dropout_rate": 0.1}, {}),
    "training": ("S2MLPv2Nano", {"drop_path_rate": 0.1, "dtype": "mixed_bfloat16"}, {}),
    "pixels": ("MSMLPNano", {"preprocessing": "zero_to_one"}, {}),
    "general": ("Mixer", {"input_shape": (8, 8, 3)}, {"patch_size": 4, "dim": 8, "depth": 1}),
}


@pytest.fixture
def toys(monkeypatch):
    """A small model with a classifier that is not zero, and pictures for it."""
    monkeypatch.delenv(places.ENVIRONMENT, raising=False)
    return trained("MixerNano", gelu="erf"), pictures(32)


def trained(name, **kwargs):
    model = k.get_model(name, weights=None, classes=3, **kwargs)
    model.class_names = ["ball", "bear", "car"]
    head = model.get_layer("predictions")
    head.set_weights([np.random.default_rng(0).normal(size=x.shape) for x in head.get_weights()])
    return model


def pictures(side):
    return np.random.default_rng(1).integers(0, 256, (4, side, side, 3)).astype("float32")


@pytest.mark.parametrize("name, kwargs, hyperparameters", BUILDS.values(), ids=BUILDS)
def test_tag_builds_the_published_model(name, kwargs, hyperparameters, toys, tmp_path, monkeypatch):
    model = trained(name, **kwargs, **hyperparameters)
    entry = publishing.publish(
        model, name, "toys", **FACTS, folder=tmp_path, hyperparameters=hyperparameters
    )
    path = tmp_path / f"{name}.toys.safetensors"
    assert entry["sha256"] == sha256_of(path) and entry["size"] == path.stat().st_size
    assert set(containers.read(path)) == {weight.path for weight in model.weights}
    monkeypatch.setenv(places.ENVIRONMENT, str(tmp_path))
    assert k.weights_info(name, "toys").items() >= json.loads(json.dumps(entry)).items()
    asked = {key: kwargs[key] for key in kwargs if key not in ("gelu", "preprocessing")}
    found = k.get_model(name, weights="toys", **asked)
    assert found.class_names == ("ball", "bear", "car")
    assert found.preprocessing.get_config() == model.preprocessing.get_config()
    images = pictures(8 if name == "Mixer" else 32)
    np.testing.assert_array_equal(run(found, images), run(model, images))


def test_low_rank_updates_are_added_to_the_kernels(toys, tmp_path):
    model, images = toys
    k.enable_lora(model, 2)
    for weight in model.weights:
        if "lora" in weight.path:
            weight.assign(np.full(weight.shape, 0.05))
    publishing.publish(model, "MixerNano", "toys", **FACTS, folder=tmp_path)
    plain = k.MixerNano(weights=tmp_path / "MixerNano.toys.safetensors", gelu="erf")
    np.testing.assert_allclose(run(plain, images), run(model, images), atol=1e-5)


def test_manifest_keeps_other_entries_and_replaces_its_own(toys, tmp_path):
    model, _ = toys
    card = {"model": "MixerNano", "classes": 3, "macs": 7, "history": []}
    for tag, cards in (("toys", [card, card]), ("other", []), ("toys", [])):
        publishing.publish(model, "mixer_nano", tag, **FACTS, folder=tmp_path, cards=cards)
        history = tmp_path / f"MixerNano.{tag}.history.json"
        assert history.exists() == bool(cards)
        if cards:
            run = {"macs": 7, "history": []}
            expected = {"earlier_runs": [run], "training": run}
            assert json.loads(history.read_text()) == expected
    entries = json.loads((tmp_path / "manifest.json").read_text())
    assert [(x["model"], x["tag"]) for x in entries] == [
        ("MixerNano", "other"),
        ("MixerNano", "toys"),
    ]
    assert not {"training", "earlier_runs"} & set(entries[1])


def test_repository_loads_by_both_ways(toys, tmp_path):
    model, images = toys
    model.compile("sgd", "sparse_categorical_crossentropy")
    publishing.publish(
        model,
        "MixerNano",
        "toys",
        **FACTS,
        hub_folder=tmp_path / "hub",
        top1=81.5,
        top1_source="us",
    )
    folder, expected = tmp_path / "hub", run(model, images)
    assert {path.name for path in folder.iterdir()} == REPOSITORY
    found = keras.saving.load_model(folder)
    assert found.class_names == model.class_names and not found.compiled
    np.testing.assert_array_equal(run(found, images), expected)
    text = (folder / "README.md").read_text()
    call = next(line for line in text.splitlines() if "weights=" in line)
    assert call == 'model = keras_shiftmlp.MixerNano(weights="hf://owner/repo", gelu="erf")'
    found = k.MixerNano(weights=folder / "model.safetensors", gelu="erf")
    np.testing.assert_array_equal(run(found, images), expected)
    # The folder is a place of checkpoints too.
    [entry] = json.loads((folder / "manifest.json").read_text())
    assert entry["file"] == "model.safetensors"
    assert entry["sha256"] == sha256_of(folder / entry["file"])


def test_header_of_the_card_is_what_the_hub_reads(toys, tmp_path):
    hub = pytest.importorskip("huggingface_hub", reason="needs the extra hf")
    model, _ = toys
    publishing.publish(
        model, "MixerNano", "toys", **FACTS, hub_folder=tmp_path, top1=81.5, top1_source="us"
    )
    card = hub.ModelCard.load(tmp_path / "README.md")
    assert card.data.license == "apache-2.0" and card.data.library_name == "keras"
    assert card.data.pipeline_tag == "image-classification"
    [result] = card.data.eval_results
    assert (result.dataset_name, result.metric_type) == (FACTS["dataset"], "accuracy")
    assert result.metric_value == 81.5 and card.data.datasets == ["toys-2nd-edition"]
    publishing.publish(model, "MixerNano", "toys", **FACTS, hub_folder=tmp_path)
    card = hub.ModelCard.load(tmp_path / "README.md")
    assert card.data.eval_results is None and "Top-1 accuracy: not measured" in card.text


@pytest.mark.parametrize(
    "kwargs, expected",
    [
        ({}, ""),
        ({"preprocessing": "zero_to_one"}, ', preprocessing="zero_to_one"'),
        ({"input_shape": (64, 64, 3)}, ", input_shape=(64, 64, 3)"),
        ({"include_preprocessing": False}, ", include_preprocessing=False"),
    ],
)
def test_card_calls_the_constructor_with_what_the_file_does_not_tell(kwargs, expected, toys):
    model = k.MSMLPNano(weights=None, classes=3, **kwargs)
    entry = {"model": "MSMLPNano", "hyperparameters": {}, "params": 1, "classes": 3, "top1": None}
    entry |= {**FACTS, "preprocessing": model.preprocessing.get_config()}
    text = model_card(model, entry, "a/b")
    assert f'\nmodel = keras_shiftmlp.MSMLPNano(weights="hf://a/b"{expected})\n' in text
    model.preprocessing.mean = (0.1, 0.2, 0.3)
    call = next(x for x in model_card(model, entry, "a/b").splitlines() if "weights=" in x)
    assert "include_preprocessing=False" in call
    assert call.endswith(")  # takes (x / 255 - mean) / std")


REFUSED = {
    "nowhere": ({"folder": None}, {}, "`folder`, `hub_folder` or `push_to_hub`"),
    "form": ({"hyperparameters": {"gelu": "tanh"}}, {}, "16 layers differ, such as block_0_token"),
    "size": ({"constructor": "S2MLPNano"}, {}, "S2MLPNano must build the published model"),
    "unknown": ({"hyperparameters": {"blocks": 2}}, {}, "`hyperparameters` must be among patch_"),
    "constructor": ({"constructor": "MixerNanno"}, {}, "the nearest are MixerNano"),
    "tag": ({"tag": "../toys"}, {}, r"\.\./toys"),
    "sigmoid": ({}, {"classifier_activation": "sigmoid"}, "with the activation 'sigmoid'"),
    "headless": ({}, {"include_top": False}, "must have a classifier"),
    "channels": ({}, {"input_shape": (32, 32, 1)}, "images of three channels"),
}


@pytest.mark.parametrize("changes, kwargs, message", REFUSED.values(), ids=REFUSED)
def test_what_could_not_be_loaded_is_not_written(changes, kwargs, message, toys, tmp_path):
    model = k.MixerNano(weights=None, **{"gelu": "erf", **kwargs})
    arguments = {"constructor": "MixerNano", "tag": "toys", "folder": tmp_path / "lab", **FACTS}
    with pytest.raises(ValueError, match=message):
        publishing.publish(model, **{**arguments, **changes})
    assert not list(tmp_path.iterdir())


def test_weights_that_are_not_finite_are_not_written(toys, tmp_path):
    model, _ = toys
    model.get_layer("predictions").bias.assign([1.0, np.nan, 0.0])
    with pytest.raises(ValueError, match="finite"):
        publishing.publish(model, "MixerNano", "toys", **FACTS, folder=tmp_path / "lab")
    assert not list(tmp_path.iterdir())


def test_damaged_manifest_is_kept(toys, tmp_path):
    (tmp_path / "manifest.json").write_text('{"model": "MixerNano"}')
    with pytest.raises(ValueError, match="must be a list of entries"):
        publishing.publish(toys[0], "MixerNano", "toys", **FACTS, folder=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_push_without_the_client_is_found_first(toys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"pip install 'keras_shiftmlp\[hf\]'"):
        publishing.publish(
            toys[0], "MixerNano", "toys", **FACTS, folder=tmp_path / "lab", push_to_hub="lab/nano"
        )
    assert not list(tmp_path.iterdir())


def test_commands(toys, tmp_path, capsys):
    model, images = toys
    model.save(tmp_path / "model.keras")
    (tmp_path / "card.json").write_text('{"seconds": 3}')
    command = ["publish", tmp_path / "model.keras", "MixerNano", "toys", "--folder", tmp_path]
    command += ["--dataset", "toys", "--license", "MIT", "--set", "gelu=erf", "--top1", "71.5"]
    cli.main([*map(str, command), "--card", str(tmp_path / "card.json")])
    entry = json.loads(capsys.readouterr().out)
    assert entry["hyperparameters"] == {"gelu": "erf"} and entry["top1"] == 71.5
    assert [entry] == json.loads((tmp_path / "manifest.json").read_text())
    history = json.loads((tmp_path / "MixerNano.toys.history.json").read_text())
    assert history == {"earlier_runs": [], "training": {"seconds": 3}}

    cli.main(["port", "MixerNano", "cifar10", "--out", str(tmp_path / "new" / "nano")])
    card = json.loads(capsys.readouterr().out)
    assert card == json.loads((tmp_path / "new" / "nano.json").read_text())
    path = tmp_path / "new" / "nano.safetensors"
    assert card["sha256"] == sha256_of(path) and card["hyperparameters"] == {"gelu": "tanh"}
    ours, theirs = k.MixerNano(weights=path), k.MixerNano()
    np.testing.assert_array_equal(run(ours, images), run(theirs, images))

    with pytest.raises(SystemExit) as stop:
        cli.main(["verify", "MixerNano", str(path)])
    assert stop.value.code == 2 and "--photos" in capsys.readouterr().err


# ---------------------------------------------------------------------------------------------
# Comparison with the original network


@pytest.fixture
def photos(tmp_path):
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "photos" / "more").mkdir(parents=True)
    for name in ("a.png", "b.png", "more/c.png"):
        pixels = np.random.default_rng(len(name)).integers(0, 256, (170, 180, 3)).astype("uint8")
        image.fromarray(pixels).save(tmp_path / "photos" / name)
    return tmp_path / "photos"


def test_ms_mlp_equals_its_original(photos, tmp_path, monkeypatch, capsys):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    config = k.MSMLPTiny.config
    names = ("dims", "depths", "patch_size", "kernel_sizes", "shifts", "mlp_ratio")
    network = runpy.run_path(str(originals.MS_MLP))["MSMLP"](
        **{name: config[name] for name in names}, classes=5
    )
    path = tmp_path / "file.pth"
    torch.save({"model": network.state_dict()}, path)
    result = publishing.verify("MSMLPTiny", path, photos, limit=2)
    assert result["photos"] == 2 and 0 < result["relative"] <= 1e-5
    with pytest.raises(ValueError, match=r"differ by .* `tolerance=0\.0`"):
        publishing.verify("MSMLPTiny", path, photos, tolerance=0.0)
    cli.main(["verify", "MSMLPTiny", str(path), "--photos", str(photos)])
    assert json.loads(capsys.readouterr().out)["photos"] == 3
    with pytest.raises(ValueError, match="must be a folder of photos"):
        publishing.verify("MSMLPTiny", path, tmp_path / "none")
    monkeypatch.setattr(originals, "MS_MLP", tmp_path / "torch_ms_mlp.py")
    with pytest.raises(FileNotFoundError, match=r"not in the wheel\. Check out the repository"):
        publishing.verify("MSMLPTiny", path, photos)


@pytest.mark.parametrize(
    "source, package",
    [("google_mixer", "flax"), ("timm_mixer", "timm"), ("official_ms_mlp", "torch")],
)
def test_missing_framework_is_named(source, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    weights = {"head.bias": np.zeros(5, "float32")}
    with pytest.raises(ImportError, match=f"pip install {package}"):
        originals.original_logits(source, "MSMLPNano", k.MSMLPNano.config, weights, pictures(32))


def test_layout_without_an_original():
    with pytest.raises(ValueError, match=r"google_mixer.*Received: `source='jittor"):
        originals.original_logits("jittor_s2_mlp", "S2MLPDeep", {}, {}, pictures(32))


def test_stored_softmax(tmp_path, capsys):
    """The probabilities of the network itself, for a photo that needs no resizing."""
    image = pytest.importorskip("PIL.Image")
    model, path = trained("MixerS32"), tmp_path / "file.safetensors"
    save_safetensors(model, path)
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3)).astype("uint8")
    image.fromarray(pixels).save(tmp_path / "photo.png")
    plain = k.MixerS32(weights=path, include_preprocessing=False)
    expected = run(plain, pixels[None] / np.float32(128) - 1)
    command = ["verify", "MixerS32", path, "--photo", tmp_path / "photo.png", "--softmax"]
    for softmax, agree in ((expected, True), (expected[:, ::-1], False)):
        np.save(tmp_path / "softmax.npy", softmax)
        cli.main([*map(str, command), str(tmp_path / "softmax.npy")])
        result = json.loads(capsys.readouterr().out)
        assert (result["difference"] < 1e-6) == result["top5_agree"] == agree
