"""`write` and `load`, for SavedModel, ONNX, OpenVINO, LiteRT and PyTorch's `.pt2`.

    images (B, H, W, 3) of 0..255 -> "probabilities" and "logits", or "features" without a head

Each format is written under one backend: `.pt2` under PyTorch, all others under TensorFlow. If
Keras runs on another backend, a subprocess with the right one writes the file from the same
weights. The file gets its final name only after its own runtime has reproduced Keras's outputs.
"""

import dataclasses
import datetime
import hashlib
import importlib.metadata
import importlib.util
import json
import math
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Unpack

import keras
import numpy as np

import keras_shiftmlp
from keras_shiftmlp.export.folding import fold_batch_norm
from keras_shiftmlp.export.formats import FORMATS, Format, FormatName, Network, Runner, WriteOptions
from keras_shiftmlp.kernels.initializers import zero_start
from keras_shiftmlp.models.image_model import ImageModel


class ExportError(RuntimeError):
    """A file could not be written, or its runtime does not reproduce the outputs of Keras."""


def write(
    model: keras.Model,
    path: str | os.PathLike[str],
    format: FormatName,
    *,
    size: int | tuple[int, int] | None = None,
    images: np.ndarray | None = None,
    tolerance: float = 1e-4,
    license: str | None = None,
) -> dict[str, Any]:
    """Writes `model` to `path`, compares the file with Keras, and writes a card next to it.

    The file takes float32 pixels of 0 to 255, `(B, H, W, 3)` for any `B`, and computes in float32
    regardless of the model's dtype policy. A SavedModel takes uint8 pixels as well.

    Args:
        model: A built model of one image; its class names and preprocessing go with it.
        path: A folder for `"saved_model"`, else a file that ends in `.onnx`, `.xml` (OpenVINO
            adds a `.bin` file), `.tflite` or `.pt2`. The card is `<path>.card.json`.
        format: `"saved_model"`, `"onnx"`, `"openvino"`, `"litert"` or `"pt2"`.
        size: Height and width, or the side of a square. `None` leaves both open if the family
            and the format allow it, and means the model's own size otherwise.
        images: Pixels `(N, H, W, 3)` of 0 to 255 to compare with Keras on, preferably real
            images. `None` means noise.
        tolerance: Largest accepted difference from Keras, relative to the largest absolute value
            of the output if that is above 1.
        license: Licence of the weights, for the card.

    Returns:
        The card: labels, preprocessing, input and outputs, sizes, licence, the files with their
        SHA-256, and the differences from Keras.

    Raises:
        ValueError: For a model that is not built, an unknown format, a path that exists or has
            another ending, or a size or images that don't fit.
        ImportError: If a package is missing, with the command that installs it.
        ExportError: If writing fails or a difference is too large. No file is left behind.

    Example:

    >>> write(keras_shiftmlp.MixerNano(weights=None), "mixer.h5", "hdf5")
    Traceback (most recent call last):
        ...
    ValueError: `format` must be one of 'saved_model', 'onnx', 'openvino', 'litert', 'pt2'.
        Received: `format='hdf5'`
    """
    if format not in FORMATS:
        raise ValueError(
            f"`format` must be one of {', '.join(map(repr, FORMATS))}. Received: `{format=}`"
        )
    target, kind = Path(path), FORMATS[format]
    check_path(target, kind)
    _check_model(model)
    height_width = _resolve_size(model, kind, size)
    for module, install in kind.needs.items():
        if importlib.util.find_spec(module) is None:
            raise ImportError(f"`{format=}` needs {module}: pip install {install}")
    network = _private_copy(model, height_width)
    pixels = _pictures(network.model, images)
    expected = _reference(network, pixels)
    if format != "saved_model":  # others train it further, so its statistics stay
        network = dataclasses.replace(network, model=fold_batch_norm(network.model))
    names = getattr(model, "class_names", None)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        unfinished = Path(folder, target.name)
        if keras.backend.backend() == kind.backend:
            outputs = _write_and_run(format, network, unfinished, names, pixels)
        else:
            outputs = _elsewhere(format, network, unfinished, names, pixels)
        differences, scaled = _differences(outputs, expected)
        if not max(scaled.values()) <= tolerance:
            raise ExportError(
                f"{kind.runtime} computes something else from the file than Keras does: the "
                f"largest differences are {differences}, {scaled} in units of the largest value. "
                f"Received: `{tolerance=}`"
            )
        card = {
            "format": format,
            "model": model.name,
            "written": datetime.date.today().isoformat(),
            "license": license,
            "class_names": names,
            "preprocessing": _preprocessing(model),
            "input": {"name": "images", "dtype": "float32", "shape": network.model.input_shape},
            "outputs": {
                # The size of a map is open if the size of the images is open.
                name: (
                    None,
                    *(
                        d if i == v.ndim - 2 or None not in height_width else None
                        for i, d in enumerate(v.shape[1:])
                    ),
                )
                for name, v in outputs[0].items()
            },
            "parameters": model.count_params(),
            "files": files_in(Path(folder)),
            "compared": {
                "backend": keras.backend.backend(),
                "runtime": kind.runtime,
                "images": "noise" if images is None else "given",
                "shapes": [x.shape for x in pixels],
                "max_abs_difference": differences,
                "scaled_difference": scaled,
                "tolerance": tolerance,
            },
        }
        card["bytes"] = sum(file["bytes"] for file in card["files"].values())
        Path(folder, f"{target.name}.card.json").write_text(json.dumps(card, indent=1) + "\n")
        if target.is_dir():
            target.rmdir()
        # The file itself is moved last: once it exists, the export is complete.
        for file in sorted(Path(folder).iterdir(), key=lambda file: file.name == target.name):
            os.replace(file, target.parent / file.name)
    return json.loads(json.dumps(card))  # as read from the file: tuples become lists


