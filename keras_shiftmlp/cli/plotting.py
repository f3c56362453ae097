"""`plot`: the pictures of `keras_shiftmlp.visualization`."""

import json
from pathlib import Path
from typing import Literal

from keras_shiftmlp.cli.arguments import ExistingFile, check_new, check_packages
from keras_shiftmlp.cli.program import USE, command

# How each kind of picture is drawn from the contents of its files and written to a path.
_KINDS = {
    "curves": lambda draw, cards, path: draw.plot_curves(
        {name: card["history"] for name, card in cards.items()}, path
    ),
    "benchmark": lambda draw, results, path: draw.plot_benchmark(
        [row for result in results.values() for row in result["rows"]], path
    ),
    "profile": lambda draw, results, path: draw.plot_profile(
        [row for result in results.values() for row in result["profile"]], path
    ),
}


@command("plot", example="curves runs/photos/card.json --out curves.png", group=USE)
def plot(
    kind: Literal["curves", "benchmark", "profile"],
    /,
    *files: ExistingFile,
    out: Path,
) -> None:
    """Draw a picture from files.

    Args:
        kind: What to draw.
        files: The card.json of runs for curves; a bench.json for benchmark and profile.
        out: Picture to write; its ending, such as .png or .svg, sets the format.
    """
    check_new(out, ".png", ".svg", ".pdf")
    check_packages("plot", "keras_shiftmlp[plots]", "matplotlib")

    from keras_shiftmlp import visualization

    contents = {file.parent.name: json.loads(file.read_text("utf-8")) for file in files}
    out.parent.mkdir(parents=True, exist_ok=True)
    _KINDS[kind](visualization, contents, out)
