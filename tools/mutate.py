"""Puts faults of one line into a copy of the code, and names those that the tests do not notice.

python tools/mutate.py training --number 12 --seed 0

Cosmic Ray finds and makes the faults. It changes files, so constants of modules, such as those of
the recipes, are changed too, and tests that start processes see the change. mutmut 3 changes only
the bodies of functions.
"""

import argparse
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast_from_path
from cosmic_ray.mutating import MutationVisitor, use_mutation
from cosmic_ray.operators.operator import Example, Operator
from cosmic_ray.plugins import get_operator, operator_names
from cosmic_ray.testing import TestOutcome, run_tests

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from run_backends import VARIABLES

LAYERS = "test_layers.py test_layer_contract.py test_resample.py"
# The family that brought a layer, whose tests concern it too.
FAMILIES = {
    "axial_shift": "as_mlp",
    "cycle_fc": "cycle_mlp",
    "global_filter": "gfnet",
    "hierarchical_rearrangement": "hire_mlp",
    "partial_shift": "shiftvit",
    "patch_merging": "as_mlp",
    "phase_aware_token_mixing": "wave_mlp",
    "position_embedding": "gfnet",
    "shifted_window_attention": "ms_mlp_swin",
    "silu_gate": "gmixer",
    "sparse_mlp": "smlp_net",
    "spatial_gating_unit": "gmlp",
    "split_attention": "cycle_mlp",
    "weighted_permute_mlp": "vip",
}
# The tests that concern a file or folder, first those that take least time.
TESTS = {
    "training/augmentation.py": ["numpy test_augmentation.py"],
    "training/batches.py": [
        "numpy test_signatures.py test_augmentation.py test_evaluation.py",
        "torch test_training.py",
    ],
    "training/images.py": [
        "numpy test_signatures.py test_images.py test_augmentation.py",
        "torch test_training.py",
    ],
    "training/optimizers.py": [
        "numpy test_signatures.py test_optimizers.py",
        "torch test_optimizers.py",
    ],
    "training/recipes": ["numpy test_recipes.py"],
    "training/trainer.py": [
        "numpy test_signatures.py test_evaluation.py test_training.py",
        "torch test_training.py",
    ],
    "training": [
        "numpy test_signatures.py test_training.py test_recipes.py",
        "torch test_training.py",
    ],
    "preprocessing.py": ["numpy test_preprocessing.py", "jax test_preprocessing.py"],
    "prediction.py": ["numpy test_preprocessing.py"],
    "finetuning.py": [
        "numpy test_signatures.py test_models.py",
        "torch test_models.py test_optimizers.py",
    ],
    "models": [
        "numpy test_bad_calls.py test_golden.py test_models.py test_applications.py "
        "test_weight_files.py",
        "torch test_models.py",
    ],
    "downloads": ["numpy test_download.py test_checkpoints.py"],
    "visualization": [
        "numpy test_visualization.py test_frozen_figures.py test_model_pictures.py "
        "test_signatures.py",
        "torch test_frozen_figures.py test_model_pictures.py",
    ],
    "checkpoints/port.py": [
        "numpy test_resample.py test_golden.py test_weight_files.py test_gmixer.py"
    ],
    "checkpoints": ["numpy test_readers.py test_checkpoints.py test_download.py"],
    **{
        f"layers/{layer}.py": [
            f"numpy test_bench.py test_{family}.py test_golden.py",
            f"torch test_layers.py test_layer_contract.py test_{family}.py test_batch_norm.py",
            "jax test_layer_contract.py",
        ]
        for layer, family in FAMILIES.items()
    },
    "layers/resample.py": ["numpy test_resample.py test_gfnet.py test_ms_mlp_swin.py"],
    "layers": [
        f"numpy {LAYERS} test_bench.py",
        f"torch {LAYERS} test_golden.py",
        "jax test_layer_contract.py",
    ],
    "kernels": [
        f"numpy {LAYERS} test_gfnet.py test_golden.py test_frozen_files.py test_weight_files.py",
        f"torch {LAYERS} test_batch_norm.py",
        "jax test_layers.py",
        "tensorflow test_layers.py",
    ],
}
# Operators whose faults rarely change a result. Equal small numbers and strings are one object, so
# `is` acts like `==`; `|` and `&` are mostly in types. A lone `*` in a signature is no operator.
EQUIVALENT = re.compile(r"_(Is_Eq|Eq_Is|IsNot_NotEq|NotEq_IsNot|BitOr_\w+|BitAnd_\w+)$")
LONE_STAR = re.compile(r"[*/],")
# What follows is for type checkers, and may be imported as well.
FOR_TYPES = "if TYPE_CHECKING:"
# Faults that no test should notice: `line` and `fault` are the line before and after.
EXPECTED = json.loads((ROOT / "tests" / "survivors.json").read_text())


