"""Files that others run. `keras_shiftmlp.export` is imported on first use."""

from keras_shiftmlp.export.exporter import (
    ExportError,
    litert,
    load,
    onnx,
    openvino,
    pt2,
    saved_model,
    write,
)
from keras_shiftmlp.export.folding import fold_batch_norm
from keras_shiftmlp.export.quantization import quantize

__all__ = [
    "ExportError",
    "fold_batch_norm",
    "litert",
    "load",
    "onnx",
    "openvino",
    "pt2",
    "quantize",
    "saved_model",
    "write",
]
