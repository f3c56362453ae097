"""Registers our classes, so that `keras.models.load_model` works after `import keras_shiftmlp`.

Keras finds custom classes only if they are registered, and registration needs Keras, which takes
seconds to import. If Keras is already imported, the classes are registered immediately. Otherwise
an import hook registers them right after Keras has been imported.
"""

import contextlib
import importlib
import sys

TYPE_CHECKING = False  # `typing` would take longer to import than all of this
if TYPE_CHECKING:
    from collections.abc import Callable


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


def on_import(name: str, context: "Callable[[], contextlib.AbstractContextManager[None]]") -> None:
    """Executes the package `name` inside `context()` once it is imported, if it is not yet."""
    if name not in sys.modules:
        sys.meta_path.insert(0, _Finder(name, context))


class _Finder:
    """An import finder that takes what the other finders find, and is gone after the import."""

    def __init__(self, name, context):
        self.name, self.context = name, context

    def find_spec(self, name, path=None, target=None):
        if name != self.name:
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        spec = next(filter(None, (x.find_spec(name, path, target) for x in others)), None)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_inside(module):
                sys.meta_path.remove(self)
                with self.context():
                    execute(module)

            spec.loader.exec_module = execute_inside
        return spec
