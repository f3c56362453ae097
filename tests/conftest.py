"""The fixtures, for every process that runs tests.

The first process of pytest-xdist only distributes them; it does not wait for Keras.
"""

import itertools
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

if "PIN_WORKERS" in os.environ and "PYTEST_XDIST_WORKER" in os.environ:
    cores = sorted(os.sched_getaffinity(0))
    number = int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))
    os.sched_setaffinity(0, {cores[number % len(cores)]})

distributes = any(
    option in ("-n", "--numprocesses") and number != "0"
    for option, number in itertools.pairwise(sys.argv)
)
if "PYTEST_XDIST_WORKER" in os.environ or not distributes:
    from fixtures import *  # noqa: F403
