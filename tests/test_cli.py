"""A tour of `keras-shiftmlp`: what each command prints and writes, and how it refuses bad calls."""

import csv
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import typing

import keras
import numpy as np
import pytest
from cases import HERE, once, once_on_torch
from PIL import Image

import keras_shiftmlp
from keras_shiftmlp import cli, prediction, training, visualization
from keras_shiftmlp.cli import arguments, output, plotting, program
from keras_shiftmlp.downloads import cache
from keras_shiftmlp.registration import on_import

DATA = HERE.parents[1] / "shared" / "data"
COMMANDS = (
    "list", "info", "weights", "predict", "evaluate", "plot", "train",
    "bench", "export", "port", "verify", "publish", "completion",
)  # fmt: skip
CLASSES = ("blue", "green", "red")


def picture(path, color=(90, 150, 230), size=(48, 40)):
    """A file of noise around a colour."""
    noise = np.random.default_rng(len(str(path))).integers(-25, 25, (size[1], size[0], 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((np.array(color) + noise).astype("uint8")).save(path)
    return path


@pytest.fixture
def folder(tmp_path):
    """Four images of each of three classes, and one file that is no image."""
    for index, name in enumerate(CLASSES):
        color = [40, 40, 40]
        color[2 - index] = 220
        for number in range(4):
            picture(tmp_path / "data" / name / f"{number}.png", color)
    (tmp_path / "data" / "red" / "broken.jpg").write_bytes(b"no image")
    return tmp_path / "data"


@pytest.fixture
def terminal(monkeypatch):
    """A function that makes the outputs look like a terminal of some width."""

    def start(columns):
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm")
        for stream in (sys.stdout, sys.stderr):
            monkeypatch.setattr(stream, "isatty", lambda: True)

    return start


def call(capsys, *command):
    """What a command prints, and what it reports."""
    cli.main([str(argument) for argument in command])
    return capsys.readouterr()


def refused(capsys, *command):
    """The exit code of a command, and its one line of error."""
    with pytest.raises(SystemExit) as stop:
        cli.main([str(argument) for argument in command])
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("keras-shiftmlp: ") and err.count("\n") == 1
    return stop.value.code, err


def table(text):
    """The rows of tab-separated text."""
    return list(csv.DictReader(io.StringIO(text), delimiter="\t"))


# ---------------------------------------------------------------------------------------------
# The program


@once
def test_what_needs_no_network_imports_no_framework():
    code = """
import sys
from keras_shiftmlp import cli
for command in ("--help", "--version", "list", "info MixerB16", "weights", "predict --help"):
    cli.main(command.split())
    loaded = {"keras", "numpy", "requests", "tensorflow", "jax", "torch"} & set(sys.modules)
    assert not loaded, (command, loaded)
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=HERE.parent)


@once
def test_the_package_runs_as_a_module():
    command = [sys.executable, "-m", "keras_shiftmlp", "--version"]
    run = subprocess.run(command, check=True, capture_output=True, text=True, cwd=HERE.parent)
    assert run.stdout == f"keras-shiftmlp {keras_shiftmlp.__version__}\n"


@once
def test_help_names_every_command_and_shows_an_example_of_each(capsys):
    overview = call(capsys, "--help").out
    for name in COMMANDS:
        assert re.search(rf"^│ {name} +\w", overview, re.M)
        shown = " ".join(call(capsys, name, "--help").out.split())
        assert f"Example: keras-shiftmlp {name} " in shown and "--backend" in shown
    assert call(capsys).out == overview


@once
@pytest.mark.parametrize("pattern", ["*", "mixernano"])  # more than a buffer, and less
def test_a_closed_pipe_ends_quietly(pattern):
    command = [sys.executable, "-m", "keras_shiftmlp", "list", pattern]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=HERE.parent
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


@once
def test_ctrl_c_ends_quietly(capsys, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(arguments, "registry", interrupt)
    with pytest.raises(SystemExit) as stop:
        cli.main(["weights", "MixerB16"])
    assert stop.value.code == 130 and capsys.readouterr() == ("", "")


@once
def test_completion_is_a_script_of_the_shell(capsys):
    script = call(capsys, "completion", "bash").out
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    assert all(name in script for name in COMMANDS) and "--confusion" in script


@once
def test_a_backend_is_chosen_or_the_command_to_install_it_is_shown(capsys, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    call(capsys, "list", "--backend", "numpy")
    assert program.os.environ["KERAS_BACKEND"] == "numpy"
    monkeypatch.setattr(program.importlib.util, "find_spec", lambda name: None)
    status, line = refused(capsys, "--backend", "jax", "list")
    assert status == 2 and "pip install 'keras_shiftmlp[jax]'" in line


@once
def test_errors_are_one_line_and_debug_shows_where(capsys, monkeypatch, folder):
    def load(*args, **kwargs):
        raise error

    monkeypatch.setattr(training, "load_images", load)
    command = ["evaluate", "MixerNano", "--data", str(folder)]
    error = ImportError("Reading images needs Pillow: pip install pillow")
    assert refused(capsys, *command) == (1, f"keras-shiftmlp: {error}\n")
    error = ModuleNotFoundError("No module named 'jax'", name="jax")
    status, line = refused(capsys, *command)
    assert status == 1 and "pip install 'keras_shiftmlp[jax]'" in line and "--backend" in line
    error = KeyError("a fault")
    status, line = refused(capsys, *command)
    assert status == 1 and "KeyError: 'a fault'" in line and "--debug" in line
    with pytest.raises(KeyError, match="a fault"):
        cli.main([*command, "--debug"])


# Each names what is wrong and, where there is one, what is right.
BAD_CALLS = {
    "command": ("lst", "Available commands"),
    "option": ("list --jsn", "--json"),
    "pattern": ("list nothing*", "`keras-shiftmlp list`"),
    "model of weights": ("weights MixerB61", "MixerB16"),
    "model of info": ("info S2MLPv3", "S2MLPv2"),
    "no model": ("predict {data}", "--model"),
    "no image": ("predict {data}/nothing*.png --model MixerNano", "nothing*.png"),
    "tag": ("predict {data} --model MixerNano --weights imagenet", "cifar10"),
    "weights file": ("predict {data} --model MixerNano --weights none.h5", "none.h5"),
    "random weights": ("predict {data} --model S2MLPv2", "--weights"),
    "random weights to evaluate": ("evaluate Mixer --data {data}", "name a size"),
    "model file": ("predict {data} --model none.keras", "none.keras"),
    "weights of a file": ("evaluate {file} --weights cifar10 --data {data}", "leave out --weights"),
    "count": ("predict {data} --model MixerNano --top 0", "--top"),
    "two formats": ("predict {data} --model MixerNano --json --csv", "--csv"),
    "sheet": ("predict {data} --model MixerNano --out sheet.txt", ".png"),
    "folder": ("evaluate MixerNano --data no_such_folder", "no_such_folder"),
    "confusion": ("evaluate MixerNano --data {data} --confusion matrix", ".png"),
    "recipe": ("train MixerNano --data {data} --out {new} --recipe fine", "finetune"),
    "setting": ("train MixerNano --data {data} --out {new} --set epoch=3", "epochs"),
    "no value": ("train MixerNano --data {data} --out {new} --set epochs", "KEY=VALUE"),
    "value": ("train MixerNano --data {data} --out {new} --set epochs=0", "`epochs=0`"),
    "class weights": ("train MixerNano --data {data} --out {new} --class-weights x", "balanced"),
    "backend": ("train MixerNano --data {data} --out {new}", "--backend"),
    "patience": ("train MixerNano --data {data} --out {new} --early-stopping 0", ">= 1"),
    "run": ("train MixerNano --data {data} --out {file}", "a file"),
    "kind": ("plot pie {file} --out pie.png", "curves"),
    "photo": ("plot grad-cam MixerNano --out cam.png", "--image"),
    "photo of nothing": ("plot shift --image {file} --out shift.png", "--image"),
    "two models": ("plot token-mixing MixerNano MixerB16 --out mixing.png", "one model"),
    "no card": ("plot curves --out curves.png", "files"),
    "setting of a picture": (
        "plot grad-cam MixerNano --image {photo} --out c.png --set a=1",
        "layer",
    ),
    "model of a picture": ("plot token-mixing MixerNanno --out mixing.png", "MixerNano"),
    "ending": ("plot curves {file} --out curves.exe", ".png"),
    "sizes": ("export MixerNano --out {new} --size 1 2 3", "height and width"),
    "taken": ("export MixerNano --out {file}", "nothing is overwritten"),
    "size": ("export MixerNano --out {new} --size 48 32", "32 x 32 pixels only"),
    "preprocessing": (
        "port MixerB16 {photo} --out {new} --preprocessing imagenet",
        "minus_one_to_one",
    ),
    "port": ("port MixerB61 imagenet --out {new}", "MixerB16"),
    "tag of a port": ("port MixerB16 imagenets --out {new}", "imagenet_sam"),
    "verify": ("verify MixerNano {file}", "--photos"),
    "file to publish": ("publish {photo} MixerNano x --dataset x --license MIT", "keras"),
    "publish": ("publish {file} MixerNano x --dataset x --license MIT", "--folder"),
    "card": ("publish {file} MixerNano x --dataset x --license MIT --card no.json", "no.json"),
    "shell": ("completion tcsh", "bash"),
    "half precision": ("bench MixerNano --dtype float17", "float16"),
    "backends": ("bench MixerNano --backends theano", "tensorflow"),
    "times": ("bench --from-json no_such.json", "no_such.json"),
}


@once
@pytest.mark.parametrize("command, hint", BAD_CALLS.values(), ids=BAD_CALLS)
def test_bad_calls_are_found_before_anything_is_read_or_written(
    command, hint, capsys, monkeypatch, folder, tmp_path
):
    def read(*args, **kwargs):
        raise AssertionError("an image was read")

    for module in (training.images, prediction):
        monkeypatch.setattr(module, "open_image", read)
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "model.keras"
    file.write_bytes(b"")
    photo = picture(tmp_path / "photo.png")
    before = sorted(tmp_path.rglob("*"))
    status, line = refused(
        capsys,
        *(word.format(data=folder, file=file, new="new", photo=photo) for word in command.split()),
    )
    assert status == 2 and hint in line
    assert sorted(tmp_path.rglob("*")) == before


@once
def test_what_a_package_writes_while_it_is_imported_is_dropped(tmp_path, monkeypatch, capfd):
    (tmp_path / "noisy.py").write_text("import os; os.write(2, b'hello')")
    monkeypatch.syspath_prepend(tmp_path)
    finders = list(sys.meta_path)
    on_import("noisy", output.without_messages)
    assert importlib.util.find_spec("noisy")  # to look for it is not to import it
    assert importlib.import_module("noisy")
    assert capfd.readouterr().err == "" and sys.meta_path == finders
    os.write(2, b"hello")
    assert capfd.readouterr().err == "hello"


# ---------------------------------------------------------------------------------------------
# What there is


@once
def test_list(capsys):
    rows = table(call(capsys, "list").out)
    assert [row["model"] for row in rows] == keras_shiftmlp.list_models()
    [row] = json.loads(call(capsys, "list", "s2mlpv2small", "--json").out)
    assert row["parameters"] == 25_113_448 and row["size"] == "any" and row["GMACs"] == 6.902


@once
def test_info_of_a_size_and_of_a_family(capsys):
    facts = json.loads(call(capsys, "info", "mixer_b32", "--json").out)
    assert facts["model"] == "MixerB32" and facts["image size"] == "fixed"
    assert "arxiv.org/abs/2105.01601" in facts["paper"]
    assert {row["license"] for row in facts["weights"]} == {"Apache-2.0"}
    assert json.loads(call(capsys, "info", "S2MLPv2", "--json").out)["image size"] == "any"
    family = json.loads(call(capsys, "info", "GMixer", "--json").out)
    assert [row["model"] for row in family["sizes"]] == ["GMixer12", "GMixer24"]
    text = call(capsys, "info", "S2MLPWide")
    assert "model\tS2MLPWide\n" in text.out and "no public checkpoint" in text.err


@once
def test_weights(capsys):
    rows = table(call(capsys, "weights", "mixer_b32").out)
    assert [row["tag"] for row in rows] == ["imagenet_gsam", "imagenet_sam"]
    assert len(table(call(capsys, "weights").out)) == len(keras_shiftmlp.list_weights())
    assert json.loads(call(capsys, "weights", "S2MLPWide", "--json").out) == []


@once
def test_tables_fit_the_terminal(capsys, terminal):
    terminal(80)
    for command in (["list", "s2*"], ["weights"], ["info", "S2MLPv2Nano"]):
        lines = re.sub(r"\x1b\[\d*m", "", call(capsys, *command).out).splitlines()
        assert len(lines) > 4 and max(map(len, lines)) <= 80
        assert "…" not in "".join(lines) and "\t" not in "".join(lines)
    parameters = keras_shiftmlp.weights_info("S2MLPv2Nano", "cifar10")["params"]
    assert f"{parameters:,}" in "\n".join(lines)


# ---------------------------------------------------------------------------------------------
# Images


def test_predict(capsys, folder, tmp_path):
    command = ["predict", folder / "blue", "--model", "MixerNano", "--top", 2]
    rows = table(call(capsys, *command, "--batch-size", 3).out)
    assert [row["file"] for row in rows[::2]] == [str(p) for p in sorted(folder.glob("blue/*"))]
    pixels = np.stack([np.asarray(Image.open(row["file"]).resize((32, 32))) for row in rows[::2]])
    assert pixels.shape == (4, 32, 32, 3)
    model = keras_shiftmlp.MixerNano()
    transform = keras_shiftmlp.eval_transform(model)
    x = np.stack([transform(row["file"]) for row in rows[::2]]).astype("float32")
    expected = keras_shiftmlp.decode_predictions(
        model.predict_on_batch(x), top=2, class_names=model.class_names
    )
    for row, (key, name, score) in zip(rows, (best for both in expected for best in both)):
        assert (row["id"], row["class"]) == (key, name)
        assert float(row["probability"]) == pytest.approx(score, abs=1e-4)


@once
def test_predict_in_other_formats(capsys, folder, tmp_path):
    command = [
        "predict",
        folder / "blue" / "*.png",
        "--model",
        "mixer-nano",
        "--weights",
        "cifar10",
    ]
    rows = json.loads(call(capsys, *command, "--json").out)
    assert len(rows) == 20 and rows[0]["rank"] == 1
    shown = call(capsys, *command, "--csv", "--out", tmp_path / "new" / "sheet.png").out
    assert [row["class"] for row in csv.DictReader(io.StringIO(shown))] == [
        row["class"] for row in rows
    ]
    with Image.open(tmp_path / "new" / "sheet.png") as sheet:
        colors = np.asarray(sheet.convert("RGB")).reshape(-1, 3)
    blue = np.abs(colors.astype(int) - (40, 40, 220)).max(1) <= 25
    # Four images of 160 by 133 pixels.
    assert blue.sum() == pytest.approx(4 * 160 * 133, rel=0.03)


@once
def test_images_of_files_folders_and_patterns(tmp_path):
    names = ["a.png", "b.txt", "trip/c.JPG", "trip/day/d.png", "trip/notes.txt"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    def found(*places):
        files = prediction.find_images([tmp_path / place for place in places])
        return [os.path.relpath(file, tmp_path) for file in files]

    assert found("trip") == ["trip/c.JPG", "trip/day/d.png"]
    assert found("*") == ["a.png", "trip/c.JPG", "trip/day/d.png"]
    assert found("*.png", "a.png", "trip/day") == ["a.png", "trip/day/d.png"]
    assert found("**/*.png") == ["a.png", "trip/day/d.png"]
    assert found("b.txt") == ["b.txt"]  # named by the user: reading it says what is wrong
    with pytest.raises(ValueError, match="has no image"):
        found("trip/*.txt")


@once
def test_files_that_are_no_images_are_named_and_fail(capsys, folder):
    command = ["predict", folder / "red", "--model", "MixerNano", "--top", "1"]
    broken = folder / "red" / "broken.jpg"
    with pytest.raises(SystemExit) as stop:
        cli.main([*map(str, command), "--quiet"])
    out, err = capsys.readouterr()
    assert stop.value.code == 1 and len(table(out)) == 4
    assert err == f"keras-shiftmlp: Not an image that can be read: {broken}\n"
    with pytest.raises(SystemExit) as stop:
        cli.main(["predict", str(broken), "--model", "MixerNano"])
    out, err = capsys.readouterr()
    assert stop.value.code == 1 and out == "" and "is left out" in err and "None of the 1" in err


@once
def test_bars_are_shown_on_a_terminal_and_quiet_hides_them(capsys, folder, tmp_path, terminal):
    for name in ("bird", "cat"):
        picture(tmp_path / "labelled" / name / "one.png")
    command = ["predict", folder / "blue", "--model", "MixerNano"]
    assert call(capsys, *command).err == ""
    terminal(100)
    assert "Classifying images" in call(capsys, *command).err
    assert call(capsys, *command, "--quiet").err == ""
    shown = call(capsys, "evaluate", "MixerNano", "--data", tmp_path / "labelled").err
    assert "Reading images" in shown and "Evaluating" in shown


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("predict {0} --model MixerNano --batch-size 1", marks=once),
        pytest.param("evaluate MixerNano --data {0}", marks=once),
        pytest.param(
            "train MixerNano --data {0} --out {0}-run --hold-out 2 --set epochs=1 batch_size=2",
            marks=once_on_torch,
        ),
    ],
)
def test_images_in_0_to_1_are_warned_of_once(command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("bird", "cat"):
        dark = Image.fromarray(np.eye(40, dtype="uint8")).convert("RGB")
        for number in range(2):
            picture(tmp_path / "good" / name / f"{number}.png")
            (tmp_path / "dark" / name).mkdir(parents=True, exist_ok=True)
            dark.save(tmp_path / "dark" / name / f"{number}.png")
    cache.warn_once.cache_clear()
    dark, good = (command.format(kind).split() for kind in ("dark", "good"))
    assert "above 1" not in call(capsys, *good).err
    assert call(capsys, *dark).err.count("No value of the images is above 1") == 1
    assert "above 1" not in call(capsys, *dark).err
    cache.warn_once.cache_clear()


@once_on_torch
def test_the_seed_of_train_decides_the_initial_weights(capsys, folder, tmp_path, monkeypatch):
    starts = []

    def train(network, *args, out, **kwargs):
        starts.append(network.get_weights())
        out.mkdir()
        return {"history": [{}]}

    monkeypatch.setattr(training, "train", train)
    for number, seed in enumerate((3, 3, 4)):
        out = tmp_path / f"run{number}"
        call(capsys, "train", "MixerNano", "--data", folder, "--out", out, "--seed", seed)
    for one, same, other in zip(*starts):
        np.testing.assert_array_equal(one, same)
        assert np.ptp(one) == 0 or not np.array_equal(one, other)


@once_on_torch
def test_train_evaluate_and_plot(capsys, folder, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    run = tmp_path / "run"
    changes = ["--set", "epochs=6", "batch_size=4", "flip=False", "layer_decay=1.0"]
    options = ["--early-stopping", 1, "--class-weights", "balanced", "--hold-out", 3]
    losses = iter([2.0, 1.0, 1.5, 0.5])
    on_epoch_end = training.callbacks.Resume.on_epoch_end
    monkeypatch.setattr(
        training.callbacks.Resume,
        "on_epoch_end",
        lambda self, epoch, logs: on_epoch_end(self, epoch, {**logs, "val_loss": next(losses)}),
    )
    command = ["train", "MixerNano", "--weights", "cifar10", "--data", folder, "--out", run]
    result = call(capsys, *command, *changes, *options)
    assert json.loads(result.out)["epoch"] == 3 and "has not fallen for 1 epochs" in result.err
    assert "Left out 1 unreadable of 13 files" in result.err
    card = json.loads((run / "card.json").read_text())
    assert card["class_weights"] == "balanced" and card["early_stopping"] == 1
    assert card["classes"] == list(CLASSES)
    monkeypatch.undo()

    matrix = tmp_path / "matrix.png"
    shown = call(capsys, "evaluate", run / "model.keras", "--data", folder, "--confusion", matrix)
    result = json.loads(shown.out)
    expected = training.evaluate(
        keras.models.load_model(run / "model.keras"), training.load_images(folder)
    )
    assert result["images"] == 12 and result["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    assert matrix.stat().st_size > 5000
    curves = tmp_path / "new" / "curves.png"
    call(capsys, "plot", "curves", run / "card.json", "--out", curves)
    assert curves.stat().st_size > 5000


@once
def test_every_picture_has_a_kind():
    kinds = typing.get_args(plotting.Kind)
    assert list(plotting._PICTURES) == list(kinds)
    drawn = {picture.function for picture in plotting._PICTURES.values()}
    public = {name for name in visualization.__all__ if name.startswith("plot_")}
    # The other two belong to `predict` and `evaluate`, which have the predictions.
    assert drawn == public - {"plot_predictions", "plot_confusion"}


@once_on_torch
@pytest.mark.parametrize(
    "command",
    [
        "shift --set settings=['b','c'] orders=['hw','wh']",
        "mix-shift --set kernel_sizes=[3,5] shifts=[0,1]",
        "accuracy",
        "benchmark {docs}/bench.json",
        "profile {docs}/bench.json",
        "token-mixing MixerNano --set blocks=[0]",
        "mix-shift-kernels MSMLPNano --set block=1",
        "split-attention S2MLPv2Nano --image {photo}",
        "receptive-fields MixerNano S2MLPNano --weights none --set blocks=[0]",
        "grad-cam MixerNano --weights cifar10 --image {photo} --set classes=[3]",
    ],
)
def test_plot(command, capsys, tmp_path):
    pytest.importorskip("matplotlib")
    out, photo = tmp_path / "new" / "picture.png", picture(tmp_path / "photo.png")
    words = command.format(docs=HERE.parent / "docs", photo=photo).split()
    assert call(capsys, "plot", *words, "--out", out).out == ""
    with Image.open(out) as drawn:
        assert len(drawn.convert("L").getcolors()) > 50


@once
def test_a_model_of_somebody_else_is_refused(capsys, folder, tmp_path):
    other = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    other.save(tmp_path / "other.keras")
    for command in (
        ["evaluate", tmp_path / "other.keras", "--data", folder],
        ["predict", folder / "blue", "--model", tmp_path / "other.keras"],
    ):
        status, line = refused(capsys, *command)
        assert status == 1 and "model of this package" in line


# ---------------------------------------------------------------------------------------------
# Real images


@once
@pytest.mark.skipif(not DATA.exists(), reason="the sample photos are not here")
def test_predict_photos(capsys, tmp_path):
    with tarfile.open(DATA / "imagenet_samples.tar") as photos:
        photos.extractall(tmp_path, filter="data")
    places = [tmp_path / "imagenet_samples", "--model", "S2MLPv2Nano", "--top", 1]
    sheet = tmp_path / "sheet.png"
    rows = table(call(capsys, "predict", *places, "--out", sheet).out)
    assert len(rows) == len(list(tmp_path.glob("imagenet_samples/*")))
    found = {row["file"].rpartition("_")[2]: row["class"] for row in rows}
    # Both are classes of CIFAR-10, which the network knows.
    assert found["warplane.JPEG"] == "airplane" and found["spaniel.JPEG"] == "dog"
    with Image.open(sheet) as picture:
        assert picture.width > 800 and picture.height > 1500


@once_on_torch
@pytest.mark.skipif(not DATA.exists(), reason="the sample photos are not here")
def test_explain_a_photo(capsys, tmp_path):
    pytest.importorskip("matplotlib")
    with tarfile.open(DATA / "imagenet_samples.tar") as photos:
        photos.extractall(tmp_path, filter="data")
    [dog] = tmp_path.glob("imagenet_samples/*_spaniel.JPEG")
    for command in (
        ["grad-cam", "S2MLPNano", "--image", dog, "--set", "classes=[5]"],
        ["split-attention", "S2MLPv2Nano", "--image", dog],
    ):
        out = tmp_path / f"{command[0]}.png"
        assert call(capsys, "plot", *command, "--out", out).out == ""
        with Image.open(out) as drawn:
            assert min(drawn.size) > 200 and len(drawn.convert("L").getcolors()) > 100
    status, line = refused(
        capsys, "plot", "grad-cam", "S2MLPNano", "--image", dog, "--set", "classes=[10]", "--out",
        tmp_path / "none.png",
    )  # fmt: skip
    assert status == 1 and "10" in line and not (tmp_path / "none.png").exists()


@once_on_torch
@pytest.mark.skipif(not DATA.exists(), reason="the sample photos are not here")
def test_train_publish_and_export_with_flowers(capsys, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    with tarfile.open(DATA / "flowers.tar.xz") as flowers:
        counts = dict.fromkeys(("daisy", "rose", "tulip"), 0)
        for member in flowers:
            name = member.name.split("/")[1] if member.isfile() else ""
            if counts.get(name, 12) < 12:
                counts[name] += 1
                flowers.extract(member, tmp_path, filter="data")
            if set(counts.values()) == {12}:
                break
    data, run = tmp_path / "flowers", tmp_path / "run"
    command = ["train", "MixerNano", "--weights", "cifar10", "--data", data, "--out", run]
    call(capsys, *command, "--set", "epochs=2", "batch_size=8", "--quiet")
    result = json.loads(call(capsys, "evaluate", run / "model.keras", "--data", data).out)
    assert result["images"] == 36 and result["top1"] > 0.4
    rows = table(call(capsys, "predict", data / "rose", "--model", run / "model.keras").out)
    assert {row["class"] for row in rows} == set(counts)

    shared, facts = tmp_path / "shared", ["--dataset", "flowers", "--license", "CC-BY-2.0"]
    publish = ["publish", run / "model.keras", "MixerNano", "flowers", "--folder", shared, *facts]
    entry = json.loads(call(capsys, *publish, "--card", run / "card.json").out)
    assert entry["classes"] == 3 and (shared / entry["file"]).stat().st_size == entry["size"]
    monkeypatch.setenv("KERAS_SHIFTMLP_WEIGHTS", str(shared))
    tag = ["--model", "MixerNano", "--weights", "flowers"]
    again = table(call(capsys, "predict", data / "rose", *tag).out)
    assert [row["class"] for row in again] == [row["class"] for row in rows]
    out = tmp_path / "flowers.onnx"
    exported = json.loads(
        call(capsys, "export", "MixerNano", *tag[2:], "--out", out, "--images", data).out
    )
    assert exported["bytes"] == out.stat().st_size
    assert max(exported["scaled_difference"].values()) < 1e-4
    assert refused(capsys, "export", "MixerNano", *tag[2:], "--out", out)[0] == 2
