"""Trains a Nano size on CIFAR-10 from random weights, as the shipped checkpoints were trained.

    KERAS_BACKEND=jax python weights/train_nano.py S2MLPNano --data cifar10 --out runs/s2_mlp
    KERAS_BACKEND=jax python weights/train_nano.py S2MLPNano --data cifar10 --out runs/probe \
        --epochs 10 --hold-out 5000 --hyperparameters '{"norm": "layer"}'

`--data` holds the folders `train` and `test` with one subfolder per class. The images, their
augmentation and the whole step stay on one device, so a GPU trains on tens of thousands of images
a second. Writes card.json and model.keras to `--out`. With `--hold-out` the accuracy is that of the
images held out, and the test images are not read.
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
import jax
import jax.numpy as jnp
import keras
import numpy as np

import keras_shiftmlp
from keras_shiftmlp import training
from keras_shiftmlp.models.macs import count_parameters

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("model")
parser.add_argument("--data", type=Path, required=True)
parser.add_argument("--out", type=Path, required=True)
parser.add_argument("--epochs", type=int, default=200)
parser.add_argument("--batch-size", type=int, default=256)
parser.add_argument("--learning-rate", type=float, default=2e-3)
parser.add_argument("--warmup", type=float, default=0.2, help="share of the run")
parser.add_argument("--weight-decay", type=float, default=0.05)
parser.add_argument("--label-smoothing", type=float, default=0.1)
parser.add_argument("--ema-momentum", type=float, default=0.998)
parser.add_argument("--translate", type=int, default=4, help="largest distance in pixels")
parser.add_argument("--cutout", type=int, default=8, help="side of the grey square in pixels")
parser.add_argument("--color", type=float, default=0.2, help="largest change of brightness, ...")
parser.add_argument("--cutmix", type=float, default=0.5, help="share of the batches mixed")
parser.add_argument("--cutmix-start", type=float, default=0.25, help="share of the run before it")
parser.add_argument("--drop-path-rate", type=float, default=0.0)
parser.add_argument("--hold-out", type=int, default=0, help="images to choose settings on")
parser.add_argument("--hyperparameters", type=json.loads, default={}, help="JSON, for the model")
parser.add_argument("--dtype", default="mixed_bfloat16")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
keras.utils.set_random_seed(args.seed)

# ---------------------------------------------------------------------------------------------
# Data, on the device.

images = training.load_images(args.data / "train")
if args.hold_out:
    images, test = images.split(args.hold_out, args.seed)
else:
    test = training.load_images(args.data / "test", images.class_names)
size, classes = 32, len(images.class_names)
pixels, labels = jnp.asarray(images.resized(size).source), jnp.asarray(images.labels)
steps = len(images) // args.batch_size
updates = steps * args.epochs

# ---------------------------------------------------------------------------------------------
# Model and optimizer. The model that is trained gives logits; the one that is saved, probabilities.

model = keras_shiftmlp.get_model(
    args.model,
    weights=None,
    classes=classes,
    classifier_activation=None,
    drop_path_rate=args.drop_path_rate,
    dtype=args.dtype,
    **args.hyperparameters,
)
optimizer = training.build_optimizer(
    model,
    updates,
    learning_rate=args.learning_rate,
    warmup_steps=round(args.warmup * updates),
    weight_decay=args.weight_decay,
    clip_norm=1.0,
)
optimizer.build(model.trainable_variables)
print(f"{args.model}: {count_parameters(model):,} parameters, {updates} updates", flush=True)

# ---------------------------------------------------------------------------------------------
# Augmentation of one batch on the device, in float32 on pixels of 0 to 255.


def augmented(key, x, y, flip, mixes):
    """Flip, translation, colour and cutout per image; CutMix per batch where `mixes`."""
    keys = jax.random.split(key, 6)
    batch = len(x)
    x = jnp.where(flip[:, None, None, None], x[:, :, ::-1], x).astype("float32")

    t = args.translate
    padded = jnp.pad(x, ((0, 0), (t, t), (t, t), (0, 0)), mode="reflect")
    offsets = jax.random.randint(keys[0], (batch, 2), 0, 2 * t + 1)
    x = jax.vmap(lambda image, o: jax.lax.dynamic_slice(image, (*o, 0), (size, size, 3)))(
        padded, offsets
    )

    # Brightness around black, contrast around the mean grey, saturation around each pixel's grey.
    low, high = 1 - args.color, 1 + args.color
    scales = jax.random.uniform(keys[1], (3, batch, 1, 1, 1), minval=low, maxval=high)
    x = x * scales[0]
    mean = x.mean((1, 2, 3), keepdims=True)
    x = mean + (x - mean) * scales[1]
    grey = x.mean(3, keepdims=True)
    x = jnp.clip(grey + (x - grey) * scales[2], 0, 255)

    def boxes(key, number, side):
        """Masks `(number, H, W, 1)` of squares with random centres, cut off at the border."""
        centre = jax.random.uniform(key, (number, 2, 1), maxval=size)
        inside = jnp.abs(jnp.arange(size) + 0.5 - centre) < side / 2
        return (inside[:, 0, :, None] & inside[:, 1, None, :])[..., None]

    x = jnp.where(boxes(keys[2], batch, args.cutout), 127.0, x)

    # The same box of every image comes from its neighbour in the batch, which is in random order.
    share = jax.random.uniform(keys[3])
    box = boxes(keys[4], 1, size * jnp.sqrt(share)) & (
        mixes & (jax.random.uniform(keys[5]) < args.cutmix)
    )
    kept = 1 - box.mean()
    x = jnp.where(box, jnp.roll(x, 1, axis=0), x)
    y = jax.nn.one_hot(y, classes)
    return x, kept * y + (1 - kept) * jnp.roll(y, 1, axis=0)


# ---------------------------------------------------------------------------------------------
# Training.


def loss_of(trainable, state, x, y):
    logits, state = model.stateless_call(trainable, state, x, training=True)
    smooth = (1 - args.label_smoothing) * y + args.label_smoothing / classes
    loss = -(smooth * jax.nn.log_softmax(logits)).sum(1).mean()
    return loss, (state, (logits.argmax(1) == y.argmax(1)).mean())


@jax.jit
def epoch_of(carry, epoch):
    """All updates of an epoch: `carry` is what they change, with the sums of loss and top-1."""
    key = jax.random.fold_in(jax.random.key(args.seed), epoch)
    order = jax.random.permutation(key, len(pixels))
    # Every image is seen mirrored in every second epoch.
    mirrored = jax.random.bernoulli(jax.random.key(args.seed), shape=(len(pixels),))
    mixes = epoch >= args.cutmix_start * args.epochs

    def update(carry, step):
        trainable, state, slots, average = carry
        chosen = jax.lax.dynamic_slice(order, (step * args.batch_size,), (args.batch_size,))
        flip = mirrored[chosen] ^ (epoch % 2 == 1)
        x, y = augmented(jax.random.fold_in(key, step), pixels[chosen], labels[chosen], flip, mixes)
        (loss, (state, top1)), gradient = jax.value_and_grad(loss_of, has_aux=True)(
            trainable, state, x, y
        )
        trainable, slots = optimizer.stateless_apply(slots, gradient, trainable)
        now = (trainable, state)
        # The average starts late enough not to hold the initial weights.
        count = epoch * steps + step
        momentum = jnp.minimum(args.ema_momentum, count / (count + 10))
        average = jax.tree.map(
            lambda old, new: (
                (momentum * old + (1 - momentum) * new).astype(new.dtype)
                if jnp.issubdtype(new.dtype, jnp.floating)
                else new
            ),
            average,
            now,
        )
        return (*now, slots, average), (loss, top1)

    carry, sums = jax.lax.scan(update, carry, jnp.arange(steps))
    return carry, jax.tree.map(jnp.mean, sums)


def values(variables):
    return [variable.value for variable in variables]


weights = (values(model.trainable_variables), values(model.non_trainable_variables))
carry = (*weights, values(optimizer.variables), weights)
history = []
for epoch in range(args.epochs):
    started = time.perf_counter()
    carry, (loss, top1) = epoch_of(carry, epoch)
    row = {"epoch": epoch + 1, "loss": float(loss), "top1": float(top1)}
    row["seconds"] = time.perf_counter() - started
    row["images_per_second"] = steps * args.batch_size / row["seconds"]
    history.append(row)
    print(json.dumps(row), flush=True)

# ---------------------------------------------------------------------------------------------
# The average of the weights, in a model that gives probabilities.

final = keras_shiftmlp.get_model(args.model, weights=None, classes=classes, **args.hyperparameters)
final.class_names = images.class_names
final.preprocessing.crop_fraction = 1.0  # the whole picture, as in training
*_, (trainable, state) = carry
for variables, found in (
    (model.trainable_variables, trainable),
    (model.non_trainable_variables, state),
):
    for variable, value in zip(variables, found):
        variable.assign(value)
args.out.mkdir(parents=True, exist_ok=True)
final.set_weights([np.asarray(variable.value) for variable in model.weights])
scores = final.predict(test.resized(size).source, batch_size=1000, verbose=0)
top1 = float((scores.argmax(1) == test.labels).mean())
settings = {key: value for key, value in vars(args).items() if key not in ("data", "out")}
card = {
    **settings,
    "parameters": count_parameters(final),
    "macs": keras_shiftmlp.count_macs(final),
    "images": len(images),
    "backend": keras.backend.backend(),
    "device": jax.devices()[0].device_kind,
    "history": history,
    "seconds": sum(row["seconds"] for row in history),
    "validation" if args.hold_out else "test": {"images": len(test), "top1": top1},
    "finished": time.strftime("%Y-%m-%d", time.gmtime()),
}
(args.out / "card.json").write_text(json.dumps(card, indent=1) + "\n")
final.save(args.out / "model.keras")
print(f"top-1 {top1:.2%} on {len(test)} images", flush=True)
