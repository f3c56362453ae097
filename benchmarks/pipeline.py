"""Times the augmented pipeline and the training step separately, in images per second.

    python benchmarks/pipeline.py --data photos
    python benchmarks/pipeline.py --data photos --model MSMLPTiny --recipe ms_mlp_imagenet_paper

`--data` is a folder with one subfolder per class. Its files are decoded as in training.
"""

import argparse
import itertools
import os
import time

import keras

import keras_shiftmlp
from keras_shiftmlp import training

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--data", required=True)
parser.add_argument("--model", default="S2MLPv2Small")
parser.add_argument("--recipe", default="s2_mlp_v2_imagenet")
parser.add_argument("--batch-size", type=int, default=32)
parser.add_argument("--batches", type=int, default=12, help="pipeline batches after the first two")
parser.add_argument("--steps", type=int, default=4, help="training steps after the first two")
parser.add_argument("--workers", type=int, default=os.cpu_count())
parser.add_argument("--dtype", help="such as mixed_bfloat16")
args = parser.parse_args()

images = training.load_images(args.data)
model = keras_shiftmlp.get_model(
    args.model, weights=None, classes=len(images.class_names), dtype=args.dtype
)
recipe = training.recipe(args.recipe)
augmentation = ("crop_scale", "crop_padding", "flip", "randaugment", "mixup", "cutmix", "erase")
augmentation = {key: recipe[key] for key in augmentation if key in recipe}


def rate(function, batches, count):
    """Images per second of `function` over `count` batches, after the first two."""
    for batch in itertools.islice(batches, 2):
        function(batch)
    started = time.perf_counter()
    for batch in itertools.islice(batches, count):
        function(batch)
    return count * args.batch_size / (time.perf_counter() - started)


batches = training.training_batches(
    images,
    model.input_shape[1],
    batch_size=args.batch_size,
    seed=0,
    stop=args.batches + 2,
    workers=args.workers,
    **augmentation,
)
kept = []
pipeline = rate(kept.append, iter(batches), args.batches)
backend = keras.backend.backend()
model.compile(
    training.build_optimizer(model, 1000, learning_rate=1e-4, clip_norm=recipe.get("clip_norm")),
    keras.losses.CategoricalCrossentropy(),
    jit_compile=training.is_faster_with_xla(model),
)
step = rate(lambda batch: model.train_on_batch(*batch), itertools.cycle(kept), args.steps)
print(f"{args.model}, {args.recipe}, {backend}, {args.dtype or 'float32'}, {os.cpu_count()} cores")
print(f"pipeline {pipeline:.1f} images/s with {args.workers} threads, step {step:.1f} images/s")
print("the bottleneck is", "the pipeline" if pipeline < step else "the training step")
