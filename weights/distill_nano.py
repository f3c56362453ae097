"""Trains an S2MLPNano further: it learns what the other Nano checkpoints answer.

    python weights/distill_nano.py --start runs/s2_mlp/model.keras --data cifar10 --out runs/further

The teachers are `S2MLPv2Nano` and `MSMLPNano` with their shipped weights. They see the images that
the student sees, and it learns the mean of their probabilities together with the labels. `--data`
holds the folders `train` and `test` with one subfolder per class. The program is for a CPU: plain
PyTorch takes the network's steps, in float32, faster than any framework of Keras on one thread.
The same command resumes after the last complete epoch. Writes card.json and model.keras to `--out`.
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")
import keras
import numpy as np
import torch
import torch.nn.functional as F

import keras_shiftmlp
from keras_shiftmlp import training
from keras_shiftmlp.models.macs import count_parameters

STUDENT, TEACHERS = "S2MLPNano", ("S2MLPv2Nano", "MSMLPNano")

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--start", type=Path, required=True, help="model.keras of train_nano.py")
parser.add_argument("--data", type=Path, required=True)
parser.add_argument("--out", type=Path, required=True)
parser.add_argument("--epochs", type=int, default=6)
parser.add_argument("--batch-size", type=int, default=256)
parser.add_argument("--learning-rate", type=float, default=5e-4)
parser.add_argument("--warmup", type=float, default=0.05, help="share of the run")
parser.add_argument("--weight-decay", type=float, default=0.05, help="of matrices")
parser.add_argument("--label-smoothing", type=float, default=0.1)
parser.add_argument("--teachers-share", type=float, default=0.8, help="share of the loss")
parser.add_argument("--ema-momentum", type=float, default=0.998)
parser.add_argument("--translate", type=int, default=4, help="largest distance in pixels")
parser.add_argument("--cutout", type=int, default=8, help="side of the grey square in pixels")
parser.add_argument("--color", type=float, default=0.2, help="largest change of brightness, ...")
parser.add_argument("--cutmix", type=float, default=0.7, help="share of the batches mixed")
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--steps", type=int, help="updates per epoch, for a short try")
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.set_num_threads(args.threads)

images = training.load_images(args.data / "train")
test = training.load_images(args.data / "test", images.class_names)
size, classes = 32, len(images.class_names)
pixels = torch.tensor(images.resized(size).source)  # (N, 32, 32, 3) uint8
labels = torch.tensor(images.labels)
steps = args.steps or len(images) // args.batch_size
updates = steps * args.epochs

# ---------------------------------------------------------------------------------------------
# The student's network, from the weights of the Keras model.

student = keras.models.load_model(args.start, compile=False)
teachers = [keras_shiftmlp.get_model(name, weights="cifar10") for name in TEACHERS]
weights = {
    variable.path: torch.tensor(np.array(keras.ops.convert_to_numpy(variable)))
    for variable in student.weights
}
trained = {variable.path: weights[variable.path] for variable in student.trainable_variables}
for weight in trained.values():
    weight.requires_grad_()
depths = keras_shiftmlp.S2MLPNano.config["depths"]


class SpatialShift(torch.autograd.Function):
    """Setting (a). The gradient is written into one tensor, without a sum of four padded ones."""

    @staticmethod
    def forward(context, x):
        y, quarter = torch.empty_like(x), x.shape[-1] // 4
        down, up, right, left = (slice(k * quarter, (k + 1) * quarter) for k in range(4))
        y[:, 1:, :, down], y[:, 0, :, down] = x[:, :-1, :, down], x[:, 0, :, down]
        y[:, :-1, :, up], y[:, -1, :, up] = x[:, 1:, :, up], x[:, -1, :, up]
        y[:, :, 1:, right], y[:, :, 0, right] = x[:, :, :-1, right], x[:, :, 0, right]
        y[:, :, :-1, left], y[:, :, -1, left] = x[:, :, 1:, left], x[:, :, -1, left]
        return y

    @staticmethod
    def backward(context, g):
        y, quarter = torch.empty_like(g), g.shape[-1] // 4
        down, up, right, left = (slice(k * quarter, (k + 1) * quarter) for k in range(4))
        y[:, :-1, :, down], y[:, -1, :, down] = g[:, 1:, :, down], 0
        y[:, 0, :, down] += g[:, 0, :, down]
        y[:, 1:, :, up], y[:, 0, :, up] = g[:, :-1, :, up], 0
        y[:, -1, :, up] += g[:, -1, :, up]
        y[:, :, :-1, right], y[:, :, -1, right] = g[:, :, 1:, right], 0
        y[:, :, 0, right] += g[:, :, 0, right]
        y[:, :, 1:, left], y[:, :, 0, left] = g[:, :, :-1, left], 0
        y[:, :, -1, left] += g[:, :, -1, left]
        return y


def dense(x, name):
    return F.linear(x, weights[f"{name}/kernel"].T, weights[f"{name}/bias"])


def batch_norm(x, name, training):
    running = (weights[f"{name}/moving_mean"], weights[f"{name}/moving_variance"])
    scale = (weights[f"{name}/gamma"], weights[f"{name}/beta"])
    # (B, H, W, C) -> (B, C, H, W) and back, without a copy
    y = F.batch_norm(x.permute(0, 3, 1, 2), *running, *scale, training, 0.1, 1e-5)
    return y.permute(0, 2, 3, 1)


def patches(x, name):
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // 2, 2, width // 2, 2, channels)
    # -> (B, H / 2, W / 2, 4 C)
    x = x.transpose(2, 3).reshape(batch, height // 2, width // 2, 4 * channels)
    kernel = weights[f"{name}/kernel"]  # (2, 2, C, units)
    return F.linear(x, kernel.reshape(4 * channels, -1).T, weights[f"{name}/bias"])


def logits_of(x, training):
    """Pixels `(B, 32, 32, 3)` of 0 to 255 -> logits `(B, classes)`."""
    x = student.preprocessing(x)
    for prefix, depth in zip(("", "stage_1_"), depths):
        x = batch_norm(patches(x, f"{prefix}stem"), f"{prefix}stem_norm", training)
        for i in range(depth):
            block = f"{prefix}block_{i}"
            y = F.gelu(dense(x, f"{block}_spatial_fc1"))
            y = dense(SpatialShift.apply(y), f"{block}_spatial_fc2")
            x = x + batch_norm(y, f"{block}_spatial_norm", training)
            y = F.gelu(dense(x, f"{block}_channel_fc1"))
            y = dense(y, f"{block}_channel_fc2")
            x = x + batch_norm(y, f"{block}_channel_norm", training)
    return dense(x.mean((1, 2)), "predictions")


def predict(source):
    with torch.no_grad():
        parts = torch.tensor(source).float().split(1000)
        return torch.cat([logits_of(part, training=False).softmax(1) for part in parts]).numpy()


sample = images.resized(size).source[:64]
expected = student.predict(sample, verbose=0)
np.testing.assert_allclose(predict(sample), expected, atol=1e-4)

# ---------------------------------------------------------------------------------------------
# Augmentation as in train_nano.py.


def boxes(number, side):
    """Masks `(number, H, W, 1)` of squares with random centres, cut off at the border."""
    inside = (torch.arange(size) + 0.5 - torch.rand(number, 2, 1) * size).abs() < side / 2
    return (inside[:, 0, :, None] & inside[:, 1, None, :])[..., None]


def augmented(x, y, flip):
    """Flip, translation, colour and cutout per image; CutMix for a share of the batches."""
    batch = len(x)
    x = torch.where(flip[:, None, None, None], x.flip(2), x).float()
    # A position outside reads its mirror image: -1 -> 1, size -> size - 2.
    places = torch.arange(size) + torch.randint(-args.translate, args.translate + 1, (batch, 2, 1))
    places = places.abs()
    places = torch.where(places >= size, 2 * size - 2 - places, places)
    x = x[torch.arange(batch)[:, None, None], places[:, 0, :, None], places[:, 1, None, :]]

    scales = 1 + args.color * (2 * torch.rand(3, batch, 1, 1, 1) - 1)
    x = x * scales[0]
    grey = x.mean((1, 2, 3), keepdim=True)
    x = grey + (x - grey) * scales[1]
    grey = x.mean(3, keepdim=True)
    x = (grey + (x - grey) * scales[2]).clamp(0, 255)
    x = torch.where(boxes(batch, args.cutout), 127.0, x)

    y = F.one_hot(y, classes).float()
    if torch.rand(()) < args.cutmix:
        box = boxes(1, size * torch.rand(()).sqrt())
        kept = 1 - box.float().mean()
        x = torch.where(box, x.roll(1, 0), x)
        y = kept * y + (1 - kept) * y.roll(1, 0)
    return x, y


# ---------------------------------------------------------------------------------------------
# Training.

matrices = [weight for weight in trained.values() if weight.ndim > 1]
others = [weight for weight in trained.values() if weight.ndim == 1]
optimizer = torch.optim.AdamW(
    [{"params": matrices, "weight_decay": args.weight_decay}, {"params": others}],
    weight_decay=0.0,
)
average = {path: weight.detach().clone() for path, weight in weights.items()}
history: list[dict] = []
args.out.mkdir(parents=True, exist_ok=True)
state = args.out / "state.pt"
if state.exists():
    saved = torch.load(state)
    history, average = saved["history"], saved["average"]
    optimizer.load_state_dict(saved["optimizer"])
    with torch.no_grad():
        for path, weight in weights.items():
            weight.copy_(saved["weights"][path])

for epoch in range(len(history), args.epochs):
    started, losses, right = time.perf_counter(), [], []
    torch.manual_seed(args.seed * 1000 + epoch)
    order = torch.randperm(len(pixels))
    mirrored = torch.rand(len(pixels), generator=torch.Generator().manual_seed(args.seed)) < 0.5
    for step in range(steps):
        done = (epoch * steps + step) / updates
        rise = min(1.0, done / args.warmup)
        fall = 0.5 * (1 + np.cos(np.pi * max(0.0, done - args.warmup) / (1 - args.warmup)))
        for group in optimizer.param_groups:
            group["lr"] = args.learning_rate * rise * fall
        chosen = order[step * args.batch_size : (step + 1) * args.batch_size]
        flip = mirrored[chosen] ^ (epoch % 2 == 1)
        x, y = augmented(pixels[chosen], labels[chosen], flip)
        with torch.no_grad():
            taught = torch.stack([teacher(x, training=False) for teacher in teachers]).mean(0)
        smooth = (1 - args.label_smoothing) * y + args.label_smoothing / classes
        target = args.teachers_share * taught + (1 - args.teachers_share) * smooth
        logits = logits_of(x, training=True)
        loss = F.cross_entropy(logits, target)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.values(), 1.0)
        optimizer.step()
        with torch.no_grad():
            for path, weight in weights.items():
                average[path].lerp_(weight, 1 - args.ema_momentum)
        losses.append(loss.item())
        right.append((logits.argmax(1) == y.argmax(1)).float().mean().item())
    row = {"epoch": epoch + 1, "loss": float(np.mean(losses)), "top1": float(np.mean(right))}
    row["seconds"] = time.perf_counter() - started
    row["images_per_second"] = steps * args.batch_size / row["seconds"]
    history.append(row)
    print(json.dumps(row), flush=True)
    saved = {"history": history, "average": average, "weights": weights}
    torch.save({**saved, "optimizer": optimizer.state_dict()}, state.with_suffix(".new"))
    os.replace(state.with_suffix(".new"), state)

# ---------------------------------------------------------------------------------------------
# The average of the weights, in the Keras model.

for variable in student.weights:
    variable.assign(average[variable.path].numpy())
scores = student.predict(test.resized(size).source, batch_size=1000, verbose=0)
top1 = float((scores.argmax(1) == test.labels).mean())
settings = {key: value for key, value in vars(args).items() if key not in ("start", "data", "out")}
card = {
    "model": STUDENT,
    "teachers": TEACHERS,
    **settings,
    "parameters": count_parameters(student),
    "macs": keras_shiftmlp.count_macs(student),
    "images": len(images),
    "backend": keras.backend.backend(),
    "device": "cpu",
    "history": history,
    "seconds": sum(row["seconds"] for row in history),
    "test": {"images": len(test), "top1": top1},
    "finished": time.strftime("%Y-%m-%d", time.gmtime()),
}
(args.out / "card.json").write_text(json.dumps(card, indent=1) + "\n")
student.save(args.out / "model.keras")
print(f"top-1 {top1:.2%} on {len(test)} images", flush=True)
