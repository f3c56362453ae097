"""Files of the Hugging Face Hub, through huggingface_hub and its cache."""

import re
import urllib.parse
from pathlib import Path

from keras_shiftmlp.downloads.cache import verified

# What a repository's only weights may be called.
ENDINGS = (".h5", ".npz", ".pth", ".pt", ".safetensors")
_ADDRESS = re.compile(r"hf://([\w.-]+/[\w.-]+)(?:@([^/@]+))?((?:/(?!\.\.?(?:/|$))[^/\\]+)*)")


def file(address: str, sha256: str | None = None) -> Path:
    """The file of a `hf://owner/repo[@revision][/file]` address.

    Args:
        address: Without a file it means the repository's `model.safetensors`, else its only
            weights. A revision is a branch, a tag or a commit; `/` in it is written `%2F`. The
            default branch may change, a commit cannot.
        sha256: The published hash, or its first digits.

    Raises:
        ValueError: If the address has another form, if there are several files to choose from, or
            if the content is not what the Hub or `sha256` says.
        OSError: If the file cannot be downloaded; `FileNotFoundError` if the repository lacks it.
        ImportError: If huggingface_hub is not installed.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise ValueError(
            "`weights` must be of the form hf://owner/repo, hf://owner/repo/file or "
            f"hf://owner/repo@revision/file. Received: `weights={address!r}`"
        )
    try:
        import huggingface_hub
        from huggingface_hub.errors import LocalEntryNotFoundError, RemoteEntryNotFoundError
    except ImportError as error:
        raise ImportError(
            "hf:// needs huggingface_hub: pip install 'keras_shiftmlp[hf]'"
        ) from error
    repository, revision, name = match[1], match[2], match[3].removeprefix("/")
    revision = revision and urllib.parse.unquote(revision)
    wanted = name or "model.safetensors"
    try:
        path = Path(huggingface_hub.hf_hub_download(repository, wanted, revision=revision))
    except LocalEntryNotFoundError as error:
        raise ConnectionError(f"{address} is not in the cache and cannot be downloaded") from error
    except RemoteEntryNotFoundError as error:
        if name:
            raise FileNotFoundError(f"{address} does not exist") from error
        listed = huggingface_hub.list_repo_files(repository, revision=revision)
        found = [x for x in listed if x.endswith(ENDINGS)]
        if len(found) != 1:
            raise ValueError(
                f"`weights` must name one file of the repository, such as {found[:9]}. "
                f"Received: `weights={address!r}`"
            ) from error
        return file(f"{address}/{found[0]}", sha256)
    # The cache stores a large file under its SHA-256, but does not check it.
    blob = path.resolve()
    try:
        if re.fullmatch("[0-9a-f]{64}", blob.name):
            verified(blob, blob.name)
        return verified(path, sha256)
    except ValueError:
        path.unlink()
        blob.unlink(missing_ok=True)
        raise
