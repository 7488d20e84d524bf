"""
The upkeep of what modules store: what has expired goes, and so does what would let the file grow without end.

Whoever connects can make a module remember something (a greylist, each sender that is made up), so no module keeps more
keys than a bound. Beyond it those that would expire first are forgotten sooner; what never expires stays.
"""

from __future__ import annotations

import sqlite3
from typing import Final

import attrs

MOST_KEYS: Final = 1_000_000  # of one module: some 250 MB of a greylist
STEP: Final = 1000  # rows that one step deletes

_PER_PAGE: Final = 100  # rows that have room in a page, at most
_EXPIRE: Final = """
    DELETE FROM item WHERE rowid IN (
        SELECT rowid FROM item INDEXED BY item_expires WHERE expires IS NOT NULL AND expires <= ? LIMIT ?)
"""
_COUNT: Final = "SELECT module, count(*) FROM item GROUP BY module HAVING count(*) > ?"
_FORGET: Final = """
    DELETE FROM item WHERE rowid IN (
        SELECT rowid FROM item INDEXED BY item_expires WHERE expires IS NOT NULL AND module = ?
        ORDER BY expires LIMIT ?)
"""


@attrs.frozen(slots=True)
class Step:
    """
    What one step did: so many rows are `deleted`. `surplus` is how many keys modules have, by their names, that the
    next steps are to forget; `found` tells of them when they were counted.
    """

    deleted: int
    surplus: tuple[tuple[str, int], ...] = ()
    found: tuple[tuple[str, int], ...] = ()


def step(now: float, surplus: tuple[tuple[str, int], ...], most: int, connection: sqlite3.Connection) -> Step:
    """
    Delete some of what has expired `now`; once that is gone, some of the `surplus`, which is counted if there is none.
    """
    expired = connection.execute(_EXPIRE, (now, STEP)).rowcount
    if expired >= STEP:
        return Step(expired, surplus)
    found = () if surplus else _count(most, connection)
    surplus = surplus or found
    if not surplus:
        return Step(expired)
    (module, excess), *others = surplus
    forgotten = connection.execute(_FORGET, (module, min(excess, STEP))).rowcount
    left = excess - forgotten if forgotten == STEP else 0  # fewer: the others do not expire
    return Step(expired + forgotten, (((module, left),) if left else ()) + tuple(others), found)


def _count(most: int, connection: sqlite3.Connection) -> tuple[tuple[str, int], ...]:
    """
    Tell how many keys too many modules have; a file that is too small for so many is not looked through.
    """
    ((pages,),) = connection.execute("PRAGMA page_count")
    ((free,),) = connection.execute("PRAGMA freelist_count")
    if (pages - free) * _PER_PAGE <= most:
        return ()
    return tuple([(module, keys - most) for module, keys in connection.execute(_COUNT, (most,))])
