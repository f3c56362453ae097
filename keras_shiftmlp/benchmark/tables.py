"""Tables in Markdown."""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple


class Table(NamedTuple):
    """A table of texts: the arguments of `markdown_table`."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Collection[int] = ()


def markdown_table(
    head: Sequence[str], rows: Iterable[Sequence[str]], numeric: Collection[int] = ()
) -> str:
    """A Markdown table, without a line break at its end.

    Args:
        head: Titles of the columns.
        rows: One cell per column.
        numeric: Indices of the columns that are aligned to the right.

    Example:

    >>> print(markdown_table(["model", "ms"], [["`MixerS16`", "3.1"]], numeric=[1]))
    | model | ms |
    | --- | ---: |
    | `MixerS16` | 3.1 |
    """
    rule = ["---:" if column in numeric else "---" for column in range(len(head))]
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, rule, *rows])


def rows_table(rows: Sequence[dict[str, str | int | float]]) -> str:
    """Rows with the same keys as a Markdown table; columns of numbers are aligned to the right.

    Example:

    >>> print(rows_table([{"model": "MixerS16", "ms": 3.1}]))
    | model | ms |
    | --- | ---: |
    | MixerS16 | 3.1 |
    """
    head = list(rows[0])
    numeric = [place for place, key in enumerate(head) if not isinstance(rows[0][key], str)]
    return markdown_table(head, [[str(cell) for cell in row.values()] for row in rows], numeric)
