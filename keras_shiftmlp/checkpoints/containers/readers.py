"""The former name of `containers`."""

from keras_shiftmlp.checkpoints.containers import container, read

__all__ = ["container", "read"]