class DropArgument(Operator):
    """Leaves a keyword argument out of a call."""

    def mutation_positions(self, node):
        return [(x.start_pos, x.end_pos) for x in self._arguments(node)]

    def mutate(self, node, index):
        at = node.children.index(self._arguments(node)[index])
        # With the comma after it, or before it if it is the last one.
        comma = node.type == "arglist"
        last = at == len(node.children) - 1
        del node.children[at - (comma and last) : at + 1 + (comma and not last)]
        return node

    @staticmethod
    def _arguments(node):
        children = node.children if node.type in ("arglist", "trailer") else []
        return [x for x in children if x.type == "argument" and x.children[1] == "="]

    @classmethod
    def examples(cls):
        return (Example("f(a, b=1)", "f(a)"),)


def faults(paths):
    """`{(path, position): [(operator, occurrence)]}` of the faults that are valid Python."""
    operators = [get_operator(name) for name in operator_names() if not EQUIVALENT.search(name)]
    operators = [operator for operator in operators if not operator.arguments()]
    found = {}
    for path in paths:
        source = path.read_text()
        lines, nodes = source.splitlines(), list(ast_nodes(get_ast_from_path(path)))
        for operator in [operator() for operator in operators] + [DropArgument()]:
            positions = [at for node in nodes for at, _ in operator.mutation_positions(node)]
            for occurrence, (line, column) in enumerate(positions):
                if lines[line - 1] != FOR_TYPES and not LONE_STAR.match(lines[line - 1][column:]):
                    found.setdefault((path, line, column), []).append((operator, occurrence))
    return found


def is_python(path, operator, occurrence):
    try:
        compile(MutationVisitor.mutate_code(path.read_text(), operator, occurrence), path, "exec")
    except SyntaxError:
        return False
    return True


def command(path):
    """The tests of the file `path`, until one fails."""
    name = next(name for name in TESTS if f"{path}/".startswith(f"keras_shiftmlp/{name}/"))
    python = ROOT / ".venv-test" / "bin" / "python"
    parts = []
    for tests in TESTS[name]:
        backend, *files = tests.split()
        files = " ".join(f"tests/{file}" for file in files)
        parts.append(f"KERAS_BACKEND={backend} {python} -m pytest -x -q {files}")
    return f"sh -c '{' && '.join(parts)}'"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("module", help="a file or folder of the package, such as training")
    parser.add_argument("--number", type=int, default=12, help="how many faults")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=600, help="seconds for the tests of a fault")
    arguments = parser.parse_args()
    if not any(f"{name}/".startswith(f"{arguments.module}/") for name in TESTS):
        parser.error(f"No tests are known for {arguments.module!r}. Known: {', '.join(TESTS)}")
    with tempfile.TemporaryDirectory() as folder:
        copy_of_the_tree(Path(folder))
        os.environ.update(VARIABLES, PYTHONPATH=folder)
        os.chdir(folder)
        chosen = sample(arguments.module, arguments.number, arguments.seed)
        for tests in sorted({command(path) for path, *_ in chosen}):
            outcome, output = run_tests(tests, arguments.limit)
            if outcome != TestOutcome.SURVIVED:
                sys.exit(f"The tests fail without a fault: {tests}\n{output}")
        survivors = [fault for fault in chosen if not is_killed(*fault, arguments.limit)]
        print(f"{arguments.module}: {len(chosen) - len(survivors)} of {len(chosen)} faults killed")
        for path, line, operator, occurrence in survivors:
            old, new = changed_line(path, operator, occurrence)
            fault = {"path": str(path), "line": old, "fault": new}
            reasons = [x["reason"] for x in EXPECTED if fault.items() <= x.items()]
            print(f"{path}:{line}\n  - {old}\n  + {new}\n ", *reasons or ["No reason is known."])


def sample(module, number, seed):
    """Faults `(path, line, operator, occurrence)` of a part of the package."""
    rng, module = random.Random(seed), Path("keras_shiftmlp", module)
    found = faults([module] if module.suffix else sorted(module.rglob("*.py")))
    # A place first, then one of its faults: an arithmetic operator alone has eleven.
    places = list(found)
    rng.shuffle(places)
    drawn = ((path, line, *rng.choice(found[path, line, at])) for path, line, at in places)
    valid = (x for x in drawn if is_python(x[0], *x[2:]))
    return list(itertools.islice(valid, number))


def is_killed(path, line, operator, occurrence, limit):
    """Whether a test fails with the fault. Prints which one, and after how long."""
    started = time.time()
    with use_mutation(path, operator, occurrence):
        outcome, output = run_tests(command(path), limit)
    killed = outcome == TestOutcome.KILLED
    by = re.findall(r"^(?:FAILED|ERROR) (\S+)", output, re.M) or [output] if killed else []
    verdict = "killed  " if killed else "SURVIVED"
    seconds = f"{time.time() - started:4.0f} s"
    print(verdict, seconds, f"{path}:{line}", type(operator).__name__, *by, flush=True)
    return killed


def changed_line(path, operator, occurrence):
    """The line of a fault, before and after."""
    before = path.read_text()
    after = MutationVisitor.mutate_code(before, operator, occurrence)
    old, new = before.splitlines(), after.splitlines()
    first = next(i for i, lines in enumerate(zip(old, new)) if len(set(lines)) == 2)
    return old[first].strip(), new[first].strip()


def copy_of_the_tree(folder):
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.check_output(command, cwd=ROOT, text=True).splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)


if __name__ == "__main__":
    main()
