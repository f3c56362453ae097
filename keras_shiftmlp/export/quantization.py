"""`quantize`: an OpenVINO or LiteRT export in 8-bit integers, with the accuracy that it costs."""

import importlib.util
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from keras_shiftmlp.export.exporter import ExportError, check_path, files_in, files_of
from keras_shiftmlp.export.formats import FORMATS, FormatName

BATCH = 64


def quantize(
    path: str | os.PathLike[str],
    target: str | os.PathLike[str],
    test: tuple[np.ndarray, np.ndarray],
    *,
    images: np.ndarray | None = None,
    max_loss: float = 0.005,
) -> dict[str, Any]:
    """Writes an export in int8, and a card with accuracy, size and speed of both.

    The two factors of every product with weights are rounded to 8 bits: `x w` becomes
    `s_x s_w round(x / s_x) round(w / s_w)`. LiteRT takes the scale `s_x` from the activations as
    they come; for OpenVINO NNCF fixes it beforehand, from `images`. What is not a product stays in
    float32, as do the activations of MLP-Mixer's token mixing in LiteRT.

    Args:
        path: The `.xml` or `.tflite` file that `openvino` or `litert` has written.
        target: The file to write, with the same ending; the card comes beside it, and OpenVINO's
            `.bin`.
        test: Pixels `(N, H, W, 3)` of 0 to 255 and their labels `(N,)`, to compare the accuracies
            on.
        images: For OpenVINO, pixels `(N, H, W, 3)` of 0 to 255 to calibrate on, a few hundred of
            the training set.
        max_loss: Largest share of the test images that may be lost.

    Returns:
        The card: accuracy, bytes and milliseconds per image (in batches, on as many cores as the
        runtime takes) of both exports, and the SHA-256 of the new files.

    Raises:
        ValueError: For a path that is no such export, a target that is taken, images and labels
            that are not as many, and missing or superfluous images to calibrate on.
        ImportError: Where a package is missing; says what to install.
        ExportError: Where more than `max_loss` is lost. Nothing is left behind.
    """
    path, target = Path(path), Path(target)
    endings: dict[str, FormatName] = {FORMATS[name].ending: name for name in _ROUNDED}
    format = endings.get(path.suffix)
    if format is None or not path.is_file():
        raise ValueError(
            f"`path` must be an OpenVINO or a LiteRT export. Received: `path='{path}'`"
        )
    check_path(target, FORMATS[format])
    pixels, labels = np.asarray(test[0], "float32"), np.asarray(test[1])
    if not len(pixels) or labels.shape != (len(pixels),):
        raise ValueError(
            "`test` must be images and a label for each. "
            f"Received: `test` of shapes {pixels.shape}, {labels.shape}"
        )
    number = 0 if images is None else len(images)
    if (number > 0) != (format == "openvino"):
        raise ValueError(
            "`images` must be pictures to calibrate on for an OpenVINO export, and `None` for a "
            f"LiteRT one. Received: {number} `images` for `path='{path}'`"
        )
    rounded, packages = _ROUNDED[format]
    for module in packages:
        if importlib.util.find_spec(module) is None:
            raise ImportError(f"int8 needs {module}: pip install 'keras_shiftmlp[quantize]'")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        unfinished = Path(folder, target.name)
        rounded(path, unfinished, images)
        card = {
            "from": path.name,
            "calibrated_on": number,
            "tested_on": len(pixels),
            "float32": _measure(format, path, pixels, labels),
            "int8": _measure(format, unfinished, pixels, labels),
            "files": files_in(Path(folder)),
        }
        lost = card["float32"]["accuracy"] - card["int8"]["accuracy"]
        if not lost <= max_loss:
            raise ExportError(
                f"int8 loses {lost:.4f} of accuracy: {card['float32']}, {card['int8']}. "
                f"Received: `{max_loss=}`"
            )
        Path(folder, f"{target.name}.card.json").write_text(json.dumps(card, indent=1) + "\n")
        for file in sorted(Path(folder).iterdir(), key=lambda file: file.name == target.name):
            os.replace(file, target.parent / file.name)
    return card


def _rounded_openvino(path, target, images):
    import nncf
    import openvino

    images = np.asarray(images, "float32")
    batches = [{"images": images[i : i + BATCH]} for i in range(0, len(images), BATCH)]
    # OpenVINO's processor plugin refuses activations with a range per channel (MS-MLP's).
    per_tensor = nncf.quantization.advanced_parameters.QuantizationParameters(per_channel=False)
    model = nncf.quantize(
        openvino.Core().read_model(str(path)),
        nncf.Dataset(batches),
        subset_size=len(batches),
        # Only products are rounded: sums and norms in 8 bits cost S2-MLP percents.
        model_type=nncf.ModelType.TRANSFORMER,
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            activations_quantization_params=per_tensor
        ),
    )
    openvino.save_model(model, str(target), compress_to_fp16=False)


def _rounded_litert(path, target, images):
    from ai_edge_quantizer import qtyping, quantizer

    rounding, operations = quantizer.Quantizer(str(path)), qtyping.TFLOperationName
    for operation in (operations.FULLY_CONNECTED, operations.CONV_2D):
        rounding.add_dynamic_config(".*", operation, num_bits=8)
    # LiteRT has no integer product whose first factor is the weight, as in token mixing.
    rounding.add_weight_only_config(".*", operations.BATCH_MATMUL, num_bits=8)
    result = rounding.quantize(enable_progress_bar=False, enable_progress_report=False)
    target.write_bytes(result.quantized_model)


_ROUNDED: dict[FormatName, tuple[Callable[..., None], tuple[str, ...]]] = {
    "openvino": (_rounded_openvino, ("nncf", "openvino")),
    "litert": (_rounded_litert, ("ai_edge_quantizer", "ai_edge_litert")),
}


def _measure(format, path, pixels, labels):
    compute = FORMATS[format].load(path)
    right, times = 0, []
    for i in range(0, len(pixels), BATCH):
        started = time.perf_counter()
        scores = compute(pixels[i : i + BATCH])["logits"]
        times.append((time.perf_counter() - started) / len(scores))
        right += int((scores.argmax(1) == labels[i : i + BATCH]).sum())
    return {
        "accuracy": right / len(pixels),
        "bytes": sum(file.stat().st_size for file in files_of(path, FORMATS[format])),
        # The best of all batches: other work on the machine only ever adds.
        "milliseconds": 1000 * min(times),
    }
