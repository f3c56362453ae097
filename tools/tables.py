"""Generated parts of the documentation: tables of sizes and weights, help of the commands."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from keras_shiftmlp import list_weights
from keras_shiftmlp.benchmark.report import page_of
from keras_shiftmlp.benchmark.tables import markdown_table
from keras_shiftmlp.models._constructor import CONSTRUCTORS

ROOT = Path(__file__).parents[1]
# The help of the program has them; that of a command repeats them.
SHARED_OPTIONS = re.compile(r"╭─ Options of all commands.*?╯\n?", re.S)


def family_pages() -> list[str]:
    """The pages of the families in `docs/`, without their ending."""
    return sorted({page_of(x.family) for x in CONSTRUCTORS.values()})


def sizes_table(page: str, rows: list[dict]) -> str:
    """The sizes of the families that share a page.

    Args:
        page: Such as `"s2_mlp_v2"`.
        rows: Those of `docs/models.json`.
    """
    families = dict.fromkeys(
        x.family for x in CONSTRUCTORS.values() if page_of(x.family) == page and x.is_size
    )
    lines = []
    for family in families:
        sizes = [row for row in rows if CONSTRUCTORS[row["model"]].family == family]
        sizes.sort(key=lambda row: row["params"])
        configs = [CONSTRUCTORS[row["model"]].config for row in sizes]
        varied = [key for key, value in configs[0].items() if any(x[key] != value for x in configs)]
        for row, config in zip(sizes, configs):
            shown = {key: config[key] for key in varied if not isinstance(config[key], dict)}
            arguments = "<br>".join(f"`{key}={value!r}`" for key, value in shown.items())
            line = [f"`{row['model']}`", arguments, f"{row['input']}"]
            line += [f"{row['params']:,}", row["paper_params"], f"{row['macs'] / 1e9:.3f}"]
            lines.append([*line, row["paper_macs"], row["paper_top1"]])
    head = ["constructor", "hyper-parameters that differ", "input", "parameters", "paper"]
    return markdown_table([*head, "GMACs", "paper", "paper's top-1"], lines, numeric=range(2, 7))


def choice_table(rows: list[dict], bench: list[dict], one_thread: list[dict]) -> str:
    """All sizes with what decides between them.

    Args:
        rows: Those of `docs/models.json`.
        bench: The rows of `docs/bench.json`, on two cores.
        one_thread: Those of `docs/bench_families.json`.
    """
    weights = {}
    for row in list_weights():
        weights.setdefault(row["model"], []).append(row)
    lines = []
    for row in sorted(rows, key=lambda row: (CONSTRUCTORS[row["model"]].family, row["params"])):
        constructor = CONSTRUCTORS[row["model"]]
        measured = [
            (x["ms"], f"{x['backend']}, one thread" if x in one_thread else x["backend"])
            for x in (*bench, *one_thread)
            if (x["model"], x["mode"]) == (row["model"], "predict")
        ]
        ms, backend = min(measured, default=(None, None))
        own = weights.get(row["model"], [])
        tags = [f"`{x['tag']}`" + (f" {x['top1']}" if x["top1"] else "") for x in own]
        lines.append(
            [
                f"[`{row['model']}`]({page_of(constructor.family)}.md)",
                row["paper_top1"],
                f"{row['params'] / 1e6:.1f}",
                f"{row['macs'] / 1e9:.2f}",
                f"{ms:.0f}, {backend}" if ms else "–",
                "any" if constructor.any_size else f"fixed, {row['input']}",
                "<br>".join(tags) or "–",
                "<br>".join(dict.fromkeys(x["license"] for x in own)) or "–",
            ]
        )
    head = ["model", "paper's top-1", "parameters, 10^6", "GMACs", "ms per image", "image size"]
    return markdown_table([*head, "public weights, top-1", "licence"], lines, numeric=(2, 3))


def speed_table(rows: list[dict]) -> str:
    """Milliseconds per image and their ratio to the products, by network, mode and backend."""
    found = {(row["model"], row["mode"], row["backend"]): row for row in rows}
    columns = [
        (mode, backend)
        for mode in ("predict", "train")
        for backend in ("jax", "tensorflow", "torch")
        if any(key[1:] == (mode, backend) for key in found)
    ]
    lines = []
    for model in dict.fromkeys(row["model"] for row in rows):
        row = [found.get((model, *column)) for column in columns]
        lines.append([model, *(f"{x['ms']:.0f}, {x['ratio']:.2f} x" if x else "–" for x in row)])
    head = ["network", *(f"{mode}, {backend}" for mode, backend in columns)]
    return markdown_table(head, lines, numeric=range(1, len(head)))


def shipped_table() -> str:
    """The checkpoints in the package."""
    path = ROOT / "keras_shiftmlp" / "checkpoints" / "shipped" / "manifest.json"
    lines = [
        [f"`{x['model']}`", f"`{x['tag']}`", x["dataset"], f"{x['top1']:.2f}"]
        + [f"{x['params']:,}", f"{x['size'] / 1e6:.1f}", x["license"]]
        for x in sorted(json.loads(path.read_text("utf-8")), key=lambda x: -x["top1"])
    ]
    head = ["model", "tag", "data set", "top-1", "parameters", "MB", "licence"]
    return markdown_table(head, lines, numeric=range(3, 6))


def constructors() -> str:
    """The general constructors for mkdocstrings."""
    names = [name for name, x in CONSTRUCTORS.items() if not x.is_size]
    return "\n".join(f"::: keras_shiftmlp.models.{name}" for name in names)


def commands() -> str:
    """What `--help` says of the program and of each command."""
    from keras_shiftmlp import cli

    names = sorted(name for name in cli.program.app if not name.startswith("-"))
    parts = [f"```text\n{_help()}\n```"]
    for name in names:
        text = SHARED_OPTIONS.sub("", _help(name))
        parts.append(f"## {name}\n\n```text\n{text}\n```")
    return "\n\n".join(parts)


def _help(*command: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "88", "NO_COLOR": "1"}
    run = [sys.executable, "-m", "keras_shiftmlp", *command, "--help"]
    output = subprocess.run(run, check=True, capture_output=True, text=True, env=environment).stdout
    return "\n".join(line.rstrip() for line in output.strip().splitlines())
