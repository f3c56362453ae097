"""`plot`: the pictures of `keras_shiftmlp.visualization`."""

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from keras_shiftmlp.cli.arguments import (
    ExistingFile,
    Settings,
    build,
    check_model,
    check_new,
    check_packages,
    check_weights,
    registry,
    values_of,
)
from keras_shiftmlp.cli.output import UsageError
from keras_shiftmlp.cli.program import USE, command

Kind = Literal[
    "shift", "mix-shift", "accuracy",
    "curves", "benchmark", "profile",
    "receptive-fields", "grad-cam", "split-attention", "token-mixing", "mix-shift-kernels",
]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class _Picture:
    """How a kind of picture is drawn.

    Args:
        function: Name of the function of `keras_shiftmlp.visualization`.
        takes: What the user names.
        argument: From what the user names, by name, to the first argument of the function.
        image: Whether the second argument is a photo.
        settings: The function's arguments that --set may change.
    """

    function: str
    takes: Literal["nothing", "files", "one file", "models", "one model"] = "nothing"
    argument: Callable[[dict[str, Any]], Any] | None = None
    image: bool = False
    settings: tuple[str, ...] = ()


def _only(named):
    [value] = named.values()
    return value


_PICTURES: dict[str, _Picture] = {
    "shift": _Picture("plot_spatial_shift", settings=("settings", "orders", "shape")),
    "mix-shift": _Picture("plot_mix_shift", settings=("kernel_sizes", "shifts", "shape")),
    "accuracy": _Picture(
        "plot_accuracy",
        argument=lambda _: [{"model": name, **x} for name, x in registry()["models"].items()],
    ),
    "curves": _Picture(
        "plot_curves", "files", lambda cards: {x: card["history"] for x, card in cards.items()}
    ),
    "benchmark": _Picture("plot_benchmark", "one file", lambda results: _only(results)["rows"]),
    "profile": _Picture("plot_profile", "one file", lambda results: _only(results)["profile"]),
    "receptive-fields": _Picture(
        "plot_receptive_fields",
        "models",
        lambda models: models,
        settings=("blocks", "samples", "seed", "columns"),
    ),
    "grad-cam": _Picture(
        "plot_grad_cam", "one model", _only, image=True, settings=("classes", "layer")
    ),
    "split-attention": _Picture("plot_split_attention", "one model", _only, image=True),
    "token-mixing": _Picture("plot_token_mixing", "one model", _only, settings=("blocks", "units")),
    "mix-shift-kernels": _Picture(
        "plot_mix_shift_kernels", "one model", _only, settings=("block", "channels")
    ),
}


@command("plot", example="grad-cam S2MLPv2Nano --image photo.jpg --out cam.png", group=USE)
def plot(
    kind: Kind,
    /,
    *sources: str,
    out: Path,
    weights: str | None = None,
    image: ExistingFile | None = None,
    set: Settings = (),
) -> None:
    """Draw a picture that explains: shifts, receptive fields, attention, training, times.

    Args:
        kind: What to draw.
        sources: Models for receptive-fields; one model for grad-cam, split-attention, token-mixing
            and mix-shift-kernels; the card.json of runs for curves; a bench.json for benchmark
            and profile; nothing for the others.
        out: Picture to write; its ending, such as .png or .svg, sets the format.
        weights: Checkpoint of the models: a tag such as cifar10, or "none" for random weights.
        image: Photo for grad-cam and split-attention.
        set: Arguments of the Python function: KEY=VALUE, such as blocks=[0,-1] or classes=[3].
    """
    picture, changes = _PICTURES[kind], values_of(set)
    if unknown := sorted(changes.keys() - {*picture.settings}):
        known = ", ".join(picture.settings) or "nothing"
        raise UsageError(f"`plot {kind}` can set {known}. Received: '{unknown[0]}'")
    _check(kind, picture, sources, weights, image)
    check_new(out, ".png", ".svg", ".pdf")
    check_packages("plot", "keras_shiftmlp[plots]", "matplotlib")
    if "file" in picture.takes:
        named = {_run_of(file): json.loads(Path(file).read_text("utf-8")) for file in sources}
    else:
        named = {name: build(name, weights) for name in sources}

    from keras_shiftmlp import visualization

    arguments = [] if picture.argument is None else [picture.argument(named)]
    out.parent.mkdir(parents=True, exist_ok=True)
    getattr(visualization, picture.function)(
        *arguments, *([image] if picture.image else []), **changes, path=out
    )


def _run_of(file):
    """The name of a run: that of the folder of its card."""
    return Path(file).resolve().parent.name


def _check(kind, picture, sources, weights, image):
    most = {"nothing": 0, "one model": 1, "one file": 1}.get(picture.takes, len(sources))
    if len(sources) > most or (picture.takes != "nothing" and not sources):
        raise UsageError(f"`plot {kind}` takes {picture.takes}. Received: {len(sources)}")
    if picture.image != (image is not None):
        takes = "needs" if picture.image else "takes no"
        raise UsageError(f"`plot {kind}` {takes} --image.")
    for source in sources:
        if "model" in picture.takes:
            check_model(source)
            check_weights(source, weights)
        elif not os.path.isfile(source):
            raise UsageError(f"There is no file '{source}'.")
