"""Vision MLPs for Keras 3 on TensorFlow, JAX, PyTorch, NumPy and OpenVINO."""

import functools

from keras_shiftmlp.registration import register

__version__ = "0.1.0"

register()


@functools.cache
def _attached():
    """`__getattr__`, `__dir__` and `__all__` of the names in `__init__.pyi`.

    They are read on first use, which takes longer than all else here.
    """
    import lazy_loader

    return lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name):
    """Imports a public name on first use, because Keras alone takes seconds to import."""
    getattribute, _, public = _attached()
    return public if name == "__all__" else getattribute(name)


def __dir__():
    _, listed, _ = _attached()
    return listed()
