"""Writes what follows from the code: stubs, tables in the docs, test data of a new family.

    python tools/generate.py            # `make generate`
    python tools/generate.py --check    # `make lint`: fails if anything is stale or missing

Frozen test data are written for new names only: they are the file format that users rely on.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # of this checkout, whichever one is installed

import stubs

from keras_shiftmlp import list_models
from keras_shiftmlp.benchmark import report
from keras_shiftmlp.models._constructor import CONSTRUCTORS

DOCS = ROOT / "docs"
MODELS = DOCS / "models.json"


def printed(script: str, *arguments) -> str:
    """What a script of the repository prints."""
    command = [sys.executable, ROOT / script, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def read(name: str):
    return json.loads((DOCS / name).read_text("utf-8"))


# Text by page and marker: it stands between `<!-- generated: MARKER -->` and `<!-- end -->`.
TABLES = {
    ("README.md", "families"): lambda: report.families_table(read("models.json")),
    ("docs/models.md", "models"): lambda: report.models_table(read("models.json")),
    ("docs/export.md", "export matrix"): lambda: printed(
        "benchmarks/export_matrix.py", "--from-json", DOCS / "export_matrix.json"
    ),
    ("docs/performance.md", "bench"): lambda: report.times_table(read("bench.json")["rows"]),
    ("docs/performance.md", "profile"): lambda: report.profile_table(read("bench.json")["profile"]),
    ("docs/performance.md", "growth"): lambda: report.bench_report(read("growth.json")),
    ("docs/performance.md", "peers"): lambda: printed(
        "benchmarks/peers.py", "--from-json", DOCS / "peers.json"
    ),
    ("docs/performance.md", "gpu"): lambda: (
        printed("benchmarks/gpu.py", "--from-json", DOCS / "gpu.json")
        if (DOCS / "gpu.json").exists()
        else ""
    ),
    ("weights/README.md", "weights"): report.weights_table,
    ("docs/nano.md", "results"): lambda: printed("weights/results.py"),
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


def stale() -> list[str]:
    """What differs from what the code gives, one line each."""
    found = [path for path, write in stubs.STUBS.items() if stubs.read(path) != write()]
    counted = [row["model"] for row in read("models.json")]
    if counted != list_models():
        return [*found, "docs/models.json"]
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
    for (page, marker), table in TABLES.items():
        text = (ROOT / page).read_text("utf-8")
        (ROOT / page).write_text(with_table(text, marker, table()), "utf-8")
    for script in ("test_weight_files.py", "test_frozen_files.py"):
        environment = {**os.environ, "KERAS_BACKEND": "torch"}
        subprocess.run([sys.executable, ROOT / "tests" / script], check=True, env=environment)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail if anything is stale")
    if not parser.parse_args().check:
        write()
    elif differences := stale():
        sys.exit(f"stale, run `make generate`: {', '.join(differences)}")
