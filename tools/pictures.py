"""Draws the pictures of the README and the docs into docs/pictures.

    python tools/pictures.py                    # all of them, in a few minutes
    python tools/pictures.py grad_cam shifts    # some

The networks are the shipped Nano checkpoints, and every seed is fixed. `cat.jpg` is cut from
`skimage.data.cat()`, a photo by Stefan van der Walt, who put it in the public domain (CC0).
"""

import argparse
import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # of this checkout, whichever one is installed
os.environ.setdefault("KERAS_BACKEND", "torch")  # gradients, and the shortest start

import keras_shiftmlp
from keras_shiftmlp import visualization

FOLDER = ROOT / "docs" / "pictures"
PHOTO = FOLDER / "cat.jpg"
LARGEST = 200_000  # bytes
NANO = {
    "MLP-Mixer": "MixerNano",
    "S2-MLP": "S2MLPNano",
    "S2-MLPv2": "S2MLPv2Nano",
    "MS-MLP": "MSMLPNano",
}


def nano(title, **arguments):
    """The shipped checkpoint of a family."""
    return keras_shiftmlp.get_model(NANO[title], weights="cifar10", **arguments)


def receptive_fields(blocks, path):
    # Larger than the 32 x 32 of the checkpoints: there is more to see.
    models = {title: nano(title, input_shape=(64, 64, 3)) for title in NANO}
    return visualization.plot_receptive_fields(models, blocks, path=path)


PICTURES = {
    "shifts": lambda path: visualization.plot_spatial_shift(path=path),
    "shift_orders": lambda path: visualization.plot_spatial_shift("a", ("hw", "wh"), path=path),
    "mix_shift": lambda path: visualization.plot_mix_shift(path=path),
    "mix_shift_kernels": lambda path: visualization.plot_mix_shift_kernels(
        nano("MS-MLP"), path=path
    ),
    "token_mixing": lambda path: visualization.plot_token_mixing(nano("MLP-Mixer"), path=path),
    "split_attention": lambda path: visualization.plot_split_attention(
        nano("S2-MLPv2"), PHOTO, path=path
    ),
    "grad_cam": lambda path: visualization.plot_grad_cam(
        nano("S2-MLP"), PHOTO, classes=2, path=path
    ),
    "one_pixel": lambda path: receptive_fields([2], path),
    "receptive_fields": lambda path: receptive_fields([0, 2, -1], path),
    "accuracy": lambda path: visualization.plot_accuracy(
        json.loads((ROOT / "docs" / "models.json").read_text("utf-8")), path=path
    ),
}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = list(PICTURES)
    parser.add_argument("names", nargs="*", choices=names, default=names, metavar="NAME")
    for name in parser.parse_args().names:
        path = FOLDER / f"{name}.png"
        PICTURES[name](path)
        if path.stat().st_size > LARGEST:
            sys.exit(f"{path} must have at most {LARGEST} bytes, and has {path.stat().st_size}")
