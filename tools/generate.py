"""Writes what follows from the code: stubs, tables in the docs, notebooks, data of a new family.

    python tools/generate.py            # `make generate`
    python tools/generate.py --check    # `make lint`: fails if anything is stale or missing

Frozen test data are written for new names only: they are the file format that users rely on.
"""

import argparse
import collections
import contextlib
import inspect
import io
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # of this checkout, whichever one is installed

import run_notebooks
import stubs
import tables

from keras_shiftmlp import list_models, list_weights
from keras_shiftmlp.benchmark import report
from keras_shiftmlp.benchmark.tables import markdown_table, rows_table
from keras_shiftmlp.layers.image_preprocessing import PRESETS
from keras_shiftmlp.models._constructor import CONSTRUCTORS

DOCS = ROOT / "docs"
MODELS = DOCS / "models.json"
REGISTRY = ROOT / "keras_shiftmlp" / "cli" / "models.json"


def printed(script: str, *arguments) -> str:
    """What a script of the repository prints. It runs in this process, which has Keras already."""
    path, output = ROOT / script, io.StringIO()
    before = sys.argv, sys.path
    sys.argv, sys.path = [str(path), *map(str, arguments)], [str(path.parent), *sys.path]
    try:
        with contextlib.redirect_stdout(output):
            runpy.run_path(str(path), run_name="__main__")
    finally:
        sys.argv, sys.path = before
    return output.getvalue().strip()


def read(name: str):
    return json.loads((DOCS / name).read_text("utf-8"))


# Text by page and marker: it stands between `<!-- generated: MARKER -->` and `<!-- end -->`.
TABLES = {
    ("README.md", "families"): lambda: report.families_table(read("models.json")),
    ("docs/models.md", "models"): lambda: report.models_table(read("models.json")),
    ("docs/export.md", "export matrix"): lambda: printed(
        "benchmarks/export_matrix.py", "--from-json", DOCS / "export_matrix.json"
    ),
    ("docs/export.md", "quantization"): lambda: printed(
        "benchmarks/quantization.py", "--from-json", DOCS / "quantization.json"
    ),
    ("docs/performance.md", "bench"): lambda: markdown_table(
        *report.times_table(read("bench.json")["rows"])
    ),
    ("docs/performance.md", "profile"): lambda: markdown_table(
        *report.profile_table(read("bench.json")["profile"])
    ),
    ("docs/performance.md", "bench families"): lambda: tables.speed_table(
        read("bench_families.json")["rows"]
    ),
    **{
        (f"docs/{page}.md", name.replace("_", " ")): lambda name=name: rows_table(
            read("kept.json")[name]
        )
        for name, page in {
            "constructors": "performance",
            "exported": "performance",
            "memory": "performance",
            "torch_products": "performance",
            "xla_depthwise": "performance",
            "remat": "training",
        }.items()
    },
    ("docs/performance.md", "compilation"): lambda: printed(
        "benchmarks/compilation.py", "--from-json", DOCS / "compilation.json"
    ),
    ("docs/performance.md", "growth"): lambda: report.bench_report(read("growth.json")),
    ("docs/performance.md", "peers"): lambda: printed(
        "benchmarks/peers.py", "--from-json", DOCS / "peers.json"
    ),
    ("docs/performance.md", "peers timm"): lambda: printed(
        "benchmarks/peers.py", "--from-json", DOCS / "peers_timm.json"
    ),
    ("docs/weights.md", "weights"): report.weights_table,
    ("docs/nano.md", "results"): lambda: printed("weights/results.py"),
    ("docs/which.md", "choice"): lambda: tables.choice_table(
        read("models.json"), read("bench.json")["rows"], read("bench_families.json")["rows"]
    ),
    ("docs/quickstart.md", "terminal"): lambda: (
        f"```text\n{(DOCS / 'terminal.txt').read_text('utf-8').strip()}\n```"
    ),
    ("docs/commands.md", "commands"): tables.commands,
    ("docs/api/models.md", "constructors"): tables.constructors,
    ("docs/weights.md", "shipped"): tables.shipped_table,
    **{
        (f"docs/{page}.md", "sizes"): lambda page=page: tables.sizes_table(
            page, read("models.json")
        )
        for page in tables.family_pages()
    },
    ("docs/performance.md", "gpu"): lambda: printed(
        "benchmarks/gpu.py", "--from-json", DOCS / "gpu_h100.json"
    ),
    ("docs/training.md", "pipeline"): lambda: printed(
        "benchmarks/pipeline.py", "--from-json", DOCS / "pipeline.json"
    ),
    ("docs/nano.md", "transfer"): lambda: printed(
        "weights/results.py", "--transfer", DOCS / "transfer.json"
    ),
    ("docs/nano.md", "probes"): lambda: printed(
        "weights/results.py", "--probes", "docs/nano_probes.json"
    ),
}


