"""Fine-tunes an S2-MLP on images, saves it, and uses the files in other processes.

    python examples/quickstart.py                    # scanned digits of scikit-learn
    python examples/quickstart.py --data my_photos   # a folder with one subfolder per class
    python examples/quickstart.py --tfds cifar10     # any TensorFlow Datasets image set

Writes to outputs/quickstart: model.keras, a SavedModel, predictions.png and curves.png. Runs on
TensorFlow, JAX or PyTorch (`KERAS_BACKEND`); TensorFlow reads the images and writes the SavedModel.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # TensorFlow announces it at every start

import keras
import matplotlib
import numpy as np
from rich.progress import Progress

import keras_shiftmlp
from keras_shiftmlp import export

matplotlib.use("Agg")
import matplotlib.pyplot as plt

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--data", help="folder with one subfolder of images per class")
parser.add_argument("--tfds", help="name of a TensorFlow Datasets image set")
parser.add_argument("--size", type=int, default=64, help="side in pixels for --data and --tfds")
parser.add_argument("--epochs", type=int, default=4)
parser.add_argument("--batch-size", type=int, default=32)
parser.add_argument("--out", type=Path, default=Path("outputs/quickstart"))
args = parser.parse_args()
args.out.mkdir(parents=True, exist_ok=True)
keras.utils.set_random_seed(0)
started = time.time()

# ---------------------------------------------------------------------------------------------
# Data: two tf.data datasets of (image in 0..255, label) batches, and the names of the classes.

if args.data:
    train, test = keras.utils.image_dataset_from_directory(
        args.data,
        validation_split=0.2,
        subset="both",
        seed=0,
        image_size=(args.size, args.size),
        batch_size=args.batch_size,
        crop_to_aspect_ratio=True,
    )
    class_names, size = train.class_names, args.size
elif args.tfds:
    try:
        import tensorflow_datasets as tfds
    except ImportError:
        sys.exit("--tfds needs TensorFlow Datasets: pip install -e '.[data]'")
    builder = tfds.builder(args.tfds)
    builder.download_and_prepare()
    splits = ["train", "test"] if "test" in builder.info.splits else ["train[:80%]", "train[80%:]"]
    resize = keras.layers.Resizing(args.size, args.size, crop_to_aspect_ratio=True)
    train, test = (
        data.map(lambda image, label: (resize(image), label)).batch(args.batch_size)
        for data in builder.as_dataset(split=splits, as_supervised=True)
    )
    class_names, size = builder.info.features["label"].names, args.size
else:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from tensorflow.data import Dataset

    digits = load_digits()
    # (N, 8, 8) grey levels of 0..16 -> (N, 32, 32, 3) pixels of 0..255
    pixels = (digits.images * 255 / 16).astype("uint8").repeat(4, axis=1).repeat(4, axis=2)
    pixels = np.repeat(pixels[..., None], 3, axis=-1)
    split = train_test_split(
        pixels, digits.target, test_size=0.2, stratify=digits.target, random_state=0
    )
    train = Dataset.from_tensor_slices((split[0], split[2])).shuffle(2000, seed=0)
    test = Dataset.from_tensor_slices((split[1], split[3]))
    train, test = train.batch(args.batch_size), test.batch(args.batch_size)
    class_names, size = [str(digit) for digit in digits.target_names], 32

# Random translations, on the CPU and for training only.
augment = keras.layers.RandomTranslation(0.1, 0.1, fill_mode="nearest", seed=0)
train = train.map(lambda images, labels: (augment(images, training=True), labels)).prefetch(2)

# ---------------------------------------------------------------------------------------------
# Model: the bundled CIFAR-10 checkpoint with a new head. The network takes images of any size.

model = keras_shiftmlp.S2MLPNano(
    weights="cifar10",
    input_shape=(size, size, 3),
    classes=len(class_names),
)
model.class_names = class_names
print(f"{model.name}: {model.count_params():,} parameters, {len(class_names)} classes")

# ---------------------------------------------------------------------------------------------
# Training: AdamW, a warm-up over the first twentieth of the steps, then a cosine decay to zero.

steps = int(train.cardinality()) * args.epochs
warmup = steps // 20
rate = keras.optimizers.schedules.CosineDecay(
    0.0, steps - warmup, warmup_target=2e-3, warmup_steps=warmup
)
model.compile(
    optimizer=keras.optimizers.AdamW(rate, weight_decay=0.05, clipnorm=1.0),
    loss="sparse_categorical_crossentropy",
    # TensorFlow traces the step twice for a metric that is only named.
    metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
)
with Progress() as progress:
    bar = progress.add_task("training", total=steps)
    advance = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: progress.advance(bar)
    )
    history = model.fit(
        train,
        validation_data=test,
        epochs=args.epochs,
        shuffle=False,
        verbose=0,
        callbacks=[advance],
    ).history
_, accuracy = model.evaluate(test, verbose=0)
print(f"test accuracy {accuracy:.2%} after {time.time() - started:.0f} s")

# ---------------------------------------------------------------------------------------------
# Save, export, and use both files in new processes.

images = np.concatenate([images for images, _ in test.take(4)])[:64].astype("float32")
labels = np.concatenate([labels for _, labels in test.take(4)])[:64]
here = model.predict(images, verbose=0)
keras_file, saved_model = args.out / "model.keras", args.out / "saved_model"
model.save(keras_file)
shutil.rmtree(saved_model, ignore_errors=True)  # of an earlier run; an export overwrites nothing
export.saved_model(model, saved_model, images=images)
np.save(args.out / "images.npy", images)

FROM_KERAS = """
import sys, keras, numpy as np, keras_shiftmlp
model = keras.models.load_model(sys.argv[1])
np.save(sys.argv[3], model.predict(np.load(sys.argv[2]), verbose=0))
"""
FROM_SAVED_MODEL = """
import sys, numpy as np, tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
np.save(sys.argv[3], model(np.load(sys.argv[2])).numpy())
assert "keras_shiftmlp" not in sys.modules
"""
for name, code, path in (
    (".keras", FROM_KERAS, keras_file),
    ("SavedModel", FROM_SAVED_MODEL, saved_model),
):
    there = args.out / "there.npy"
    subprocess.run([sys.executable, "-c", code, path, args.out / "images.npy", there], check=True)
    difference = np.abs(np.load(there) - here).max()
    print(f"{name} in a fresh process: largest difference of a probability {difference:.1e}")
    if difference > 1e-5:
        sys.exit(f"{path} does not agree with its model")
    there.unlink()
(args.out / "images.npy").unlink()

# ---------------------------------------------------------------------------------------------
# Two pictures.

best = keras_shiftmlp.decode_predictions(here, top=1, class_names=model.class_names)
figure, axes = plt.subplots(4, 8, figsize=(12, 7.5), layout="constrained")
for axis, image, label, [(_, name, score)] in zip(axes.flat, images, labels, best):
    axis.imshow(image.astype("uint8"))
    right = name == model.class_names[label]
    title = f"{name} ({score:.0%})\ntrue: {model.class_names[label]}"
    axis.set_title(title, color="tab:green" if right else "tab:red", fontsize=9)
for axis in axes.flat:
    axis.axis("off")
figure.suptitle(f"Predicted and true class (red: wrong), test accuracy {accuracy:.1%}")
figure.savefig(args.out / "predictions.png", dpi=110)

figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
epochs = np.arange(1, len(history["loss"]) + 1)
for axis, key in zip(axes, ("loss", "accuracy")):
    axis.plot(epochs, history[key], label="training, augmented")
    axis.plot(epochs, history[f"val_{key}"], label="test")
    axis.set_xlabel("epoch")
    axis.set_ylabel(key)
    axis.grid(alpha=0.3)
    axis.legend()
axes[0].set_yscale("log")
figure.savefig(args.out / "curves.png", dpi=110)
print(f"wrote {keras_file}, {saved_model}, predictions.png and curves.png to {args.out}")
