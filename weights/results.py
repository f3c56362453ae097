"""Prints the table of trained checkpoints from the manifest that `publish.py` wrote.

    python weights/results.py                    # those that come with the package
    python weights/results.py --folder lab_weights
    python weights/results.py --curves docs/nano_curves.png     # draws the runs as well

Parameters, multiply-adds per image, passes over the training images, hours, images per second of
training (the median epoch), and top-1 in percent: on the images held out for validation, as the
run ended, and as published in the entry.
"""

import argparse
import json
import statistics
from pathlib import Path

SHIPPED = Path(__file__).parents[1] / "keras_shiftmlp" / "checkpoints" / "shipped"
HEAD = ["model", "weights", "parameters", "MMACs", "epochs", "hours", "images/s", "validation"]
HEAD += ["top-1", "measured on"]


def table(folder: Path) -> str:
    """The rows in Markdown, best first."""
    entries = json.loads((folder / "manifest.json").read_text())
    lines = [HEAD, ["---", "---", *["---:"] * (len(HEAD) - 3), "---"]]
    for entry in sorted(entries, key=lambda entry: -(entry["top1"] or 0)):
        card = entry["training"]
        speed = statistics.median(row["images_per_second"] for row in card["history"])
        row = [f"`{entry['model']}`", f'`"{entry["tag"]}"`', f"{entry['params']:,}"]
        row += [f"{card['macs'] / 1e6:.1f}", f"{card['epochs']}", f"{card['seconds'] / 3600:.2f}"]
        row += [f"{speed:.0f}", f"{100 * card['history'][-1]['val_top1']:.2f}"]
        lines.append([*row, f"{entry['top1']:.2f}", entry["top1_source"]])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def curves(folder: Path) -> dict[str, list[dict]]:
    """The history of each run, best first, for `visualization.plot_curves`."""
    entries = json.loads((folder / "manifest.json").read_text())
    entries.sort(key=lambda entry: -(entry["top1"] or 0))
    return {f"{e['model']}, {e['tag']}": e["training"]["history"] for e in entries}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=SHIPPED)
    parser.add_argument("--curves", type=Path, metavar="PNG")
    args = parser.parse_args()
    print(table(args.folder))
    if args.curves:
        from keras_shiftmlp.visualization import plot_curves

        plot_curves(curves(args.folder), args.curves)
