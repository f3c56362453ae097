"""`keras-shiftmlp`: what the package can tell and do from the command line."""

import argparse
import ast
import contextlib
import json
import logging
import os
from importlib import resources


def main(arguments: list[str] | None = None) -> None:
    """Runs `keras-shiftmlp` with `arguments`, those of the command line by default."""
    parser = argparse.ArgumentParser(prog="keras-shiftmlp", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    models = commands.add_parser(
        "models", help="table of parameters and multiply-adds beside the papers' figures"
    )
    models.add_argument("pattern", nargs="?", default="*", help="such as 's2mlp*'")
    models.add_argument("--json", metavar="FILE", help="write the rows to FILE as well")
    models.add_argument("--from-json", metavar="FILE", help="print rows measured before")
    weights = commands.add_parser("weights", help="table of the published checkpoints")
    weights.add_argument("model", nargs="?", help="of one model only, such as MixerB16")
    _add_training(commands)
    _add_bench(commands)
    _add_export(commands)
    options = parser.parse_args(arguments)
    if "run" in options:
        # What the library logs is what someone at a terminal wants to read.
        logging.basicConfig(level=logging.WARNING, format="%(message)s")
        logging.getLogger("keras_shiftmlp").setLevel(logging.INFO)
        print(options.run(options))
        return
    if options.command == "weights":
        print(weights_table(options.model))
        return
    if options.from_json:
        with open(options.from_json) as file:
            rows = json.load(file)
    else:
        rows = measure(options.pattern)
    if options.json:
        with open(options.json, "w") as file:
            file.write(json.dumps(rows, indent=2) + "\n")
    print(markdown_table(rows))


def measure(pattern: str = "*") -> list[dict]:
    """Builds every model that matches and counts it, beside what its paper says."""
    import keras

    from keras_shiftmlp.models import get_model, list_models
    from keras_shiftmlp.models.macs import count_macs

    published = json.loads(
        resources.files("keras_shiftmlp.benchmark").joinpath("published.json").read_text()
    )
    rows = []
    for name in list_models(pattern):
        model = get_model(name, weights=None, classes=published[name].get("classes", 1000))
        rows.append(
            {
                "model": name,
                "input": model.input_shape[1],
                "classes": model.output_shape[-1],
                "params": model.count_params(),
                "macs": count_macs(model),
                **published[name],
            }
        )
        del model
        keras.utils.clear_session()
    return rows


def markdown_table(rows: list[dict]) -> str:
    """The rows of `measure` as a Markdown table."""
    head = ["model", "input", "classes", "parameters", "paper", "GMACs", "paper"]
    head.append("paper's ImageNet top-1")
    lines = [head, ["---", *["---:"] * 6, "---"]]
    for row in rows:
        lines.append(
            [
                f"`{row['model']}`",
                f"{row['input']}",
                f"{row['classes']}",
                f"{row['params']:,}",
                row["paper_params"],
                f"{row['macs'] / 1e9:.3f}",
                row["paper_macs"],
                row["paper_top1"],
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def weights_table(model: str | None = None) -> str:
    """The published checkpoints as a Markdown table."""
    from keras_shiftmlp.checkpoints.manifest import list_weights

    rows = list_weights(model)
    keys = list(rows[0]) if rows else []
    lines = [keys, ["---"] * len(keys)]
    lines += [[_cell(row[key]) for key in keys] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value):
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _add_training(commands):
    data_help = "folder with one subfolder per class, or tfds:<name>/<split>"
    train = commands.add_parser("train", help="train a model by a recipe; repeat it to resume")
    train.add_argument("model", help="constructor, such as S2MLPv2Nano")
    train.add_argument("--data", required=True, help=data_help)
    train.add_argument("--validation", help="as --data; otherwise --hold-out is taken from it")
    train.add_argument("--hold-out", type=float, default=0.1, help="share of the images, or count")
    train.add_argument("--recipe", default="finetune")
    train.add_argument(
        "--set", nargs="*", default=[], metavar="KEY=VALUE", help="changes to the recipe"
    )
    train.add_argument("--weights", help="checkpoint to start from; a random start by default")
    train.add_argument("--image-size", type=int, help="side in pixels, the model's own by default")
    train.add_argument("--dtype", help="such as mixed_bfloat16")
    train.add_argument("--remat", action="store_true", help="recompute activations: less memory")
    train.add_argument("--tensorboard", action="store_true", help="logs for it in OUT/tensorboard")
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
    bench = commands.add_parser("bench", help="time models beside their own matrix products")
    bench.add_argument("models", nargs="*", default=["S2MLPv2Small", "MixerB16", "MSMLPTiny"])
    bench.add_argument("--backends", nargs="+", default=["tensorflow", "jax", "torch"])
    bench.add_argument("--modes", nargs="+", choices=["predict", "train"])
    bench.add_argument("--batch-size", type=int, default=8)
    bench.add_argument("--repeats", type=int, default=5)
    bench.add_argument("--dtype", help="such as mixed_bfloat16")
    bench.add_argument("--growth", action="store_true", help="with the pixels and with the batch")
    bench.add_argument("--profile", action="store_true", help="where the time goes, by layer")
    bench.add_argument("--out", help="folder for bench.json and the pictures")
    bench.add_argument("--from-json", metavar="FILE", help="print what a bench.json holds")
    bench.set_defaults(run=_bench)


def _bench(options):
    """Runs `keras-shiftmlp bench` and returns its tables."""
    if options.from_json:
        with open(options.from_json) as file:
            return _bench_report(json.load(file))

    from keras_shiftmlp.benchmark import bench, visualization

    common = {"batch_size": options.batch_size, "repeats": options.repeats}
    timing = {**common, "modes": options.modes or bench.MODES, "dtype": options.dtype}
    results = {"rows": bench.run_backends(
        options.backends, [("measure", {"name": name, **timing}) for name in options.models]
    )}  # fmt: skip
    if options.growth:
        sides, batches = (128, 192, 256, 384, 512), (1, 4, 16, 64)
        series = {
            "pixels": [("image_size", side) for side in sides],
            "batch_size": [("batch_size", size) for size in batches],
        }
        for key, values in series.items():
            calls = [
                ("measure", {"name": name, **timing, "modes": ["predict"], argument: value})
                for name in options.models
                for argument, value in values
            ]
            # A process for each: what one keeps allocated would hide what the next one needs.
            results[key] = [row for c in calls for row in bench.run_backends(options.backends, [c])]
    if options.profile:
        calls = [("profile", {"name": name, **common}) for name in options.models]
        results["profile"] = bench.run_backends(options.backends, calls)
    if options.out:
        os.makedirs(options.out, exist_ok=True)
        with open(os.path.join(options.out, "bench.json"), "w") as file:
            file.write(json.dumps(results, indent=1) + "\n")
        visualization.plot_benchmark(results["rows"], os.path.join(options.out, "bench.png"))
        if options.profile:
            picture = os.path.join(options.out, "layers.png")
            visualization.plot_profile(results["profile"], picture)
    return _bench_report(results)


def _bench_report(results):
    """The tables, from what `bench.json` holds."""
    tables = [_bench_table(results["rows"])]
    if "pixels" in results:
        tables.append(_growth_table(results))
    if "profile" in results:
        tables.append(_profile_table(results["profile"]))
    return "\n\n".join(tables)


def _bench_table(rows):
    head = ["model", "backend", "mode", "ms/image", "spread", "images/s", "GFLOP/s"]
    head += ["products ms", "ratio", "peak MB", "compile s", "build s"]
    lines = [head, ["---"] * 3 + ["---:"] * 9]
    for row in rows:
        line = [row["model"], row["backend"], row["mode"], f"{row['ms']:.2f}"]
        line += [f"{row['spread']:.0%}", f"{1e3 / row['ms']:.1f}", f"{row['gflops']:.0f}"]
        line += [f"{row['matmul_ms']:.2f}", f"{row['ratio']:.2f}"]
        line += [f"{row['peak_mb']:.0f}" if row["peak_mb"] else "–"]
        lines.append([*line, f"{row['compile_s']:.1f}", f"{row['build_s']:.1f}"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _growth_table(results):
    """Exponents of the time of a batch, and of the memory that it needs."""
    from keras_shiftmlp.benchmark.bench import exponent

    head = ["model", "backend", "grows with", "time", "memory", "ms/image, first to last"]
    lines = [head, ["---"] * 3 + ["---:"] * 3]
    for key in ("pixels", "batch_size"):
        for name, backend in dict.fromkeys((r["model"], r["backend"]) for r in results[key]):
            rows = [r for r in results[key] if (r["model"], r["backend"]) == (name, backend)]
            x = [row[key] ** (2 if key == "pixels" else 1) for row in rows]  # a side, squared
            line = [name, backend, f"{key.partition('_')[0]} {rows[0][key]} to {rows[-1][key]}"]
            line.append(f"{exponent(x, [row['ms'] * row['batch_size'] for row in rows]):.2f}")
            memory = [row["step_mb"] for row in rows]
            line.append(f"{exponent(x, memory):.2f}" if all(memory) else "–")
            lines.append([*line, f"{rows[0]['ms']:.1f} to {rows[-1]['ms']:.1f}"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _profile_table(rows):
    lines = [["model", "backend", "layer", "count", "ms/image", "products ms"], ["---"] * 6]
    for row in rows:
        numbers = [str(row["count"]), f"{row['ms']:.3f}", f"{row['matmul_ms']:.3f}"]
        lines.append([row["model"], row["backend"], row["layer"], *numbers])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


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
        "--size", type=int, nargs="+", help="side, or height and width; open where possible"
    )
    export.add_argument(
        "--images", help="pictures to compare on, one subfolder per class; noise by default"
    )
    export.add_argument("--tolerance", type=float, default=1e-4)
    export.set_defaults(run=_export)


def _train(options):
    """Runs `keras-shiftmlp train` and returns the last line of its history."""
    import keras

    from keras_shiftmlp import rematerialize, training
    from keras_shiftmlp.models import get_model

    changes = (item.partition("=") for item in options.set)
    recipe = training.recipe(options.recipe, **{key: _value(text) for key, _, text in changes})
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
    from keras_shiftmlp import checkpoints, export, training

    model, pictures, license = _model(options), None, None
    size = options.size[0] if options.size and len(options.size) == 1 else options.size
    if options.images:
        side = size or model.image_size
        images = training.load_images(options.images)
        pictures = images.split(min(8, len(images) - 1))[1].resized(side).source
    if options.weights and not options.model.endswith(".keras"):
        with contextlib.suppress(ValueError):  # a file or an address has no licence that we know
            license = checkpoints.weights_info(options.model, options.weights)["license"]
    endings = {kind.ending: name for name, kind in export.exporter.FORMATS.items()}
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


def _model(options):
    import keras

    from keras_shiftmlp.models import get_model

    if options.model.endswith(".keras"):
        return keras.models.load_model(options.model)
    return get_model(options.model, weights=options.weights)


def _value(text):
    """`3` is a number, `(0.5, 1.0)` a pair, `cosine` a string."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


if __name__ == "__main__":
    main()
