"""Prints the tables of the shipped checkpoints, from the cards of their trainings.

    python weights/results.py                            # the shipped checkpoints
    python weights/results.py --probes docs/nano_probes.json     # what each change was worth
    python weights/results.py --transfer docs/transfer.json      # fine-tuned and from scratch
    python weights/results.py --curves docs/nano_curves.png      # draws the trainings
    python weights/results.py --transfer docs/transfer.json --curves docs/transfer_curves.png

`<model>.<tag>.history.json` holds the cards of the trainings that led to the weights, in order. The
curves are those of the first, from random weights. Top-1 is in percent. The card of a probe has the
accuracy on 5,000 training images that were held out.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from keras_shiftmlp.benchmark.tables import markdown_table

SHIPPED = Path(__file__).parents[1] / "keras_shiftmlp" / "checkpoints" / "shipped"
# Published, for comparison: README of locuslab/convmixer-cifar10.
CONVMIXER = ["ConvMixer-256/8", "–", "0.59", "148", "25", "–", "92.6", "its README"]


def shipped(folder: Path) -> list[dict]:
    """The entries of a folder that have a history, best first, each with its training card."""
    entries = json.loads((folder / "manifest.json").read_text("utf-8"))
    paths = [folder / f"{entry['model']}.{entry['tag']}.history.json" for entry in entries]
    found = [
        entry | json.loads(path.read_text("utf-8"))
        for entry, path in zip(entries, paths)
        if path.exists()
    ]
    return sorted(found, key=lambda entry: -entry["top1"])


def runs_of(entry: dict) -> list[dict]:
    """The cards of the trainings that led to a checkpoint, in order."""
    return [*entry["earlier_runs"], entry["training"]]


def results(entries: list[dict]) -> str:
    """The checkpoints as a Markdown table, and a published convolutional network."""
    head = [
        "model",
        "weights",
        "M parameters",
        "MMACs",
        "epochs",
        "minutes",
        "top-1",
        "measured by",
    ]
    rows = []
    for entry in entries:
        runs = runs_of(entry)
        row = [f"`{entry['model']}`", f'`"{entry["tag"]}"`', f"{entry['params'] / 1e6:.2f}"]
        row.append(f"{entry['training']['macs'] / 1e6:.0f}")
        row.append(" + ".join(str(run["epochs"]) for run in runs))
        row.append(" + ".join(f"{run['seconds'] / 60:.1f}" for run in runs))
        rows.append([*row, f"{entry['top1']:.2f}", entry["top1_source"]])
    return markdown_table(head, [*rows, CONVMIXER], numeric=range(2, 7))


def probes(cards: list[dict]) -> str:
    """The probes as a Markdown table, in the order of the file."""
    head = ["network", "what differs", "M parameters", "MMACs", "rate", "top-1, held out"]
    rows = [
        [
            card["model"],
            card["change"],
            f"{card['parameters'] / 1e6:.2f}",
            f"{card['macs'] / 1e6:.0f}",
            f"{card['learning_rate']:g}",
            f"{100 * card['validation']['top1']:.1f}",
        ]
        for card in cards
    ]
    return markdown_table(head, rows, numeric=range(2, 6))


def transfer(report: dict) -> str:
    """What `examples/transfer_learning.py --compare` wrote to results.json, as a Markdown table."""
    rows = [
        [start, f"{100 * np.mean(values):.2f}", f"{100 * np.std(values):.2f}"]
        + [f"{100 * value:.2f}" for value in values]
        for start, values in report["top1"].items()
    ]
    head = [report["model"], "mean top-1", "deviation", *(f"seed {s}" for s in report["seeds"])]
    return markdown_table(head, rows, numeric=range(1, len(head)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=SHIPPED)
    parser.add_argument("--probes", type=Path, metavar="JSON")
    parser.add_argument("--transfer", type=Path, metavar="JSON")
    parser.add_argument("--curves", type=Path, metavar="PNG")
    args = parser.parse_args()
    if args.probes:
        print(probes(json.loads(args.probes.read_text("utf-8"))))
    elif args.transfer:
        print(transfer(json.loads(args.transfer.read_text("utf-8"))))
    else:
        print(results(shipped(args.folder)))
    if args.curves:
        from keras_shiftmlp.visualization import plot_curves

        if args.transfer:
            histories = json.loads(args.transfer.read_text("utf-8"))["curves"]
        else:
            # The loss of a later run may have another target.
            histories = {x["model"]: runs_of(x)[0]["history"] for x in shipped(args.folder)}
        plot_curves(histories, args.curves)
