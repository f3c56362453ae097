"""`port`, `verify` and `publish`: checkpoints, from others and for others."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from keras_shiftmlp.cli import output
from keras_shiftmlp.cli.arguments import (
    Count,
    ExistingFile,
    ExistingFolder,
    KerasFile,
    Model,
    Preprocessing,
    Settings,
    check_weights,
    full_name,
    values_of,
)
from keras_shiftmlp.cli.output import UsageError
from keras_shiftmlp.cli.program import EXCHANGE, command


@command("port", example="MixerB16 imagenet --out ported/mixer", group=EXCHANGE)
def port(model: Model, file: str, /, *, out: Path, preprocessing: Preprocessing = None) -> None:
    """Convert a publisher's file to .safetensors; its framework is not needed.

    Args:
        model: A constructor such as MixerB16.
        file: Path, URL or hf:// address of the file, or a tag.
        out: Path of the results without ending: <out>.safetensors and the card <out>.json.
        preprocessing: Name of a preset, for files that are not those of a tag.
    """
    check_weights(model, file)

    from keras_shiftmlp import publishing

    output.show_json(publishing.port_file(model, file, out, preprocessing))


@command("verify", example="MixerB16 Mixer-B_16.npz --photos holidays", group=EXCHANGE)
def verify(
    model: Model,
    file: ExistingFile,
    /,
    *,
    photos: ExistingFolder | None = None,
    limit: Count = 8,
    softmax: ExistingFile | None = None,
    photo: ExistingFile | None = None,
    preprocessing: Preprocessing = None,
) -> None:
    """Compare a publisher's file in Keras with the original network, on --photos.

    With --softmax and --photo, compare with probabilities that the original gave for one photo.

    Args:
        model: A constructor such as MixerB16.
        file: The publisher's file.
        photos: Folder of photos.
        limit: Number of photos.
        softmax: The .npy file of the original's probabilities.
        photo: The photo of --softmax.
        preprocessing: Name of a preset; the family's by default.
    """
    from keras_shiftmlp import publishing

    if photos is not None:
        result = publishing.verify(model, file, photos, limit, preprocessing)
    elif softmax is not None and photo is not None:
        result = publishing.verify_softmax(model, file, softmax, photo)
    else:
        raise UsageError("verify needs --photos, or --softmax and --photo.")
    output.show_record(result)


@command(
    "publish",
    example="runs/photos/model.keras S2MLPv2Nano photos --folder shared --dataset 'my photos' "
    "--license Apache-2.0",
    group=EXCHANGE,
)
def publish(
    file: KerasFile,
    model: Model,
    tag: str,
    /,
    *,
    dataset: str,
    license: str,
    folder: Path | None = None,
    hub_folder: Path | None = None,
    push_to_hub: str | None = None,
    top1: Annotated[float | None, Parameter(validator=validators.Number(gte=0, lte=100))] = None,
    top1_source: str | None = None,
    set: Settings = (),
    card: tuple[ExistingFile, ...] = (),
) -> None:
    """Write a trained model so that a tag finds it.

    Args:
        file: The trained model, a .keras file.
        model: The constructor that builds it, such as S2MLPv2Nano.
        tag: Name of the checkpoint.
        dataset: Name of the training data.
        license: Licence of the weights.
        folder: Folder of checkpoints; KERAS_SHIFTMLP_WEIGHTS names it for later use.
        hub_folder: Folder of a Hugging Face repository for this model.
        push_to_hub: Repository OWNER/REPO to upload.
        top1: Accuracy in percent, if it was measured.
        top1_source: Who measured it, on what.
        set: Hyper-parameters that differ from the constructor's: KEY=VALUE.
        card: The card.json of each run that led to the model, in order.
    """
    if folder is None and hub_folder is None and push_to_hub is None:
        raise UsageError("publish needs --folder, --hub-folder or --push-to-hub.")

    import keras

    from keras_shiftmlp import publishing

    entry = publishing.publish(
        keras.models.load_model(file, compile=False),
        full_name(model),
        tag,
        dataset=dataset,
        license=license,
        folder=folder,
        hub_folder=hub_folder,
        push_to_hub=push_to_hub,
        hyperparameters=values_of(set),
        top1=top1,
        top1_source=top1_source,
        cards=[json.loads(path.read_text("utf-8")) for path in card],
    )
    output.show_json(entry)
