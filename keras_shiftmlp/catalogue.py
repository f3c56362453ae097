"""What is known of the published checkpoints: `list_weights` and `weights_info`."""

from keras_shiftmlp.checkpoints import manifest
from keras_shiftmlp.downloads import fetch

COLUMNS = (
    "model", "tag", "dataset", "image_size", "classes", "params", "top1", "top1_source", "license",
    "host", "size", "verified_by",
)  # fmt: skip


def list_weights(model: str | None = None) -> list[dict]:
    """The published checkpoints, of one model or of all; those of the user's place come first.

    Args:
        model: A constructor's name; case and separators are ignored.

    Returns:
        For each checkpoint its model, tag, dataset, image size, number of classes and of
        parameters, top-1 with its source, licence, host, bytes of its file (Google's are rounded)
        and what the file is verified by; `None` for what is not published. Host, size and
        verification are those of the first source.

    Raises:
        ValueError: If the manifest of the place is malformed.
        OSError: If the place cannot be read.

    Example:

    >>> [row["tag"] for row in list_weights("MixerB32")]
    ['imagenet_gsam', 'imagenet_sam']
    """
    return [_row(entry) for entry in manifest.all_entries(model)]


def weights_info(model: str, tag: str) -> dict:
    """Everything the manifest says about one checkpoint; the user's place comes first.

    Raises:
        ValueError: If there is no such checkpoint, or the manifest of the place is malformed.
        OSError: If the place cannot be read.

    Example:

    >>> weights_info("MixerB16", "imagenet")["top1_source"]
    'Mixer paper'
    """
    return _known(manifest.find_entry(model, tag), model, tag)


def published_info(model: str, tag: str) -> dict:
    """As `weights_info`, but the package comes first: no network for a tag that it knows."""
    return _known(manifest.find_entry(model, tag, offline=True), model, tag)


def _known(entry, model, tag):
    if entry is None:
        raise ValueError(f"No such checkpoint. Received: `model={model!r}`, `tag={tag!r}`")
    return dict(entry)


def _row(entry):
    first = entry["files"][0]
    url, place = first["url"], entry.get("place")
    if first.get("sha256"):
        verified_by = "sha256"
    elif url.startswith("hf://"):
        verified_by = "the Hub's sha256"
    elif first.get("sha256_prefix"):
        verified_by = f"checksum {first['sha256_prefix']} (start of the sha256)"
    else:
        verified_by = "the server's digest, then the first download"
    if place:
        host = "in the package" if place == str(manifest.SHIPPED) else fetch.redacted(place)
    else:
        host = "huggingface.co" if url.startswith("hf://") else url.split("/")[2]
    facts = {**entry, "host": host, "size": first.get("size"), "verified_by": verified_by}
    return {key: facts[key] for key in COLUMNS}
