"""Registers our classes, so that `keras.models.load_model` works after `import keras_shiftmlp`.

Keras finds custom classes only if they are registered, and registration needs Keras, which takes
seconds to import. If Keras is already imported, the classes are registered immediately. Otherwise
they are registered right after Keras has been imported.
"""

import contextlib
import importlib
import sys

from keras_shiftmlp.imports import on_import


def register() -> None:
    """Registers layers, models and optimizers now, or as soon as Keras has been imported."""
    if "keras" in sys.modules:
        _import_classes()
    else:
        on_import("keras", _before_the_classes)


def _import_classes():
    # A model that was trained is saved with its optimizer.
    for module in ("keras_shiftmlp.models", "keras_shiftmlp.kernels.optimizers"):
        importlib.import_module(module)


@contextlib.contextmanager
def _before_the_classes():
    yield
    _import_classes()
