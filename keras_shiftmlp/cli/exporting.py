"""`export`: a model for another runtime."""

import contextlib
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from keras_shiftmlp.cli import output
from keras_shiftmlp.cli.arguments import (
    RANDOM,
    Count,
    ModelOrFile,
    OptionalData,
    build,
    check_size,
    check_weights,
)
from keras_shiftmlp.cli.output import UsageError
from keras_shiftmlp.cli.program import EXCHANGE, command


@command("export", example="S2MLPv2Nano --weights cifar10 --out s2.onnx", group=EXCHANGE)
def export(
    model: ModelOrFile,
    /,
    *,
    out: Path,
    weights: str | None = None,
    size: tuple[Count, ...] = (),
    images: OptionalData = None,
    tolerance: Annotated[float, Parameter(validator=validators.Number(gt=0))] = 1e-4,
) -> None:
    """Write a model for another runtime, and compare the file with Keras.

    Args:
        model: A constructor such as S2MLPv2Nano, or a .keras file.
        out: Folder of a SavedModel, or a file that ends in .onnx, .xml (OpenVINO), .tflite or .pt2.
        weights: Checkpoint of the constructor: a tag such as cifar10, a file or an address; "none"
            are random weights.
        size: Side of the images in pixels, or height and width; any size if possible.
        images: Folder of images to compare on, one subfolder per class; noise by default.
        tolerance: Largest difference from Keras, relative to the largest output.
    """
    if len(size) > 2:
        raise UsageError(f"--size takes a side, or height and width. Received: {size}")
    check_weights(model, weights)
    if size:
        check_size(model, size[0], size[-1])

    import numpy as np

    from keras_shiftmlp import catalogue, export, training
    from keras_shiftmlp.export.exporter import check_path
    from keras_shiftmlp.export.formats import FORMATS, FormatName

    endings: dict[str, FormatName] = {kind.ending: name for name, kind in FORMATS.items()}
    format = endings.get(out.suffix, "saved_model")
    try:
        check_path(out, FORMATS[format])
    except ValueError as error:
        raise UsageError(str(error)) from error
    network, pictures, license = build(model, weights), None, None
    side = size[0] if len(size) == 1 else (size[0], size[1]) if size else None
    if images:
        with output.progress("Reading images") as show:
            found = training.load_images(images, on_progress=show)
        few = found.split(min(8, len(found) - 1))[1] if len(found) > 1 else found
        pictures = np.asarray(few.resized(side or network.image_size).source)
    if weights not in (None, RANDOM):
        with contextlib.suppress(ValueError):  # a file or an address has no licence that we know
            license = catalogue.weights_info(model, weights)["license"]
    card = export.write(
        network,
        out,
        format,
        size=side,
        images=pictures,
        tolerance=tolerance,
        license=license,
    )
    output.show_record({"bytes": card["bytes"], **card["compared"]})
