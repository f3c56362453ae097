"""All constructors by name."""

import fnmatch
from typing import Any

from keras_shiftmlp.models._constructor import CONSTRUCTORS, Constructor
from keras_shiftmlp.models.image_model import ImageModel
from keras_shiftmlp.naming import match_name


def list_models(pattern: str = "*") -> list[str]:
    """Names of the published sizes that match `pattern`, with `*` and `?` as in a shell.

    Example:

    >>> list_models("s2mlpv2*")
    ['S2MLPv2Medium', 'S2MLPv2Nano', 'S2MLPv2Small', 'S2MLPv2Small14']
    """
    names = [name for name, constructor in CONSTRUCTORS.items() if constructor.is_size]
    return sorted(name for name in names if fnmatch.fnmatch(name.lower(), pattern.lower()))


def get_model(name: str, /, **kwargs: Any) -> ImageModel:
    """Builds a model by its constructor's name; case and separators are ignored.

    Args:
        name: Such as `"S2MLPv2Small"` or `"s2_mlp_v2_small"`.
        **kwargs: The constructor's arguments.

    Raises:
        ValueError: For an unknown name, with the nearest ones.

    Example:

    >>> get_model("ms-mlp", weights=None, dims=(20, 40), depths=(1, 1),
    ...           kernel_sizes=((1, 1, 3, 5, 7),) * 2, classes=4).output_shape
    (None, 4)
    """
    return find_constructor(name)(**kwargs)


def find_constructor(name: str) -> Constructor:
    """The constructor that `get_model` would call."""
    return CONSTRUCTORS[match_name(name, CONSTRUCTORS)]
