"""Publishing of trained models, conversion of publishers' files, comparison with the originals."""

from keras_shiftmlp.publishing.checkpoints import port_file, publish
from keras_shiftmlp.publishing.comparison import verify, verify_softmax

__all__ = ["port_file", "publish", "verify", "verify_softmax"]
