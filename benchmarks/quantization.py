"""Size, speed and accuracy of a checkpoint as it is and after Keras's own quantisation.

    KERAS_BACKEND=torch python benchmarks/quantization.py --data cifar10/test
    python benchmarks/quantization.py --model MSMLPNano --data cifar10/test --images 10000

`int8` quantises activations as well, on the fly; `int8 weights` keeps them in floating point.
`--data` is a folder with one subfolder per class, or tfds:<name>/<split>.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import keras
from keras.quantizers import Int8QuantizationConfig

import keras_shiftmlp
from keras_shiftmlp import training

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--data", required=True)
parser.add_argument("--model", default="S2MLPNano")
parser.add_argument("--weights", default="cifar10")
parser.add_argument("--images", type=int, help="how many to evaluate on, all by default")
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
    model.compile(jit_compile=keras.backend.backend() != "torch")
    return model


print("| weights | backend | kB | share | top-1 | ms/image |")
print("| --- | --- | ---: | ---: | ---: | ---: |")
whole = None
for name, mode in MODES.items():
    model = quantized(mode)
    images = training.load_images(args.data, model.class_names)
    if args.images and args.images < len(images):
        images = images.split(args.images, seed=0)[1]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        size = path.stat().st_size
    whole = whole or size
    top1 = training.evaluate(model, images)["top1"]
    pixels = next(iter(training.evaluation_batches(images, 32, batch_size=args.batch_size)))[0]
    model.predict_on_batch(pixels)
    times = []
    for _ in range(9):
        started = time.perf_counter()
        model.predict_on_batch(pixels)
        times.append(1e3 * (time.perf_counter() - started) / args.batch_size)
    line = [name, keras.backend.backend(), f"{size / 1e3:.0f}", f"{size / whole:.0%}"]
    print(f"| {' | '.join(line)} | {100 * top1:.2f} | {statistics.median(times):.2f} |", flush=True)
