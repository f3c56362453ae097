"""Records a session of `keras-shiftmlp` in a terminal of 80 columns, as text for the docs.

    python tools/terminal.py PHOTOS    # writes docs/terminal.txt

PHOTOS is a folder of photos, which the session calls `photos`.
"""

import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SESSION = (
    "keras-shiftmlp list 's2mlpv2*'",
    "keras-shiftmlp info S2MLPv2Nano",
    "keras-shiftmlp predict photos --model S2MLPv2Nano --top 2 --out sheet.png",
    "keras-shiftmlp list 's2mlpv2*' | cut -f 1,4",
    "keras-shiftmlp weights MixerB61",
)


def record(command: str, folder: Path) -> str:
    """What a terminal shows for a command that runs in `folder`."""
    screen, keyboard = pty.openpty()
    script = f'keras-shiftmlp() {{ "{sys.executable}" -m keras_shiftmlp "$@"; }}\n{command}'
    environment = {
        **os.environ,
        **{"COLUMNS": "80", "TERM": "dumb", "KERAS_BACKEND": "torch", "PYTHONPATH": str(ROOT)},
    }
    process = subprocess.Popen(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        stdin=keyboard,
        stdout=keyboard,
        stderr=keyboard,
    )
    os.close(keyboard)
    shown = b""
    try:
        while piece := os.read(screen, 4096):
            shown += piece
    except OSError:  # raised at the end of the session
        pass
    process.wait()
    lines = shown.decode().replace("\r\n", "\n").split("\n")
    # A progress bar is drawn over itself; TensorFlow reports how it was built.
    kept = [x.rstrip() for x in lines if not re.search(r"\r|\x1b|absl::|oneDNN", x)]
    return "\n".join(kept).strip("\n")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(Path(sys.argv[1]).resolve(), Path(folder, "photos"))
        session = [f"$ {command}\n{record(command, Path(folder))}" for command in SESSION]
    (ROOT / "docs" / "terminal.txt").write_text("\n\n".join(session) + "\n", "utf-8")


if __name__ == "__main__":
    main()
