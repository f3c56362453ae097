"""Prints the tables of trained checkpoints from what `publish.py` wrote.

The manifest has the entries, `<model>.<tag>.history.json` the runs that produced each file.

    python weights/results.py                    # the bundled checkpoints
    python weights/results.py --folder lab_weights
    python weights/results.py --curves docs/nano_curves.png     # also draws the runs

The columns are parameters, multiply-adds per image, epochs, hours, images per second in training
(the median epoch), and top-1 in percent: on the validation images at the end of the run, and as
published. The first table compares runs of the same length. The second one has checkpoints with
another history and sums up all their runs.
"""

import argparse
import json
import statistics
from pathlib import Path

from keras_shiftmlp.benchmark.tables import markdown_table

SHIPPED = Path(__file__).parents[1] / "keras_shiftmlp" / "checkpoints" / "shipped"
HEAD = ["model", "weights", "parameters", "MMACs", "epochs", "hours", "images/s", "validation"]
HEAD += ["top-1", "measured on"]


def trained(folder: Path) -> list[dict]:
    """The entries of a folder that have a history of their training, each with its history."""
    entries = json.loads((folder / "manifest.json").read_text("utf-8"))
    paths = [folder / f"{entry['model']}.{entry['tag']}.history.json" for entry in entries]
    return [
        entry | json.loads(path.read_text("utf-8"))
        for entry, path in zip(entries, paths)
        if path.exists()
    ]


def compared(entry: dict) -> tuple[dict, list[dict], float]:
    """An entry, the cards of its runs in the comparison, and their top-1."""
    if cards := entry.get("compared_runs"):
        return entry, cards, 100 * cards[-1]["test"]["top1"]
    return shipped(entry)


def shipped(entry: dict) -> tuple[dict, list[dict], float]:
    """An entry, the cards of all runs that produced its file, and its top-1."""
    return entry, [*entry.get("earlier_runs", []), entry["training"]], entry["top1"]


def table(rows: list[tuple[dict, list[dict], float]]) -> str:
    """Entries and their runs as a Markdown table, best first."""
    lines = []
    for entry, runs, top1 in sorted(rows, key=lambda row: -row[2]):
        history = [epoch for run in runs for epoch in run["history"]]
        speed = statistics.median(epoch["images_per_second"] for epoch in history)
        hours = sum(run["seconds"] for run in runs) / 3600
        line = [f"`{entry['model']}`", f'`"{entry["tag"]}"`', f"{entry['params']:,}"]
        line += [f"{runs[0]['macs'] / 1e6:.1f}", f"{len(history)}", f"{hours:.2f}", f"{speed:.0f}"]
        line += [f"{100 * history[-1]['val_top1']:.2f}", f"{top1:.2f}", entry["top1_source"]]
        lines.append(line)
    return markdown_table(HEAD, lines, numeric=range(2, len(HEAD) - 1))


def curves(rows: list[tuple[dict, list[dict], float]]) -> dict[str, list[dict]]:
    """The history of the runs of each entry, best first, for `visualization.plot_curves`."""
    found = {}
    for entry, runs, _ in sorted(rows, key=lambda row: -row[2]):
        history = [epoch for run in runs for epoch in run["history"]]
        numbered = [{**epoch, "epoch": index + 1} for index, epoch in enumerate(history)]
        found[f"{entry['model']}, {len(history)} epochs"] = numbered
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=SHIPPED)
    parser.add_argument("--curves", type=Path, metavar="PNG")
    args = parser.parse_args()
    entries = trained(args.folder)
    rows = [compared(entry) for entry in entries]
    longer = [shipped(entry) for entry in entries if "compared_runs" in entry]
    print(table(rows))
    if longer:
        print(f"\n{table(longer)}")
    if args.curves:
        from keras_shiftmlp.visualization import plot_curves

        plot_curves(curves(rows + longer), args.curves)
