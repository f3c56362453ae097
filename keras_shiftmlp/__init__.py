"""Vision MLPs for Keras 3 on TensorFlow, JAX, PyTorch, NumPy and OpenVINO."""

import lazy_loader

from keras_shiftmlp.registration import register

__version__ = "0.1.0"

# The names are those of `__init__.pyi`. Each is imported on first use: Keras alone takes seconds.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

register()
