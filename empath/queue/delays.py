"""
Mail that takes long: its sender is told once that it is late, and that we go on (RFC 5321 §4.5.4.1, RFC 3461 §5.2.4).

No attempt is needed for that: it holds for what waits at a site that is left alone, or for a rate or a slot, too. That
he was told is stored with the report, apart from what attempts store: neither can undo the other. Retried: what the
spool cannot tell or store now, in the next round. Ignored: held mail, and frozen as long as it is. Fatal: nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Final

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from empath.config import schema
from empath.errors import MessageUnknown
from empath.interfaces import ISpool
from empath.mail.deliver_by import deliver_by
from empath.mail.message import Delivery, Message
from empath.mail.notice import Action, Notice, wanted
from empath.mail.queue_id import queue_id_at
from empath.mail.settlement import Settlement
from empath.policy.selection import Key
from empath.queue.deciding import Report
from empath.queue.freezing import Freezing

log = Logger()

AT_ONCE: Final = 50
ROUNDS: Final = 60  # in the time after which a sender is told
SHORTEST: Final = 1.0
LONGEST: Final = 300.0
AGAIN: Final = 900.0  # seconds after which all is looked at again: what was frozen, or released late
OVERLAP: Final = 300.0  # seconds by which reception may take longer than a round reckons with
BEGINNING: Final[Key] = ("", "")

Told = Callable[[Message, Message, tuple[Delivery, ...]], None]
"""
Hear of a message whose sender is told, and of the report that does so, which is on disk.
"""


def interval(dsn: schema.Dsn) -> float:
    """
    Tell the seconds between two rounds.
    """
    return min(max(dsn.delay_after / ROUNDS, SHORTEST), LONGEST)


class Delays:
    """
    Looks for mail that is older than `delay_after` and still on its way. `report` makes the report that `told` hears
    of.
    """

    def __init__(
        self,
        section: schema.Delivery,
        spool: ISpool,
        freezing: Freezing,
        report: Report,
        clock: IReactorTime,
        told: Told,
    ) -> None:
        self._section = section
        self._spool = spool
        self._freezing = freezing
        self._report = report
        self._clock = clock
        self._told = told
        self._after = BEGINNING
        self._whole = 0.0

    def reconfigure(self, section: schema.Delivery) -> None:
        """
        Use another section from the next round on.
        """
        self._section = section
        self._after = BEGINNING

    async def look(self) -> None:
        """
        One round: what has become late since the last one, and now and then all there is.
        """
        dsn, now = self._section.dsn, self._clock.seconds()
        if not (dsn.enabled and dsn.delay_after):
            return
        if now - self._whole >= AGAIN:
            self._after, self._whole = BEGINNING, now
        then = now - dsn.delay_after
        while True:
            page = await self._spool.delayed(then, self._after)
            late = iter(page.deliveries)
            while some := list(islice(late, AT_ONCE)):
                await self._tell_all(some, then)
            if page.after is None:
                break
            self._after = page.after
        self._after = max(self._after, (queue_id_at(max(0.0, then - OVERLAP)), ""))

    async def _tell_all(self, late: list[Delivery], then: float) -> None:
        """
        Tell the senders of these, and then of the first trouble that there was.
        """
        telling = [Deferred.fromCoroutine(self._tell(delivery, then)) for delivery in late]
        for done, result in await DeferredList(telling, consumeErrors=True):
            if not done:
                result.raiseException()  # type: ignore[attr-defined]  # then it is a Failure

    async def _tell(self, delivery: Delivery, then: float) -> None:
        freezing = self._freezing
        if freezing.since(delivery.domain) is not None or freezing.begun(delivery) > then:
            return
        settlement, message = Settlement(delivery), None
        if any(wanted(state, Action.DELAYED) for state in delivery.open_recipients):
            try:
                message = await self._spool.load(delivery.queue_id)
            except MessageUnknown:
                return  # it has just ended
            settlement = self._settlement(delivery, message)
        if await self._spool.warn(settlement) and message is not None and settlement.report is not None:
            self._told(message, settlement.report, settlement.report_deliveries)

    def _settlement(self, delivery: Delivery, message: Message) -> Settlement:
        """
        Make the report, if there is to be one; where it cannot be made, none is ever sent.
        """
        until = self._freezing.begun(delivery) + self._section.message_expiration
        by = deliver_by(message) if "BY" in message.envelope.parameters else None
        if by is not None and by.returned:
            until = min(until, by.deadline)
        notices = tuple(
            [
                Notice(state, Action.DELAYED, until)
                for state in delivery.open_recipients
                if wanted(state, Action.DELAYED) and not state.late
            ]
        )
        try:
            report = self._report(message, notices) if notices else None
        except Exception:  # the mail is tried all the same
            log.failure("{queue_id}: no report of its delay could be made", queue_id=message.queue_id)
            report = None
        return Settlement(delivery) if report is None else Settlement(delivery, *report)
