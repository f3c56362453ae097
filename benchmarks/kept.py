"""Rows of a small benchmark: a table, and with --keep also a part of docs/kept.json."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from keras_shiftmlp.benchmark.tables import rows_table

FILE = Path(__file__).parents[1] / "docs" / "kept.json"


def add_option(parser: argparse.ArgumentParser) -> None:
    """Adds --keep."""
    parser.add_argument("--keep", action="store_true", help="write the rows into docs/kept.json")


def show(name: str, rows: Sequence[dict], keep: bool) -> None:
    """Prints the rows and, with `keep`, writes them under `name`."""
    print(rows_table(rows))
    if keep:
        known = json.loads(FILE.read_text()) if FILE.exists() else {}
        FILE.write_text(json.dumps({**known, name: list(rows)}, indent=1) + "\n")
