"""The programs that JAX compiled are kept for the next process."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from cases import BACKEND, once

from keras_shiftmlp.cli.program import main
from keras_shiftmlp.programs import LARGEST, keep_compiled_programs


@pytest.fixture
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    for name in ("JAX_COMPILATION_CACHE_DIR", "JAX_COMPILATION_CACHE_MAX_SIZE"):
        monkeypatch.setenv(name, "")  # so that it is restored
        monkeypatch.delenv(name)
    return tmp_path / "keras_shiftmlp" / "jax"


@once
def test_before_jax_is_imported_it_sets_variables(home, monkeypatch):
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    keep_compiled_programs()
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(home)
    assert os.environ["JAX_COMPILATION_CACHE_MAX_SIZE"] == str(LARGEST)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = "another"
    os.environ["JAX_COMPILATION_CACHE_MAX_SIZE"] = "5"
    keep_compiled_programs()
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == "another"
    assert os.environ["JAX_COMPILATION_CACHE_MAX_SIZE"] == "5"


@once
def test_afterwards_it_updates_the_configuration(home, monkeypatch):
    changed = {}
    config = SimpleNamespace(jax_compilation_cache_dir=None, update=changed.__setitem__)
    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(config=config))
    keep_compiled_programs()
    assert changed == {
        "jax_compilation_cache_dir": str(home),
        "jax_compilation_cache_max_size": LARGEST,
    }
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ
    changed.clear()
    config.jax_compilation_cache_dir = "another"
    keep_compiled_programs()
    assert not changed


@once
def test_commands_keep_programs(home, monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    main(["list"])
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(home)


@pytest.mark.skipif(BACKEND != "jax", reason="JAX keeps compiled programs")
def test_a_second_training_reads_what_the_first_compiled(home, tmp_path):
    code = """
import sys
import numpy as np
import keras_shiftmlp
from keras_shiftmlp import training
images = training.load_images((np.zeros((8, 32, 32, 3), "uint8"), np.arange(8) % 2))
model = keras_shiftmlp.Mixer(
    patch_size=16, dim=8, depth=1, tokens_mlp_dim=8, channels_mlp_dim=8,
    input_shape=(32, 32, 3), classes=2, weights=None)
training.train(model, images, out=sys.argv[1], epochs=1, batch_size=4, learning_rate=1e-3)
"""
    environment = {**os.environ, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    kept = []
    for run in ("first", "second"):
        command = [sys.executable, "-c", code, str(tmp_path / run)]
        subprocess.run(command, env=environment, check=True)
        kept.append(len(list(home.glob("*-cache"))))
    assert kept[0] == kept[1] > 0
