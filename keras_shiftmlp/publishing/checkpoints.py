"""Checkpoints of this package: `.safetensors` files whose keys are the paths of the variables."""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import ml_dtypes
import numpy as np
import safetensors.numpy

from keras_shiftmlp.checkpoints import containers
from keras_shiftmlp.checkpoints.port import FORMAT
from keras_shiftmlp.downloads import cache
from keras_shiftmlp.finetuning import merge_lora
from keras_shiftmlp.layers import names
from keras_shiftmlp.models import ImageModel
from keras_shiftmlp.models._registry import find_constructor
from keras_shiftmlp.models.macs import count_parameters
from keras_shiftmlp.publishing.model_card import model_card
from keras_shiftmlp.publishing.rebuilding import check_constructor, form_of_gelu

# What `.keras` archives contain. `keras.saving.load_model("hf://owner/repo")` reads these files.
KERAS_FILES = ("config.json", "metadata.json", "model.weights.h5")


def publish(
    model: ImageModel,
    constructor: str,
    tag: str,
    *,
    dataset: str,
    license: str,
    folder: str | Path | None = None,
    hub_folder: str | Path | None = None,
    push_to_hub: str | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    top1: float | None = None,
    top1_source: str | None = None,
    cards: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Writes a trained model so that `weights=` finds it.

    Low-rank updates are added to the kernels, and the optimizer is left out. In `folder` the
    function writes `<Model>.<tag>.safetensors`, an entry in `manifest.json` and, with `cards`,
    `<Model>.<tag>.history.json`. After `KERAS_SHIFTMLP_WEIGHTS=folder` the tag loads.

    `hub_folder` and `push_to_hub` receive a repository of the Hugging Face Hub for this one model:
    `model.safetensors`, `README.md`, `manifest.json` and the files of a `.keras` archive. Both
    `weights="hf://owner/repo"` and `keras.saving.load_model("hf://owner/repo")` load it.

    Args:
        model: A model with a classifier, for images of three channels.
        constructor: Name of the constructor that builds it, such as `"S2MLPv2Small"`.
        tag: Such as `"imagenet"`.
        dataset: Name of the training data, such as `"ImageNet-1k"`.
        license: Licence of the weights, such as `"Apache-2.0"`.
        folder: Folder of several checkpoints. It is created if it does not exist.
        hub_folder: Folder of the repository. It is created if it does not exist.
        push_to_hub: Repository `owner/repo` of the Hub, created if it does not exist.
        hyperparameters: Hyper-parameters of the model that differ from the constructor's. The form
            of GELU is read from the layers.
        top1: Measured top-1 accuracy in percent.
        top1_source: Who measured it, and on what.
        cards: What `training.train` returned, for each run that led to the model, in order.

    Returns:
        The entry of the manifest.

    Raises:
        ValueError: If no destination is given, if an argument is malformed, if a weight is not
            finite, or if the constructor with the hyper-parameters does not build this model.
            Nothing is written then.
        ImportError: If `push_to_hub` is given and huggingface_hub is not installed.

    Example:

    >>> import tempfile
    >>> import keras_shiftmlp
    >>> model = keras_shiftmlp.MSMLPNano(weights=None, classes=3)
    >>> entry = publish(model, "MSMLPNano", "toys", dataset="toys", license="Apache-2.0",
    ...                 folder=tempfile.mkdtemp())
    >>> entry["file"], entry["classes"]
    ('MSMLPNano.toys.safetensors', 3)
    """
    if folder is None and hub_folder is None and push_to_hub is None:
        raise ValueError(
            "A model is published to `folder`, `hub_folder` or `push_to_hub`. "
            "Received: none of the three"
        )
    network = find_constructor(constructor)
    name = f"{network.name}.{tag}.safetensors"
    if not cache.is_filename(name):
        raise ValueError(f"`tag` must be usable in a file name. Received: `tag={tag!r}`")
    hub = _hub() if push_to_hub else None
    if model.layers[-1].name != names.HEAD or model.input_shape[-1] != 3:
        raise ValueError(
            "`model` must have a classifier and take images of three channels. Received: `model` "
            f"with the input {model.input_shape} and the last layer {model.layers[-1].name!r}"
        )
    manifest = _manifest(folder) if folder else []
    merged = merge_lora(model)
    hyperparameters = {**form_of_gelu(merged, network), **(hyperparameters or {})}
    check_constructor(merged, network, hyperparameters)
    with tempfile.TemporaryDirectory() as scratch:
        weights = Path(scratch, "model.safetensors")
        save_safetensors(merged, weights)
        containers.read(weights)  # raises if a weight is not finite
        entry = {
            "model": network.name,
            "tag": tag,
            "file": name,
            "sha256": cache.sha256_of(weights),
            "dataset": dataset,
            "license": license,
            "top1": top1,
            "top1_source": top1_source,
            "size": weights.stat().st_size,
            "hyperparameters": hyperparameters,
            **_facts(merged),
        }
        if folder:
            _write_entry(weights, entry, manifest, Path(folder))
            _write_history(cards, Path(folder, f"{network.name}.{tag}.history.json"))
        if hub_folder or push_to_hub:
            repository = Path(scratch, "repository")
            _write_repository(merged, weights, entry, push_to_hub or "owner/repo", repository)
            if hub_folder:
                shutil.copytree(repository, hub_folder, dirs_exist_ok=True)
            if hub and push_to_hub:
                hub.create_repo(push_to_hub, exist_ok=True)
                hub.upload_folder(repo_id=push_to_hub, folder_path=repository)
    return entry


def port_file(
    constructor: str, file: str | Path, out: str | Path, preprocessing: str | None = None
) -> dict[str, Any]:
    """Converts a publisher's file to `.safetensors`. The original framework is not needed.

    Args:
        constructor: Name of the constructor, such as `"MixerB16"`.
        file: Path, URL or `hf://` address of the file, or a tag.
        out: Path of the results without an ending: `<out>.safetensors` and the card `<out>.json`.
        preprocessing: Name of a preset; by default the tag's, or the family's.

    Returns:
        The card: the source, the sha256, and what the constructor needs besides the file.

    Raises:
        ValueError: If an array of the file has no use or a weight of the model stays empty.
        OSError: If the file cannot be read or downloaded.

    Example:

    >>> import os, tempfile
    >>> out = os.path.join(tempfile.mkdtemp(), "mixer")
    >>> port_file("MixerNano", "cifar10", out)["hyperparameters"]
    {'gelu': 'tanh'}
    """
    network = find_constructor(constructor)
    model = network(weights=file, preprocessing=preprocessing)
    weights = Path(f"{out}.safetensors")
    weights.parent.mkdir(parents=True, exist_ok=True)
    save_safetensors(model, weights)
    card = {
        "model": network.name,
        "ported_from": str(file),
        "sha256": cache.sha256_of(weights),
        "size": weights.stat().st_size,
        "hyperparameters": form_of_gelu(model, network),
        **_facts(model),
    }
    Path(f"{out}.json").write_text(json.dumps(card, indent=2) + "\n", "utf-8")
    return card


def save_safetensors(model, path: str | os.PathLike) -> None:
    """Writes the weights of a model to a `.safetensors` file, which `weights=path` loads.

    The keys are the paths of the variables, such as `block_0_channel_fc1/kernel`, and every weight
    keeps its dtype.

    Args:
        model: A functional model, or an iterable of its layers.
        path: Path of the file.

    Raises:
        ValueError: If two weights have the same path.

    Example:

    >>> import tempfile, os
    >>> import keras_shiftmlp
    >>> model = keras_shiftmlp.MSMLPNano(weights=None)
    >>> path = os.path.join(tempfile.mkdtemp(), "nano.safetensors")
    >>> save_safetensors(model, path)
    >>> keras_shiftmlp.MSMLPNano(weights=path).count_params() == model.count_params()
    True
    """
    arrays = {}
    for layer in getattr(model, "layers", model):
        for weight in layer.weights:
            if weight.path in arrays:
                raise ValueError(
                    "Each weight of `model` needs a path of its own. "
                    f"Received: {weight.path!r} twice"
                )
            # Keras converts PyTorch's bfloat16 to float32.
            dtype = ml_dtypes.bfloat16 if weight.dtype == "bfloat16" else weight.dtype
            arrays[weight.path] = np.asarray(keras.ops.convert_to_numpy(weight), dtype, order="C")
    Path(path).touch()
    mode = os.stat(path).st_mode
    safetensors.numpy.save_file(arrays, path, {"format": FORMAT})
    os.chmod(path, mode)  # the library writes files for the owner alone


def _facts(model):
    """The facts about the model in an entry, apart from its weights."""
    facts = model.preprocessing.get_config()
    kept = ("mean", "std", "crop_fraction", "interpolation")
    return {
        "params": count_parameters(model),
        "classes": model.output_shape[-1],
        "class_names": None if model.class_names is None else list(model.class_names),
        "preprocessing": {key: facts[key] for key in kept},
        "image_size": facts["image_size"],
    }


def _manifest(folder):
    """The entries of a folder's manifest, none if there is no manifest yet."""
    path = Path(folder, "manifest.json")
    entries = json.loads(path.read_text("utf-8")) if path.exists() else []
    if not isinstance(entries, list):
        raise ValueError(
            f"A manifest must be a list of entries. Received: `folder={str(folder)!r}`"
        )
    return entries


def _write_entry(weights, entry, manifest, folder):
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(weights, folder / entry["file"])
    key = entry["model"], entry["tag"]
    others = [old for old in manifest if (old["model"], old["tag"]) != key]
    _write_json([*others, entry], folder / "manifest.json")


def _write_history(cards, path):
    """Writes the runs to a file of their own, so that the manifest stays short."""
    dropped = ("model", "classes")
    runs = [{key: x for key, x in card.items() if key not in dropped} for card in cards]
    path.unlink(missing_ok=True)
    if runs:
        *earlier, last = runs
        _write_json({"earlier_runs": earlier, "training": last}, path)


def _write_repository(model, weights, entry, repository, folder):
    with tempfile.TemporaryDirectory() as archive:
        model.save(archive, zipped=False)
        folder.mkdir()
        for name in KERAS_FILES:
            shutil.copyfile(Path(archive, name), folder / name)
    shutil.copyfile(weights, folder / weights.name)
    _write_json([{**entry, "file": weights.name}], folder / "manifest.json")
    (folder / "README.md").write_text(model_card(model, entry, repository), "utf-8")


def _write_json(content, path):
    path.write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def _hub():
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError(
            "`push_to_hub` needs huggingface_hub: pip install 'keras_shiftmlp[hf]'"
        ) from error
    return huggingface_hub
