"""Prints the table of trained checkpoints from the manifest that `publish.py` wrote.

    python weights/results.py                    # those that come with the package
    python weights/results.py lab_weights        # those of a folder

Parameters, multiply-adds per image, passes over the training images, hours, images per second of
training (the median epoch), and top-1 in percent: on the images held out for validation, as the
run ended, and as published in the entry.
"""

import json
import statistics
import sys
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


if __name__ == "__main__":
    print(table(Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED))
