"""Runs code around the first import of a package, without importing it."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager


def on_import(name: str, context: Callable[[], AbstractContextManager[None]]) -> None:
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
