"""Registers our classes, so that `keras.models.load_model` works after `import keras_shiftmlp`.

Keras finds custom classes only if they are registered, and registration needs Keras, which takes
seconds to import. If Keras is already imported, the classes are registered immediately. Otherwise
they are registered right after Keras has been imported.
"""

import importlib
import importlib.util
import sys


def register() -> None:
    """Registers layers, models and optimizers now, or as soon as Keras has been imported."""
    if "keras" in sys.modules:
        _import_classes()
    elif _AfterKeras not in sys.meta_path:
        sys.meta_path.insert(0, _AfterKeras)


def _import_classes():
    # A model that was trained is saved with its optimizer.
    for module in ("keras_shiftmlp.models", "keras_shiftmlp.kernels.optimizers"):
        importlib.import_module(module)


class _AfterKeras:
    """An import finder that waits for `import keras`, once."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name != "keras":
            return None
        sys.meta_path.remove(cls)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_register(module):
                load(module)
                _import_classes()

            spec.loader.exec_module = load_and_register
        return spec
