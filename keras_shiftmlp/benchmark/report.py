"""The tables of the command line: sizes of models, published checkpoints and measured times."""

import collections
import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_shiftmlp.benchmark.tables import Table, markdown_table


def count_models(pattern: str = "*") -> list[dict[str, Any]]:
    """Builds each published size and counts its parameters and multiply-adds.

    Args:
        pattern: Names of the models, with `*` and `?` as in a shell.

    Returns:
        One row per model, with the figures of its paper beside the counted ones.
    """
    import keras

    from keras_shiftmlp.catalogue import list_weights
    from keras_shiftmlp.models import count_macs, list_models
    from keras_shiftmlp.models._registry import find_constructor
    from keras_shiftmlp.models.macs import count_parameters

    classes = {(row["model"], row["tag"]): row["classes"] for row in list_weights()}
    rows = []
    for name in list_models(pattern):
        constructor = find_constructor(name)
        paper = constructor.paper or {}
        # A size without ImageNet weights is counted with the classes of its own checkpoint.
        model = constructor(weights=None, classes=classes.get((name, constructor.weights), 1000))
        rows.append(
            {
                "model": name,
                "input": model.input_shape[1],
                "classes": model.output_shape[-1],
                "params": count_parameters(model),
                "macs": count_macs(model),
                **{f"paper_{key}": paper.get(key, "–") for key in ("params", "macs", "top1")},
            }
        )
        del model  # the largest has 1.7 GB of weights
        keras.utils.clear_session()
    return rows


def models_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows of `count_models` as a Markdown table."""
    head = ["model", "input", "classes", "parameters", "paper", "GMACs", "paper"]
    lines = [
        [
            f"`{row['model']}`",
            f"{row['input']}",
            f"{row['classes']}",
            f"{row['params']:,}",
            row["paper_params"],
            f"{row['macs'] / 1e9:.3f}",
            row["paper_macs"],
            row["paper_top1"],
        ]
        for row in rows
    ]
    return markdown_table([*head, "paper's ImageNet top-1"], lines, numeric=range(1, 7))


def families_table(rows: Sequence[dict]) -> str:
    """The rows of `count_models` as a Markdown table with one row per family."""
    from keras_shiftmlp.catalogue import list_weights
    from keras_shiftmlp.models._registry import find_constructor

    weights = collections.Counter(row["model"] for row in list_weights())
    families = collections.defaultdict(list)
    for row in rows:
        families[find_constructor(row["model"]).family].append(row)
    lines = []
    for family, sizes in sorted(families.items()):
        sizes.sort(key=lambda row: row["params"])
        smallest, largest = (f"{sizes[i]['params'] / 1e6:.1f}" for i in (0, -1))
        page = page_of(family)
        names = ", ".join(row["model"].removeprefix(family) for row in sizes)
        line = [f"[`{family}`](docs/{page}.md)", names, f"{smallest} to {largest}"]
        line += ["any" if find_constructor(family).any_size else "fixed"]
        lines.append([*line, f"{sum(weights[row['model']] for row in sizes)}"])
    head = ["family", "sizes", "parameters, 10^6", "image size", "weights"]
    return markdown_table(head, lines, numeric=[4])


def page_of(family: str) -> str:
    """The page of a family in `docs/`, without its ending; GFNet's two shapes share one."""
    from keras_shiftmlp.models._registry import find_constructor

    module = find_constructor(family).network.__module__.rpartition(".")[2]
    return {"gfnet_h": "gfnet"}.get(module, module)


def weights_table(model: str | None = None) -> str:
    """The published checkpoints of one model, or of all, as a Markdown table."""
    from keras_shiftmlp.catalogue import COLUMNS, list_weights

    lines = [[_cell(row[column]) for column in COLUMNS] for row in list_weights(model)]
    return markdown_table(COLUMNS, lines)


def _cell(value):
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else str(value)


