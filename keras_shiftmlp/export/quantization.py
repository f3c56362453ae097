"""`quantize`: from an OpenVINO export to 8-bit integers, calibrated on pictures."""

import importlib.util
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from keras_shiftmlp.export.exporter import ExportError, check_path, files_in
from keras_shiftmlp.export.formats import FORMATS

BATCH = 64


def quantize(
    path: str | os.PathLike,
    target: str | os.PathLike,
    images: np.ndarray,
    test: tuple[np.ndarray, np.ndarray],
    *,
    max_loss: float = 0.005,
) -> dict:
    """Writes an OpenVINO export in int8, and a card with accuracy, size and speed of both.

    Weights and activations are rounded to 8 bits, with ranges that NNCF takes from `images`.

    Args:
        path: The `.xml` file that `openvino` has written.
        target: The `.xml` file to write; the `.bin` and the card come beside it.
        images: Pixels `(N, H, W, 3)` of 0 to 255 to calibrate on, a few hundred of the training
            set.
        test: Other images and their labels, to compare the accuracies on.
        max_loss: Largest share of the test images that may be lost.

    Returns:
        The card: accuracy, bytes and milliseconds per image (in batches, on all cores that
        OpenVINO takes) of both files, and the SHA-256 of the new ones.

    Raises:
        ValueError: For a path that is no OpenVINO export, a target that is taken, or images and
            labels that are not as many.
        ImportError: Where NNCF is missing.
        ExportError: Where more than `max_loss` is lost. Nothing is left behind.
    """
    path, target = Path(path), Path(target)
    if path.suffix != ".xml" or not path.is_file():
        raise ValueError(f"`path` must be an OpenVINO export. Received: `path='{path}'`")
    check_path(target, FORMATS["openvino"])
    pixels, labels = np.asarray(test[0], "float32"), np.asarray(test[1])
    images = np.asarray(images, "float32")
    if not len(images) or not len(pixels) or labels.shape != (len(pixels),):
        raise ValueError(
            "`images` must not be empty, and `test` must be images and a label for each. Received: "
            f"`images` of shape {images.shape}, `test` of shapes {pixels.shape}, {labels.shape}"
        )
    for module in ("nncf", "openvino"):
        if importlib.util.find_spec(module) is None:
            raise ImportError(f"int8 needs {module}: pip install 'keras_shiftmlp[quantize]'")
    import nncf
    import openvino

    batches = [{"images": images[i : i + BATCH]} for i in range(0, len(images), BATCH)]
    model = openvino.Core().read_model(str(path))
    # OpenVINO's processor plugin refuses activations with a range per channel (MS-MLP's).
    per_tensor = nncf.quantization.advanced_parameters.QuantizationParameters(per_channel=False)
    model = nncf.quantize(
        model,
        nncf.Dataset(batches),
        subset_size=len(batches),
        # Only products are rounded: sums and norms in 8 bits cost S2-MLP percents.
        model_type=nncf.ModelType.TRANSFORMER,
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            activations_quantization_params=per_tensor
        ),
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        unfinished = Path(folder, target.name)
        openvino.save_model(model, str(unfinished), compress_to_fp16=False)
        card = {
            "from": path.name,
            "calibrated_on": len(images),
            "tested_on": len(pixels),
            "float32": _measure(path, pixels, labels),
            "int8": _measure(unfinished, pixels, labels),
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


def _measure(path, pixels, labels):
    compute = FORMATS["openvino"].load(path)
    right, times = 0, []
    for i in range(0, len(pixels), BATCH):
        started = time.perf_counter()
        scores = compute(pixels[i : i + BATCH])["logits"]
        times.append((time.perf_counter() - started) / len(scores))
        right += int((scores.argmax(1) == labels[i : i + BATCH]).sum())
    return {
        "accuracy": right / len(pixels),
        "graph_bytes": path.stat().st_size,
        "weight_bytes": path.with_suffix(".bin").stat().st_size,
        # The best of all batches: other work on the machine only ever adds.
        "milliseconds": 1000 * min(times),
    }
