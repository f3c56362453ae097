"""Every picture is drawn as on record: its data, texts, colours, sizes and places.

`python tests/test_frozen_figures.py` records all of them, on PyTorch.
"""

import gzip
import json
import sys

import keras
import numpy as np
import pytest
from cases import HERE, fingerprint, once, once_on_torch

from keras_shiftmlp import visualization as v

matplotlib = pytest.importorskip("matplotlib")
PATH = HERE / "frozen" / "figures.json.gz"
PIXELS = np.load(HERE / "frozen" / "s2_mlp_v2.npz")["pixels"]


def frozen(name):
    return keras.models.load_model(HERE / "frozen" / f"{name}.keras")


def history(*losses):
    rows = [{"epoch": i, "loss": x, "top1": 1 - x / 4} for i, x in enumerate(losses, 1)]
    return [{**row, "val_loss": row["loss"] / 2, "val_top1": row["top1"]} for row in rows]


MEASURED = [
    dict(model=model, backend=backend, mode=mode, layer=layer, ms=ms, matmul_ms=ms / 2, ratio=ms)
    for ms, (model, backend, mode, layer) in enumerate(
        [("a", "jax", "predict", "Dense"), ("b", "jax", "predict", "Conv2D"),
         ("a", "torch", "train", "Dense"), ("a", "torch", "train", "SpatialShift")], 1,
    )
]  # fmt: skip
PAPERS = [
    dict(model=name, macs=macs * 1e9, params=params * 1e6, ms=macs, paper_top1=top1)
    for name, macs, params, top1 in [
        ("MixerB16", 12.6, 60, "76.4"), ("S2MLPv2Small", 6.9, 25, "82.0"),
        ("S2MLPv2Medium", 16, 55, "83.6"), ("MSMLPTiny", 4.9, 28, "82.1"),
    ]
]  # fmt: skip
LABELS, SCORES = [0, 1, 2] * 3, np.linspace(0, 1, 27).reshape(9, 3) ** 2
PICTURES = {
    "accuracy": lambda: v.plot_accuracy(PAPERS),
    "accuracy by time": lambda: v.plot_accuracy(PAPERS[1:3], ["ms"]),
    "benchmark": lambda: v.plot_benchmark(MEASURED),
    "confusion": lambda: v.plot_confusion(LABELS, [0, 2, 2] * 3, ["cat", "dog", "owl"]),
    "curves": lambda: v.plot_curves({"one": history(3, 2, 1), "two": history(2, 1)}),
    "curves without validation": lambda: v.plot_curves(
        {"one": [dict(epoch=1, loss=2.0, top1=0.5), dict(epoch=2, loss=1.0, top1=0.75)]}
    ),
    "mix-shift": lambda: v.plot_mix_shift(),
    "mix-shift of a wide map": lambda: v.plot_mix_shift((1, 3), (-1, 1), (5, 9)),
    "mix-shift kernels": lambda: v.plot_mix_shift_kernels(frozen("ms_mlp")),
    "predictions": lambda: v.plot_predictions(
        np.arange(9 * 48, dtype="uint8").reshape(9, 4, 4, 3), LABELS, SCORES, ["cat", "dog", "owl"]
    ),
    "profile": lambda: v.plot_profile(MEASURED),
    "spatial shift": lambda: v.plot_spatial_shift(),
    "spatial shift in two orders": lambda: v.plot_spatial_shift("e", ("hw", "wh"), (2, 3)),
    "split attention": lambda: v.plot_split_attention(frozen("s2_mlp_v2"), PIXELS[0]),
    "token mixing": lambda: v.plot_token_mixing(frozen("mixer")),
    "token mixing, two units": lambda: v.plot_token_mixing(frozen("resmlp"), [0], 2),
}
WITH_GRADIENTS = {
    "grad-cam": lambda: v.plot_grad_cam(frozen("s2_mlp_v2"), PIXELS[0]),
    "grad-cam of tokens": lambda: v.plot_grad_cam(frozen("mixer"), PIXELS[1], [1], "norm", "abcde"),
    "receptive fields": lambda: v.plot_receptive_fields(
        {"Mixer": frozen("mixer"), "S2-MLPv2": frozen("s2_mlp_v2")}, samples=1
    ),
    "receptive fields in a row": lambda: v.plot_receptive_fields(
        {"MS-MLP": frozen("ms_mlp")}, [0, 1], samples=1, seed=3, columns=3
    ),
}
# What is recorded of every artist that has it.
PROPERTIES = (
    "alpha", "clim", "color", "edgecolor", "extent", "facecolor", "fill", "fontsize", "ha",
    "height", "interpolation", "label", "linestyle", "linewidth", "marker", "markerfacecolor",
    "markersize", "position", "rotation", "rotation_mode", "text", "va", "visible", "width",
    "window_extent", "xy", "xydata",
)  # fmt: skip


