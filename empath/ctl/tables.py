"""
Tables, and lists of names with values, in one look. Where a table has no room, each of its rows is a few lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Final

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from empath.ctl.colours import joined, plain

Row = Sequence[Text | str]
LEAST: Final = 16  # columns of a terminal that text needs, not to become a column of letters
GAP: Final = 2


class Rows(Table):
    """
    A table; where its columns have no room, its rows are blocks: the first cell, and what the others say below it.
    """

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """
        Draw it.
        """
        if self._needs(console, options) <= options.max_width:
            yield from super().__rich_console__(console, options)
            return
        for row in zip(*(column.cells for column in self.columns), strict=True):
            yield Text.assemble(row[0], style="bold")
            rest = (Text(f"{_title(column)} ", "dim").append_text(_text(cell)) for column, cell in self._said(row))
            yield Padding(joined(*rest), (0, 0, 0, 4))

    def _said(self, row: Sequence[RenderableType]) -> list[tuple[Column, RenderableType]]:
        """
        Tell what a row says beside its first cell, and in which columns.
        """
        pairs = zip(self.columns[1:], row[1:], strict=True)
        return [(column, cell) for column, cell in pairs if _text(cell)]

    def _needs(self, console: Console, options: ConsoleOptions) -> int:
        """
        Tell how wide it has to be at least, to be read.
        """
        endless = options.update(max_width=100_000)
        widths = 0
        for column in self.columns:
            width = max(Measurement.get(console, endless, cell).maximum for cell in (column.header, *column.cells))
            widths += GAP + (width if column.no_wrap else min(width, LEAST))
        return widths


def table(titles: Sequence[str], rows: Iterable[Row], widths: Sequence[int] = ()) -> Table:
    """
    Make a table; a title that begins with ">" is of a column of numbers. Cells that are plain `str` are escaped. With
    `widths` it goes on below another one: it has no head, and columns at least so wide.
    """
    made = Rows.grid(padding=(0, GAP, 0, 0))
    made.show_header, made.header_style = not widths, "bold"
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
    made = Table.grid(padding=(0, GAP, 0, 0))
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows:
        made.add_row(name, plain(value) if isinstance(value, str) else value)
    return made


def _title(column: Column) -> str:
    return str(column.header).lower()


def _text(cell: RenderableType) -> Text:
    return cell if isinstance(cell, Text) else Text(str(cell))
