"""Runs the commands of the recording in docs/quickstart.md and writes what a terminal shows.

python tools/record_terminal.py    # `make pictures`
"""

import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

ROOT = Path(__file__).parents[1]
PAGE, PHOTO = ROOT / "docs" / "quickstart.md", ROOT / "docs" / "pictures" / "cat.jpg"
COMMANDS = (
    "keras-shiftmlp predict cat.jpg --model S2MLPv2Nano --weights cifar10",
    "keras-shiftmlp list 's2*'",
    "keras-shiftmlp info MSMLPTiny",
)
ROWS, COLUMNS = 50, 88
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def shown(command: str, folder: Path) -> str:
    """What a terminal shows at the end of a command, without colours and progress bars."""
    ours, theirs = pty.openpty()
    ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    run = f'keras-shiftmlp() {{ "{sys.executable}" -m keras_shiftmlp --quiet "$@"; }}; {command}'
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "NO_COLOR": "1"}
    with subprocess.Popen(
        ["bash", "-c", run], cwd=folder, env=environment, stdout=theirs, stderr=subprocess.DEVNULL
    ) as process:
        os.close(theirs)
        chunks = []
        while True:
            try:
                chunks.append(os.read(ours, 65536))
            except OSError:  # the terminal is closed
                break
    os.close(ours)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    text = CONTROL.sub("", b"".join(chunks).decode()).replace("\r\n", "\n")
    lines = [line.rpartition("\r")[2].rstrip() for line in text.splitlines()]
    return "\n".join(lines).strip("\n")


with tempfile.TemporaryDirectory() as folder:
    Path(folder, PHOTO.name).write_bytes(PHOTO.read_bytes())
    recording = "\n\n".join(f"$ {x}\n{shown(x, Path(folder))}" for x in COMMANDS)
start, end = "<!-- recorded: terminal -->\n", "<!-- end -->"
before, _, rest = PAGE.read_text("utf-8").partition(start)
after = rest.partition(end)[2]
PAGE.write_text(f"{before}{start}```text\n{recording}\n```\n{end}{after}", "utf-8")
