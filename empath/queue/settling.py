"""
Settling: what an attempt makes of a delivery reaches the disk.

Fatal: nothing. Retried: a settlement that the spool refuses, with growing delays until it is written; meanwhile the
delivery is not attempted again and takes up a slot, so that a broken spool soon stops all attempts. Ignored: a message
that is gone from the spool.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from empath.errors import MessageUnknown, QueueIdTaken, SpoolError
from empath.interfaces import ISpool
from empath.mail.attempt import Attempt
from empath.mail.message import Message
from empath.mail.outcome import Outcome
from empath.mail.settlement import Settlement
from empath.queue.entry import Entry, Place
from empath.queue.lines import Lines
from empath.queue.settle import Decided, with_history

log = Logger()

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0

Decide = Callable[[Entry, Message, tuple[Outcome, ...]], Decided]


class Settling:
    """
    Writes settlements, as `decide` makes them. `dispatch` is called once one is on its way. `cut`: time is over, what
    waits for the spool is tried once more and then left to it.
    """

    def __init__(
        self, spool: ISpool, clock: IReactorTime, lines: Lines, decide: Decide, dispatch: Callable[[], None]
    ) -> None:
        self.failures = 0
        self.cut = False
        self._spool = spool
        self._clock = clock
        self._lines = lines
        self._decide = decide
        self._dispatch = dispatch

    async def settle(
        self, entry: Entry, message: Message, attempt: Attempt, outcomes: tuple[Outcome, ...]
    ) -> Decided | None:
        """
        Have the settlement of an entry written, however often the spool fails; None if the message is gone from it.
        """
        decided = with_history(self._decide(entry, message, outcomes), attempt)
        while True:
            try:
                if not await self._written(entry, decided[0]):
                    await self._insist(entry, decided[0])
            except MessageUnknown:
                log.warn("{queue_id}: gone from the spool, nothing is settled", **entry.named)
                return None
            except QueueIdTaken:
                await self._pause(entry, FIRST_PAUSE)
                decided = with_history(self._decide(entry, message, outcomes), attempt)  # the report has another id
            else:
                return decided

    async def _insist(self, entry: Entry, settlement: Settlement) -> None:
        """
        Try again and again; the entry takes up a slot meanwhile.
        """
        self._lines.stick(+1)
        pause = FIRST_PAUSE
        try:
            while True:
                await self._pause(entry, pause)
                if await self._written(entry, settlement):
                    return
                if self.cut:
                    raise CancelledError
                pause = min(pause * 2, LONGEST_PAUSE)
        finally:
            self._lines.stick(-1)

    async def _pause(self, entry: Entry, pause: float) -> None:
        """
        Wait before the spool is asked again; a stop that is out of time ends it, for one last try.
        """
        entry.place = Place.TIMED
        try:
            await deferLater(self._clock, pause)
        except CancelledError:
            if not self.cut:
                raise
        entry.place = Place.SETTLING

    async def _written(self, entry: Entry, settlement: Settlement) -> bool:
        try:
            writing = self._spool.settle(settlement)
            self._dispatch()
            await writing
        except (MessageUnknown, QueueIdTaken, CancelledError):
            raise
        except SpoolError as error:
            log.warn("{queue_id}: cannot be settled, tried again: {error}", **entry.named, error=error)
        except Exception:
            log.failure("{queue_id}: cannot be settled, tried again", **entry.named)
        else:
            return True
        self.failures += 1
        return False
