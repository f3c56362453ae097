"""Type checks with basedpyright: the package, the README's calls, and calls that must be errors.

python tools/check_types.py
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
BAD_CALLS = ROOT / "tests" / "typing" / "bad_calls.py"


def errors(*paths: Path) -> list[dict]:
    """What basedpyright calls an error in `paths`, in the project by default."""
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable]
    command += map(str, paths)
    found = json.loads(subprocess.run(command, capture_output=True, text=True, cwd=ROOT).stdout)
    return [x for x in found["generalDiagnostics"] if x["severity"] == "error"]


def python_blocks(page: Path) -> str:
    """The Python of a Markdown page as one file."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S))


def _first(diagnostic) -> str:
    return diagnostic["message"].splitlines()[0]


def main() -> list[str]:
    """One line per complaint."""
    complaints = [
        f"{Path(x['file']).relative_to(ROOT)}:{x['range']['start']['line'] + 1}: {_first(x)}"
        for x in errors()
    ]
    with tempfile.TemporaryDirectory() as folder:
        user_file = Path(folder) / "readme.py"
        user_file.write_text(python_blocks(ROOT / "README.md"))
        complaints += [f"README.md: {_first(x)}" for x in errors(user_file)]
    marked = [i for i, x in enumerate(BAD_CALLS.read_text().splitlines()) if x.endswith("# error")]
    found = {x["range"]["start"]["line"] for x in errors(BAD_CALLS)}
    complaints += [
        f"{BAD_CALLS.relative_to(ROOT)}:{line + 1}: an error was expected here, and only here"
        for line in sorted(found.symmetric_difference(marked))
    ]
    return complaints


if __name__ == "__main__":
    sys.exit("\n".join(main()) or 0)