def plain(x):
    """`x` for JSON. A long array becomes its fingerprint."""
    if isinstance(x, np.ndarray):
        x = np.nan_to_num(np.ma.filled(x.astype("float64"), -9), nan=-8)
        if x.size > 12:
            return plain(fingerprint(x))
        x = x.tolist()
    if isinstance(x, list | tuple):
        return [plain(one) for one in x]
    if isinstance(x, float):
        return float(f"{x:.4g}")
    return x if isinstance(x, bool | int | str) else str(x)


def of_artist(artist, figure):
    found = {}
    for name in PROPERTIES:
        value = getattr(artist, f"get_{name}", lambda: None)()
        if name == "window_extent":
            # In shares of the figure: where the artist is.
            bounds = value.transformed(figure.transFigure.inverted()).bounds
            value = np.round(np.nan_to_num(bounds, nan=-8), 2)
        if (value is not None and not isinstance(value, str | bool)) or value:
            found[name] = plain(value)
    if hasattr(artist, "to_rgba") and artist.get_array() is not None:
        found["pixels"] = plain(np.asarray(artist.get_array()))
        found["shown"] = plain(artist.to_rgba(artist.get_array()))
    return found


def described(figure):
    """The figure and all its artists, in the order in which they are drawn."""
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis, Tick
    from matplotlib.offsetbox import OffsetBox
    from matplotlib.spines import Spine

    figure.draw_without_rendering()
    left_out = {part for tick in figure.findobj(Tick) for part in tick.findobj()}
    left_out |= {*figure.findobj(Spine), *figure.findobj(OffsetBox), figure}
    found = []
    for artist in figure.findobj(Artist):
        if artist in left_out:
            continue
        if isinstance(artist, Axis):
            # The labels of all ticks, and the parts of one, which looks like the others.
            labels = [text.get_text() for text in artist.get_ticklabels()]
            ticks = artist.get_majorticklocs()
            side = {"ticks": plain(ticks), "labels": labels, "scale": artist.get_scale()}
            side["log"] = plain(artist.get_minorticklocs())
            parts = [tick.findobj() for tick in artist.get_major_ticks()[:1]]
            side["tick"] = [of_artist(x, figure) for x in parts[0][:-1]] if parts else []
            found.append(side)
        elif isinstance(artist, Axes):
            limits = [*artist.get_xlim(), *artist.get_ylim()]
            found.append(of_artist(artist, figure) | {"limits": plain(limits), "on": artist.axison})
        else:
            found.append(of_artist(artist, figure))
    return {"inches": plain(figure.get_size_inches()), "artists": found}


def check(actual, expected, where):
    assert type(actual) is type(expected) or float in map(type, (actual, expected)), where
    if isinstance(expected, dict):
        assert actual.keys() == expected.keys(), where
        for key, value in expected.items():
            check(actual[key], value, f"{where}, {key}")
    elif isinstance(expected, list):
        assert len(actual) == len(expected), where
        for index, value in enumerate(expected):
            check(actual[index], value, f"{where}, {index}")
    elif isinstance(expected, float):
        # Half a percent of the figure, of a colour or of a number.
        assert actual == pytest.approx(expected, rel=5e-3, abs=0.011), where
    else:
        assert actual == expected, where


@pytest.fixture(scope="module")
def record():
    found = json.loads(gzip.decompress(PATH.read_bytes()))
    if found["matplotlib"] != matplotlib.__version__:
        pytest.skip("another version of Matplotlib may place things elsewhere")
    return found


@once
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_as_on_record(name, record):
    check(described(PICTURES[name]()), record[name], name)


@once_on_torch
@pytest.mark.parametrize("name", WITH_GRADIENTS)
def test_a_picture_of_gradients_is_as_on_record(name, record):
    check(described(WITH_GRADIENTS[name]()), record[name], name)


def write():
    figures = {name: described(draw()) for name, draw in (PICTURES | WITH_GRADIENTS).items()}
    text = json.dumps({"matplotlib": matplotlib.__version__, **figures})
    PATH.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    sys.exit(write())
