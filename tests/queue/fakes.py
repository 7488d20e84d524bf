"""
Fakes that record: a spool that is a dictionary, and an agent that does as it is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeVar

import attrs
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from zope.interface import implementer

from empath.config.schema import Spool
from empath.errors import MessageUnknown
from empath.interfaces import IAgent, IBodyReader, IContentWriter, ISites, ISpool, IStorage
from empath.mail.address import Address
from empath.mail.attempt import Attempt
from empath.mail.envelope import Envelope, Recipient
from empath.mail.idempotency import Accepted
from empath.mail.message import Delivery, Message, Status, deliveries_of
from empath.mail.outcome import Outcome, PermanentFailure, Scope, Success, TransientFailure
from empath.mail.reply import Reply
from empath.mail.settlement import Change, Settlement
from empath.mail.stored import Check, Destination, Destinations, Figures, Head, Listing, Progress, Space, head_of
from empath.policy.selection import Key, Page, Selection, page_of

SENT = Success(Reply.of("250 2.0.0 ok"), "mx")
DOWN = TransientFailure(Reply.of("451 4.4.1 no answer"), Scope.HOST)
GREY = TransientFailure(Reply.of("450 4.7.1 greylisted"), Scope.RECIPIENT, "mx")
REFUSED = PermanentFailure(Reply.of("550 5.1.1 no such user"), Scope.RECIPIENT, "mx")

T = TypeVar("T")

ENDED = frozenset({Status.COMPLETED, Status.FAILED, Status.EXPIRED})


def address(text: str) -> Address:
    local, _, domain = text.rpartition("@")
    return Address(local, domain, text)


def mail(number: int, *recipients: str, received: float = 0.0, body: bytes = b"\r\nhello\r\n") -> Message:
    envelope = Envelope(address("ann@sender.example"), tuple(Recipient(address(text)) for text in recipients))
    header = b"Subject: x\r\n"
    return Message(f"{number:026}", received, envelope, header, body, None, len(header) + len(body), False)


@implementer(ISpool)
class FakeSpool:
    """
    `faults` are raised by the next calls of what they are named for; `calls` records all; `pending` holds settlements
    back while `slow` is true; `slow_due` does the same for answers to `due`.
    """

    def __init__(self) -> None:
        self.deletion_failures = 0
        self.orphans = 0
        self.messages: dict[str, Message] = {}
        self.deliveries: dict[tuple[str, str], Delivery] = {}
        self.settlements: list[Settlement] = []
        self.faults: dict[str, list[Exception]] = {}
        self.calls: list[str] = []
        self.limits: list[int] = []
        self.warned: set[Key] = set()
        self.page = 2000
        self.slow = False
        self.pending: list[tuple[Settlement, Deferred[None]]] = []
        self.slow_due = False
        self.slow_select = False
        self.managing: list[Callable[[], None]] = []
        self.answers: list[Callable[[], None]] = []

    def keep(self, message: Message) -> tuple[Delivery, ...]:
        deliveries = deliveries_of(message)
        self.put(message, deliveries)
        return deliveries

    def put(self, message: Message, deliveries: tuple[Delivery, ...]) -> None:
        self.messages[message.queue_id] = message
        for delivery in deliveries:
            self.deliveries[delivery.queue_id, delivery.domain] = delivery

    def _fault(self, call: str) -> Exception | None:
        self.calls.append(call)
        faults = self.faults.get(call)
        return faults.pop(0) if faults else None

    def open(self) -> None:
        self.calls.append("open")

    def close(self) -> Awaitable[None]:
        return succeed(None)

    def has_room(self, size: int) -> bool:
        return True

    def space(self) -> Space:
        return Space(free=1, min_free=0, database=0, reusable=0, memory=0)

    def begin(self, queue_id: str) -> IContentWriter:
        raise NotImplementedError

    def store(self, message: Message, deliveries: tuple[Delivery, ...]) -> Deferred[None]:
        self.put(message, deliveries)
        return succeed(None)

    def settle(self, settlement: Settlement) -> Deferred[None]:
        if fault := self._fault("settle"):
            return fail(fault)
        if self.slow:
            waiting: Deferred[None] = Deferred()
            self.pending.append((settlement, waiting))
            return waiting
        self._settle(settlement)
        return succeed(None)

    def _settle(self, settlement: Settlement) -> None:
        self.settlements.append(settlement)
        delivery = settlement.delivery
        key = (delivery.queue_id, delivery.domain)
        if delivery.status in ENDED and settlement.keep_until is None:
            del self.deliveries[key]
        else:
            self.deliveries[key] = delivery
        if settlement.report is not None:
            self.put(settlement.report, settlement.report_deliveries)

    def catch_up(self) -> None:
        pending, self.pending = self.pending, []
        for settlement, waiting in pending:
            self._settle(settlement)
            waiting.callback(None)

    def due(self, now: float, limit: int, skip: Collection[str]) -> Deferred[list[Delivery]]:
        self.limits.append(limit)
        if fault := self._fault("due"):
            return fail(fault)
        found = sorted(
            (d for d in self.deliveries.values() if d.next_attempt is not None and d.next_attempt <= now),
            key=lambda d: (d.next_attempt, d.queue_id),
        )
        found = [delivery for delivery in found if delivery.domain not in skip][:limit]
        if self.slow_due:
            answer: Deferred[list[Delivery]] = Deferred()
            self.answers.append(lambda: answer.callback(found))
            return answer
        return succeed(found)

    def next_due(self, after: float) -> Deferred[float | None]:
        if fault := self._fault("next_due"):
            return fail(fault)
        times = [d.next_attempt for d in self.deliveries.values() if d.next_attempt is not None]
        return succeed(min((when for when in times if when > after), default=None))

    def overdue(self, received: float, now: float, domains: Collection[str], limit: int) -> Deferred[list[Delivery]]:
        if fault := self._fault("overdue"):
            return fail(fault)
        due = [d for d in self.deliveries.values() if d.next_attempt is not None and d.next_attempt <= now]
        return succeed([d for d in due if d.domain in domains and d.received <= received][:limit])

    def delayed(self, received: float, after: Key) -> Deferred[Page]:
        if fault := self._fault("delayed"):
            return fail(fault)
        scheduled = [d for key, d in self.deliveries.items() if key > after and d.next_attempt is not None]
        found = [d for d in scheduled if d.received <= received and (d.queue_id, d.domain) not in self.warned]
        return succeed(page_of(found, self.page))

    def warn(
        self, late: Sequence[Delivery], report: Message | None = None, report_deliveries: tuple[Delivery, ...] = ()
    ) -> Deferred[bool]:
        if fault := self._fault("warn"):
            return fail(fault)
        keys = [(each.queue_id, each.domain) for each in late]
        if any(key in self.warned or self.deliveries.get(key) != each for key, each in zip(keys, late, strict=True)):
            return succeed(False)
        self.warned.update(keys)
        if report is not None:
            self.put(report, report_deliveries)
        return succeed(True)

    def hasten(self, domains: Collection[str], now: float) -> Deferred[int]:
        if fault := self._fault("hasten"):
            return fail(fault)
        waiting = [d for d in self.deliveries.values() if d.domain in domains and d.status is Status.RETRY]
        for delivery in waiting:
            self.deliveries[delivery.queue_id, delivery.domain] = attrs.evolve(delivery, next_attempt=now)
        return succeed(len(waiting))

    def select(self, selection: Selection, after: Key, limit: int) -> Deferred[Page]:
        if fault := self._fault("select"):
            return fail(fault)
        found = [d for key, d in self.deliveries.items() if key > after and selection.fits(d)]
        found = [d for d in found if selection.fits_message(self.messages[d.queue_id])]
        page = page_of(found, limit)
        if self.slow_select:
            answer: Deferred[Page] = Deferred()
            self.answers.append(lambda: answer.callback(page))
            return answer
        return succeed(page)

    def manage(self, changes: Sequence[Change]) -> Deferred[list[bool]]:
        if fault := self._fault("manage"):
            return fail(fault)
        if self.slow:
            waiting: Deferred[list[bool]] = Deferred()
            self.managing.append(lambda: waiting.callback([self._manage(each) for each in changes]))
            return waiting
        return succeed([self._manage(each) for each in changes])

    def _manage(self, change: Change) -> bool:
        before = change.before
        key = (before.queue_id, before.domain)
        stands = self.deliveries.get(key)
        if stands is None or (stands.status, stands.attempts) != (before.status, before.attempts):
            return False
        if change.after is None:
            del self.deliveries[key]
        else:
            self.deliveries[key] = change.after
        return True

    def accepted(self, claim: bytes, now: float) -> Deferred[list[Accepted]]:
        raise NotImplementedError

    def load(self, queue_id: str) -> Deferred[Message]:
        if fault := self._fault("load"):
            return fail(fault)
        message = self.messages.get(queue_id)
        return fail(MessageUnknown(queue_id)) if message is None else succeed(message)

    def open_body(self, message: Message) -> IBodyReader:
        raise NotImplementedError

    def counts(self) -> Deferred[dict[Status, int]]:
        return succeed(dict(Counter(delivery.status for delivery in self.deliveries.values())))

    def due_count(self, now: float, skip: Collection[str] = ()) -> Deferred[int]:
        if fault := self._fault("due_count"):
            return fail(fault)
        wanted = [d for d in self.deliveries.values() if d.domain not in skip]
        return succeed(sum(d.next_attempt is not None and d.next_attempt <= now for d in wanted))

    def oldest(self, now: float) -> Deferred[float | None]:
        return succeed(min((d.received for d in self.deliveries.values() if d.received <= now), default=None))

    def destinations(self, limit: int) -> Deferred[Destinations]:
        counts: dict[str, Counter[Status]] = {}
        for each in self.deliveries.values():
            counts.setdefault(each.domain, Counter())[each.status] += 1
        most = sorted(counts.items(), key=lambda item: (-item[1].total(), item[0]))[:limit]
        return succeed(Destinations(tuple([Destination(*item) for item in most]), len(counts)))

    def heads(self, queue_ids: Collection[str]) -> Deferred[dict[str, Head]]:
        if fault := self._fault("heads"):
            return fail(fault)
        return succeed({each: head_of(self.messages[each]) for each in queue_ids if each in self.messages})

    def listing(self, after: str, limit: int) -> Deferred[Listing]:
        raise NotImplementedError

    def figures(self) -> Deferred[Figures]:
        raise NotImplementedError

    def verify(self, progress: Progress) -> Deferred[Check]:
        raise NotImplementedError

    def clean_completed(self, progress: Progress) -> Deferred[int]:
        raise NotImplementedError

    def expire_kept(self, now: float) -> Deferred[int]:
        if fault := self._fault("expire_kept"):
            return fail(fault)
        return succeed(0)

    def retry_cleanup(self, now: float) -> Deferred[int]:
        if fault := self._fault("retry_cleanup"):
            return fail(fault)
        return succeed(0)

    def probe(self) -> Deferred[None]:
        return succeed(None)

    def reconfigure(self, section: Spool) -> None:
        self.calls.append("reconfigure")


@implementer(ISites)
class FakeSites:
    """
    Each domain is a site of its own, unless `sites` names another; those in `slow` are told by `answer`.
    """

    def __init__(self) -> None:
        self.sites: dict[str, str] = {}
        self.slow: set[str] = set()
        self.asked: list[tuple[str, Deferred[str]]] = []

    def site_of(self, domain: str) -> str | Awaitable[str]:
        if domain not in self.slow:
            return self.sites.get(domain, domain)
        waiting: Deferred[str] = Deferred()
        self.asked.append((domain, waiting))
        return waiting

    def answer(self) -> None:
        asked, self.asked = self.asked, []
        for domain, waiting in asked:
            if not waiting.called:  # by a stop
                waiting.callback(self.sites.get(domain, domain))


@implementer(IStorage)
class FakeStorage:
    """
    A dictionary; `faults` are raised by the next calls.
    """

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.faults: list[Exception] = []

    def _done(self, result: T) -> Deferred[T]:
        return fail(self.faults.pop(0)) if self.faults else succeed(result)

    def get(self, key: str) -> Awaitable[str | None]:
        return self._done(self.texts.get(key))

    def put(self, key: str, value: str, expires: float | None = None) -> Awaitable[None]:
        if not self.faults:
            self.texts[key] = value
        return self._done(None)

    def delete(self, key: str) -> Awaitable[None]:
        if not self.faults:
            self.texts.pop(key, None)
        return self._done(None)

    def keys(self, prefix: str = "", limit: int = 1000) -> Awaitable[list[str]]:
        return self._done([key for key in sorted(self.texts) if key.startswith(prefix)][:limit])

    def items(self, after: str = "", limit: int = 1000) -> Awaitable[list[tuple[str, str]]]:
        return self._done([(key, self.texts[key]) for key in sorted(self.texts) if key > after][:limit])


@attrs.define(eq=False)
class Carried:
    """
    One call of the agent; `end` gives it its outcomes where it was told to hang.
    """

    message: Message
    delivery: Delivery
    attempt: Attempt
    waiting: Deferred[tuple[Outcome, ...]] = attrs.field(factory=Deferred)
    cancelled: bool = False

    def end(self, *outcomes: Outcome) -> None:
        self.waiting.callback(outcomes)


@implementer(IAgent)
class FakeAgent:
    """
    Answers each domain with its next scripted outcomes, else `SENT` for all; hangs for those in `hanging`. `parting`
    are the outcomes that it tells when it is cancelled.
    """

    def __init__(self) -> None:
        self.calls: list[Carried] = []
        self.script: dict[str, list[tuple[Outcome, ...] | Exception]] = {}
        self.always: dict[str, Outcome] = {}
        self.hanging: set[str] = set()
        self.hang_all = False
        self.parting: tuple[Outcome, ...] | None = None

    @property
    def hung(self) -> list[Carried]:
        return [call for call in self.calls if not call.waiting.called]

    def domains(self) -> list[str]:
        return [call.delivery.domain for call in self.calls]

    def deliver(self, message: Message, delivery: Delivery, attempt: Attempt) -> Awaitable[tuple[Outcome, ...]]:
        call = Carried(message, delivery, attempt)
        self.calls.append(call)
        return self._deliver(call)

    async def _deliver(self, call: Carried) -> tuple[Outcome, ...]:
        domain = call.delivery.domain
        if self.hang_all or domain in self.hanging:
            try:
                return await call.waiting
            except CancelledError:
                if self.parting is None:
                    raise
                return self.parting
        call.waiting.callback(())
        script = self.script.get(domain)
        if not script:
            return (self.always.get(domain, SENT),) * len(call.delivery.open_recipients)
        step = script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    def stop(self) -> None:
        return None
