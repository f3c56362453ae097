"""`train`: a model by a recipe, from a folder of images."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter, validators

from keras_shiftmlp.cli import output
from keras_shiftmlp.cli.arguments import (
    Count,
    Data,
    DType,
    Model,
    OptionalData,
    Settings,
    check_packages,
    check_weights,
    values_of,
)
from keras_shiftmlp.cli.output import UsageError
from keras_shiftmlp.cli.program import USE, command


@command(
    "train",
    example="S2MLPv2Nano --weights cifar10 --data photos --out runs/photos",
    group=USE,
)
def train(
    model: Model,
    /,
    *,
    data: Data,
    out: Path,
    validation: OptionalData = None,
    hold_out: Annotated[float, Parameter(validator=validators.Number(gt=0))] = 0.1,
    recipe: str = "finetune",
    set: Settings = (),
    weights: str | None = None,
    image_size: Count | None = None,
    early_stopping: Count | None = None,
    class_weights: Literal["balanced"] | None = None,
    dtype: DType | None = None,
    remat: bool = False,
    tensorboard: bool = False,
    seed: Annotated[int, Parameter(validator=validators.Number(gte=0))] = 0,
) -> None:
    """Train a model by a recipe. The same command after an interruption continues the run.

    The folder of the run holds model.keras at the end, card.json, and curves.png.

    Args:
        model: A constructor such as S2MLPv2Nano.
        data: Folder with one subfolder of images per class, or tfds:<name>/<split>.
        out: Folder of the run.
        validation: As --data; by default, --hold-out of the images.
        hold_out: Share of the images to validate on, or their number.
        recipe: Name of the recipe.
        set: Changes of the recipe: KEY=VALUE, such as epochs=5 batch_size=32.
        weights: Checkpoint to start from: a tag, a file or an address; random by default.
        image_size: Side of the images in pixels; the model's own by default.
        early_stopping: Stop once the validation loss has not fallen for this many epochs.
        class_weights: Give each class the same weight, however many images it has.
        dtype: Keras's dtype policy; float32 by default.
        remat: Recompute activations: less memory, more time.
        tensorboard: Write logs for TensorBoard.
        seed: Seed of the split, the order and the augmentation.
    """
    check_weights(model, weights)
    check_packages("Training", "keras_shiftmlp[train]", "grain", "PIL")
    if tensorboard:
        check_packages("--tensorboard", "keras_shiftmlp[tensorboard]", "tensorboard", "tensorflow")
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out must be a folder. Received: '{out}', which is a file")

    import keras

    from keras_shiftmlp import rematerialize, training
    from keras_shiftmlp.models import get_model

    chosen = _checked(recipe, set)
    if keras.backend.backend() in ("numpy", "openvino"):
        raise UsageError("Training needs TensorFlow, JAX or PyTorch: choose one with --backend.")
    class_names = training.class_names_of(data)
    keras.utils.set_random_seed(seed)
    network = get_model(
        model,
        weights=weights,
        classes=len(class_names),
        input_shape=image_size and (image_size, image_size, 3),
        drop_path_rate=chosen.pop("drop_path_rate", 0.0),
        dtype=dtype,
    )
    with output.progress("Reading images") as show:
        images = training.load_images(data, class_names, on_progress=show)
    if validation:
        with output.progress("Reading images to validate on") as show:
            held = training.load_images(validation, class_names, on_progress=show)
    else:
        images, held = images.split(int(hold_out) if hold_out >= 1 else hold_out, seed)
    if remat:
        network = rematerialize(network)
    with output.progress("Training") as show:
        card = training.train(
            network,
            images,
            held,
            out=out,
            seed=seed,
            early_stopping=early_stopping,
            class_weights=class_weights,
            tensorboard=tensorboard,
            on_progress=show,
            **chosen,
        )
    network.save(out / "model.keras")
    output.show_record(card["history"][-1])


def _checked(recipe, settings):
    """The recipe with its changes, if all of its values are valid."""
    from keras_shiftmlp import training
    from keras_shiftmlp.training.arguments import RANGES, check_arguments

    known = {*RANGES, "drop_path_rate"} - {"class_weights", "early_stopping", "seed", "shard"}
    changes = values_of(settings)
    if unknown := set(changes) - known:
        raise UsageError(
            f"--set has no {', '.join(sorted(unknown))}; a recipe has {', '.join(sorted(known))}."
        )
    try:
        chosen = training.recipe(recipe, **changes)
        check_arguments(**{key: value for key, value in chosen.items() if key in RANGES})
    except ValueError as error:
        raise UsageError(str(error)) from error
    return chosen
