"""
Mail that takes long: its sender is told once that it is late, and that we go on (RFC 5321 §4.5.4.1, RFC 3461 §5.2.4).

No attempt is needed for that: it holds for what waits at a site that is left alone, or for a rate or a slot, too. That
he was told is stored with the report, apart from what attempts store: neither can undo the other. Retried: what the
spool cannot tell or store now, in a later round; a message that it never can keeps no other waiting. Ignored: held
mail, and frozen as long as it is. Fatal: nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby, islice
from typing import Final, cast

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from empath.config import schema
from empath.errors import MessageUnknown, SpoolError
from empath.interfaces import ISpool
from empath.mail.deliver_by import deliver_by
from empath.mail.message import Delivery, Message
from empath.mail.notice import Action, Notice, wanted
from empath.mail.queue_id import queue_id_at
from empath.policy.selection import Key
from empath.queue.deciding import Report
from empath.queue.freezing import Freezing

log = Logger()

AT_ONCE: Final = 10  # messages: reports are made on the reactor, and it has others to serve
MOST_TROUBLE: Final = 20  # messages of a round that the spool cannot read or note: then it is the spool
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
        if not 0.0 <= now - self._whole < AGAIN:  # or the clock was put back
            self._after, self._whole = BEGINNING, now
        then = now - dsn.delay_after
        trouble: list[SpoolError] = []
        while True:
            page = await self._spool.delayed(then, self._after)
            groups = groupby(page.deliveries, lambda each: each.queue_id)
            late = iter([tuple(deliveries) for _, deliveries in groups])
            while some := list(islice(late, AT_ONCE)):
                trouble += await self._tell_all(some, then)
                if len(trouble) > MOST_TROUBLE:
                    raise trouble[0]
            if page.after is None:
                break
            self._after = page.after
        self._after = max(self._after, (queue_id_at(max(0.0, then - OVERLAP)), ""))

    async def _tell_all(self, late: list[tuple[Delivery, ...]], then: float) -> list[SpoolError]:
        """
        Tell the senders of these messages; gives what trouble the spool has with single ones, which is logged.
        """
        telling = [Deferred.fromCoroutine(self._tell(deliveries, then)) for deliveries in late]
        trouble = []
        for deliveries, (done, result) in zip(late, await DeferredList(telling, consumeErrors=True), strict=True):
            if done:
                continue
            failure = cast(Failure, result)
            failure.trap(SpoolError)
            queue_id, error = deliveries[0].queue_id, failure.value
            log.warn("{queue_id}: nobody is told of its delay yet: {error}", queue_id=queue_id, error=error)
            trouble.append(cast(SpoolError, failure.value))
        return trouble

    async def _tell(self, deliveries: tuple[Delivery, ...], then: float) -> None:
        """
        Tell the sender of those deliveries of a message that are late, once; where one of them has just changed, of
        each by itself.
        """
        freezing = self._freezing
        late = [each for each in deliveries if freezing.since(each.domain) is None and freezing.begun(each) <= then]
        if not late:
            return
        report, message = None, None
        if any(wanted(state, Action.DELAYED) for each in late for state in each.open_recipients):
            try:
                message = await self._spool.load(late[0].queue_id)
            except MessageUnknown:
                return  # it has just ended
            report = self._report_on(message, late)
        noted = await self._spool.warn(late, *(report or ()))
        if noted and message is not None and report is not None:
            self._told(message, *report)
        elif not noted and len(late) > 1:
            for each in late:
                await self._tell((each,), then)

    def _report_on(self, message: Message, late: list[Delivery]) -> tuple[Message, tuple[Delivery, ...]] | None:
        """
        Make the report, if there is to be one; where it cannot be made, none is ever sent.
        """
        by = deliver_by(message) if "BY" in message.envelope.parameters else None
        notices = []
        for delivery in late:
            until = self._freezing.begun(delivery) + self._section.message_expiration
            if by is not None and by.returned:
                until = min(until, by.deadline)
            for state in delivery.open_recipients:
                if wanted(state, Action.DELAYED) and not state.late:
                    notices.append(Notice(state, Action.DELAYED, until))
        try:
            return self._report(message, tuple(notices)) if notices else None
        except Exception:  # the mail is tried all the same
            log.failure("{queue_id}: no report of its delay could be made", queue_id=message.queue_id)
            return None
