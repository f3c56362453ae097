"""Several devices, and several processes with a kill and a resume, equal one device."""

import json
import os
import signal
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest
from cases import BACKEND, HERE, trains

import keras_shiftmlp
from keras_shiftmlp import training

pytest.importorskip("grain")
pytestmark = trains
# Measured on all backends: at most 3e-7 after 8 steps.
TOLERANCE = 1e-5
DEVICES_KINDS = {"jax": ["data", "model"], "tensorflow": ["data"]}.get(BACKEND, [])


def build():
    return keras_shiftmlp.Mixer(
        patch_size=4,
        dim=8,
        depth=1,
        tokens_mlp_dim=16,
        channels_mlp_dim=32,
        input_shape=(16, 16, 3),
        classes=4,
    )


class Die(keras.callbacks.Callback):
    """Kills the process in the second epoch, which has batches 4 to 7."""

    seen = 0

    def on_train_batch_end(self, batch, logs=None):
        self.seen += 1
        if self.seen == 6:
            os.kill(os.getpid(), signal.SIGKILL)


def work(out, kind="none", dies=False, devices=1, **start):
    """Trains once, or one process of a run."""
    sys.path.insert(0, str(HERE.parent / "examples"))
    import distribution

    if BACKEND == "tensorflow" and devices > 1:
        import tensorflow as tf

        [cpu] = tf.config.list_physical_devices("CPU")
        parts = [tf.config.LogicalDeviceConfiguration()] * devices
        tf.config.set_logical_device_configuration(cpu, parts)
    keras.utils.set_random_seed(0)
    # Four batches of 16 and 8 images left over; the last batch of the evaluation is not full.
    labels = np.arange(100) % 4
    noise = np.random.default_rng(0).integers(0, 128, (100, 16, 16, 3))
    pixels = (noise + 30 * labels[:, None, None, None]).astype("uint8")
    images = training.load_images((pixels[:72], labels[:72]))
    validation = training.load_images((pixels[72:], labels[72:]))
    scope, options = distribution.start(kind, **start)
    callbacks = [*options.pop("callbacks", []), *([Die()] if dies else [])]
    with scope:
        model = build()
        if BACKEND == "jax" and kind != "none":
            wide = model.get_layer("block_0_channel_fc1").kernel.value.sharding
            assert len(wide.device_set) == 2 and wide.is_fully_replicated == (kind == "data")
        training.train(
            model,
            images,
            validation,
            out=out,
            epochs=3,  # more than ten updates, so that the average is one
            batch_size=16,
            learning_rate=1e-2,
            clip_norm=0.05,
            ema_momentum=0.9,
            flip=False,
            callbacks=callbacks,
            **options,
        )


def start(runs, **environment):
    """Starts a process that executes `runs` one after another."""
    code = "import json, sys; sys.path.insert(0, sys.argv[1]); import test_distribution as t; "
    code += "[t.work(**run) for run in json.loads(sys.argv[2])]"
    command = [sys.executable, "-c", code, str(HERE), json.dumps(runs, default=str)]
    return subprocess.Popen(command, env={**os.environ, **environment})


def start_two(out, dies):
    """Two processes over loopback. With `dies`, the second is killed in the second epoch."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0)), two.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1], two.getsockname()[1]]
    workers = [f"127.0.0.1:{port}" for port in ports]
    processes = []
    for rank in range(2):
        run = {"out": out, "kind": "data", "dies": dies and rank == 1}
        if BACKEND == "jax":
            run |= {"coordinator": workers[0], "processes": 2, "process_id": rank}
        task = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": rank}}
        environment = {
            "TF_CONFIG": json.dumps(task),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(ports[0]),
            "WORLD_SIZE": "2",
            "RANK": str(rank),
            "OMP_NUM_THREADS": "1",
            # The second start reuses the compiled programs.
            "JAX_COMPILATION_CACHE_DIR": str(out / "jax"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        processes.append(start([run], **environment))
    return processes


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """The run on one device."""
    out = tmp_path_factory.mktemp("single")
    work(out)
    return out


def check_equal(out, single):
    card, expected = (json.loads((run / "card.json").read_text()) for run in (out, single))
    for row, right in zip(card["history"], expected["history"], strict=True):
        for key in ("loss", "top1", "val_loss", "val_top1"):
            assert row[key] == pytest.approx(right[key], abs=TOLERANCE), key
    one, other = build(), build()
    one.load_weights(out / "model.weights.h5")
    other.load_weights(single / "model.weights.h5")
    for weight, right in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(weight, right, rtol=0, atol=TOLERANCE)


@pytest.mark.skipif(not DEVICES_KINDS, reason="one process per device on torch")
def test_two_devices(tmp_path, single):
    runs = [{"out": tmp_path / kind, "kind": kind, "devices": 2} for kind in DEVICES_KINDS]
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    assert start(runs, **(flags if BACKEND == "jax" else {})).wait(300) == 0
    for run in runs:
        check_equal(run["out"], single)


def test_two_processes_of_which_one_is_killed(tmp_path, single):
    first, second = start_two(tmp_path, dies=True)
    try:
        assert second.wait(300) == -signal.SIGKILL
    finally:
        first.kill()  # as a launcher would do
        first.wait()
    assert [path.name for path in (tmp_path / "state").glob("epoch*")] == ["epoch_00001.weights.h5"]
    assert not (tmp_path / "card.json").exists()
    assert [process.wait(300) for process in start_two(tmp_path, dies=False)] == [0, 0]
    check_equal(tmp_path, single)
