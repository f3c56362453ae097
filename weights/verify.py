"""Runs the same photos through the original framework and through ours, and compares the logits.

    python weights/verify.py MixerB16 file.npz --photos folder          # against flax's operations
    python weights/verify.py MixerB16 file.pth --photos folder          # against timm
    python weights/verify.py MSMLPBase file.pth --photos folder         # against plain PyTorch
    python weights/verify.py MixerB16 Mixer-B_16.npz --softmax b16.npy --photo panda.jpg

The last form compares with a stored softmax of Google's own JAX model, which resizes bilinearly
to 224 x 224 without antialiasing and divides by 128. Needs Pillow and jax and flax, timm or torch.
"""

import argparse
import runpy
from pathlib import Path

import keras
import numpy as np
from PIL import Image

import keras_shiftmlp
from keras_shiftmlp.checkpoints import containers, sources

parser = argparse.ArgumentParser(
    description=__doc__.splitlines()[0], formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("model", help="constructor, such as MixerB16")
parser.add_argument("file", type=Path, help="the original file")
parser.add_argument("--photos", type=Path, help="folder of photos")
parser.add_argument("--limit", type=int, default=8)
parser.add_argument("--softmax", type=Path, help="stored softmax of the original model")
parser.add_argument("--photo", type=Path, help="the photo that it belongs to")
parser.add_argument("--preprocessing", default=None)
args = parser.parse_args()
if not args.file.exists():
    raise SystemExit(
        f"skipped: {args.file} is not here; see keras-shiftmlp weights for its address"
    )


def flax_logits(weights, config, pixels):
    """MLP-Mixer written with flax's and jax's own operations, in Google's layout."""
    import flax.linen as nn
    import jax.numpy as jnp

    def norm(x, name):
        layer = nn.LayerNorm()
        return layer.apply({"params": {k: weights[f"{name}/{k}"] for k in ("scale", "bias")}}, x)

    def dense(x, name):
        layer = nn.Dense(weights[f"{name}/bias"].shape[-1])
        return layer.apply({"params": {k: weights[f"{name}/{k}"] for k in ("kernel", "bias")}}, x)

    patch, dim = config["patch_size"], config["dim"]
    stem = nn.Conv(dim, (patch, patch), strides=(patch, patch))
    x = stem.apply({"params": {k: weights[f"stem/{k}"] for k in ("kernel", "bias")}}, pixels)
    x = x.reshape(len(x), -1, dim)  # (B, H, W, C) -> (B, S, C)
    for i in range(config["depth"]):
        block = f"MixerBlock_{i}"
        y = jnp.swapaxes(norm(x, f"{block}/LayerNorm_0"), 1, 2)
        y = dense(
            nn.gelu(dense(y, f"{block}/token_mixing/Dense_0")), f"{block}/token_mixing/Dense_1"
        )
        x = x + jnp.swapaxes(y, 1, 2)
        y = norm(x, f"{block}/LayerNorm_1")
        y = nn.gelu(dense(y, f"{block}/channel_mixing/Dense_0"))
        x = x + dense(y, f"{block}/channel_mixing/Dense_1")
    return np.asarray(dense(norm(x, "pre_head_layer_norm").mean(1), "head"))


def timm_logits(model, weights, pixels):
    import timm

    name = f"mixer_{model[5:].lower()}_224"
    network = timm.create_model(name, num_classes=len(weights["head.bias"]))
    return run_torch(network, weights, pixels)


def ms_mlp_logits(config, weights, pixels):
    """The authors' code is on GitHub only; ours is an independent reference."""
    reference = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "torch_ms_mlp.py"))
    names = ("dims", "depths", "kernel_sizes", "shifts", "mlp_ratio")
    wanted = {name: config[name] for name in names}
    network = reference["MSMLP"](**wanted, classes=len(weights["head.bias"]))
    return run_torch(network, weights, pixels)


def run_torch(network, weights, pixels):
    import torch

    network.load_state_dict({key: torch.from_numpy(value.copy()) for key, value in weights.items()})
    with torch.no_grad():
        return network.eval()(torch.from_numpy(pixels).permute(0, 3, 1, 2)).numpy()


if args.softmax:
    ours = keras_shiftmlp.get_model(args.model, weights=args.file, include_preprocessing=False)
    photo = np.asarray(Image.open(args.photo).convert("RGB"), "float32")[None]
    pixels = keras.ops.image.resize(photo, (224, 224), interpolation="bilinear", antialias=False)
    pixels = keras.ops.convert_to_numpy(pixels) / 128 - 1
    softmax, expected = ours.predict(pixels, verbose=0)[0], np.load(args.softmax).reshape(-1)
    print(f"max |difference of a probability| {np.abs(softmax - expected).max():.2e}")
    print("top 5 agree:", (np.argsort(-softmax)[:5] == np.argsort(-expected)[:5]).all())
else:
    ours = keras_shiftmlp.get_model(
        args.model, weights=args.file, classifier_activation=None, preprocessing=args.preprocessing
    )
    transform = keras_shiftmlp.eval_transform(ours)
    photos = sorted(path for path in args.photos.rglob("*") if path.is_file())[: args.limit]
    images = np.stack([transform(photo) for photo in photos])
    facts = ours.preprocessing
    # As the original does it: to 0..1 first, then mean and standard deviation.
    pixels = (images / np.float32(255) - np.float32(facts.mean)) / np.float32(facts.std)
    weights = containers.read(args.file)
    config = getattr(keras_shiftmlp, args.model).config
    source = sources.recognise(weights, str(args.file)).name
    if source == "google_mixer":
        theirs = flax_logits(weights, config, pixels)
    elif source == "official_ms_mlp":
        theirs = ms_mlp_logits(config, weights, pixels)
    elif source == "timm_mixer":
        theirs = timm_logits(args.model, weights, pixels)
    else:
        raise SystemExit(f"there is nothing to compare a file of the layout {source} with")
    logits = ours.predict(images, verbose=0)
    difference, scale = np.abs(logits - theirs).max(), max(1, np.abs(theirs).max())
    print(f"{args.model}, {len(photos)} photos, {keras.backend.backend()}: ", end="")
    print(f"max |difference of a logit| {difference:.2e}, {difference / scale:.2e} of the scale")
    raise SystemExit(0 if difference <= 1e-5 * scale else "they differ by more than 1e-5")
