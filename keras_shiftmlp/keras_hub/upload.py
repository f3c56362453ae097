"""Presets on the Hugging Face Hub and Kaggle, with a card that says how to load them."""

import json
from pathlib import Path

import keras_hub

_CARD = """\
---
library_name: keras-hub
pipeline_tag: {pipeline}
tags: ["keras_shiftmlp"]
---

# {name}

A preset of [KerasHub](https://keras.io/keras_hub/) with a network of `keras_shiftmlp` of
{parameters:,} parameters.

```python
import keras_hub
import keras_shiftmlp.keras_hub  # registers the classes of the preset

model = keras_hub.models.{task}.from_preset("{uri}")
```
"""


def upload_preset(uri: str, preset: str) -> None:
    """`keras_hub.upload_preset` with a model card that names the import of this module.

    The card is `README.md` in the folder. One that is there already is kept.

    Args:
        uri: `hf://[owner/]repository`, or `kaggle://owner/model/keras/variation`.
        preset: Folder that `save_to_preset` wrote.

    Raises:
        ValueError: For another kind of address.
        FileNotFoundError: If the folder holds no preset.
        ImportError: For an address on the Hub, if huggingface_hub is not installed.
    """
    folder = Path(preset)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    metadata = json.loads((folder / "metadata.json").read_text("utf-8"))
    is_task = (folder / "task.json").exists()
    card = folder / "README.md"
    if not card.exists():
        text = _CARD.format(
            name=config["config"]["name"],
            parameters=metadata["parameter_count"],
            pipeline="image-classification" if is_task else "image-feature-extraction",
            task="ImageClassifier" if is_task else "Backbone",
            uri=uri,
        )
        card.write_text(text, "utf-8")
    if uri.startswith("hf://"):
        # KerasHub replaces the card by its own unless the repository has one.
        _upload_card(uri.removeprefix("hf://"), card)
    keras_hub.upload_preset(uri, preset)


def _upload_card(repository: str, card: Path) -> None:
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError(
            "`upload_preset` needs huggingface_hub: pip install 'keras_shiftmlp[hf]'"
        ) from error
    name = huggingface_hub.create_repo(repository, exist_ok=True).repo_id
    huggingface_hub.upload_file(path_or_fileobj=card, path_in_repo=card.name, repo_id=name)
