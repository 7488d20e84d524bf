"""
Tables, and lists of names with values, in one look.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest

from rich.console import RenderableType
from rich.table import Table

from empath.ctl.colours import plain

Row = Sequence[RenderableType]


def table(titles: Sequence[str], rows: Iterable[Row], widths: Sequence[int] = ()) -> Table:
    """
    Make a table; a title that begins with ">" is of a column of numbers. Cells that are plain `str` are escaped. With
    `widths` it goes on below another one: it has no head, and columns at least so wide.
    """
    made = _bare(not widths)
    for title, width in zip_longest(titles, widths):
        number = title.startswith(">")
        made.add_column(
            title.removeprefix(">").upper(),
            justify="right" if number else "left",
            overflow="fold",
            no_wrap=number,
            min_width=width,
        )
    for row in rows:
        made.add_row(*(plain(cell) if isinstance(cell, str) else cell for cell in row))
    return made


def pairs(rows: Iterable[tuple[str, RenderableType]]) -> Table:
    """
    Make a list of names with their values.
    """
    made = _bare(False)
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows:
        made.add_row(name, plain(value) if isinstance(value, str) else value)
    return made


def _bare(head: bool) -> Table:
    made = Table.grid(padding=(0, 2, 0, 0))
    made.show_header, made.header_style = head, "bold"
    return made