def with_table(text: str, marker: str, table: str) -> str:
    """The page with `table` at its marker."""
    pattern = rf"(<!-- generated: {marker} -->\n).*?(<!-- end -->)"
    page, count = re.subn(pattern, lambda m: f"{m[1]}{table}\n{m[2]}", text, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"The page must have one marker {marker!r}. Received: {count}")
    return page


def registry() -> str:
    """What the command line knows of each family and size without importing Keras, as JSON."""
    counts = collections.Counter(row["model"] for row in list_weights())
    families, models = {}, {}
    for row in read("models.json"):
        family = CONSTRUCTORS[CONSTRUCTORS[row["model"]].family]
        text = inspect.getdoc(inspect.getmodule(family.network)) or ""
        # The header of a family's file gives the idea in its first line, and the paper.
        paper = re.search(r"^Paper: (https://\S+) (\([^)]*\))", text, re.M)
        families[family.name] = {
            "idea": text.splitlines()[0],
            "paper": f"{paper[1]} {paper[2]}" if paper else None,
            "any_size": family.any_size,
            "page": report.page_of(family.name),
        }
        facts = {key: value for key, value in row.items() if key != "model"}
        weights = counts[row["model"]]
        models[row["model"]] = {"family": family.name, **facts, "weights": weights}
    known = {"families": families, "models": models, "preprocessing": list(PRESETS)}
    return json.dumps(known, indent=1) + "\n"


def stale() -> list[str]:
    """What differs from what the code gives, one line each."""
    found = [path for path, write in stubs.STUBS.items() if stubs.read(path) != write()]
    counted = [row["model"] for row in read("models.json")]
    if counted != list_models():
        return [*found, "docs/models.json"]
    for script in run_notebooks.SCRIPTS:
        file = script.with_suffix(".ipynb")
        if not file.exists() or file.read_text("utf-8") != run_notebooks.text_of(script):
            found.append(str(file.relative_to(ROOT)))
    if not REGISTRY.exists() or REGISTRY.read_text("utf-8") != registry():
        found.append("keras_shiftmlp/cli/models.json")
    for (page, marker), table in TABLES.items():
        text = (ROOT / page).read_text("utf-8")
        if with_table(text, marker, table()) != text:
            found.append(f"{page}: {marker}")
    return found


def write() -> None:
    """Brings everything up to date."""
    for path, stub in stubs.STUBS.items():
        (stubs.PACKAGE / path).write_text(stub())
    rows = {row["model"]: row for row in read("models.json")}
    for name in list_models():
        paper = CONSTRUCTORS[name].paper or {}
        rows[name] = {
            **(rows.get(name) or report.count_models(name)[0]),
            **{f"paper_{key}": paper.get(key, "–") for key in ("params", "macs", "top1")},
        }
    rows = [rows[name] for name in list_models()]
    MODELS.write_text(json.dumps(rows, indent=2) + "\n")
    REGISTRY.write_text(registry(), "utf-8")
    for (page, marker), table in TABLES.items():
        text = (ROOT / page).read_text("utf-8")
        (ROOT / page).write_text(with_table(text, marker, table()), "utf-8")
    for script in run_notebooks.SCRIPTS:
        script.with_suffix(".ipynb").write_text(run_notebooks.text_of(script), "utf-8")
    for script, *backends in (
        ("test_weight_files.py", "torch"),
        ("test_frozen_files.py", "torch"),
        ("test_gradients.py", "torch"),
        ("test_signatures.py", "torch"),
        ("work.py", "torch", "jax"),
    ):
        for backend in backends:
            environment = {**os.environ, "KERAS_BACKEND": backend}
            subprocess.run([sys.executable, ROOT / "tests" / script], check=True, env=environment)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail if anything is stale")
    if not parser.parse_args().check:
        write()
    elif differences := stale():
        sys.exit(f"stale, run `make generate`: {', '.join(differences)}")
