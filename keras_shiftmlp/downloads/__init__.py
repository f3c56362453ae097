"""Files from the network: fetched, checked and cached. It knows nothing of what is in a file."""

import os
from pathlib import Path


def keras_home() -> Path:
    """The folder of Keras's own files: `KERAS_HOME`, or `~/.keras`."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
