"""Size, speed and accuracy of checkpoints in float32 and in 8-bit integers.

    KERAS_BACKEND=torch python benchmarks/quantization.py --data cifar10/test
    python benchmarks/quantization.py --models S2MLPNano MixerNano --data cifar10/test \\
        --calibrate cifar10/train --json docs/quantization.json      # exports too
    python benchmarks/quantization.py --from-json docs/quantization.json     # the table

Keras's `int8` also quantises activations at run time; `int8 weights` keeps them in floating point.
`--calibrate` adds a LiteRT and an OpenVINO export and their int8 versions by `export.quantize`,
which calibrates OpenVINO's on 300 of these pictures. It needs the extras `export` and `quantize`.
Sizes are those of whole files, the sum of both files for OpenVINO. `--data` and `--calibrate` are
folders with one subfolder per class, or tfds:<name>/<split>.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import keras
from keras.quantizers import Int8QuantizationConfig

import keras_shiftmlp
from keras_shiftmlp import training
from keras_shiftmlp.benchmark.tables import markdown_table

MODES = {
    "float32": None,
    "int8": "int8",
    "int8 weights": Int8QuantizationConfig(activation_quantizer=None),
}


def build(name: str, tag: str, mode=None) -> keras.Model:
    model = keras_shiftmlp.get_model(name, weights=tag)
    dense = (keras.layers.Dense, keras.layers.EinsumDense)
    if mode is not None:
        options = {"mode": mode} if isinstance(mode, str) else {"config": mode}
        model.quantize(**options, filters=lambda layer: isinstance(layer, dense))
    model.compile(jit_compile=training.is_faster_with_xla(model))
    return model


def in_keras(name: str, images: training.Images, args) -> list[dict]:
    rows = []
    for weights, mode in MODES.items():
        model = build(name, args.weights, mode)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.keras"
            model.save(path)
            size = path.stat().st_size
        batches = training.evaluation_batches(
            images, model.input_shape[1], batch_size=args.batch_size
        )
        pixels = next(iter(batches))[0]
        model.predict_on_batch(pixels)
        times = []
        for _ in range(30):
            started = time.perf_counter()
            model.predict_on_batch(pixels)
            times.append(1e3 * (time.perf_counter() - started) / args.batch_size)
        rows.append(
            {
                "model": name,
                "weights": weights,
                "runtime": f"Keras, {keras.backend.backend()}",
                "bytes": size,
                "accuracy": training.evaluate(model, images)["top1"],
                "milliseconds": min(times),  # other load only adds time
            }
        )
    return rows


def exported(name: str, images: training.Images, args) -> list[dict]:
    model, rows = build(name, args.weights), []
    size = model.input_shape[1]
    some = training.load_images(args.calibrate, model.class_names).split(300, seed=0)[1]
    some, images = some.resized(size).source, images.resized(size)
    test = (images.source, images.labels)
    for runtime, format, ending in (
        ("LiteRT", "litert", "tflite"),
        ("OpenVINO", "openvino", "xml"),
    ):
        with tempfile.TemporaryDirectory() as folder:
            exact, rounded = (Path(folder, f"{part}.{ending}") for part in ("float32", "int8"))
            keras_shiftmlp.export.write(model, exact, format, images=some[:8])
            few = some if format == "openvino" else None
            card = keras_shiftmlp.export.quantize(exact, rounded, test, images=few)
        for weights in ("float32", "int8"):
            found = {key: card[weights][key] for key in ("bytes", "accuracy", "milliseconds")}
            rows.append({"model": name, "weights": weights, "runtime": runtime, **found})
    return rows


def table(rows: list[dict]) -> str:
    whole = {
        (row["model"], row["runtime"]): row["bytes"] for row in rows if row["weights"] == "float32"
    }
    lines = [
        [f"`{row['model']}`", row["weights"], row["runtime"], f"{row['bytes'] / 1e3:.0f}"]
        + [f"{row['bytes'] / whole[row['model'], row['runtime']]:.1%}"]
        + [f"{100 * row['accuracy']:.2f}", f"{row['milliseconds']:.2f}"]
        for row in rows
    ]
    head = ["model", "weights", "runtime", "kB", "share", "top-1", "ms/image"]
    return markdown_table(head, lines, numeric=range(3, 7))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data")
    parser.add_argument("--calibrate", help="training pictures of the models")
    parser.add_argument("--models", nargs="+", default=["S2MLPNano"], metavar="NAME")
    parser.add_argument("--weights", default="cifar10")
    parser.add_argument("--images", type=int, help="to evaluate on, all by default")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--from-json", type=Path, metavar="FILE", help="print the table of FILE")
    args = parser.parse_args()
    if args.from_json:
        print(table(json.loads(args.from_json.read_text())))
        return
    rows = []
    for name in args.models:
        classes = build(name, args.weights).class_names
        images = training.load_images(args.data, classes)
        if args.images and args.images < len(images):
            images = images.split(args.images, seed=0)[1]
        rows += in_keras(name, images, args)
        if args.calibrate:
            rows += exported(name, images, args)
        if args.json:
            args.json.write_text(json.dumps(rows, indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
