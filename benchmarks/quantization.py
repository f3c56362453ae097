"""Size, speed and accuracy of a checkpoint in float32 and in 8-bit integers.

    KERAS_BACKEND=torch python benchmarks/quantization.py --data cifar10/test
    python benchmarks/quantization.py --data cifar10/test --calibrate cifar10/train   # exports too

Keras's `int8` also quantises activations at run time; `int8 weights` keeps them in floating point.
`--calibrate` adds a LiteRT and an OpenVINO export and their int8 versions by `export.quantize`,
which calibrates OpenVINO's on 300 of these pictures. It needs the extras `export` and `quantize`.
Sizes are those of whole files, the sum of both files for OpenVINO. `--data` and `--calibrate` are
folders with one subfolder per class, or tfds:<name>/<split>.
"""

import argparse
import tempfile
import time
from pathlib import Path

import keras
from keras.quantizers import Int8QuantizationConfig

import keras_shiftmlp
from keras_shiftmlp import training
from keras_shiftmlp.benchmark.tables import markdown_table

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--data", required=True)
parser.add_argument("--calibrate", help="training pictures of the model")
parser.add_argument("--model", default="S2MLPNano")
parser.add_argument("--weights", default="cifar10")
parser.add_argument("--images", type=int, help="number of images to evaluate on, all by default")
parser.add_argument("--batch-size", type=int, default=64)
args = parser.parse_args()

MODES = {
    "float32": None,
    "int8": "int8",
    "int8 weights": Int8QuantizationConfig(activation_quantizer=None),
}


def quantized(mode):
    model = keras_shiftmlp.get_model(args.model, weights=args.weights)
    dense = (keras.layers.Dense, keras.layers.EinsumDense)
    if mode is not None:
        options = {"mode": mode} if isinstance(mode, str) else {"config": mode}
        model.quantize(**options, filters=lambda layer: isinstance(layer, dense))
    model.compile(jit_compile=training.is_faster_with_xla(model))
    return model


def line(name, runtime, size, top1, milliseconds):
    share = f"{size / whole[runtime]:.1%}"
    return [name, runtime, f"{size / 1e3:.0f}", share, f"{100 * top1:.2f}", f"{milliseconds:.2f}"]


lines, whole, runtime = [], {}, f"Keras, {keras.backend.backend()}"
for name, mode in MODES.items():
    model = quantized(mode)
    images = training.load_images(args.data, model.class_names)
    if args.images and args.images < len(images):
        images = images.split(args.images, seed=0)[1]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        size = path.stat().st_size
    whole.setdefault(runtime, size)
    top1 = training.evaluate(model, images)["top1"]
    size_of_image = model.input_shape[1]
    batches = training.evaluation_batches(images, size_of_image, batch_size=args.batch_size)
    pixels = next(iter(batches))[0]
    model.predict_on_batch(pixels)
    times = []
    for _ in range(30):
        started = time.perf_counter()
        model.predict_on_batch(pixels)
        times.append(1e3 * (time.perf_counter() - started) / args.batch_size)
    lines.append(line(name, runtime, size, top1, min(times)))  # other load only adds time

if args.calibrate:
    model = quantized(None)
    some = training.load_images(args.calibrate, model.class_names).split(300, seed=0)[1]
    some, rest = some.resized(size_of_image).source, images.resized(size_of_image)
    test = (rest.source, rest.labels)
    for runtime, format, ending in (
        ("LiteRT", "litert", "tflite"),
        ("OpenVINO", "openvino", "xml"),
    ):
        with tempfile.TemporaryDirectory() as folder:
            exact, rounded = (Path(folder, f"{name}.{ending}") for name in ("float32", "int8"))
            keras_shiftmlp.export.write(model, exact, format, images=some[:8])
            few = some if format == "openvino" else None
            card = keras_shiftmlp.export.quantize(exact, rounded, test, images=few)
        whole[runtime] = card["float32"]["bytes"]
        for name in ("float32", "int8"):
            row = card[name]
            lines.append(line(name, runtime, row["bytes"], row["accuracy"], row["milliseconds"]))

head = ["weights", "runtime", "kB", "share", "top-1", "ms/image"]
print(markdown_table(head, lines, numeric=range(2, 6)))
