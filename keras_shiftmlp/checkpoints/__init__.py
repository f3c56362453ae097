"""`weights=...`: from what a user writes to weights in a model."""

import dataclasses
import hashlib
import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from keras_shiftmlp.checkpoints import containers, manifest
from keras_shiftmlp.checkpoints import fetch as download
from keras_shiftmlp.checkpoints.manifest import list_weights, weights_info

if TYPE_CHECKING:
    from keras_shiftmlp.checkpoints.port import WeightFile

__all__ = ["Checkpoint", "WeightsNotAvailableError", "find", "list_weights", "weights_info"]

logger = logging.getLogger("keras_shiftmlp")


class WeightsNotAvailableError(ValueError):
    """Nobody has published the weights that were asked for."""


@dataclasses.dataclass
class Checkpoint:
    """What is known of some weights before they are loaded.

    Args:
        received: What the user wrote.
        classes: Width of the classifier, `None` where the file has none.
        gelu: GELU flavour it was trained with, `None` where nothing says.
        preprocessing: Arguments of `ImagePreprocessing`, or the name of a preset; `None` where
            nothing says.
        class_names: One name per class, or `None`.
        file: The open file; `None` for a tag, whose file is fetched when it is loaded.
        entry: The manifest's entry of a tag.
    """

    received: str
    classes: int | None
    gelu: str | None = None
    preprocessing: str | dict | None = None
    class_names: tuple[str, ...] | None = None
    file: "WeightFile | None" = None
    entry: dict | None = None

    @property
    def is_tag(self) -> bool:
        return self.entry is not None

    @property
    def hyperparameters(self) -> dict:
        return {} if self.gelu is None else {"gelu": self.gelu}

    def resolve_classes(self, classes: int | None) -> int:
        """The number of classes to build for: what was asked, else the file's own."""
        if classes is None and self.classes is None:
            raise ValueError(
                "The file holds no classifier, so `classes` must say how many there are. "
                f"Received: `weights={self.received!r}`, `classes=None`"
            )
        return self.classes if classes is None else classes

    def load(self, layers, family: str, grid=None) -> None:
        """Fills the weights of `layers`, each exactly once.

        A classifier of another width keeps its fresh weights; one log line says so.

        Raises:
            ValueError: Where file and layers differ; names all differences and changes nothing.
        """
        if self.entry is None:
            self._fill(layers, self.file)
            return
        path = _fetch(self.entry)
        try:
            file = _open(path, self.received, family)
            if file.classes != self.classes:
                raise ValueError(
                    f"The file of {self.entry['model']} {self.entry['tag']} should have "
                    f"{self.classes} classes. Received: {file.classes}"
                )
            self._fill(layers, file)
        except ValueError:
            # Whatever came under this address, it was not the file.
            if not self.entry.get("sha256"):
                download.discard(path)
            raise

    def _fill(self, layers, file):
        fresh = [x for x in layers if x.name == "predictions" and x.units != file.classes]
        file.load([layer for layer in layers if layer not in fresh])
        for head in fresh:
            logger.warning(
                "%s: body loaded, fresh head of %d classes (the file has %s).",
                self.received,
                head.units,
                file.classes,
            )


def find(model: str, family: str, weights: str | os.PathLike | None) -> Checkpoint | None:
    """What `weights` means for the constructor called `model`; tags are not downloaded yet.

    Raises:
        WeightsNotAvailableError: For a tag that the model has no checkpoint for.
        ValueError: For anything that is neither `None`, a tag, a file nor an address.
    """
    if weights is None:
        return None
    if not isinstance(weights, (str, os.PathLike)):
        raise ValueError(
            "`weights` must be None, a tag, or the path or URL of a weight file. "
            f"Received: `weights={weights!r}`"
        )
    name = os.fspath(weights)
    if name.startswith("hf://"):
        return _of_file(manifest.from_hub(name), name, family)
    if name.startswith(("http://", "https://")):
        # Two addresses may end alike and still be two files.
        digest = hashlib.sha256(name.encode()).hexdigest()[:12]
        ending = re.sub(r"[^\w.-]", "_", name.split("?")[0].rstrip("/").split("/")[-1])
        path = download.fetch([name], f"{digest}-{ending}", looks_right=containers.read)
        return _of_file(path, name, family)
    if os.path.isfile(name):
        return _of_file(Path(name), name, family)
    if os.sep in name or name.endswith(manifest.ENDINGS):
        raise ValueError(f"`weights` names a file that does not exist. Received: `{weights=}`")
    entry = manifest.find_entry(model, name)
    if entry is None:
        raise WeightsNotAvailableError(_not_available(model, family, name))
    names = entry["class_names"]
    if isinstance(names, str):
        names = [name for _, name in manifest.class_names(names)]
    if "NC" in entry["license"] or "non-commercial" in entry["license"].lower():
        logger.warning("%s %s is licensed %s.", model, name, entry["license"])
    return Checkpoint(
        received=name,
        classes=entry["classes"],
        gelu=entry["gelu"],
        preprocessing=entry["preprocessing"],
        class_names=None if names is None else tuple(names),
        entry=entry,
    )


def _of_file(path, received, family):
    file = _open(path, received, family)
    return Checkpoint(received, file.classes, gelu=file.hyperparameters.get("gelu"), file=file)


def _open(path, received, family):
    # This imports Keras, which takes seconds and which a list of weights does not need.
    from keras_shiftmlp.checkpoints.port import WeightFile

    return WeightFile(path, received, family)


def _fetch(entry):
    """The file of a manifest entry, from the user's own place if it is there, else the host."""
    verification = {key: entry.get(key) for key in ("sha256", "sha256_prefix")}
    if "place" in entry:
        return manifest.in_place(entry["place"], entry["file"], **verification)
    # Several models call their file alike (Mixer-B_16.npz).
    filename = f"{entry['model']}.{entry['tag']}.{entry['url'].split('/')[-1]}"
    place, urls = os.environ.get(manifest.ENVIRONMENT, ""), [entry["url"], *entry["mirrors"]]
    if place.startswith(("http://", "https://")):
        urls.insert(0, f"{place.rstrip('/')}/{filename}")
    elif place and Path(place, filename).is_file():
        return manifest.in_place(place, filename, **verification)
    return download.fetch(
        urls,
        filename,
        **verification,
        looks_right=containers.read,
    )


def _not_available(model, family, tag):
    tags = [row["tag"] for row in list_weights(model)]
    if tags:
        return f"There is no checkpoint `weights={tag!r}` for {model}. Its tags are {tags}."
    others = sorted({row["model"] for row in list_weights() if row["dataset"] != "CIFAR-10"})
    return (
        f"Nobody has published weights for {model}, so there is no `weights={tag!r}`. "
        f"Published checkpoints exist for {', '.join(others)}. Pass `weights=None` for a random "
        "start, or a weight file saved from this model. A checkpoint of your own becomes this tag "
        f"for everybody who shares it: `weights/publish.py` writes it, and "
        f"{manifest.ENVIRONMENT} names its folder, URL or hf:// repository."
    )