def bench_report(results: dict[str, list[dict[str, Any]]]) -> str:
    """The tables of a benchmark in Markdown.

    Args:
        results: What `bench.run` returns and `bench.json` holds.
    """
    return "\n\n".join(markdown_table(*table) for table in bench_tables(results))


def bench_tables(results: dict[str, list[dict[str, Any]]]) -> list[Table]:
    """The tables of a benchmark.

    Args:
        results: What `bench.run` returns and `bench.json` holds.
    """
    tables = [times_table(results["rows"])]
    if "pixels" in results:
        tables.append(_growth_table(results))
    if "profile" in results:
        tables.append(profile_table(results["profile"]))
    return tables


def times_table(rows: Sequence[dict]) -> Table:
    """The rows of `bench.measure`."""
    head = ["model", "backend", "mode", "ms/image", "spread", "images/s", "GFLOP/s"]
    head += ["products ms", "ratio", "peak MB", "compile s", "build s"]
    lines = []
    for row in rows:
        line = [row["model"], row["backend"], row["mode"], f"{row['ms']:.2f}"]
        line += [f"{row['spread']:.0%}", f"{1e3 / row['ms']:.1f}", f"{row['gflops']:.0f}"]
        line += [f"{row['matmul_ms']:.2f}", f"{row['ratio']:.2f}"]
        line += [f"{row['peak_mb']:.0f}" if row["peak_mb"] else "–"]
        lines.append([*line, f"{row['compile_s']:.1f}", f"{row['build_s']:.1f}"])
    return Table(head, lines, range(3, len(head)))


def _growth_table(results):
    """The exponents of the growth of a batch's time and memory."""
    head = ["model", "backend", "grows with", "time", "memory", "ms/image, first to last"]
    lines = []
    for key in ("pixels", "batch_size"):
        for name, backend in dict.fromkeys((r["model"], r["backend"]) for r in results[key]):
            rows = [r for r in results[key] if (r["model"], r["backend"]) == (name, backend)]
            x = [row[key] ** (2 if key == "pixels" else 1) for row in rows]  # area, or images
            line = [name, backend, f"{key.partition('_')[0]} {rows[0][key]} to {rows[-1][key]}"]
            line.append(f"{exponent(x, [row['ms'] * row['batch_size'] for row in rows]):.2f}")
            memory = [row["step_mb"] for row in rows]
            line.append(f"{exponent(x, memory):.2f}" if all(memory) else "–")
            lines.append([*line, f"{rows[0]['ms']:.1f} to {rows[-1]['ms']:.1f}"])
    return Table(head, lines, range(3, len(head)))


def profile_table(rows: Sequence[dict]) -> Table:
    """The rows of `bench.profile`."""
    lines = []
    for row in rows:
        numbers = [str(row["count"]), f"{row['ms']:.3f}", f"{row['matmul_ms']:.3f}"]
        lines.append([row["model"], row["backend"], row["layer"], *numbers])
    head = ["model", "backend", "layer", "count", "ms/image", "products ms"]
    return Table(head, lines)


def exponent(x: Sequence[float], y: Sequence[float]) -> float:
    """The `e` in `y ~ x ** e`, fitted to the logarithms.

    Example:

    >>> round(exponent([1, 2, 4], [3, 12, 48]), 3)
    2.0
    """
    logarithms = ([math.log(value) for value in values] for values in (x, y))
    return statistics.linear_regression(*logarithms).slope


def save_benchmark(results: dict[str, list[dict[str, Any]]], folder: str | Path) -> None:
    """Writes `bench.json` and its pictures into a folder.

    Args:
        results: What `bench.run` returns.
        folder: Created if it does not exist.
    """
    from keras_shiftmlp import visualization

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.json").write_text(json.dumps(results, indent=1) + "\n")
    visualization.plot_benchmark(results["rows"], folder / "bench.png")
    if "profile" in results:
        visualization.plot_profile(results["profile"], folder / "layers.png")
