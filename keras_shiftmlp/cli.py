"""Tables, training, benchmarks, exports and publishing of vision MLPs from the command line."""

import argparse
import ast
import contextlib
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from keras_shiftmlp import __version__
from keras_shiftmlp.benchmark.report import (
    bench_report,
    count_models,
    models_table,
    save_benchmark,
    weights_table,
)

PROGRAM = "keras-shiftmlp"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs `keras-shiftmlp`.

    Args:
        arguments: Those of the command line by default.

    Raises:
        SystemExit: With 2 for a wrong call, with 1 for a failed command.
    """
    options = _parser().parse_args(arguments)
    # The library logs what a user at a terminal needs to know.
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("keras_shiftmlp").setLevel(logging.INFO)
    try:
        print(options.run(options))
    except (ValueError, OSError, ImportError) as error:
        # An error of the library names the package to install; any other import is a fault.
        if options.debug or (isinstance(error, ImportError) and "pip install" not in str(error)):
            raise
        _stop(str(error), status=1)


def _stop(message: str, status: int) -> NoReturn:
    print(f"{PROGRAM}: {' '.join(message.split())}", file=sys.stderr)
    raise SystemExit(status)


def _parser():
    parser = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(required=True)
    _add_tables(commands)
    _add_training(commands)
    _add_bench(commands)
    _add_export(commands)
    _add_publishing(commands)
    for command in commands.choices.values():
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _add_tables(commands):
    models = commands.add_parser(
        "models", help="table of parameters and multiply-adds, with the papers' figures"
    )
    models.add_argument("pattern", nargs="?", default="*", help="such as 's2mlp*'")
    models.add_argument("--json", metavar="FILE", help="write the rows to FILE as well")
    models.add_argument("--from-json", metavar="FILE", help="print the rows of FILE")
    models.set_defaults(run=_models)
    weights = commands.add_parser("weights", help="table of the published checkpoints")
    weights.add_argument("model", nargs="?", help="one model only, such as MixerB16")
    weights.set_defaults(run=_weights)


def _add_training(commands):
    data_help = "folder with one subfolder per class, or tfds:<name>/<split>"
    train = commands.add_parser("train", help="train a model by a recipe; repeat it to resume")
    train.add_argument("model", help="constructor, such as S2MLPv2Nano")
    train.add_argument("--data", required=True, help=data_help)
    train.add_argument("--validation", help="as --data; by default, --hold-out of the images")
    train.add_argument(
        "--hold-out", type=float, default=0.1, help="share of the images, or a count"
    )
    train.add_argument("--recipe", default="finetune")
    train.add_argument(
        "--set", nargs="*", default=[], metavar="KEY=VALUE", help="changes to the recipe"
    )
    train.add_argument("--weights", help="checkpoint to start from; random weights by default")
    train.add_argument("--image-size", type=int, help="side in pixels; the model's own by default")
    train.add_argument("--dtype", help="such as mixed_bfloat16")
    train.add_argument("--remat", action="store_true", help="recompute activations: less memory")
    train.add_argument("--tensorboard", action="store_true", help="write logs to OUT/tensorboard")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--out", required=True, help="folder of the run")
    train.set_defaults(run=_train)
    evaluate = commands.add_parser("evaluate", help="accuracy of a checkpoint or a .keras file")
    evaluate.add_argument("model", help="constructor, or a .keras file")
    evaluate.add_argument("--weights", help="checkpoint of the constructor, such as cifar10")
    evaluate.add_argument("--data", required=True, help=data_help)
    evaluate.add_argument("--batch-size", type=int, default=256)
    evaluate.set_defaults(run=_evaluate)


def _add_bench(commands):
    bench = commands.add_parser("bench", help="time models and their matrix products")
    bench.add_argument("models", nargs="*", default=["S2MLPv2Small", "MixerB16", "MSMLPTiny"])
    bench.add_argument("--backends", nargs="+", default=["tensorflow", "jax", "torch"])
    bench.add_argument("--modes", nargs="+", choices=["predict", "train"])
    bench.add_argument("--batch-size", type=int, default=8)
    bench.add_argument("--repeats", type=int, default=5)
    bench.add_argument("--dtype", help="such as mixed_bfloat16")
    bench.add_argument("--growth", action="store_true", help="also several image and batch sizes")
    bench.add_argument("--profile", action="store_true", help="also the time of each kind of layer")
    bench.add_argument("--out", help="folder for bench.json and its pictures")
    bench.add_argument("--from-json", metavar="FILE", help="print the tables of a bench.json")
    bench.set_defaults(run=_bench)


def _add_export(commands):
    export = commands.add_parser(
        "export", help="write a model for other runtimes; needs TensorFlow"
    )
    export.add_argument("model", help="constructor, or a .keras file")
    export.add_argument("--weights", help="checkpoint of the constructor, such as cifar10")
    export.add_argument(
        "--out",
        required=True,
        help="folder of a SavedModel, or a file that ends in .onnx, .xml, .tflite or .pt2",
    )
    export.add_argument(
        "--size", type=int, nargs="+", help="side, or height and width; any size if possible"
    )
    export.add_argument(
        "--images", help="images to compare on, one subfolder per class; noise by default"
    )
    export.add_argument("--tolerance", type=float, default=1e-4)
    export.set_defaults(run=_export)


def _add_publishing(commands):
    port = commands.add_parser("port", help="convert a publisher's file to .safetensors")
    port.add_argument("model", help="constructor, such as MixerB16")
    port.add_argument("file", help="path, URL or hf:// address of the original file, or a tag")
    port.add_argument("--out", required=True, help="path of the results, without ending")
    port.add_argument("--preprocessing", help="for files that are not those of a tag")
    port.set_defaults(run=_port)
    publish = commands.add_parser("publish", help="write a trained model so that a tag finds it")
    publish.add_argument("file", help="the trained model, a .keras file")
    publish.add_argument("model", help="constructor that builds it, such as S2MLPv2Small")
    publish.add_argument("tag", help="such as imagenet")
    publish.add_argument("--folder", help="folder of checkpoints, with a manifest.json")
    publish.add_argument("--hub-folder", help="folder of a Hugging Face repository for this model")
    publish.add_argument("--push-to-hub", metavar="OWNER/REPO", help="upload such a repository")
    publish.add_argument("--dataset", required=True, help="such as ImageNet-1k")
    publish.add_argument("--license", required=True, help="of the weights, such as Apache-2.0")
    publish.add_argument("--top1", type=float, help="accuracy in percent, if it was measured")
    publish.add_argument("--top1-source", help="who measured it, on what")
    publish.add_argument(
        "--set", nargs="*", default=[], metavar="KEY=VALUE",
        help="hyper-parameters that differ from the constructor's",
    )  # fmt: skip
    publish.add_argument(
        "--card", nargs="+", default=[], help="card.json of each run that led to the model"
    )
    publish.add_argument(
        "--compared", nargs="+", default=[],
        help="card.json of the runs that represent the model in a comparison, if they differ; the "
        "last one with the accuracy on test images as `test`",
    )  # fmt: skip
    publish.set_defaults(run=_publish)
    verify = commands.add_parser("verify", help="compare logits with the original framework's")
    verify.add_argument("model", help="constructor, such as MixerB16")
    verify.add_argument("file", help="the publisher's file")
    verify.add_argument("--photos", help="folder of photos")
    verify.add_argument("--limit", type=int, default=8, help="number of photos")
    verify.add_argument("--softmax", help=".npy of the original model's probabilities for --photo")
    verify.add_argument("--photo", help="the photo of --softmax")
    verify.add_argument("--preprocessing", help="the family's by default")
    verify.set_defaults(run=_verify)


def _models(options):
    """Runs `keras-shiftmlp models` and returns its table."""
    if options.from_json:
        rows = json.loads(Path(options.from_json).read_text())
    else:
        rows = count_models(options.pattern)
    if not rows:
        _stop(f"no model matches {options.pattern!r}; `{PROGRAM} models` lists all", status=2)
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=2) + "\n")
    return models_table(rows)


def _weights(options):
    """Runs `keras-shiftmlp weights` and returns its table."""
    from keras_shiftmlp.catalogue import list_weights
    from keras_shiftmlp.models._registry import find_constructor

    if options.model and not list_weights(options.model):
        try:
            find_constructor(options.model)
        except ValueError as error:
            _stop(str(error), status=2)
        return f"There are no published weights for {options.model}."
    return weights_table(options.model)


def _bench(options):
    """Runs `keras-shiftmlp bench` and returns its tables."""
    if options.from_json:
        return bench_report(json.loads(Path(options.from_json).read_text()))

    from keras_shiftmlp.benchmark import bench

    results = bench.run(
        options.models,
        options.backends,
        modes=options.modes or bench.MODES,
        batch_size=options.batch_size,
        repeats=options.repeats,
        dtype=options.dtype,
        growth=options.growth,
        profile=options.profile,
    )
    if options.out:
        save_benchmark(results, options.out)
    return bench_report(results)


def _train(options):
    """Runs `keras-shiftmlp train` and returns the last line of its history."""
    import keras

    from keras_shiftmlp import rematerialize, training
    from keras_shiftmlp.models import get_model

    recipe = training.recipe(options.recipe, **_settings(options.set))
    images = training.load_images(options.data)
    if options.validation:
        validation = training.load_images(options.validation, images.class_names)
    else:
        held_out = options.hold_out
        held_out = int(held_out) if held_out >= 1 else held_out
        images, validation = images.split(held_out, options.seed)
    size = options.image_size
    keras.utils.set_random_seed(options.seed)
    model = get_model(
        options.model,
        weights=options.weights,
        classes=len(images.class_names),
        input_shape=size and (size, size, 3),
        drop_path_rate=recipe.pop("drop_path_rate", 0.0),
        dtype=options.dtype,
    )
    if options.remat:
        model = rematerialize(model)
    card = training.train(
        model,
        images,
        validation,
        out=options.out,
        seed=options.seed,
        tensorboard=options.tensorboard,
        **recipe,
    )
    model.save(os.path.join(options.out, "model.keras"))
    return json.dumps(card["history"][-1])


def _evaluate(options):
    """Runs `keras-shiftmlp evaluate` and returns its result."""
    from keras_shiftmlp import training

    model = _model(options)
    images = training.load_images(options.data, model.class_names)
    result = training.evaluate(
        model,
        images,
        batch_size=options.batch_size,
        crop_fraction=model.preprocessing.crop_fraction,
    )
    return json.dumps(result)


def _export(options):
    """Runs `keras-shiftmlp export` and returns how the file compares with Keras."""
    import numpy as np

    from keras_shiftmlp import catalogue, export, training
    from keras_shiftmlp.export.formats import FORMATS, FormatName

    model, pictures, license = _model(options), None, None
    size = options.size[0] if options.size and len(options.size) == 1 else options.size
    if options.images:
        side = size or model.image_size
        images = training.load_images(options.images)
        pictures = np.asarray(images.split(min(8, len(images) - 1))[1].resized(side).source)
    if options.weights and not options.model.endswith(".keras"):
        with contextlib.suppress(ValueError):  # a file or an address has no licence that we know
            license = catalogue.weights_info(options.model, options.weights)["license"]
    endings: dict[str, FormatName] = {kind.ending: name for name, kind in FORMATS.items()}
    card = export.write(
        model,
        options.out,
        endings.get(os.path.splitext(options.out)[1], "saved_model"),
        size=size,
        images=pictures,
        tolerance=options.tolerance,
        license=license,
    )
    return json.dumps({"bytes": card["bytes"], **card["compared"]})


def _port(options):
    """Runs `keras-shiftmlp port` and returns the card."""
    from keras_shiftmlp import publishing

    card = publishing.port_file(options.model, options.file, options.out, options.preprocessing)
    return json.dumps(card, indent=2)


def _publish(options):
    """Runs `keras-shiftmlp publish` and returns the entry of the manifest."""
    import keras

    from keras_shiftmlp import publishing

    cards, compared = (
        [json.loads(Path(path).read_text("utf-8")) for path in paths]
        for paths in (options.card, options.compared)
    )
    entry = publishing.publish(
        keras.models.load_model(options.file, compile=False),
        options.model,
        options.tag,
        dataset=options.dataset,
        license=options.license,
        folder=options.folder,
        hub_folder=options.hub_folder,
        push_to_hub=options.push_to_hub,
        hyperparameters=_settings(options.set),
        top1=options.top1,
        top1_source=options.top1_source,
        cards=cards,
        compared=compared,
    )
    return json.dumps(entry, indent=2)


def _verify(options):
    """Runs `keras-shiftmlp verify` and returns the differences."""
    from keras_shiftmlp import publishing

    if options.softmax and options.photo:
        result = publishing.verify_softmax(
            options.model, options.file, options.softmax, options.photo
        )
    elif options.photos:
        result = publishing.verify(
            options.model,
            options.file,
            options.photos,
            limit=options.limit,
            preprocessing=options.preprocessing,
        )
    else:
        _stop("verify needs --photos, or --softmax and --photo", status=2)
    return json.dumps(result)


def _model(options):
    import keras

    from keras_shiftmlp.models import get_model

    if options.model.endswith(".keras"):
        return keras.models.load_model(options.model)
    return get_model(options.model, weights=options.weights)


def _settings(items):
    """`KEY=VALUE` of the command line as a dictionary."""
    parts = (item.partition("=") for item in items)
    return {key: _value(text) for key, _, text in parts}


def _value(text):
    """`3` is a number, `(0.5, 1.0)` a pair, `cosine` a string."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


if __name__ == "__main__":
    main()
