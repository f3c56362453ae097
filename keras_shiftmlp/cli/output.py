"""What a command writes: results to the standard output, everything else to the standard error."""

import contextlib
import csv
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

logger = logging.getLogger("keras_shiftmlp")


class UsageError(ValueError):
    """A wrong call, found before anything was read or written."""


class LogLines(logging.Handler):
    """Writes log records to the standard error, above a progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        # While a bar is shown, rich replaces `sys.stderr`.
        print(self.format(record), file=sys.stderr)


@contextlib.contextmanager
def log_lines(level: int) -> Iterator[None]:
    """Writes the library's log to the standard error inside the block, from `level` on."""
    handler, before = LogLines(), logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


@contextlib.contextmanager
def without_messages() -> Iterator[None]:
    """Drops what is written to the standard error inside the block, by C++ code too."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def show_json(content: Any) -> None:
    """Prints JSON: one line, or indented on a terminal."""
    print(json.dumps(content, indent=2 if sys.stdout.isatty() else None))


def show_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints CSV with a line of titles."""
    writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def show_record(record: Mapping[str, Any]) -> None:
    """Prints one result: a line per fact on a terminal, else one line of JSON."""
    if sys.stdout.isatty():
        show_table([{"": key, " ": value} for key, value in record.items()], head=False)
    else:
        show_json(record)


def show_table(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str] | None = None,
    short: Sequence[str] | None = None,
    head: bool = True,
) -> None:
    """Prints a table that fits the terminal, or tab-separated text if the output is no terminal.

    Args:
        rows: A value per column.
        columns: Keys of the rows, in order; those of the first row by default.
        short: The columns that a terminal shows, if not all.
        head: Whether to print the names of the columns.
    """
    columns = columns or list(rows[0])
    if not sys.stdout.isatty():
        lines = [columns] if head else []
        lines += [[_plain(row[column]) for column in columns] for row in rows]
        print("\n".join("\t".join(line) for line in lines))
        return
    from rich import box, console, table, text

    line_below_head = box.Box("    \n    \n ── \n    \n    \n    \n    \n    \n")
    shown = table.Table(
        box=line_below_head, show_header=head, show_edge=False, padding=(0, 1, 0, 0)
    )
    for column in short or columns:
        numeric = all(isinstance(row[column], int | float | None) for row in rows)
        # Only texts are broken into lines; names, numbers and words stay whole.
        is_text = column != columns[0] and any(" " in str(row[column]) for row in rows)
        shown.add_column(
            column.replace("_", " "),
            justify="right" if numeric else "left",
            no_wrap=not is_text,
            overflow="fold" if is_text else "ellipsis",
            min_width=10 if is_text else None,
        )
    for row in rows:
        shown.add_row(*(text.Text(_readable(row[column])) for column in short or columns))
    console.Console().print(shown)


def _plain(value):
    """A value for another program."""
    return "" if value is None else " ".join(str(value).split())


def _readable(value):
    """A value for a person."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


@contextlib.contextmanager
def progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """Shows a bar with the time left inside the block, on a terminal and without --quiet.

    Yields:
        A function of how many are done, and of how many in all.
    """
    from rich import console, progress

    with progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
        console=console.Console(stderr=True),
        disable=not (sys.stderr.isatty() and logger.isEnabledFor(logging.WARNING)),
        transient=True,
    ) as bar:
        task = bar.add_task(title, total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield show


def show_note(text: str) -> None:
    """Prints a sentence about the result, which is no part of it, to the standard error."""
    print(text, file=sys.stderr)


def show_separator() -> None:
    """Prints an empty line between two tables."""
    print()
