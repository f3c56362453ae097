"""What `weights=` means: nothing, a tag, a file or an address."""

import dataclasses
import functools
import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_shiftmlp.checkpoints import cache, containers, fetch, hugging_face, manifest, places

if TYPE_CHECKING:
    from keras_shiftmlp.checkpoints.port import WeightFile

logger = logging.getLogger("keras_shiftmlp")


class WeightsNotAvailableError(ValueError):
    """No weights are published under the tag."""


@dataclasses.dataclass
class Checkpoint:
    """What is known of some weights before they are loaded.

    Args:
        received: What the user wrote, without a token.
        classes: Width of the classifier; `None` if the file has none.
        hyperparameters: Arguments of the constructor that the weights were trained with, such as
            `{"gelu": "tanh"}`; empty if unknown.
        preprocessing: Arguments of `ImagePreprocessing`, or the name of a preset; `None` if
            unknown.
        class_names: One name per class, or `None`.
        file: The open file; `None` for a tag, whose file is downloaded by `load`.
        entry: The manifest's entry of a tag.
    """

    received: str
    classes: int | None
    hyperparameters: dict[str, Any] = dataclasses.field(default_factory=dict)
    preprocessing: str | dict | None = None
    class_names: tuple[str, ...] | None = None
    file: "WeightFile | None" = None
    entry: dict | None = None

    @property
    def is_tag(self) -> bool:
        """Whether the user wrote a tag."""
        return self.entry is not None

    def resolve_classes(self, classes: int | None) -> int:
        """The number of classes to build for: the one asked for, else the file's own."""
        if classes is None and self.classes is None:
            raise ValueError(
                "The file holds no classifier, so `classes` must say how many there are. "
                f"Received: `weights={self.received!r}`, `classes=None`"
            )
        return self.classes if classes is None else classes

    def load(self, layers, family: str, grid: tuple[int, int] | None = None) -> None:
        """Fills the weights of `layers`, each exactly once.

        A classifier of another width keeps its fresh weights; one log line says so.

        Args:
            layers: The model's layers.
            family: The general constructor's name.
            grid: `(rows, columns)` of the final feature map, for token-mixing weights.

        Raises:
            ValueError: If file and layers differ; names all differences and changes nothing.
            OSError: If the file of a tag cannot be downloaded.
        """
        if self.entry is None:
            self._fill(layers, self.file, grid)
            return
        path, sha256 = _fetch(self.entry)
        try:
            file = _open(path, self.received, family)
            self._compare(file)
            self._fill(layers, file, grid)
        except ValueError:
            # The content is wrong, and no published hash says that the file is the right one.
            if not sha256:
                cache.discard(path)
            raise

    def _compare(self, file):
        """Refuses a file that is not the one of the entry."""
        name = f"{self.entry['model']} {self.entry['tag']}"
        if file.classes != self.classes:
            raise ValueError(
                f"The file of {name} should have {self.classes} classes. Received: {file.classes}"
            )
        if self.entry["source"] not in (None, file.source):
            raise ValueError(
                f"The file of {name} should be of the layout {self.entry['source']}. "
                f"Received: {file.source}"
            )

    def _fill(self, layers, file, grid):
        fresh = [x for x in layers if x.name == "predictions" and x.units != file.classes]
        file.load([layer for layer in layers if layer not in fresh], grid)
        for head in fresh:
            logger.warning(
                "%s: body loaded, fresh head of %d classes (the file has %s).",
                self.received,
                head.units,
                file.classes,
            )


def find(model: str, family: str, weights: str | os.PathLike | None) -> Checkpoint | None:
    """What `weights` means for the constructor called `model`; tags are not downloaded yet.

    A text is a path only if it has a separator or a known ending, so that a file in the working
    directory never takes the place of a tag.

    Args:
        model: The constructor's name, such as `"MixerB16"`.
        family: The general constructor's name, such as `"Mixer"`.
        weights: `None`, a tag, a path, or an `http(s)://` or `hf://` address.

    Raises:
        WeightsNotAvailableError: If the model has no checkpoint of this tag.
        ValueError: If `weights` is something else, or its file is damaged or of another family.
        OSError: If an address or the user's place cannot be read.
    """
    if weights is None:
        return None
    if not isinstance(weights, (str, os.PathLike)):
        raise ValueError(
            "`weights` must be None, a tag, or the path or URL of a weight file. "
            f"Received: `weights={weights!r}`"
        )
    name = os.fspath(weights)
    if isinstance(weights, str):
        if name.startswith("hf://"):
            return _of_file(hugging_face.file(name), name, family)
        if name.startswith(("http://", "https://")):
            return _of_address(name, family)
        separators = {os.sep, os.altsep} - {None}
        if not separators & set(name) and not name.endswith(hugging_face.ENDINGS):
            return _of_tag(model, family, name)
    if not os.path.isfile(name):
        raise ValueError(f"`weights` names a file that does not exist. Received: `{weights=}`")
    return _of_file(Path(name), name, family)


