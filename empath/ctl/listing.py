"""
Listings that come in pages: however long they are, only a page of them is held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import attrs
import click

from empath.control.terms.asking import Ask
from empath.ctl.json_pages import write_pages

if TYPE_CHECKING:
    from rich.text import Text

    from empath.ctl.tool import Tool
    from empath.ctl.wording import Times

R = TypeVar("R")
MOST: Final = 500  # rows a page
Cells = Sequence["Text | str"]


@attrs.frozen
class Listing(Generic[R]):
    """
    How a listing is shown: the `field` of a page that has its rows, the titles of the columns (">" in front: numbers),
    the cells of a row, what to say when there is none; `warning` makes of the last page what else to say.
    """

    field: str
    titles: tuple[str, ...]
    cells: Callable[[R, Times], Cells]
    nothing: str
    warning: Callable[[Any], str] = lambda page: ""


def paged(default: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """
    Give a verb `--limit` and `--after`.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        limit = click.option(
            "--limit",
            type=click.IntRange(min=0),
            default=default,
            metavar="N",
            help=f"At most so many; 0: all. [{default}]",
        )
        after = click.option("--after", default="", metavar="CURSOR", help="Go on where a listing ended.")
        return limit(after(function))

    return decorate


def show(tool: Tool, request: Ask[Any], limit: int, listing: Listing[Any]) -> None:
    """
    Show at most `limit` rows (0: all) from the request's `after` on: as one JSON document with the rows and `after`, or
    as a table that grows page by page.
    """
    if tool.json:
        write_pages(tool.around.out, pages(tool, request, limit, listing.field), listing.field)
    else:
        _as_table(tool, request, limit, listing)


def pages(tool: Tool, request: Any, limit: int, field: str) -> Iterator[Any]:
    """
    Ask for page after page, until there are `limit` rows (0: all).
    """
    left = limit
    while True:
        page: Any = tool.ask(attrs.evolve(request, limit=min(left or MOST, MOST)))
        yield page
        left -= len(getattr(page, field)) if limit else 0
        if page.after == "" or (limit and left <= 0):
            return
        request = attrs.evolve(request, after=page.after)


def _as_table(tool: Tool, request: Any, limit: int, listing: Listing[Any]) -> None:
    from empath.ctl.tables import table

    widths: list[int] = []
    cursor, page = "", None
    for page in pages(tool, request, limit, listing.field):
        cursor = page.after
        cells = [listing.cells(row, tool.times) for row in getattr(page, listing.field)]
        if not cells:
            continue
        made = table(listing.titles, cells, widths)
        tool.write(made)
        widths = widths or _widths(tool, listing.titles, cells)
    if not widths:
        tool.note(listing.nothing)  # not among the rows, which programs count
    if warning := listing.warning(page):
        tool.note(warning)
    tell_more(tool, cursor)


def _widths(tool: Tool, titles: Sequence[str], cells: Sequence[Cells]) -> list[int]:
    """
    Tell how wide the columns of a page are; 0 for all where it had no room: the next page shares it out anew.
    """
    from rich.measure import Measurement

    from empath.ctl.tables import GAP

    options = tool.console.options
    widths = [
        max(Measurement.get(tool.console, options, cell).maximum for cell in (title, *column))
        for title, column in zip(titles, zip(*cells, strict=True), strict=True)
    ]
    return widths if sum(widths) + GAP * len(widths) <= options.max_width else [0] * len(widths)


def tell_more(tool: Tool, cursor: str) -> None:
    """
    Say how to go on where a listing was cut off, if it was.
    """
    if cursor:
        tool.note(f"There are more: --limit 0 lists all, --after {cursor} goes on here.")
