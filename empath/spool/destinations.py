"""
How many deliveries there are to each destination, in SQLite: counted slice by slice, so that no reading lasts long.
While one does, the write-ahead log cannot begin anew.

What is in the index of domains is counted there, all behind it row by row; where the one ends and the other begins
stays what it was at first, so that nothing is counted twice. The sums lie in a temporary table of the reader's
connection: there may be as many destinations as messages. Fatal, retried, ignored: nothing; trouble fails who asked.
"""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from empath.mail.message import Status
from empath.mail.stored import Destination, Destinations
from empath.spool.listing import LISTED
from empath.spool.reader import Reader

ROWS: Final = 10_000  # deliveries at a time: some ten milliseconds
ENTRIES: Final = 50_000  # of the index at a time
PATIENCE: Final = 0.6  # seconds after which is told what was counted so far
KEPT: Final = 1.0  # seconds for which what took several slices is told again, or as long as it took

_COUNTED: Final = tuple(status for status in Status if status is not Status.IN_PROGRESS)
_NUMBERS: Final = tuple(f"n{at}" for at in range(len(_COUNTED)))
_SUMS: Final = ", ".join(f"sum(status = '{status.value}')" for status in _COUNTED)
_LISTED: Final = f"SELECT CAST(({LISTED}) AS BLOB)"
_BEGIN: Final = (
    f"""
    CREATE TEMP TABLE IF NOT EXISTS counted (
        domain TEXT PRIMARY KEY, number INTEGER, {", ".join(_NUMBERS)}
    ) WITHOUT ROWID
    """,
    "DELETE FROM temp.counted",
)
_ADD: Final = f"""
    GROUP BY domain ON CONFLICT DO UPDATE SET number = number + excluded.number,
    {", ".join(f"{each} = {each} + excluded.{each}" for each in _NUMBERS)}
"""
_KEY: Final = "(CAST(? AS TEXT), CAST(? AS TEXT))"  # keys go to and fro as blobs: a text may be damaged
_MOST: Final = f"""
    SELECT domain, {", ".join(_NUMBERS)} FROM temp.counted ORDER BY number DESC, domain LIMIT ?
"""

Place = tuple[bytes, bytes]


@attrs.frozen(slots=True)
class _Way:
    """
    A way through some of the deliveries, `most` at a time in the order of `key`; each is bound to `bound`.
    """

    source: str
    key: tuple[str, str]
    most: int

    @property
    def end(self) -> str:
        """
        Ask for the key of the last of a slice.
        """
        key = ", ".join(self.key)
        blobs = ", ".join(f"CAST({each} AS BLOB)" for each in self.key)
        return f"SELECT {blobs} FROM {self.source} AND ({key}) > {_KEY} ORDER BY {key} LIMIT 1 OFFSET {self.most - 1}"

    def add(self, is_last: bool) -> str:
        """
        Count a slice, or all that is left.
        """
        key = ", ".join(self.key)
        upto = "" if is_last else f"AND ({key}) <= {_KEY}"
        return f"""
            INSERT INTO temp.counted SELECT domain, count(*), {_SUMS} FROM {self.source}
            AND ({key}) > {_KEY} {upto} {_ADD}
        """


_WAYS: Final = (
    _Way(
        "delivery INDEXED BY delivery_listed WHERE listed IS NOT NULL AND queue_id <= CAST(? AS TEXT)",
        ("domain", "queue_id"),
        ENTRIES,
    ),
    _Way("delivery WHERE queue_id > CAST(? AS TEXT)", ("queue_id", "domain"), ROWS),
)


class Counting:
    """
    Counts with `reader`. Who asks while others wait gets what they get; what was counted is told again for a while.
    """

    def __init__(self, reader: Reader, clock: IReactorTime) -> None:
        self._reader = reader
        self._clock = clock
        self._waiting: list[Deferred[bool]] = []
        self._under_way = False
        self._kept_until = float("-inf")

    async def destinations(self, limit: int) -> Destinations:
        """
        As `ISpool.destinations`.
        """
        is_kept = not self._under_way and self._clock.seconds() < self._kept_until
        complete = is_kept or await self._counted()
        return await self._reader.ask(partial(_told, limit, complete))

    def _counted(self) -> Deferred[bool]:
        """
        Wait until all is counted, or for as long as one may; tells which.
        """
        waiting: Deferred[bool] = Deferred()
        self._waiting.append(waiting)
        timer = self._clock.callLater(PATIENCE, self._late, waiting)
        waiting.addBoth(self._no_more, waiting, timer)
        if not self._under_way:
            self._under_way = True
            Deferred.fromCoroutine(self._count()).addBoth(self._over)
        return waiting

    def _late(self, waiting: Deferred[bool]) -> None:
        waiting.callback(False)

    def _no_more(self, result: bool, waiting: Deferred[bool], timer: IDelayedCall) -> bool:
        if timer.active():
            timer.cancel()
        self._waiting.remove(waiting)
        return result

    async def _count(self) -> None:
        """
        Go both ways to their ends.
        """
        before, slices = self._clock.seconds(), 0
        listed: bytes = await self._reader.ask(_begin)
        for way in _WAYS:
            after: Place | None = (b"", b"")
            while after is not None:
                after = await self._reader.ask(partial(_slice, way, listed, after))
                slices += 1
        if slices > len(_WAYS):
            now = self._clock.seconds()
            self._kept_until = now + max(KEPT, now - before)

    def _over(self, result: Failure | None) -> None:
        self._under_way = False
        for waiting in list(self._waiting):
            if result is None:
                waiting.callback(True)
            else:
                waiting.errback(result)


def _begin(connection: sqlite3.Connection) -> bytes:
    for statement in _BEGIN:
        connection.execute(statement)
    listed: bytes = connection.execute(_LISTED).fetchone()[0]
    return listed


def _slice(way: _Way, listed: bytes, after: Place, connection: sqlite3.Connection) -> Place | None:
    """
    Count a slice; tells where the next one begins.
    """
    last: Place | None = connection.execute(way.end, (listed, *after)).fetchone()
    connection.execute(way.add(is_last=last is None), (listed, *after, *(last or ())))
    return last


def _told(limit: int, complete: bool, connection: sqlite3.Connection) -> Destinations:
    (number,) = connection.execute("SELECT count(*) FROM temp.counted").fetchone()
    most = [
        Destination(domain, _counts(numbers)) for domain, *numbers in connection.execute(_MOST, (limit,)).fetchall()
    ]
    return Destinations(tuple(most), number, complete)


def _counts(numbers: list[int]) -> dict[Status, int]:
    return {status: number for status, number in zip(_COUNTED, numbers, strict=True) if number}
