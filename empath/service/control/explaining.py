"""
A message's whole life and its next step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime

from empath.control.serving import Answers, Call, NotFound
from empath.control.terms.explaining import Explain, Explanation, NextStep
from empath.control.terms.queue import DecisionRow
from empath.deliver.looking import Way
from empath.interfaces import ISpool
from empath.mail.decision import Decision
from empath.mail.message import LIVE, Delivery, Message, Status
from empath.mail.queue_id import is_queue_id
from empath.mail.wish import wishes
from empath.policy.hold import Hold
from empath.queue.entry import Place
from empath.queue.queue import Queue
from empath.queue.sender_notes import StoppedSender
from empath.queue.standing import Standing
from empath.service.control.naming import queue_id_of
from empath.service.control.next_steps import keeps_longer, sentence
from empath.service.control.paging import moment
from empath.service.control.queue import FindInAudit
from empath.service.control.viewing import Stored, Viewing
from empath.service.control.ways import Ways, hold_row, host_rows, trouble_of

MOST_WAYS: Final = 20  # destinations of a message whose hosts are looked up

_STATES: Final = {Place.IN_FLIGHT: "in-flight", Place.SETTLING: "in-flight", Place.TIMED: "in-flight"}

StoppedBy = Callable[[Message], StoppedSender | None]
"""
Tell that the sender of a message is stopped, None if it is not.
"""


class Explaining:
    """
    Answers from the spool, the queue, the ways that mail would go; `find` looks into the audit trail, `stopped` tells
    of senders.
    """

    def __init__(
        self, queue: Queue, spool: ISpool, ways: Ways, clock: IReactorTime, find: FindInAudit, stopped: StoppedBy
    ) -> None:
        self._queue = queue
        self._ways = ways
        self._clock = clock
        self._find = find
        self._stopped = stopped
        self._viewing = Viewing(spool, queue.listing)

    def answers(self) -> Answers:
        """
        Give what can be asked.
        """
        return {Explain: self._explain}

    async def _explain(self, request: Explain, call: Call) -> Explanation:
        queue_id = queue_id_of(request.queue_id)
        try:
            stored = await self._viewing.read(queue_id)
        except NotFound:
            return await self._gone(queue_id)
        message = stored.message
        steps = await self._steps(stored)
        view = await self._viewing.show(stored)
        decisions = tuple([_decision(each) for each in message.decisions])
        return Explanation(queue_id, view, decisions, steps, message.trace)

    async def _gone(self, queue_id: str) -> Explanation:
        """
        Tell what the audit trail knows of a message.
        """
        if not is_queue_id(queue_id):
            raise NotFound(f"{queue_id!r} is no queue id: those have 26 letters and digits")
        records = await self._find(queue_id)
        if records is None:
            raise NotFound(f"{queue_id} is not in the queue, and there is no audit trail")
        if all(each.get("event") == "control" for each in records):  # that somebody asked for it is not its life
            raise NotFound(f"{queue_id} is not in the queue, and the audit trail does not tell of it")
        return Explanation(queue_id, None, (), (), audit=tuple(records))

    async def _steps(self, stored: Stored) -> tuple[NextStep, ...]:
        """
        Tell what comes next, of each delivery; hosts are looked up where mail is still to go, of some of them.
        """
        message = stored.message
        live = [each for each in stored.deliveries if each.status in LIVE][:MOST_WAYS]
        wish = wishes(message)
        finding = [Deferred.fromCoroutine(self._ways.find(each.domain, wish)) for each in live]
        found = cast("list[Way | None]", await gatherResults(finding, consumeErrors=True))
        ways = {each.domain: way for each, way in zip(live, found, strict=True)}
        return tuple([self._step(each, message, ways) for each in stored.deliveries])

    def _step(self, delivery: Delivery, message: Message, ways: dict[str, Way | None]) -> NextStep:
        standing = self._queue.standings.of(delivery, message)
        way, asked = ways.get(delivery.domain), delivery.domain in ways
        trouble = trouble_of(way) if asked else ""
        then = None if way is None else self._queue.standings.at(way.site, delivery.domain)
        hold = then if keeps_longer(standing.hold, then) else standing.hold
        summary = sentence(delivery, standing, then, self._stopped(message), self._clock.seconds())
        return NextStep(
            delivery.domain,
            state_of(delivery, standing),
            f"{summary}; its hosts: {trouble}" if trouble else summary,
            hold_row(hold) if isinstance(hold, Hold) else None,
            moment(delivery.next_attempt) if delivery.status in LIVE else None,
            moment(standing.expires),
            "" if way is None else way.site,
            "" if way is None else way.route.strategy,
            () if way is None else host_rows(way),
        )


def state_of(delivery: Delivery, standing: Standing) -> str:
    """
    Tell the state in one word.
    """
    if isinstance(standing.hold, Place):
        return _STATES.get(standing.hold, "waiting")
    if delivery.status not in LIVE:
        return "ended"
    return "held" if delivery.status is Status.HELD else "waiting"


def _decision(decision: Decision) -> DecisionRow:
    """
    Tell what a module decided; its reply stands for a reason that it did not give.
    """
    action = f"{decision.verdict} (shadow: not enforced)" if decision.shadow else decision.verdict
    why = f"{decision.reply}: {decision.why}" if decision.reply and decision.why else decision.why or decision.reply
    return DecisionRow(decision.module, decision.hook, action, why)
