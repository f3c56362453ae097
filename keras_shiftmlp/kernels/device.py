"""What is known of the hardware, and which of two forms of a computation it prefers."""

import functools
import platform
from pathlib import Path

import keras


@functools.cache
def has_only_cpus() -> bool:
    """Whether JAX or TensorFlow sees no accelerator."""
    return all(device.startswith("cpu") for device in keras.distribution.list_devices())


def has_amd_processor() -> bool:
    """Whether the processor says that AMD made it."""
    file = Path("/proc/cpuinfo")  # Linux; elsewhere Python knows the maker
    described = file.read_text() if file.exists() else platform.processor()
    return "AuthenticAMD" in described


# A constant, because reading a file would break the graph of `torch.compile`.
HAS_AMD_PROCESSOR = has_amd_processor()


def is_faster_as_convolution(x) -> bool:
    """Whether PyTorch multiplies `x` by a kernel faster as a convolution.

    PyTorch computes float32 matrix products on a CPU with MKL and convolutions with oneDNN. On AMD
    the convolution is twice as fast; on Intel it is slower, its gradient up to 2.6 times.
    """
    return (
        keras.backend.backend() == "torch"
        and keras.backend.standardize_dtype(x.dtype) == "float32"
        and x.device.type == "cpu"
        and HAS_AMD_PROCESSOR
    )


def is_faster_with_xla(model: keras.Model) -> bool:
    """Whether to compile `model` with XLA, as measured.

    On PyTorch, compilation takes minutes and gains nothing. On TensorFlow, Keras's own `"auto"`
    never compiles on a CPU, which is slower except for layers with depthwise convolutions.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        slow = any(getattr(layer, "is_slow_with_xla_on_cpu", False) for layer in model.layers)
        return not (slow and has_only_cpus())
    return backend == "jax"
