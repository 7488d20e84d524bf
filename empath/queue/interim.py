"""
What is done of an attempt before it is over, written down so that a crash does not repeat it.

Ignored: a spool that refuses; the end of the attempt is written all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from empath.errors import MessageUnknown, SpoolError
from empath.interfaces import ISpool
from empath.mail.message import Delivery
from empath.mail.outcome import Outcome
from empath.mail.settlement import Settlement
from empath.queue.settle import so_far

SELDOM: Final = 1.0  # seconds between two notes

log = Logger()


class Interim:
    """
    Keeps who has the mail of a delivery with many recipients, once a second: all of it is in the settlement at the end,
    which is written behind it. `ids` are those of the attempt in its trace.
    """

    def __init__(
        self, spool: ISpool, clock: IReactorTime, delivery: Delivery, ids: tuple[str, str] | None = None
    ) -> None:
        self._spool = spool
        self._clock = clock
        self._delivery = delivery
        self._ids = ids
        self._kept = clock.seconds()
        self._writing = False

    def keep(self, outcomes: Sequence[Outcome | None]) -> None:
        """
        See `Attempt.keep`.
        """
        now = self._clock.seconds()
        if self._writing or 0.0 <= now - self._kept < SELDOM:
            return
        self._kept = now
        delivery = so_far(self._delivery, outcomes)
        if delivery is not None:
            self._writing = True
            self._spool.settle(Settlement(delivery)).addBoth(self._written)

    def _written(self, result: Failure | None) -> None:
        self._writing = False
        if result is None or result.check(MessageUnknown) is not None:
            return
        named: dict[str, Any] = {"queue_id": self._delivery.queue_id, "log_ids": self._ids}
        if result.check(SpoolError) is None:
            log.failure("{queue_id}: a crash now would repeat deliveries", result, **named)
        else:
            log.warn("{queue_id}: a crash now would repeat deliveries: {why}", why=result.value, **named)
