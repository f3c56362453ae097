"""State dicts with the keys and shapes of published files, filled with random numbers."""

import json
from pathlib import Path

import numpy as np
import pytest
from cases import HERE

# The list of all keys is too large for the repository.
FOLDERS = [HERE / "golden_data", Path(HERE, "..", "..", "shared", "spec")]


def random_state_dict(name: str) -> dict[str, np.ndarray]:
    """Arrays by key; variances are positive and counters are integers, as in the files."""
    for folder in FOLDERS:
        if (folder / "state_dict_layouts.json").exists():
            layout = json.loads((folder / "state_dict_layouts.json").read_text())[name]
            break
    else:
        pytest.skip("state_dict_layouts.json is not here")
    rng = np.random.default_rng(0)
    arrays = {}
    for key, shape in layout.items():
        array = rng.standard_normal(shape, "float32")
        array = 0.5 + np.abs(array) if key.endswith("running_var") else 0.05 * array
        arrays[key] = np.int64(1000) if key.endswith("num_batches_tracked") else array
    return arrays
