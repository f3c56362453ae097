"""Fixtures that all tests share."""

import gc
import logging
import runpy
import sys

import keras
import numpy as np
import pytest
from cases import BACKEND, HERE, MODEL_CASES, SAMPLE, run

if BACKEND == "openvino":
    import openvino_float32 as openvino_float32


# Each of these takes up to a minute. They come first, so that no worker ends with one of them.
LONG = ("test_examples", "test_quickstart", "test_distribution", "test_export", "test_dense")


def pytest_collection_modifyitems(items):
    once = pytest.mark.skipif(BACKEND != "torch", reason="examples in docstrings run on torch")
    for item in items:
        if isinstance(item, pytest.DoctestItem):
            item.add_marker(once)
        few = item.get_closest_marker("all_on")
        if few and few.args[0] != BACKEND and item.callspec.params["case"].name not in SAMPLE:
            item.add_marker(pytest.mark.skip(reason=f"all networks run on {few.args[0]}"))
    items.sort(key=lambda item: item.path.stem not in LONG)


# The scope of the session puts the tests of one network next to one another.
@pytest.fixture(params=MODEL_CASES.values(), ids=MODEL_CASES, scope="session")
def case(request):
    return request.param


@pytest.fixture(scope="session")
def model(case):
    """The network of the case with its initial weights. All tests share it; none changes it."""
    keras.utils.set_random_seed(0)
    network = case.build()
    # OpenVINO compiles a program at each reading of an initial value, but not of one that was set.
    network.set_weights(network.get_weights())
    return network


@pytest.fixture(scope="session")
def outputs(model, pixels):
    """What `model` gives for `pixels`."""
    return run(model, pixels)


@pytest.fixture(scope="session")
def pixels():
    """Two small images of 0..255."""
    return np.random.default_rng(0).uniform(0, 255, (2, 32, 48, 3)).astype("float32")


@pytest.fixture
def smoke(tmp_path, monkeypatch, capsys):
    """Runs an example with `--smoke`, which writes to `tmp_path`; what it printed."""
    loggers = [logging.getLogger(name) for name in ("absl", "keras_shiftmlp")]
    levels = [logger.level for logger in loggers]
    monkeypatch.syspath_prepend(HERE.parent / "examples")

    def run(name, *arguments):
        path = str(HERE.parent / "examples" / name)
        monkeypatch.setattr(sys, "argv", [path, "--smoke", "--out", str(tmp_path), *arguments])
        runpy.run_path(path, run_name="__main__")
        return capsys.readouterr().out

    yield run
    for logger, level in zip(loggers, levels):
        logger.setLevel(level)


@pytest.fixture(autouse=True)
def same_every_time():
    # The garbage collector skips the objects that exist now. The libraries hold half a million, and
    # repeated scans of them took longer than the tests.
    gc.collect()
    gc.freeze()
    policy = keras.config.dtype_policy()
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy(policy)
    keras.config.set_image_data_format("channels_last")
