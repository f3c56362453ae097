"""Draws the pictures of the README and the docs into docs/pictures.

    python tools/pictures.py    # all of them, in about two minutes
    python tools/pictures.py --only grad_cam shifts

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

import numpy as np

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


# One block of each family, on patches of 4 x 4 pixels.
_STAGE = dict(depths=(1,))
FIRST_BLOCKS = {
    "MLP-Mixer": ("Mixer", dict(patch_size=4, depth=1)),
    "ResMLP": ("ResMLP", dict(patch_size=4, depth=1, layer_scale_init=1)),
    "gMLP": ("GMLP", dict(patch_size=4, depth=1)),
    "gMixer": ("GMixer", dict(patch_size=4, depth=1)),
    "GFNet": ("GFNet", dict(patch_size=4, depth=1)),
    "ConvMixer": ("ConvMixer", dict(patch_size=4, dim=96, depth=1, kernel_size=7)),
    "ViP": ("ViP", dict(**_STAGE, patch_sizes=(4,), dims=(96,), segments=(12,))),
    "sMLPNet": ("SMLPNet", dict(**_STAGE, dims=(80,))),
    "S2-MLP": ("S2MLP", dict(**_STAGE, patch_sizes=(4,), dims=(96,))),
    "S2-MLPv2": ("S2MLPv2", dict(**_STAGE, patch_sizes=(4,), dims=(96,))),
    "AS-MLP": ("ASMLP", dict(**_STAGE, dims=(96,))),
    "CycleMLP": ("CycleMLP", dict(**_STAGE, dims=(64,), mlp_ratios=(4,))),
    "Hire-MLP": (
        "HireMLP",
        dict(**_STAGE, dims=(64,), region_sizes=(4,), shift_cycles=(2,), shift_units=(2,)),
    ),
    "Wave-MLP": ("WaveMLP", dict(**_STAGE, dims=(64,), mlp_ratios=(4,))),
    "ShiftViT": ("ShiftViT", dict(**_STAGE, dims=(96,))),
    "MS-MLP": (
        "MSMLP",
        dict(**_STAGE, dims=(96,), kernel_sizes=((1, 1, 3, 5, 7),), layer_scale_init=1),
    ),
}
SWIN = dict(patch_size=4, dims=(96,), depths=(2,), kernel_sizes=(), num_heads=(3,), window_size=4)
# Families with one panel on their own page.
PAGES = {
    "resmlp": "ResMLP",
    "gmlp": "gMLP",
    "gmixer": "gMixer",
    "gfnet": "GFNet",
    "conv_mixer": "ConvMixer",
    "vip": "ViP",
    "smlp_net": "sMLPNet",
    "as_mlp": "AS-MLP",
    "cycle_mlp": "CycleMLP",
    "hire_mlp": "Hire-MLP",
    "wave_mlp": "Wave-MLP",
    "shiftvit": "ShiftViT",
}


def untrained(family, hyperparameters):
    """A network without a head, whose blocks mix as much as they can."""
    rng = np.random.default_rng(0)
    model = keras_shiftmlp.get_model(
        family, **hyperparameters, include_top=False, weights=None, input_shape=(48, 48, 3)
    )
    # The usual initial weights make a block do next to nothing. These keep the variance.
    for weight in (weight for weight in model.weights if len(weight.shape) > 1):
        scale = np.prod(weight.shape[:-1]) ** -0.5
        weight.assign(scale * rng.standard_normal(weight.shape))
    return model


def first_blocks(titles, path):
    """What one block of each family mixes, without training."""
    models = {title: untrained(*FIRST_BLOCKS[title]) for title in titles}
    columns = min(5, len(models))
    return visualization.plot_receptive_fields(models, [0], samples=4, columns=columns, path=path)


def swin_blocks(path):
    """Two blocks, of which the second shifts its windows."""
    models = {"Window attention": untrained("MSMLPSwin", SWIN)}
    return visualization.plot_receptive_fields(models, [0, 1], samples=4, columns=2, path=path)


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
    "first_blocks": lambda path: first_blocks(FIRST_BLOCKS, path),
    **{
        f"first_block_{page}": lambda path, title=title: first_blocks([title], path)
        for page, title in PAGES.items()
    },
    "swin_blocks": swin_blocks,
    "accuracy": lambda path: visualization.plot_accuracy(
        json.loads((ROOT / "docs" / "models.json").read_text("utf-8")), path=path
    ),
}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PICTURES, default=PICTURES, metavar="NAME")
    parser.add_argument("--list", action="store_true", help="print the names and draw nothing")
    args = parser.parse_args()
    if args.list:
        print(*PICTURES)
        args.only = []
    for name in args.only:
        path = FOLDER / f"{name}.png"
        PICTURES[name](path)
        if path.stat().st_size > LARGEST:
            sys.exit(f"{path} must have at most {LARGEST} bytes, and has {path.stat().st_size}")
