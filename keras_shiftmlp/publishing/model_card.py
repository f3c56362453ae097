"""The README.md of a published model: facts for the Hugging Face Hub, and how to load it."""

import json
import re
from typing import Any

from keras_shiftmlp.layers.image_preprocessing import PRESETS
from keras_shiftmlp.models import ImageModel
from keras_shiftmlp.models._registry import find_constructor

_TEXT = """\
---
{header}
---

# {model}

An image classifier of the family {family} from `keras_shiftmlp`, trained on {dataset}.

- Parameters: {params:,}
- Classes: {classes:,}
- Input: RGB images of {height} x {width}, {pixels}
- Mean {mean} and standard deviation {std} of pixels in [0, 1]
- Evaluation: {interpolation} interpolation, centre crop of {crop_fraction}, as
  `keras_shiftmlp.eval_transform(model)` does it
- Top-1 accuracy: {accuracy}

With the names of the classes:

```python
import keras
import keras_shiftmlp  # registers the layers that `load_model` needs

model = keras.saving.load_model("{address}")
```

Only the weights:

```python
import keras_shiftmlp

{call}
```

In KerasHub, for photos of any size:

```python
import keras_shiftmlp.keras_hub  # registers what `from_preset` needs

classifier = keras_shiftmlp.keras_hub.ImageClassifier.from_model(model)
```
"""


def model_card(model: ImageModel, entry: dict[str, Any], repository: str) -> str:
    """The text of README.md for a repository of one published model.

    Args:
        model: The published model.
        entry: Its entry of the manifest; see `publishing.publish`.
        repository: Such as `"owner/repo"`.

    Returns:
        Markdown with a YAML header, whose values are in JSON, a subset of YAML.
    """
    network, address = find_constructor(entry["model"]), f"hf://{repository}"
    accuracy = "not measured"
    if entry["top1"] is not None:
        source = f" ({entry['top1_source']})" if entry["top1_source"] else ""
        accuracy = f"{entry['top1']} %{source}"
    header = _header(entry, network.family)
    height, width = model.image_size
    return _TEXT.format(
        **{**entry, **entry["preprocessing"]},
        header="\n".join(f"{key}: {json.dumps(value)}" for key, value in header.items()),
        family=network.family,
        height=height,
        width=width,
        accuracy=accuracy,
        address=address,
        call=_call(model, network, entry["hyperparameters"], address),
        pixels=(
            "with pixels in [0, 255], which the model normalises"
            if model.preprocessing.normalize
            else "with normalised pixels, `(x / 255 - mean) / std`"
        ),
    )


def _header(entry, family):
    dataset = re.sub(r"[^\w.]+", "-", entry["dataset"].lower()).strip("-")
    header = {
        "license": entry["license"].lower(),  # the Hub's names of licences are in lower case
        "library_name": "keras",
        "pipeline_tag": "image-classification",
        "tags": ["keras_shiftmlp", family],
        "datasets": [dataset],
    }
    if entry["top1"] is None:
        return header
    result = {
        "task": {"type": "image-classification"},
        "dataset": {"name": entry["dataset"], "type": dataset},
        "metrics": [{"type": "accuracy", "name": "Top-1 accuracy", "value": entry["top1"]}],
    }
    index = [{"name": entry["model"], "results": [result]}]
    return {**header, "metrics": ["accuracy"], "model-index": index}


def _call(model, network, hyperparameters, address):
    """The call of the constructor that builds this model from `model.safetensors`."""
    facts = model.preprocessing
    arguments = {"weights": address, **hyperparameters}
    if model.image_size != (network.image_size,) * 2:
        arguments["input_shape"] = (*model.image_size, 3)
    same = [x for x, y in PRESETS.items() if (y["mean"], y["std"]) == (facts.mean, facts.std)]
    if not facts.normalize or not same:
        arguments["include_preprocessing"] = False
    elif same[0] != network.preprocessing:
        arguments["preprocessing"] = same[0]
    written = (
        f"{key}={json.dumps(x) if isinstance(x, str) else repr(x)}" for key, x in arguments.items()
    )
    call = f"model = keras_shiftmlp.{network.name}({', '.join(written)})"
    # No argument of the constructor sets other statistics than those of the presets.
    return call if same else f"{call}  # takes (x / 255 - mean) / std"