def _of_tag(model, family, tag):
    entry = manifest.find_entry(model, tag)
    if entry is None:
        raise WeightsNotAvailableError(_not_available(model, family, tag))
    if "NC" in entry["license"] or "non-commercial" in entry["license"].lower():
        logger.warning("%s %s is licensed %s.", model, tag, entry["license"])
    return Checkpoint(
        received=tag,
        classes=entry["classes"],
        hyperparameters=entry["hyperparameters"],
        preprocessing=entry["preprocessing"],
        class_names=manifest.names_in(entry),
        entry=entry,
    )


def _of_address(url, family):
    ending = url.partition("?")[0].rstrip("/").split("/")[-1]
    path = fetch.fetch(
        url,
        re.sub(r"[^\w.-]", "_", ending),
        looks_right=containers.container,
        folder=cache.cache_folder(url),
    )
    try:
        return _of_file(path, fetch.redacted(url), family)
    except ValueError:
        cache.discard(path)
        raise


def _of_file(path, received, family):
    file = _open(path, received, family)
    return Checkpoint(received, file.classes, file.hyperparameters, file=file)


def _open(path, received, family):
    from keras_shiftmlp.checkpoints.port import WeightFile  # imports Keras; `list_weights` does not

    return WeightFile(path, received, family)


def _fetch(entry):
    """The file of an entry and its published hash, from the first source that has it.

    The user's place may hold a copy of a published file; it comes first.
    """
    place = places.own()
    if "place" in entry:
        known = {key: entry[key] for key in ("sha256", "sha256_prefix", "size")}
        return places.file(entry["place"], entry["file"], **known), entry["sha256"]
    copies, originals = [], []
    for source in entry["files"]:
        url = source["url"]
        known = {key: source.get(key) for key in ("sha256", "sha256_prefix", "size")}
        # Several models call their file alike (Mixer-B_16.npz).
        name = f"{entry['model']}.{entry['tag']}.{url.split('/')[-1]}"
        originals.append((url, source, functools.partial(published_file, url, name, **known)))
        if place:
            copy = functools.partial(places.file, place, name, **known)
            copies.append((f"{fetch.redacted(place)}/{name}", source, copy))
    failures = []
    for address, source, download in [*copies, *originals]:
        try:
            return download(), source.get("sha256")
        except (OSError, ValueError, ImportError) as error:
            failures.append((address, error))
            if not isinstance(error, FileNotFoundError):
                logger.warning("%s did not give the file: %s", address, error)
    kind = (
        ValueError if any(isinstance(x, ValueError) for _, x in failures) else fetch.DownloadError
    )
    raise kind(
        f"No source gave the file of {entry['model']} {entry['tag']}:\n"
        + "\n".join(f"{address}: {error}" for address, error in failures)
    ) from failures[-1][1]


def published_file(
    url: str,
    name: str,
    sha256: str | None = None,
    sha256_prefix: str | None = None,
    size: int | None = None,
) -> Path:
    """A source of a published checkpoint, in the cache under `name` or in that of the Hub."""
    if url.startswith("hf://"):
        return hugging_face.file(url, sha256, sha256_prefix)
    return fetch.fetch(
        url,
        name,
        sha256=sha256,
        sha256_prefix=sha256_prefix,
        max_bytes=places.most_bytes(size),
        looks_right=containers.container,
    )


def _not_available(model, family, tag):
    tags = [row["tag"] for row in manifest.list_weights(model)]
    hint = f" The file of this name is {'./' + tag!r}." if os.path.isfile(tag) else ""
    if tags:
        return f"There is no checkpoint `weights={tag!r}` for {model}. Its tags are {tags}.{hint}"
    rows = manifest.list_weights()
    others = sorted({row["model"] for row in rows if row["dataset"] != "CIFAR-10"})
    return (
        f"No weights are published for {model}, so there is no `weights={tag!r}`.{hint} "
        f"Published checkpoints exist for {', '.join(others)}. Pass `weights=None` for a random "
        "start, or a weight file saved from this model. To make a checkpoint of your own this tag, "
        f"run `keras-shiftmlp publish` and set {places.ENVIRONMENT} to its folder, URL or hf:// "
        "repository."
    )