def saved_model(
    model: keras.Model, path: str | os.PathLike[str], **options: Unpack[WriteOptions]
) -> dict[str, Any]:
    """A reusable SavedModel in the format of TF Hub; `options` as for `write`.

    `hub.load`, `hub.KerasLayer(path, trainable=True)`, `keras.layers.TFSMLayer` and
    `tf.saved_model.load` take it, in processes without this package. The root is callable with
    `training=True` and `False`, on uint8 and float32, and returns what the model returns.
    Signatures: `serving_default`, `serving_uint8`, `feature_vector` (what the classifier sees)
    and `feature_maps` (`P2`, `P3`, ..., if the model has such levels). The class names are the
    asset `class_names.txt`.
    """
    return write(model, path, "saved_model", **options)


def onnx(
    model: keras.Model, path: str | os.PathLike[str], **options: Unpack[WriteOptions]
) -> dict[str, Any]:
    """An `.onnx` file of opset 18, for ONNX Runtime and others; `options` as for `write`."""
    return write(model, path, "onnx", **options)


def openvino(
    model: keras.Model, path: str | os.PathLike[str], **options: Unpack[WriteOptions]
) -> dict[str, Any]:
    """OpenVINO's `.xml` and `.bin`, weights in float32; `options` as for `write`.

    OpenVINO computes in bfloat16 on processors that support it. `load` compiles the file with
    `{"INFERENCE_PRECISION_HINT": "f32"}`, which prevents this.
    """
    return write(model, path, "openvino", **options)


def litert(
    model: keras.Model, path: str | os.PathLike[str], **options: Unpack[WriteOptions]
) -> dict[str, Any]:
    """A `.tflite` file for LiteRT, of one image size; `options` as for `write`."""
    return write(model, path, "litert", **options)


def pt2(
    model: keras.Model, path: str | os.PathLike[str], **options: Unpack[WriteOptions]
) -> dict[str, Any]:
    """A program for `torch.export.load`, of one image size; `options` as for `write`."""
    return write(model, path, "pt2", **options)


def load(path: str | os.PathLike[str]) -> Runner:
    """Opens an export in its own runtime, on the CPU.

    Args:
        path: A file or folder that `write` has written.

    Returns:
        A function from float32 pixels `(B, H, W, 3)` to the outputs by name.

    Raises:
        ValueError: If `path` is not that of an export.
    """
    path = Path(path)
    for kind in FORMATS.values():
        if path.suffix == kind.ending if kind.ending else path.is_dir():
            return kind.load(path)
    raise ValueError(f"`path` must be that of an export. Received: `path='{path}'`")


