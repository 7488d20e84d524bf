"""
The index of deliveries by domain, `delivery_listed`: mail that stays is taken up into it some seconds after it came, so
that mail which goes on at once never pays for it.

Invariant: every delivery whose queue id is not behind the one noted in `state` is in the index. Whoever looks for a
domain uses the index up to there, and looks through the few rows behind it. Queue ids are made when a transaction
begins: mail whose id is not behind what is being taken up, since it took long to receive, is listed as it is inserted.

Retried, with the next round: what the disk does not take. Fatal, ignored: nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from empath.mail.queue_id import queue_id_at
from empath.spool.changes import in_slices
from empath.spool.commit import Operation

LAG: Final = 5.0  # seconds after which mail counts as staying
INTERVAL: Final = 10.0  # seconds between two rounds
SLICE: Final = 150  # deliveries at a time: some milliseconds

LISTED: Final = "SELECT coalesce((SELECT value FROM state WHERE name = 'listed'), '')"

COMPLETE: Final = "SELECT NOT EXISTS (SELECT 1 FROM delivery WHERE queue_id > ?)"
_SLICE_END: Final = (
    "SELECT queue_id FROM delivery WHERE queue_id > ? AND queue_id < ? ORDER BY queue_id LIMIT 1 OFFSET ?"
)
_LAST: Final = "SELECT max(queue_id) FROM delivery WHERE queue_id > ? AND queue_id < ?"
_TAKE_UP: Final = "UPDATE delivery SET listed = 1 WHERE queue_id > ? AND queue_id <= ? AND listed IS NULL"
_NOTE: Final = "INSERT OR REPLACE INTO state (name, value) VALUES ('listed', ?)"

log = Logger()


class TakingUp:
    """
    Takes deliveries up into the index, round by round, with operations that `submit` has done; rests once all of them
    are in it.
    """

    def __init__(self, clock: IReactorTime, submit: Callable[[Operation], Deferred[int]]) -> None:
        self._clock = clock
        self._submit = submit
        self._upto = ""
        self._fresh = False
        self._timer: IDelayedCall | None = None
        self._under_way = False
        self._stopped = True

    def start(self, upto: str, complete: bool) -> None:
        """
        Begin; all up to the id `upto` are in the index, and where it is `complete` there are no others.
        """
        self._upto = upto
        self._stopped = False
        if not complete:
            self._wake()

    def stop(self) -> None:
        """
        Leave the rest to the next start.
        """
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def mark(self, queue_id: str) -> int | None:
        """
        Give what a new delivery has as `listed`.
        """
        self._fresh = True
        if self._timer is None and not self._under_way:
            self._wake()
        return 1 if queue_id <= self._upto else None

    def _wake(self) -> None:
        if not self._stopped:
            self._timer = self._clock.callLater(INTERVAL, self._round)

    def _round(self) -> None:
        """
        Take up all that has stayed for long enough. What came since the last round may be too young for this one: it
        gets another.
        """
        self._timer, self._under_way = None, True
        again, self._fresh = self._fresh, False
        self._upto = max(self._upto, queue_id_at(self._clock.seconds() - LAG))
        Deferred.fromCoroutine(self._take_up()).addBoth(self._taken_up, again)

    async def _take_up(self) -> None:
        await in_slices(self._submit, partial(take_up, self._upto), SLICE)

    def _taken_up(self, result: Failure | None, again: bool) -> None:
        self._under_way = False
        if result is not None and not self._stopped:
            log.warn("what stays could not be indexed, tried again: {error}", error=result.getErrorMessage())
        if again or self._fresh or result is not None:
            self._wake()


def take_up(upto: str, connection: sqlite3.Connection) -> int:
    """
    Take up a slice of what is not behind `upto`; less than SLICE if that was all.
    """
    (after,) = connection.execute(LISTED).fetchone()
    end = connection.execute(_SLICE_END, (after, upto, SLICE - 1)).fetchone()
    last = end or connection.execute(_LAST, (after, upto)).fetchone()
    if last[0] is None:
        return 0
    connection.execute(_TAKE_UP, (after, last[0]))
    connection.execute(_NOTE, last)
    return 0 if end is None else SLICE
