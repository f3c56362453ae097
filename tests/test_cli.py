"""`keras-shiftmlp` as a program: its versions, its exit codes and its errors."""

import subprocess
import sys

import pytest
from cases import BACKEND, HERE

import keras_shiftmlp
from keras_shiftmlp import cli

pytestmark = pytest.mark.skipif(BACKEND != "numpy", reason="the same on every backend")
# Each asks for what does not exist, or for what the backend cannot do.
USER_ERRORS = {
    "folder": (["evaluate", "MixerNano", "--data", "no_such_folder"], "no_such_folder"),
    "weights": (["evaluate", "S2MLPWide", "--weights", "imagenet", "--data", "."], "S2MLPWide"),
    "file": (["models", "--from-json", "no_such.json"], "no_such.json"),
    "model": (["bench", "MixerNanno", "--backends", "numpy"], "MixerNano"),
    "recipe": (["train", "MixerNano", "--data", ".", "--out", "x", "--recipe", "fine"], "finetune"),
}


def stopped(capsys, arguments):
    """The exit status of the command and the line that it writes to stderr."""
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("keras-shiftmlp: ") and err.count("\n") == 1
    return stop.value.code, err


@pytest.mark.parametrize("arguments, hint", USER_ERRORS.values(), ids=USER_ERRORS)
def test_an_error_of_the_user_is_one_line(capsys, arguments, hint):
    status, line = stopped(capsys, arguments)
    assert status == 1 and hint in line


def test_debug_shows_the_traceback():
    with pytest.raises(FileNotFoundError, match=r"no_such\.json"):
        cli.main(["models", "--from-json", "no_such.json", "--debug"])


def test_a_missing_package_is_one_line_if_the_error_names_it(capsys, monkeypatch):
    def load(*args, **kwargs):
        raise ImportError(message)

    monkeypatch.setattr(keras_shiftmlp.training, "load_images", load)
    command = ["evaluate", "MixerNano", "--data", "photos"]
    message = "Reading images needs Pillow: pip install pillow"
    assert stopped(capsys, command) == (1, f"keras-shiftmlp: {message}\n")
    message = "a fault of the package"
    with pytest.raises(ImportError, match=message):
        cli.main(command)


def test_what_matches_nothing_is_a_wrong_call(capsys):
    status, line = stopped(capsys, ["models", "nothing*"])
    assert status == 2 and "'nothing*'" in line
    status, line = stopped(capsys, ["weights", "MixerB61"])
    assert status == 2 and "MixerB16" in line


def test_weights_of_one_model(capsys):
    cli.main(["weights", "mixer_b32"])
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split(" | ")[1] for row in rows] == ["imagenet_gsam", "imagenet_sam"]
    cli.main(["weights", "S2MLPWide"])
    assert capsys.readouterr().out == "There are no published weights for S2MLPWide.\n"


def test_the_package_runs_as_a_module():
    command = [sys.executable, "-m", "keras_shiftmlp", "--version"]
    run = subprocess.run(command, check=True, capture_output=True, text=True, cwd=HERE.parent)
    assert run.stdout == f"keras-shiftmlp {keras_shiftmlp.__version__}\n"