def work(folder: str) -> None:
    """Runs the job in `folder`, in the subprocess of `_elsewhere`."""
    job = json.loads(Path(folder, "job.json").read_text())
    model = keras.models.load_model(Path(folder, "model.keras"), compile=False)
    with np.load(Path(folder, "pixels.npz")) as file:
        pixels = list(file.values())
    network = Network(model, job["activation"])
    try:
        outputs = _write_and_run(
            job["format"], network, Path(job["path"]), job["class_names"], pixels
        )
    except ExportError as error:
        Path(folder, "error.txt").write_text(str(error))
        return
    for index, arrays in enumerate(outputs):
        # The complaint is false: the names are those of outputs, and none is `allow_pickle`.
        np.savez(Path(folder, f"outputs_{index}.npz"), **arrays)  # pyright: ignore[reportArgumentType]


def _write_and_run(format, network, path, class_names, pixels):
    kind = FORMATS[format]
    try:
        kind.write(network, path, class_names)
        run = (kind.check or kind.load)(path)
        return [run(x) for x in pixels]
    except Exception as error:  # exporters raise any type, with very long messages
        raise ExportError(
            f"`{format=}` can't be written for this model, or {kind.runtime} can't run it. "
            f"{type(error).__name__}: {str(error)[:600]}"
        ) from error


def _elsewhere(format, network, path, class_names, pixels):
    """`_write_and_run` in a subprocess, under the backend that writes the format."""
    with tempfile.TemporaryDirectory() as folder:
        network.model.save(Path(folder, "model.keras"))
        np.savez(Path(folder, "pixels.npz"), *pixels)
        job = {
            "format": format,
            "path": str(path.resolve()),
            "activation": network.activation,
            "class_names": class_names,
        }
        Path(folder, "job.json").write_text(json.dumps(job))
        here = str(Path(keras_shiftmlp.__file__).parent.parent)
        environment = {
            **os.environ,
            "KERAS_BACKEND": FORMATS[format].backend,
            "PYTHONPATH": os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")])),
            # This process may have reserved all memory of the accelerator.
            "CUDA_VISIBLE_DEVICES": "-1",
        }
        code = "import sys; from keras_shiftmlp.export import exporter; exporter.work(sys.argv[1])"
        process = subprocess.run(
            [sys.executable, "-c", code, folder], env=environment, capture_output=True, text=True
        )
        if process.returncode:
            raise ExportError(
                f"The process that writes `{format=}` under {FORMATS[format].backend} ended "
                f"with {process.returncode}: {process.stderr[-2000:]}"
            )
        if Path(folder, "error.txt").exists():
            raise ExportError(Path(folder, "error.txt").read_text())
        outputs = []
        for index in range(len(pixels)):
            with np.load(Path(folder, f"outputs_{index}.npz")) as file:
                outputs.append(dict(file))
        return outputs


def files_of(path: Path, kind: Format) -> list[Path]:
    """The files of an export at `path`; OpenVINO's weights are in a second file."""
    return [path, path.with_suffix(".bin")] if kind.ending == ".xml" else [path]


def check_path(target: Path, kind: Format) -> None:
    """Raises if `target` has the wrong ending for `kind`, or exists and is not empty."""
    endings = {other.ending for other in FORMATS.values()}
    if target.suffix != kind.ending and (kind.ending or target.suffix in endings):
        raise ValueError(
            f"`path` must {f'end in {kind.ending!r}' if kind.ending else 'be a folder'}. "
            f"Received: `path='{target}'`"
        )
    for path in files_of(target, kind):
        if path.is_dir():
            taken = kind.ending or any(path.iterdir())
        else:
            taken = path.exists() and (not kind.ending or path.stat().st_size)
        if taken:
            raise ValueError(
                f"`path` must be new or empty: nothing is overwritten. Received: `path='{path}'`"
            )


def _check_model(model):
    inputs = getattr(model, "inputs", None)
    if not isinstance(model, keras.Model) or not inputs:
        raise ValueError(
            "`model` must be a built Keras model with known inputs and outputs. "
            f"Received: `model={model}`"
        )
    if [len(x.shape) for x in inputs] != [4] or len(model.outputs) != 1:
        inputs, outputs = ([x.shape for x in tensors] for tensors in (inputs, model.outputs))
        raise ValueError(
            "`model` must have one input, images `(B, H, W, C)`, and one output. "
            f"Received: a `model` of {inputs=} and {outputs=}"
        )


