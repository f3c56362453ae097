"""Fine-tunes a checkpoint on your pictures: first the head, then all weights at low rates.

    python examples/transfer_learning.py --data flowers             # one subfolder per class
    python examples/transfer_learning.py --data tfds:tf_flowers/train
    python examples/transfer_learning.py --data flowers --lora 8    # LoRA
    python examples/transfer_learning.py --data flowers --compare --seeds 0 1 2
    python examples/transfer_learning.py --smoke                    # a minute, no download

`--compare` also trains the same network from scratch for as many epochs. Writes to --out:
curves.png, confusion.png, predictions.png, results.json and model.keras.
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
parser.add_argument("--model", default="S2MLPv2Nano")
parser.add_argument("--weights", default="cifar10", help="tag or file to start from")
parser.add_argument("--size", type=int, default=64, help="side of the images in pixels")
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--head-epochs", type=int, default=2, help="of these, with a frozen body")
parser.add_argument("--batch-size", type=int, default=64)
parser.add_argument("--learning-rate", type=float, default=2e-3, help="peak, for all weights")
parser.add_argument("--mixup", type=float, default=0.0, help="strength, for all weights")
parser.add_argument("--cutmix", type=float, default=0.0, help="strength, for all weights")
parser.add_argument("--lora", type=int, metavar="RANK", help="train LoRA weights instead")
parser.add_argument("--compare", action="store_true", help="train from scratch as well")
parser.add_argument("--seeds", type=int, nargs="+", default=[0])
parser.add_argument("--dtype", help="such as mixed_bfloat16")
parser.add_argument("--out", type=Path, default=Path("outputs/transfer_learning"))
parser.add_argument(
    "--smoke", action="store_true", help="a short run on 300 of scikit-learn's digits"
)
args = parser.parse_args()
logging.basicConfig(format="%(message)s")
logging.getLogger("keras_shiftmlp").setLevel(logging.INFO)

# ---------------------------------------------------------------------------------------------
# Data: four fifths for training, one fifth for testing; the same split for every seed.

if args.smoke:
    from sklearn.datasets import load_digits

    digits = load_digits()
    # (N, 8, 8) grey levels of 0..16 -> (N, 8, 8, 3) pixels of 0..255
    pixels = np.repeat((digits.images * 255 / 16).astype("uint8")[..., None], 3, axis=-1)
    images = training.load_images((pixels, digits.target)).split(300)[1]
    args.size, args.epochs, args.head_epochs, args.batch_size = 32, 3, 1, 16
elif args.data:
    images = training.load_images(args.data)
else:
    parser.error("--data is needed, or --smoke")
images, test = (part.resized(args.size) for part in images.split(0.2, seed=0))
print(f"{len(images)} training and {len(test)} test images of {len(images.class_names)} classes")


# ---------------------------------------------------------------------------------------------
# Training: from the checkpoint or from scratch, with the same number of epochs.


def build(weights, seed):
    keras.utils.set_random_seed(seed)
    return keras_shiftmlp.get_model(
        args.model,
        weights=weights,
        classes=len(images.class_names),
        input_shape=(args.size, args.size, 3),
        dtype=args.dtype,
    )


def run(model, name, seed, **changes):
    changes |= dict(crop_scale=None, crop_padding=args.size // 8, batch_size=args.batch_size)
    settings = training.recipe("finetune", **changes)
    folder = args.out / f"{name}_seed{seed}"
    return training.train(model, images, test, out=folder, seed=seed, **settings)["history"]


mixing = dict(mixup=args.mixup, cutmix=args.cutmix)


def fine_tune(seed):
    model = build(args.weights, seed)
    head = model.get_layer("predictions")
    for layer in model.layers:
        layer.trainable = layer is head
    frozen = dict(epochs=args.head_epochs, learning_rate=1e-2, layer_decay=1.0)
    history = run(model, "head", seed, **frozen)
    for layer in model.layers:
        layer.trainable = True
    rest = args.epochs - args.head_epochs
    if args.lora:
        print(f"{len(keras_shiftmlp.enable_lora(model, args.lora))} layers with LoRA weights")
        changes = dict(epochs=rest, learning_rate=5e-3, layer_decay=1.0, **mixing)
        more = run(model, "lora", seed, **changes)
    else:
        changes = dict(epochs=rest, learning_rate=args.learning_rate, **mixing)
        more = run(model, "fine_tuned", seed, **changes)
    return model, history + [{**row, "epoch": row["epoch"] + args.head_epochs} for row in more]


def from_scratch(seed):
    model = build(None, seed)
    changes = dict(epochs=args.epochs, learning_rate=args.learning_rate, layer_decay=1.0, **mixing)
    return model, run(model, "scratch", seed, **changes)


curves, results = {}, {}
starts = {"fine-tuned": fine_tune, **({"from scratch": from_scratch} if args.compare else {})}
for name, start in starts.items():
    results[name] = []
    for seed in args.seeds:
        model, curves[f"{name}, seed {seed}"] = start(seed)
        results[name].append(training.evaluate(model, test)["top1"])
        if name == "fine-tuned":
            best = model

# ---------------------------------------------------------------------------------------------
# Result: numbers and pictures.

for name, accuracies in results.items():
    mean, spread = np.mean(accuracies), np.std(accuracies)
    each = ", ".join(f"{accuracy:.2%}" for accuracy in accuracies)
    print(f"{name}: top-1 {mean:.2%} +- {spread:.2%} over seeds {args.seeds} ({each})")
if args.compare:
    gain = np.mean(results["fine-tuned"]) - np.mean(results["from scratch"])
    print(f"the checkpoint is worth {100 * gain:.1f} points")
scores = best.predict(test.source, verbose=0)
names = test.class_names
visualization.plot_curves(curves, args.out / "curves.png")
visualization.plot_confusion(test.labels, scores.argmax(1), names, args.out / "confusion.png")
chosen = np.random.default_rng(0).choice(len(test), 32, replace=False)
visualization.plot_predictions(
    test.source[chosen], test.labels[chosen], scores[chosen], names, args.out / "predictions.png"
)
settings = {"model": args.model, "weights": args.weights, "size": args.size, "epochs": args.epochs}
report = {**settings, "seeds": args.seeds, "top1": results, "curves": curves}
(args.out / "results.json").write_text(json.dumps(report, indent=1) + "\n")
best.save(args.out / "model.keras")
print(f"wrote results.json, model.keras and three pictures to {args.out}")
