"""The package as a whole: its exports, its imports and its documented tables."""

import ast
import inspect
import json
import pydoc
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cases import HERE, MODEL_CASES, once

import keras_shiftmlp
from keras_shiftmlp.benchmark.report import count_models

pytestmark = once
ROOT = HERE.parent
SOURCES = sorted((ROOT / "keras_shiftmlp").rglob("*.py"))


def test_every_public_name_is_there():
    for name in keras_shiftmlp.__all__:
        assert getattr(keras_shiftmlp, name) is not None
    assert set(keras_shiftmlp.__all__) <= set(dir(keras_shiftmlp))
    assert set(keras_shiftmlp.models.__all__) <= set(keras_shiftmlp.__all__)
    with pytest.raises(AttributeError, match="S2MLPv3"):
        keras_shiftmlp.S2MLPv3  # noqa: B018


@pytest.mark.parametrize(
    "statement",
    [
        "import keras_shiftmlp; keras_shiftmlp.layers",
        "from keras_shiftmlp.layers import SpatialShift",
        "import keras_shiftmlp.layers.affine",
        "from keras_shiftmlp.models import ImageModel",
        "import keras_shiftmlp.preprocessing",
        "import keras, keras_shiftmlp",
        "import keras_shiftmlp, keras",
    ],
)
def test_any_import_registers_the_classes(statement):
    code = f"""{statement}
import keras
assert "keras_shiftmlp>ImageModel" in keras.saving.get_custom_objects()
assert "keras_shiftmlp>SpatialShift" in keras.saving.get_custom_objects()
assert "keras_shiftmlp>AdamW" in keras.saving.get_custom_objects()
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_help_shows_summary_arguments_and_defaults():
    shown = pydoc.render_doc(keras_shiftmlp.S2MLPv2Small, renderer=pydoc.plaintext)
    assert "\nS2MLPv2Small = <constructor keras_shiftmlp.S2MLPv2Small>\n" in shown
    assert "`S2MLPv2` with `patch_sizes=(7, 2), dims=(192, 384), depths=(4, 14)`." in shown
    _, _, defaults = " ".join(shown.split()).partition("Defaults:")
    for name, parameter in inspect.signature(keras_shiftmlp.S2MLPv2Small).parameters.items():
        assert f"\n        {name}: " in shown
        assert f"{name}={parameter.default!r}" in defaults


def test_importing_the_package_alone_is_quick():
    code = """if True:
        import sys, keras_shiftmlp
        assert not {"keras", "lazy_loader", "numpy"} & set(sys.modules)
        assert {"S2MLPv2Small", "layers"} <= set(dir(keras_shiftmlp))
        from keras_shiftmlp import *
        assert layers.SpatialShift and S2MLPv2Small
    """
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_only_public_keras_in_the_package(path):
    text = path.read_text()
    assert "keras.src" not in text
    # Exporters, the benchmark and the original networks import a framework, inside functions.
    direct = path.parent.name == "export" or path.name in ("bench.py", "originals.py")
    engines = r"^(import|from)" if direct else r"^\s*(import|from)"
    assert not re.search(rf"{engines} (tensorflow|jax|torch)\b", text, re.M)
    assert not re.search(r"^\s*print\(", text, re.M) or path.parent.name == "cli"
    family = path.parent.name == "models" and not path.name.startswith("_")
    assert len(text.splitlines()) <= (140 if family else 450)


# Folders and modules from the ground up; those of one line know nothing of each other.
FLOORS = [
    "downloads kernels naming",
    "layers programs",
    "checkpoints finetuning",
    "models catalogue",
    "export keras_hub preprocessing registration",
    "visualization",
    "benchmark training",
    "prediction publishing",
    "cli",
]


def imported_names(tree):
    """`package.module.name` of each import in a module, with those inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from (f"{module}.{alias.name}" for alias in node.names)


def test_no_import_leads_upward():
    floors = {room: floor for floor, line in enumerate(FLOORS) for room in line.split()}
    package = ROOT / "keras_shiftmlp"
    # A public name is a name of its module.
    stub = (package / "__init__.pyi").read_text()
    homes = {name: home for home, name in re.findall(r"^from \.(\w+)\S* import (\w+)", stub, re.M)}
    for path in SOURCES:
        room = path.relative_to(package).with_suffix("").parts[0]
        for name in imported_names(ast.parse(path.read_text())):
            assert not name.startswith("."), f"{path} has the relative import {name}"
            top, imported, *_ = [*name.split("."), "__init__"]
            imported = homes.get(imported, imported)
            if top == "keras_shiftmlp" and imported != room and "__" not in imported + room:
                assert {room, imported} <= floors.keys(), f"FLOORS lacks {room} or {imported}"
                assert floors[imported] < floors[room], f"{path} imports {name}, which is above it"


def test_nothing_generated_is_stale():
    command = [sys.executable, ROOT / "tools" / "generate.py", "--check"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_counted_models_are_those_of_the_docs():
    [row] = count_models("S2MLPv2Small")
    assert (row["params"], row["macs"]) == (25_113_448, 6_901_767_168)
    kept = json.loads((ROOT / "docs" / "models.json").read_text())
    assert row in kept


def test_macs_need_a_size():
    with pytest.raises(ValueError, match="known `input_shape`"):
        keras_shiftmlp.count_macs(MODEL_CASES["s2_mlp"].build(input_shape=(None, None, 3)))


def test_changelog_and_citation_name_this_version():
    version = keras_shiftmlp.__version__
    assert f"\n## [{version}] - " in (ROOT / "CHANGELOG.md").read_text()
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()


def test_no_path_of_one_machine():
    pattern = re.compile(r"/(work|tmp|root|home)/[a-z]")
    files = [
        *SOURCES,
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        *Path(ROOT, "examples").glob("*.py"),
    ]
    assert not [path for path in files if pattern.search(path.read_text())]
