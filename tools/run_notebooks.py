"""Runs the notebooks, and writes them with their outputs: as notebooks and as pages of the site.

    python tools/run_notebooks.py build/notebooks    # `make notebooks`

The cells of a script in `notebooks/` begin with `# %%`, or `# %% [markdown]` for text in comments.
`make generate` writes the notebook beside it, without outputs.
"""

import argparse
import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(ROOT.glob("notebooks/*.py"))
# For a hosted service. In a checkout the package is installed.
SETUP = """\
# Installs the package if it is missing. Upload its wheel beside the notebook to use that one.
import glob
import importlib.util

if importlib.util.find_spec("keras_shiftmlp") is None:
    [source, *_] = glob.glob("keras_shiftmlp-*.whl") or ["keras_shiftmlp"]
    %pip install --quiet "{source}[tensorflow,train,plots]" scikit-learn
%matplotlib inline"""


def text_of(script: Path) -> str:
    """The notebook of a script; the cell that installs the package follows the first text."""
    parts = re.findall(
        r"^# %%( \[markdown\])?\n(.*?)(?=^# %%|\Z)", script.read_text("utf-8"), re.M | re.S
    )
    cells = []
    for kind, text in parts:
        text = re.sub(r"^# ?", "", text, flags=re.M) if kind else text
        cells.append(("markdown" if kind else "code", text.strip()))
    cells.insert(1, ("code", SETUP))
    code = {"execution_count": None, "outputs": []}
    notebook = {
        "cells": [
            {
                "cell_type": kind,
                "id": f"cell-{index}",
                "metadata": {},
                "source": text.splitlines(keepends=True),
                **(code if kind == "code" else {}),
            }
            for index, (kind, text) in enumerate(cells)
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, indent=1) + "\n"


def run(script: Path, folder: Path) -> None:
    """Runs the notebook of a script in `folder` and writes it there with its outputs."""
    import nbformat
    from nbclient import NotebookClient
    from nbconvert import MarkdownExporter

    book = nbformat.reads(text_of(script), as_version=4)
    NotebookClient(book, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    for cell in book.cells:
        # The frameworks log to stderr.
        if "outputs" in cell:
            cell.outputs = [x for x in cell.outputs if x.get("name") != "stderr"]
    nbformat.write(book, folder / f"{script.stem}.ipynb")
    text, resources = MarkdownExporter().from_notebook_node(book)
    for name, picture in resources["outputs"].items():
        (folder / f"{script.stem}_{name}").write_bytes(picture)
    lines, heading, is_code = text.splitlines(), "", False
    for index, line in enumerate(lines):
        is_code ^= line.startswith("```")
        if line.startswith("#") and not is_code:
            heading = line.lstrip("# ")
        # A picture is described by the heading above it.
        lines[index] = line.replace("![png](", f"![{heading}]({script.stem}_")
    (folder / f"{script.stem}.md").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="made if it does not exist")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for script in SCRIPTS:
        run(script, folder)
