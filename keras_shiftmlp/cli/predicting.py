"""`predict` and `evaluate`: what a model says about images."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from keras_shiftmlp.cli import output
from keras_shiftmlp.cli.arguments import (
    Count,
    Data,
    ModelOrFile,
    build,
    check_new,
    check_packages,
    check_weights,
)
from keras_shiftmlp.cli.output import UsageError
from keras_shiftmlp.cli.program import USE, command

PICTURES = (".png", ".jpg", ".jpeg", ".webp")


@command("predict", example="photo.jpg holidays/ --model S2MLPv2Nano --out sheet.png", group=USE)
def predict(
    images: list[str],
    /,
    *,
    model: ModelOrFile,
    weights: str | None = None,
    top: Count = 5,
    batch_size: Count = 32,
    json: Annotated[bool, Parameter(name="--json")] = False,
    csv: Annotated[bool, Parameter(name="--csv")] = False,
    out: Path | None = None,
) -> None:
    """Classify images: the most probable classes of each.

    Files that cannot be read are left out and named, and the exit code is 1.

    Args:
        images: Files, folders, or patterns such as 'photos/*.jpg'.
        model: A constructor such as S2MLPv2Nano, or a .keras file.
        weights: Checkpoint of the constructor: a tag such as cifar10, a file or an address.
        top: Number of classes for each image.
        batch_size: Images per batch.
        json: Print JSON.
        csv: Print CSV.
        out: Picture of all images above their classes, such as sheet.png.
    """
    if json and csv:
        raise UsageError("Choose one of --json and --csv.")
    check_weights(model, weights, is_used=True)
    check_new(out, *PICTURES)
    check_packages("Reading images", "keras_shiftmlp[plots]", "PIL")

    from keras_shiftmlp import prediction

    try:
        files = prediction.find_images(images)
    except ValueError as error:
        raise UsageError(str(error)) from error
    network = build(model, weights)
    with output.progress("Classifying images") as show:
        predictions = prediction.predict_files(
            network, files, top=top, batch_size=batch_size, on_progress=show
        )
    if not predictions:
        raise ValueError(f"None of the {len(files)} files is a readable image.")
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        prediction.contact_sheet(predictions, out)
    rows = [
        {"file": found.file, "rank": rank, "class": name, "id": key, "probability": round(score, 6)}
        for found in predictions
        for rank, (key, name, score) in enumerate(found.classes, start=1)
    ]
    if json:
        output.show_json(rows)
    elif csv:
        output.show_csv(rows)
    else:
        output.show_table(rows, short=["file", "class", "probability"])
    if len(predictions) < len(files):
        read = {found.file for found in predictions}
        unreadable = ", ".join(file for file in files if file not in read)
        raise ValueError(f"Not an image that can be read: {unreadable}")


@command("evaluate", example="S2MLPv2Nano --data photos --confusion matrix.png", group=USE)
def evaluate(
    model: ModelOrFile,
    /,
    *,
    data: Data,
    weights: str | None = None,
    batch_size: Count = 256,
    confusion: Path | None = None,
) -> None:
    """Measure a model's accuracy and cross-entropy on labelled images.

    Args:
        model: A constructor such as S2MLPv2Nano, or a .keras file.
        data: Folder with one subfolder of images per class, or tfds:<name>/<split>.
        weights: Checkpoint of the constructor: a tag such as cifar10, a file or an address.
        batch_size: Images per batch.
        confusion: Picture of the confusion matrix to write, such as matrix.png.
    """
    check_weights(model, weights, is_used=True)
    check_new(confusion, *PICTURES)
    check_packages("Evaluation", "keras_shiftmlp[train]", "grain", "PIL")
    if confusion is not None:
        check_packages("--confusion", "keras_shiftmlp[plots]", "matplotlib")

    from keras_shiftmlp import ImageModel, training, visualization

    network = build(model, weights)
    if not isinstance(network, ImageModel):
        raise ValueError(f"'{model}' must be a model of this package, which knows its classes.")
    with output.progress("Reading images") as show:
        images = training.load_images(data, network.class_names, on_progress=show)
    with output.progress("Evaluating") as show:
        result = training.evaluate(
            network,
            images,
            batch_size=batch_size,
            crop_fraction=network.preprocessing.crop_fraction,
            predictions=True,
            on_progress=show,
        )
    predicted = result.pop("predicted")
    if confusion is not None:
        confusion.parent.mkdir(parents=True, exist_ok=True)
        visualization.plot_confusion(
            images.labels.tolist(), predicted, images.class_names, confusion
        )
    output.show_record(result)
