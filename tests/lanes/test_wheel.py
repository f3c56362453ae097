"""The built wheel, with JAX alone, in an environment of its own: `make wheel`."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import keras_shiftmlp

USER_FILE = """
import keras
import keras_shiftmlp

model = keras_shiftmlp.S2MLPv2Nano(weights="cifar10")
keras.Model.summary(model)
names: tuple[str, ...] | None = model.class_names
reveal_type(keras_shiftmlp.list_models())
keras_shiftmlp.S2MLPv2Nano(wieghts="cifar10")  # error
"""


def command(*arguments):
    program = Path(sys.executable).with_name("keras-shiftmlp")
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout


def test_only_the_wheel_and_jax_are_here():
    assert Path(keras_shiftmlp.__file__).is_relative_to(sys.prefix)
    assert keras.backend.backend() == "jax"
    for package in ("tensorflow", "torch", "openvino"):
        assert importlib.util.find_spec(package) is None


def test_list_and_info():
    assert "S2MLPv2Nano" in command("list")
    shown = command("info", "S2MLPv2Nano")
    assert "S2MLPv2Nano" in shown and "cifar10" in shown


@pytest.mark.parametrize("name", ["MixerNano", "S2MLPNano", "S2MLPv2Nano", "MSMLPNano"])
def test_predict_with_a_shipped_checkpoint(name, tmp_path):
    # A blue sky over a grey runway has no class; the command must rank what the model ranks.
    picture = np.zeros((32, 32, 3), "uint8")
    picture[:20], picture[20:] = (90, 150, 230), (120, 120, 120)
    picture_file = tmp_path / "picture.png"
    Image.fromarray(picture).save(picture_file)
    shown = command("predict", picture_file, "--model", name, "--weights", "cifar10", "--top", "1")
    model = keras_shiftmlp.get_model(name, weights="cifar10")
    scores = model.predict(picture[None], verbose=0)[0]
    assert model.class_names[scores.argmax()] in shown


def test_types_of_a_user_file(tmp_path):
    (tmp_path / "user.py").write_text(USER_FILE)
    checker = [sys.executable, "-m", "basedpyright", "--outputjson"]
    checker += ["--pythonpath", sys.executable, str(tmp_path / "user.py")]
    found = json.loads(subprocess.run(checker, capture_output=True, text=True).stdout)
    found = found["generalDiagnostics"]
    [error] = [x for x in found if x["severity"] == "error"]
    assert "wieghts" in error["message"]
    [revealed] = [x["message"] for x in found if x["severity"] == "information"]
    assert "list[str]" in revealed
