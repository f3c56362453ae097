"""Prints the tables of trained checkpoints from the manifest that `publish.py` wrote.

    python weights/results.py                    # those that come with the package
    python weights/results.py --folder lab_weights
    python weights/results.py --curves docs/nano_curves.png     # draws the runs as well

Parameters, multiply-adds per image, passes over the training images, hours, images per second of
training (the median epoch), and top-1 in percent: on the images held out for validation, as the
run ended, and as published in the entry. The first table is of the first run of each checkpoint;
a second one is of those that went on from there, with what all their runs took.
"""

import argparse
import json
import statistics
from pathlib import Path

SHIPPED = Path(__file__).parents[1] / "keras_shiftmlp" / "checkpoints" / "shipped"
HEAD = ["model", "weights", "parameters", "MMACs", "epochs", "hours", "images/s", "validation"]
HEAD += ["top-1", "measured on"]


def runs_of(entry: dict) -> list[dict]:
    """The cards of an entry's runs with their accuracy, the last one's that of the entry."""
    earlier = entry.get("earlier_runs", [])
    earlier = [{**card, "top1": 100 * card["test"]["top1"]} for card in earlier]
    return [*earlier, {**entry["training"], "top1": entry["top1"]}]


def table(rows: list[tuple[dict, list[dict]]]) -> str:
    """Entries and the runs to tell of, in Markdown, best first."""
    lines = [HEAD, ["---", "---", *["---:"] * (len(HEAD) - 3), "---"]]
    for entry, runs in sorted(rows, key=lambda row: -row[1][-1]["top1"]):
        history = [epoch for run in runs for epoch in run["history"]]
        speed = statistics.median(epoch["images_per_second"] for epoch in history)
        hours = sum(run["seconds"] for run in runs) / 3600
        line = [f"`{entry['model']}`", f'`"{entry["tag"]}"`', f"{entry['params']:,}"]
        line += [f"{runs[0]['macs'] / 1e6:.1f}", f"{len(history)}", f"{hours:.2f}", f"{speed:.0f}"]
        line += [f"{100 * history[-1]['val_top1']:.2f}", f"{runs[-1]['top1']:.2f}"]
        lines.append([*line, entry["top1_source"]])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def curves(rows: list[tuple[dict, list[dict]]]) -> dict[str, list[dict]]:
    """The history of each run, best first, for `visualization.plot_curves`."""
    found = {}
    for entry, runs in sorted(rows, key=lambda row: -row[1][-1]["top1"]):
        history = [epoch for run in runs for epoch in run["history"]]
        numbered = [{**epoch, "epoch": index + 1} for index, epoch in enumerate(history)]
        found[f"{entry['model']}, {entry['tag']}"] = numbered
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=SHIPPED)
    parser.add_argument("--curves", type=Path, metavar="PNG")
    args = parser.parse_args()
    entries = json.loads((args.folder / "manifest.json").read_text())
    rows = [(entry, runs_of(entry)) for entry in entries]
    print(table([(entry, runs[:1]) for entry, runs in rows]))
    longer = [(entry, runs) for entry, runs in rows if len(runs) > 1]
    if longer:
        print(f"\n{table(longer)}")
    if args.curves:
        from keras_shiftmlp.visualization import plot_curves

        plot_curves(curves(rows), args.curves)
