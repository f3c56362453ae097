"""What `weights=` means: nothing, a tag, a file or an address."""

import dataclasses
import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_shiftmlp.checkpoints import (
    cache,
    fetch,
    google_drive,
    hugging_face,
    manifest,
    places,
)

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
        hyperparameters: Arguments of the constructor that the weights need; empty if unknown.
        preprocessing: Arguments of `ImagePreprocessing`, or a preset's name; `None` if unknown.
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
        found = self.classes if classes is None else classes
        if found is None:
            raise ValueError(
                "The file holds no classifier, so `classes` must say how many there are. "
                f"Received: `weights={self.received!r}`, `classes=None`"
            )
        return found

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
        if self.file is not None:
            self._fill(layers, self.file, grid)
        elif self.entry is not None:
            path, known = _fetch(self.entry)
            try:
                file = _open_entry({**self.entry, **known}, path, self.received, family)
                self._fill(layers, file, grid)
            except ValueError:
                # The content is wrong, and no published hash says that the file is the right one.
                if not known.get("sha256"):
                    cache.discard(path)
                raise

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
    ending = re.sub(r"[^\w.-]", "_", url.partition("?")[0].rstrip("/").split("/")[-1])
    folder = cache.cache_folder(url)
    from keras_shiftmlp.checkpoints import containers  # imports NumPy

    path = fetch.fetch(url, ending, looks_right=containers.container, folder=folder)
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


def _open_entry(entry, path, received, family):
    """The file of an entry, if it has the entry's layout and number of classes."""
    file = _open(path, received, family)
    if entry["classes"] is None:
        file.classes = None  # a head in the file was not trained
    for what, expected, found in (
        ("classes", entry["classes"], file.classes),
        ("layout", entry["source"] or file.source, file.source),
    ):
        if expected != found:
            raise ValueError(
                f"The file of {entry['model']} {entry['tag']} should have the {what} {expected}. "
                f"Received: {found}"
            )
    return file


def _fetch(entry):
    """The file of an entry and what is known of it, from the first source that has it.

    The user's place may hold a copy of a published file; it comes first.
    """
    own, place, failures, wrong = places.own(), entry.get("place"), [], False
    # Several models call their file alike (Mixer-B_16.npz).
    start = f"{entry['model']}.{entry['tag']}."
    names = [
        entry.get("file") or start + (google_drive.file_id(url) or url.split("/")[-1])
        for url in (known["url"] for known in entry["files"])
    ]
    sources = [(place, name, known) for name, known in zip(names, entry["files"])]
    if own and not place:
        copies = [(own, x, {**known, "url": places.address(own, x)}) for _, x, known in sources]
        sources = copies + sources
    for where, name, known in sources:
        folder = cache.cache_folder(where) if where else None
        try:
            verification = {key: x for key, x in known.items() if key != "source"}
            return published_file(name=name, folder=folder, **verification), known
        except (OSError, ValueError, ImportError) as error:
            failures.append(f"{fetch.redacted(known['url'])}: {error}")
            wrong |= isinstance(error, ValueError)
            if not isinstance(error, FileNotFoundError):
                logger.warning("A source did not give the file. %s", failures[-1])
    raise (ValueError if wrong else fetch.DownloadError)(
        "\n".join([f"No source gave the file of {entry['model']} {entry['tag']}.", *failures])
        + f"\nYou can put it as {names[0]!r} into a folder, and set {places.ENVIRONMENT} to "
        "this folder."
    )


def published_file(
    url: str,
    name: str,
    sha256: str | None = None,
    sha256_prefix: str | None = None,
    size: int | None = None,
    folder: Path | None = None,
) -> Path:
    """The file at a path, URL, `hf://` or Google Drive address, which is `name` in the cache.

    Raises a `ValueError` if its content is not the published one, or if it is far longer than
    `size`, which some publishers round.
    """
    if url.startswith("hf://"):
        return hugging_face.file(url, sha256, sha256_prefix)
    if google_drive.file_id(url):
        return google_drive.file(url, name, sha256, sha256_prefix, folder)
    if not url.startswith(("http://", "https://")):
        return cache.verified(Path(url), sha256, sha256_prefix)
    from keras_shiftmlp.checkpoints import containers  # imports NumPy

    return fetch.fetch(
        url,
        name,
        sha256=sha256,
        sha256_prefix=sha256_prefix,
        max_bytes=None if size is None else size + size // 50 + 2**20,
        looks_right=containers.container,
        folder=folder,
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
