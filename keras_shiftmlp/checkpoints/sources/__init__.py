"""The layouts of published checkpoints, one file per publisher; any file here is found."""

import functools
import importlib
import pkgutil

from keras_shiftmlp.checkpoints.port import Source


@functools.cache
def sources() -> tuple[Source, ...]:
    """The `SOURCES` of every module in this folder."""
    modules = [
        importlib.import_module(f"{__name__}.{module.name}")
        for module in pkgutil.iter_modules(__path__)
    ]
    return tuple(source for module in modules for source in module.SOURCES)


def recognise(keys, received: str) -> Source:
    """The source whose marker is among `keys`.

    Raises:
        ValueError: If no source has it.
    """
    for source in sources():
        if source.marker in keys:
            return source
    raise ValueError(
        f"`weights` must be a file of one of these layouts: "
        f"{', '.join(source.name for source in sources())}. "
        f"Received: `weights={received!r}` with the keys {sorted(keys)[:5]}..."
    )
