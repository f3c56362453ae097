"""Fixtures that all tests share."""

import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import pytest
from cases import MODEL_CASES


@pytest.fixture(params=MODEL_CASES.values(), ids=MODEL_CASES)
def case(request):
    return request.param


@pytest.fixture
def pixels():
    """Two small images of 0..255."""
    return np.random.default_rng(0).uniform(0, 255, (2, 32, 48, 3)).astype("float32")


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
