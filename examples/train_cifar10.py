"""Trains a Nano model from scratch on small pictures, as the bundled checkpoints were trained.

    python examples/train_cifar10.py --data cifar10/train --test cifar10/test
    python examples/train_cifar10.py --data tfds:cifar10/train --test tfds:cifar10/test
    python examples/train_cifar10.py --smoke         # two minutes, scanned digits of scikit-learn

Writes to --out: log.csv, card.json, model.keras, curves.png and predictions.png. Repeat the command
after an interruption to resume. The torch backend with `--dtype mixed_bfloat16` is the fastest on
CPUs that support bfloat16.
"""

import argparse
import json
import logging
from pathlib import Path

import keras
import numpy as np

import keras_shiftmlp
from keras_shiftmlp import training, visualization

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--data", help="folder with one subfolder per class, or tfds:<name>/<split>")
parser.add_argument("--test", help="as --data, evaluated once at the end")
parser.add_argument("--model", default="S2MLPv2Nano")
parser.add_argument("--epochs", type=int, help="the recipe's number by default")
parser.add_argument("--hold-out", type=int, default=5000, help="training images to validate on")
parser.add_argument("--dtype", help="such as mixed_bfloat16")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path, default=Path("outputs/train_cifar10"))
parser.add_argument("--smoke", action="store_true", help="a short run on scikit-learn's digits")
args = parser.parse_args()
logging.basicConfig(format="%(message)s")
logging.getLogger("keras_shiftmlp").setLevel(logging.INFO)
keras.utils.set_random_seed(args.seed)

# ---------------------------------------------------------------------------------------------
# Data: training, validation, and a test set that no choice depends on.

recipe = training.recipe("cifar10_nano")
if args.smoke:
    from sklearn.datasets import load_digits

    digits = load_digits()
    # (N, 8, 8) grey levels of 0..16 -> (N, 8, 8, 3) pixels of 0..255
    pixels = np.repeat((digits.images * 255 / 16).astype("uint8")[..., None], 3, axis=-1)
    images, test = training.load_images((pixels, digits.target)).split(200, args.seed)
    images, test = images.split(800, args.seed)[1].resized(32), test.resized(32)
    recipe.update(epochs=4, batch_size=32, learning_rate=2e-3, ema_momentum=0.9, flip=False)
    args.hold_out = 100
elif args.data and args.test:
    images = training.load_images(args.data)
    test = training.load_images(args.test, images.class_names)
else:
    parser.error("--data and --test are needed, or --smoke")
images, validation = images.split(args.hold_out, args.seed)
if args.epochs:
    recipe["epochs"] = args.epochs
print(f"{len(images)} training, {len(validation)} validation and {len(test)} test images")

# ---------------------------------------------------------------------------------------------
# Model and training.

model = keras_shiftmlp.get_model(
    args.model,
    weights=None,
    classes=len(images.class_names),
    drop_path_rate=recipe.pop("drop_path_rate", 0.0),
    dtype=args.dtype,
)
print(f"{model.name}: {model.count_params():,} parameters")
card = training.train(model, images, validation, out=args.out, seed=args.seed, **recipe)

# ---------------------------------------------------------------------------------------------
# Result: the test accuracy, once, and two pictures.

card["test"] = training.evaluate(model, test)
print(f"test accuracy {card['test']['top1']:.2%} on {len(test)} images")
(args.out / "card.json").write_text(json.dumps(card, indent=1) + "\n")
model.save(args.out / "model.keras")
visualization.plot_curves({args.model: card["history"]}, args.out / "curves.png")
chosen = np.random.default_rng(args.seed).choice(len(test), 32, replace=False)
pictures = test.take(chosen).resized(model.input_shape[1]).source
scores = model.predict(pictures, verbose=0)
visualization.plot_predictions(
    pictures, test.labels[chosen], scores, test.class_names, args.out / "predictions.png"
)
print(f"wrote card.json, log.csv, model.keras, curves.png and predictions.png to {args.out}")
print(f"publish it: keras-shiftmlp publish {args.out}/model.keras {args.model} <tag> ...")
