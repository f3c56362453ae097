"""Times the input pipeline of a recipe, in images per second of one core, beside Pillow alone.

    python benchmarks/pipeline.py --data flowers --json docs/pipeline.json
    python benchmarks/pipeline.py --data flowers --model S2MLPv2Small    # a training step as well
    python benchmarks/pipeline.py --from-json docs/pipeline.json         # the table

`--data` is a folder with one subfolder per class. The images are stored anew as JPEG files of
128 x 128 and of 500 x 375 pixels. "Pillow alone" decodes, crops, flips and applies RandAugment,
without MixUp, CutMix, erasing and batches. Both are timed in seconds of the processor, so that
other programs do not count. `--processes` is timed in seconds of the clock, beside batches that
are prepared in the same process.
"""

import argparse
import itertools
import json
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
from PIL import Image

import keras_shiftmlp
from keras_shiftmlp import training
from keras_shiftmlp.benchmark.tables import markdown_table
from keras_shiftmlp.training.augmentation import Augmentation, augmented

SIZES = {"128 x 128": (128, 128), "500 x 375": (500, 375)}
PIXELS = 224


def stored(images, folder: Path, size) -> training.Images:
    """The images as JPEG files of `size`."""
    for index in range(len(images)):
        place = folder / images.class_names[images.labels[index]] / f"{index}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        images[index].resize(size, Image.Resampling.BICUBIC).save(place, quality=90)
    return training.load_images(folder)


def per_second(batches, clock) -> float:
    """Images per second of `clock`, after the first batch."""
    batches = iter(batches)
    next(batches)
    started, count = clock(), 0
    for x, _ in batches:
        count += len(x)
    return count / (clock() - started)


def pillow_per_second(images, count: int, augmentation) -> float:
    rng, started = np.random.default_rng(0), time.process_time()
    for index in range(count):
        image = images[index % len(images)]
        augmented(image, (PIXELS, PIXELS), rng, crop_padding=0, erase=0.0, **augmentation)
    return count / (time.process_time() - started)


def step_per_second(model, batches, steps: int) -> float:
    model.compile(
        training.build_optimizer(model, 1000, learning_rate=1e-4),
        keras.losses.CategoricalCrossentropy(),
        jit_compile=training.is_faster_with_xla(model),
    )
    batches = itertools.cycle(itertools.islice(batches, 2))
    for batch in itertools.islice(batches, 2):
        model.train_on_batch(*batch)
    started, count = time.perf_counter(), 0
    for x, y in itertools.islice(batches, steps):
        model.train_on_batch(x, y)
        count += len(x)
    return count / (time.perf_counter() - started)


def table(results: dict) -> str:
    head = ["JPEG files", "pipeline, images per CPU second", "Pillow alone", "time relative to it"]
    lines = [
        [size, f"{row['pipeline']:.0f}", f"{row['pillow']:.0f}"]
        + [f"{row['pillow'] / row['pipeline']:.2f} x"]
        for size, row in results["rows"].items()
    ]
    return markdown_table(head, lines, numeric=range(1, 4))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data")
    parser.add_argument("--recipe", default="s2_mlp_v2_imagenet")
    parser.add_argument("--images", type=int, default=200, help="of the folder")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--processes", type=int, default=0)
    parser.add_argument("--model", help="also time its training step")
    parser.add_argument("--steps", type=int, default=4, help="training steps after the first two")
    parser.add_argument("--dtype", help="such as mixed_bfloat16")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--from-json", type=Path, metavar="FILE", help="print the table of FILE")
    args = parser.parse_args()
    if args.from_json:
        print(table(json.loads(args.from_json.read_text())))
        return
    recipe = training.recipe(args.recipe)
    augmentation = {key: recipe[key] for key in Augmentation.__annotations__ if key in recipe}
    single = {key: augmentation[key] for key in ("crop_scale", "flip", "randaugment")}
    images = training.load_images(args.data)
    images = images.take(np.linspace(0, len(images) - 1, args.images).astype(int))
    results = {"recipe": args.recipe, "rows": {}}

    def batches(photos, **kwargs):
        options = dict(batch_size=args.batch_size, seed=0, stop=args.batches + 1)
        return training.training_batches(photos, PIXELS, **options, **augmentation, **kwargs)

    for name, size in SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            photos = stored(images, Path(folder), size)
            row = {
                "pipeline": per_second(batches(photos, workers=1), time.process_time),
                "pillow": pillow_per_second(photos, args.batch_size * args.batches, single),
            }
            results["rows"][name] = row
            for processes in (0, args.processes) if args.processes else ():
                rate = per_second(batches(photos, worker_processes=processes), time.perf_counter)
                row[f"{processes} processes"] = rate
                print(f"{name}, {processes} processes: {rate:.0f} images/s of the clock")
            if args.model:
                classes, shape = len(photos.class_names), (PIXELS, PIXELS, 3)
                model = keras_shiftmlp.get_model(
                    args.model, weights=None, classes=classes, input_shape=shape, dtype=args.dtype
                )
                rate = step_per_second(model, batches(photos), args.steps)
                print(f"{name}, a training step of {args.model}: {rate:.1f} images/s of the clock")
    print(table(results))
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
