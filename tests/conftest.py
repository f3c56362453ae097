"""The fixtures, for every process that runs tests.

The first process of pytest-xdist only distributes them; it does not wait for Keras.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

if "PYTEST_XDIST_WORKER" in os.environ or not {"-n", "--numprocesses"} & set(sys.argv):
    from fixtures import *  # noqa: F403
