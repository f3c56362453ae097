"""Finds the checkpoint that `weights=` names: a tag, a file or an address."""

import dataclasses
import logging
import os
from pathlib import Path
from typing import Any

from keras_shiftmlp.checkpoints import containers, manifest
from keras_shiftmlp.checkpoints.port import WeightFile
from keras_shiftmlp.downloads import cache, fetch, hugging_face, places
from keras_shiftmlp.layers.names import HEAD

logger = logging.getLogger("keras_shiftmlp")


class WeightsNotAvailableError(ValueError):
    """No weights are published under the tag."""


@dataclasses.dataclass
class Checkpoint:
    """The facts about a checkpoint, before its weights are loaded.

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
    file: WeightFile | None = None
    entry: dict | None = None

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
                self._fill(layers, self._open({**self.entry, **known}, path, family), grid)
            except ValueError:
                # The content is wrong, and no published hash says that the file is the right one.
                if not known.get("sha256"):
                    cache.discard(path)
                raise

    def _open(self, entry, path, family):
        """The file of the entry, if it has the entry's layout and number of classes."""
        file = WeightFile(path, self.received, family)
        if entry["classes"] is None:
            file.classes = None  # a head in the file was not trained
        for fact, expected, received in (
            ("number of classes", entry["classes"], file.classes),
            ("layout", entry["source"] or file.source, file.source),
        ):
            if received != expected:
                raise ValueError(
                    f"The file of {entry['model']} {entry['tag']} should have the {fact} "
                    f"{expected}. Received: {received}"
                )
        return file

    def _fill(self, layers, file, grid):
        fresh = [x for x in layers if x.name == HEAD and x.units != file.classes]
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
    path = fetch.fetch(
        url,
        fetch.filename_of(url),
        looks_right=containers.container,
        folder=cache.cache_folder(url),
    )
    try:
        return _of_file(path, fetch.redacted(url), family)
    except ValueError:
        cache.discard(path)
        raise


def _of_file(path, received, family):
    file = WeightFile(path, received, family)
    return Checkpoint(received, file.classes, file.hyperparameters, file=file)


def _fetch(entry):
    """The file of an entry and the facts of its source, from the first source that has it.

    The user's place may hold a copy of a published file; it comes first.
    """
    own, failures, wrong = places.own(), [], False
    tries = []
    for known in entry["files"]:
        # Several models have a file of one name, such as Mixer-B_16.npz.
        name = f"{entry['model']}.{entry['tag']}.{fetch.filename_of(known['url'])}"
        tries.append((entry.get("place"), entry.get("file") or name, known))
    if own and "place" not in entry:
        copies = [(name, {**known, "url": places.address(own, name)}) for _, name, known in tries]
        tries = [(own, *copy) for copy in copies] + tries
    for place, name, known in tries:
        try:
            return published_file(known, name, place), known
        except (OSError, ValueError, ImportError) as error:
            failures.append(f"{fetch.redacted(known['url'])}: {error}")
            wrong |= isinstance(error, ValueError)
            if not isinstance(error, FileNotFoundError):
                logger.warning("A source did not give the file. %s", failures[-1])
    raise (ValueError if wrong else fetch.DownloadError)(
        "\n".join([f"No source gave the file of {entry['model']} {entry['tag']}.", *failures])
        + f"\nYou can copy the file to a folder as {tries[0][1]!r}, and set "
        f"{places.ENVIRONMENT} to this folder."
    )


def published_file(source: dict, name: str, place: str | None = None) -> Path:
    """The file of one source of a manifest's entry, verified.

    Args:
        source: Its `url`, which may be a path, and its `sha256`, `sha256_prefix` and `size`.
        name: Name of the file in the cache.
        place: The place that has the file, if it is not a publisher's.

    Raises:
        ValueError: If the content is not the published one, or if it is far longer than `size`.
            Some publishers round the size.
        OSError: If the file cannot be downloaded.
    """
    url, size = source["url"], source.get("size")
    sha256 = source.get("sha256") or source.get("sha256_prefix")
    if url.startswith("hf://"):
        return hugging_face.file(url, sha256)
    if not url.startswith(("http://", "https://")):
        return cache.verified(Path(url), sha256)
    return fetch.fetch(
        url,
        name,
        sha256=sha256,
        max_bytes=None if size is None else size + size // 50 + 2**20,
        looks_right=containers.container,
        folder=cache.cache_folder(place),
    )


def _not_available(model, family, tag):
    tags = [entry["tag"] for entry in manifest.all_entries(model)]
    hint = f" The file of this name is {'./' + tag!r}." if os.path.isfile(tag) else ""
    if tags:
        return f"There is no checkpoint `weights={tag!r}` for {model}. Its tags are {tags}.{hint}"
    known = manifest.all_entries()
    others = sorted({entry["model"] for entry in known if entry["dataset"] != "CIFAR-10"})
    return (
        f"No weights are published for {model}, so there is no `weights={tag!r}`.{hint} "
        f"Published checkpoints exist for {', '.join(others)}. Pass `weights=None` for random "
        "weights, or a weight file saved from this model. To use a checkpoint of your own under "
        f"this tag, run `keras-shiftmlp publish` and set {places.ENVIRONMENT} to its folder, URL "
        "or hf:// repository."
    )