def _resolve_size(model, kind, size) -> tuple[int | None, int | None]:
    """`(height, width)`, both `None` if they stay open."""
    own = tuple(model.inputs[0].shape[1:3])
    fixed = any(getattr(layer, "needs_known_size", False) for layer in model.layers)
    free = None in own or (isinstance(model, ImageModel) and not fixed)
    if size is None:
        if free and kind.any_size:
            return (None, None)
        if None not in own:
            return own
        size = getattr(getattr(model, "preprocessing", None), "image_size", None)
    pair = (size, size) if isinstance(size, int) else tuple(size or ())
    if len(pair) != 2 or not all(isinstance(side, int) and side > 0 for side in pair):
        raise ValueError(
            f"`size` must be a height and a width, or one side of a square. Received: `{size=}`"
        )
    if not free and pair != own:
        raise ValueError(
            f"{model.name} takes images of {own[0]} x {own[1]} only: it has weights for each "
            f"position. Received: `{size=}`"
        )
    return pair


def _private_copy(model, size):
    """The model in float32 for images of `size`, as a `Network`."""
    text = re.sub(r'"(\w*?)(?:mixed_)?b?float16"', r'"\1float32"', model.to_json())
    saved = json.loads(text)
    saved.pop("compile_config", None)
    for layer in saved["config"]["layers"]:
        if layer["class_name"] == "InputLayer":
            layer["config"]["batch_shape"][1:3] = size
            layer["config"]["dtype"] = "float32"
    with zero_start():
        copy = keras.models.model_from_json(json.dumps(saved))
    copy.set_weights(model.get_weights())
    if isinstance(copy, keras.Sequential):
        copy = keras.Model(copy.inputs[0], copy.outputs[0], name=copy.name)
    head, activation = copy.layers[-1], None
    if isinstance(head, keras.layers.Dense) and len(copy.output_shape) == 2:
        activation = keras.activations.serialize(head.activation)
        head.activation = keras.activations.linear
    return Network(copy, activation)


def _pictures(model, images):
    """The batches to compare on: all images, then a single one, of another size if it is open."""
    _, height, width, channels = model.input_shape
    if images is None:
        side = model.preprocessing.image_size if isinstance(model, ImageModel) else 64
        shape = (8, height or side, width or side, channels)
        images = np.random.default_rng(0).integers(0, 256, shape)
    images = np.asarray(images)
    shape = tuple(images.shape)
    fits = len(shape) == 4 and shape[0] and shape[3] == channels
    if not fits or height not in (None, shape[1]) or width not in (None, shape[2]):
        raise ValueError(
            f"`images` must be pixels of shape {model.input_shape}. "
            f"Received: `images` of shape {shape}"
        )
    images = images.astype("float32")
    if height is None:
        return [images, images[:1, : -(-shape[1] * 3 // 4), : -(-shape[2] * 2 // 3)]]
    return [images, images[:1]]


def _reference(network, batches):
    """All outputs from Keras on the current backend, including those of the inner signatures."""
    tensors = {"last": network.model.output}
    for inner in network.inner().values():
        tensors.update(inner)
    probe = keras.Model(network.model.input, tensors)
    # In a direct call JAX would compile each operation separately, and PyTorch would store what
    # gradients need. OpenVINO's `predict` would compute in bfloat16.
    run = probe.predict_on_batch if keras.backend.backend() in ("jax", "torch") else probe
    expected = []
    for pixels in batches:
        outputs = run(pixels)
        last = keras.ops.convert_to_tensor(outputs.pop("last"))
        outputs.update(network.named(last), output=network.activated(last))
        expected.append({k: keras.ops.convert_to_numpy(value) for k, value in outputs.items()})
    return expected


def _differences(outputs, expected):
    """The largest difference of each output, absolute and relative to `max(1, largest value)`."""
    absolute, scaled = {}, {}
    for there, here in zip(outputs, expected):
        for name, value in there.items():
            # NaN counts as an infinite difference.
            difference = float(np.abs(value - here[name]).max())
            difference = math.inf if math.isnan(difference) else difference
            unit = max(1.0, float(np.abs(here[name]).max()))
            absolute[name] = max(absolute.get(name, 0.0), difference)
            scaled[name] = max(scaled.get(name, 0.0), difference / unit)
    return absolute, scaled


def _preprocessing(model):
    """The normalisation inside the model, and how to prepare images for it."""
    if not isinstance(model, ImageModel):
        return None
    keys = ("normalize", "mean", "std", "image_size", "crop_fraction", "interpolation")
    config = model.preprocessing.get_config()
    return {"pixels": "0 to 255, RGB", **{key: config[key] for key in keys}}


def files_in(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of every file below `folder`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): {
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in files
    }
