"""Writes the notebooks from their scripts, and runs them.

    python tools/notebooks.py build/notebooks    # `make notebooks`

A script of `notebooks/` has cells that begin with `# %%`, or `# %% [markdown]` for text in comments.
The notebook beside it has no outputs. With a folder, each notebook is run there and written with its
outputs, as a notebook and as Markdown with pictures for the site.
"""

import argparse
import re
from pathlib import Path

import nbformat

FOLDER = Path(__file__).parents[1] / "notebooks"
# For a hosted service. In a checkout the package is installed.
SETUP = """\
# Installs the package if it is missing. Upload its wheel beside the notebook to use that one.
import glob
import importlib.util

if importlib.util.find_spec("keras_shiftmlp") is None:
    [source, *_] = glob.glob("keras_shiftmlp-*.whl") or ["keras_shiftmlp"]
    %pip install --quiet "{source}[tensorflow,train,plots]" scikit-learn
%matplotlib inline"""


def notebook(script: Path) -> nbformat.NotebookNode:
    """The notebook of a script; the cell that installs the package follows the first text."""
    cells = []
    for kind, text in re.findall(
        r"^# %%( \[markdown\])?\n(.*?)(?=^# %%|\Z)", script.read_text("utf-8"), re.M | re.S
    ):
        if kind:
            text = re.sub(r"^# ?", "", text, flags=re.M)
            cells.append(nbformat.v4.new_markdown_cell(text.strip()))
        else:
            cells.append(nbformat.v4.new_code_cell(text.strip()))
    cells.insert(1, nbformat.v4.new_code_cell(SETUP))
    for index, cell in enumerate(cells):
        cell["id"] = f"cell-{index}"  # random by default
    book = nbformat.v4.new_notebook(cells=cells)
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    return book


def text_of(script: Path) -> str:
    """The text of the notebook beside a script."""
    return nbformat.writes(notebook(script)) + "\n"


def run(script: Path, folder: Path) -> None:
    """Runs the notebook of a script in `folder` and writes it there with its outputs."""
    from nbclient import NotebookClient
    from nbconvert import MarkdownExporter

    book = notebook(script)
    NotebookClient(book, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    for cell in book.cells:
        # The frameworks log to stderr.
        if "outputs" in cell:
            cell.outputs = [x for x in cell.outputs if x.get("name") != "stderr"]
    nbformat.write(book, folder / f"{script.stem}.ipynb")
    text, resources = MarkdownExporter().from_notebook_node(book)
    for name, picture in resources["outputs"].items():
        (folder / f"{script.stem}_{name}").write_bytes(picture)
        text = text.replace(f"]({name})", f"]({script.stem}_{name})")
    (folder / f"{script.stem}.md").write_text(text, "utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="run the notebooks here")
    args = parser.parse_args()
    for script in sorted(FOLDER.glob("*.py")):
        script.with_suffix(".ipynb").write_text(text_of(script), "utf-8")
        if args.folder:
            args.folder.mkdir(parents=True, exist_ok=True)
            run(script, args.folder)
