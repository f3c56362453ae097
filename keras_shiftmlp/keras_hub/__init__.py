"""Our networks in KerasHub: backbones, classifiers, image converters and presets.

Import it before `from_preset` of KerasHub's own classes loads one of our presets. The import
registers all that a preset needs:

    import keras_shiftmlp.keras_hub

Nothing else in the package imports KerasHub.
"""

try:
    import keras_hub  # noqa: F401
except ImportError as error:
    raise ImportError(
        "`keras_shiftmlp.keras_hub` needs KerasHub: pip install 'keras_shiftmlp[hub]'"
    ) from error

from keras_shiftmlp.keras_hub.backbone import Backbone
from keras_shiftmlp.keras_hub.image_classifier import ImageClassifier
from keras_shiftmlp.keras_hub.image_converter import ImageClassifierPreprocessor, ImageConverter
from keras_shiftmlp.keras_hub.upload import upload_preset

__all__ = [
    "Backbone",
    "ImageClassifier",
    "ImageClassifierPreprocessor",
    "ImageConverter",
    "upload_preset",
]
