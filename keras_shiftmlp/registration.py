"""Makes `keras.models.load_model` know our classes after a plain `import keras_shiftmlp`.

Keras finds custom classes by registration alone, and registering them needs Keras, which takes
seconds to import. So they are registered at once where Keras is loaded already, and otherwise
right after somebody imports it.
"""

import importlib
import importlib.util
import sys


def register() -> None:
    """Registers all layers and models now, or as soon as Keras has been imported."""
    if "keras" in sys.modules:
        importlib.import_module("keras_shiftmlp.models")
    elif _AfterKeras not in sys.meta_path:
        sys.meta_path.insert(0, _AfterKeras)


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
                importlib.import_module("keras_shiftmlp.models")

            spec.loader.exec_module = load_and_register
        return spec
