"""Training recipes as data: keyword arguments of `train`, and of the model (`drop_path_rate`).

There is one file per family, found without a central list. Its first recipe is the paper's for
ImageNet.
"""

import importlib
import pkgutil
from typing import Any

from keras_shiftmlp.models._registry import find_constructor
from keras_shiftmlp.training.recipes import _general

RECIPES: dict[str, dict[str, Any]] = {}
# For each general constructor, the ImageNet recipe of its paper.
FAMILY_RECIPES: dict[str, str] = {}

for _module in pkgutil.iter_modules(__path__):
    if not _module.name.startswith("_"):
        _family = importlib.import_module(f"{__name__}.{_module.name}")
        RECIPES |= _family.RECIPES
        FAMILY_RECIPES[_family.FAMILY] = next(iter(_family.RECIPES))
RECIPES |= _general.RECIPES


def imagenet_recipe(model: str) -> str:
    """The name of the ImageNet recipe of the paper that a model is from.

    Args:
        model: A constructor's name, as for `get_model`.

    Raises:
        ValueError: For an unknown model, or a family without a paper.

    Example:

    >>> imagenet_recipe("S2MLPv2Small")
    's2_mlp_v2_imagenet'
    """
    family = find_constructor(model).family
    if family not in FAMILY_RECIPES:
        raise ValueError(f"No paper gives a recipe for {family}. Received: `model={model!r}`")
    return FAMILY_RECIPES[family]


def recipe(name: str, **changes: Any) -> dict[str, Any]:
    """The recipe called `name` with some of its values replaced.

    Raises:
        ValueError: For an unknown name.

    Example:

    >>> recipe("cifar10_nano", epochs=2)["epochs"]
    2
    """
    if name not in RECIPES:
        raise ValueError(
            f"`recipe` must be one of {', '.join(map(repr, RECIPES))}. Received: `recipe={name!r}`"
        )
    return {**RECIPES[name], **changes}
