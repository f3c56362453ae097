"""The networks: one file per family."""

import importlib
import pkgutil

from keras_shiftmlp.models._constructor import CONSTRUCTORS
from keras_shiftmlp.models._registry import get_model, list_models
from keras_shiftmlp.models.image_model import ImageModel, feature_extractor
from keras_shiftmlp.models.macs import count_macs

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")  # a family registers its constructors
globals().update(CONSTRUCTORS)

__all__ = [
    *CONSTRUCTORS,
    "ImageModel",
    "count_macs",
    "feature_extractor",
    "get_model",
    "list_models",
]
