"""
Tables, and lists of names with values, in one look.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import RenderableType
from rich.table import Table

from empath.ctl.colours import plain

Row = Sequence[RenderableType]


def table(titles: Sequence[str], rows: Iterable[Row], head: bool = True) -> Table:
    """
    Make a table; a title that begins with ">" is of a column of numbers. Cells that are plain `str` are escaped.
    """
    made = Table(box=None, pad_edge=False, show_header=head, header_style="bold", padding=(0, 2, 0, 0))
    for title in titles:
        number = title.startswith(">")
        name = title.removeprefix(">").upper()
        made.add_column(name, justify="right" if number else "left", overflow="fold", no_wrap=number)
    for row in rows:
        made.add_row(*(plain(cell) if isinstance(cell, str) else cell for cell in row))
    return made


def pairs(rows: Iterable[tuple[str, RenderableType]]) -> Table:
    """
    Make a list of names with their values.
    """
    made = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows:
        made.add_row(name, plain(value) if isinstance(value, str) else value)
    return made
