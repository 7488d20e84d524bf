"""
The spool in memory, for tests and trials: the promises of `ISpool` but for the one that outlasts the process.

Every Deferred has fired when the call returns. `capacity` bounds it as a disk would: beyond it new mail is refused with
SpoolFull. Content above the inline limit is kept apart, as if it were in a file, so that users see the same as with
`sqlite`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, TypeVar

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from empath.config.schema import Spool
from empath.errors import MessageUnknown, QueueIdTaken, SpoolError, SpoolFull
from empath.interfaces import IBodyReader, IContentWriter, ISpool
from empath.mail.idempotency import MOST_MESSAGES, Accepted, Claim
from empath.mail.life import Emit, GroupCommitted
from empath.mail.message import Delivery, Message, Status
from empath.mail.settlement import Change, Settlement
from empath.policy.selection import Key, Page, Selection, page_of
from empath.spool.body import BodyInMemory, BodyLost
from empath.spool.memory_stored import Stored
from empath.spool.memory_writer import MemoryWriter
from empath.spool.rows import END, UNFIT, as_stored, message_row

T = TypeVar("T")

MOST_DELAYED: Final = 2000
CAPACITY: Final = 256 * 1024 * 1024


@implementer(ISpool)
class MemorySpool:
    """
    A spool of at most `capacity` bytes; `min_free` of the section means nothing here.
    """

    def __init__(self, section: Spool, *, emit: Emit, capacity: int = CAPACITY) -> None:
        self.inline_limit: int = section.inline_limit
        self.pending_bytes = 0
        self.deletion_failures = 0
        self.orphans = 0
        self._emit = emit
        self._capacity = capacity
        self._used = 0
        self._stored: dict[str, Stored] = {}
        self._files: dict[str, bytes] = {}
        self._claims: list[tuple[str, Claim]] = []
        self._open = False

    def reconfigure(self, section: Spool) -> None:
        """
        Use new limits from now on.
        """
        self.inline_limit = section.inline_limit

    def open(self) -> None:
        """
        As `ISpool.open`.
        """
        self._open = True

    async def close(self) -> None:
        """
        As `ISpool.close`; what is stored stays until the object goes.
        """
        self._open = False

    def has_room(self, size: int) -> bool:
        """
        As `ISpool.has_room`, of `capacity`.
        """
        return self._used + self.pending_bytes + size <= self._capacity

    def begin(self, queue_id: str) -> IContentWriter:
        """
        As `ISpool.begin`.
        """
        return MemoryWriter(queue_id, self)

    def store(self, message: Message, deliveries: tuple[Delivery, ...]) -> Deferred[None]:
        """
        As `ISpool.store`.
        """
        if message.body is None:
            return fail(SpoolError("the body of the message is not in memory"))
        return self.insert(message, deliveries, message.body)

    def insert(
        self, message: Message, deliveries: tuple[Delivery, ...], body: bytes, claim: Claim | None = None
    ) -> Deferred[None]:
        """
        Store a message whose body, wherever it is to lie, is `body`.
        """
        if not self.has_room(len(message.header) + len(body)):
            return self._committed(SpoolFull("the spool in memory is full"))
        fault = self._put(message, deliveries, body)
        if fault is None and claim is not None:
            self._claims.append((message.queue_id, claim))
        return self._committed(fault)

    def settle(self, settlement: Settlement) -> Deferred[None]:
        """
        As `ISpool.settle`; MessageUnknown if no such delivery is stored.
        """
        if not self._open:
            return fail(SpoolError("the spool is closed"))
        delivery, report = settlement.delivery, settlement.report
        stored = self._stored.get(delivery.queue_id)
        if stored is None or delivery.domain not in stored.deliveries:
            return self._committed(MessageUnknown("no such delivery is stored"))
        if report is not None and (fault := self._put(report, settlement.report_deliveries, report.body)):
            return self._committed(fault)
        stored.kept.pop(delivery.domain, None)
        if delivery.status in END and settlement.keep_until is None:
            self._end(delivery.queue_id, delivery.domain)
        elif delivery.status in END:
            stored.kept[delivery.domain] = settlement.keep_until or 0.0
            stored.deliveries[delivery.domain] = attrs.evolve(as_stored(delivery), next_attempt=None)
        else:
            stored.deliveries[delivery.domain] = as_stored(delivery)
        return self._committed(None)

    def due(self, now: float, limit: int, skip: Collection[str]) -> Deferred[list[Delivery]]:
        """
        As `ISpool.due`.
        """
        found = [each for each in self._deliveries() if each.domain not in skip and _moment(each) <= now]
        return self._answer(sorted(found, key=_moment)[:limit])

    def next_due(self, after: float) -> Deferred[float | None]:
        """
        As `ISpool.next_due`.
        """
        moments = [each.next_attempt for each in self._deliveries() if each.next_attempt is not None]
        return self._answer(min((moment for moment in moments if moment > after), default=None))

    def hasten(self, domains: Collection[str], now: float) -> Deferred[int]:
        """
        As `ISpool.hasten`.
        """
        waiting = [
            each
            for each in self._deliveries()
            if each.domain in domains and each.status is Status.RETRY and now < _moment(each) < float("inf")
        ]
        for each in waiting:
            self._stored[each.queue_id].deliveries[each.domain] = attrs.evolve(each, next_attempt=now)
        return self._answer(len(waiting))

    def select(self, selection: Selection, after: Key, limit: int) -> Deferred[Page]:
        """
        As `ISpool.select`.
        """
        found = [each for stored in self._stored.values() for each in stored.chosen(selection, after)]
        return self._answer(page_of(found, limit))

    def manage(self, changes: Sequence[Change]) -> Deferred[list[bool]]:
        """
        As `ISpool.manage`.
        """
        try:
            wanted = [each.after and as_stored(each.after) for each in changes]
        except UNFIT as failure:
            return fail(SpoolError(f"the change cannot be stored: {failure}"))
        pairs = zip(changes, wanted, strict=True) if self._open else ()
        return self._answer([self._manage(each.before, after) for each, after in pairs])

    def _manage(self, before: Delivery, after: Delivery | None) -> bool:
        stored = self._stored.get(before.queue_id)
        if stored is None or not stored.stands(before):
            return False
        stored.kept.pop(before.domain, None)
        if after is None:
            self._end(before.queue_id, before.domain)
        else:
            stored.deliveries[before.domain] = after
        return True

    def load(self, queue_id: str) -> Deferred[Message]:
        """
        As `ISpool.load`.
        """
        stored = self._stored.get(queue_id)
        if stored is None:
            return fail(MessageUnknown(f"no message {queue_id} is stored"))
        return self._answer(stored.message)

    def open_body(self, message: Message) -> IBodyReader:
        """
        As `ISpool.open_body`.
        """
        body = message.body if message.body is not None else self._files.get(message.body_file or "")
        return BodyLost("the content cannot be read") if body is None else BodyInMemory(body)

    def counts(self) -> Deferred[dict[Status, int]]:
        """
        As `ISpool.counts`; every status is among the keys.
        """
        found = dict.fromkeys(Status, 0)
        for each in self._deliveries():
            found[each.status] += 1
        return self._answer(found)

    def due_count(self, now: float, skip: Collection[str] = ()) -> Deferred[int]:
        """
        As `ISpool.due_count`.
        """
        return self._answer(sum(_moment(each) <= now for each in self._deliveries() if each.domain not in skip))

    def overdue(self, received: float, now: float, domains: Collection[str], limit: int) -> Deferred[list[Delivery]]:
        """
        As `ISpool.overdue`.
        """
        due = [each for each in self._deliveries() if each.domain in domains and _moment(each) <= now]
        found = [each for each in due if each.received <= received or self._stored[each.queue_id].is_late(each, now)]
        return self._answer(sorted(found, key=lambda each: each.queue_id)[:limit])

    def delayed(self, received: float, after: Key) -> Deferred[Page]:
        """
        As `ISpool.delayed`.
        """
        found = [each for stored in self._stored.values() for each in stored.delayed(received, after)]
        return self._answer(page_of(found, MOST_DELAYED))

    def warn(self, settlement: Settlement) -> Deferred[bool]:
        """
        As `ISpool.warn`.
        """
        delivery, report = settlement.delivery, settlement.report
        stored = self._stored.get(delivery.queue_id)
        if stored is None or not stored.warn(delivery):
            return self._answer(False)
        if report is not None and (fault := self._put(report, settlement.report_deliveries, report.body)):
            stored.warned.discard(delivery.domain)
            return fail(fault)
        return self._answer(True)

    def oldest(self, now: float) -> Deferred[float | None]:
        """
        As `ISpool.oldest`.
        """
        scheduled = [each.received for each in self._deliveries() if each.next_attempt is not None]
        return self._answer(min((received for received in scheduled if received <= now), default=None))

    def accepted(self, claim: bytes, now: float) -> Deferred[list[Accepted]]:
        """
        As `ISpool.accepted`.
        """
        mine = [each for each in self._claims if each[1].digest == claim and each[1].until > now]
        return self._answer([Accepted(queue_id, each.recipients) for queue_id, each in mine[:MOST_MESSAGES]])

    def expire_kept(self, now: float) -> Deferred[int]:
        """
        As `ISpool.expire_kept`.
        """
        claims = len(self._claims)
        self._claims = [each for each in self._claims if each[1].until > now]
        past = [
            (queue_id, domain)
            for queue_id, stored in self._stored.items()
            for domain, until in stored.kept.items()
            if until <= now
        ]
        for queue_id, domain in past:
            self._end(queue_id, domain)
        return self._answer(len(past) + claims - len(self._claims))

    def retry_cleanup(self, now: float) -> Deferred[int]:
        """
        As `ISpool.retry_cleanup`: no deletion fails here.
        """
        return self._answer(0)

    def probe(self) -> Deferred[None]:
        """
        As `ISpool.probe`.
        """
        return self._answer(None)

    def _put(self, message: Message, deliveries: tuple[Delivery, ...], body: bytes | None) -> SpoolError | None:
        if not self._open:
            return SpoolError("the spool is closed")
        if body is None or not deliveries:
            return SpoolError("a message needs a body and a delivery")
        if message.queue_id in self._stored:
            return QueueIdTaken("a message of this queue id is stored already")
        try:
            message_row(0, message)
            stored = {delivery.domain: as_stored(delivery) for delivery in deliveries}
        except UNFIT as failure:
            return SpoolError(f"the message cannot be stored: {failure}")
        self._stored[message.queue_id] = Stored(message, stored)
        if message.body_file is not None:
            self._files[message.body_file] = body
        self._used += message.size
        return None

    def _end(self, queue_id: str, domain: str) -> None:
        stored = self._stored[queue_id]
        del stored.deliveries[domain]
        stored.kept.pop(domain, None)
        if not stored.deliveries:
            del self._stored[queue_id]
            self._files.pop(stored.message.body_file or "", None)
            self._used -= stored.message.size

    def _deliveries(self) -> list[Delivery]:
        return [each for stored in self._stored.values() for each in stored.deliveries.values()]

    def _committed(self, fault: SpoolError | None) -> Deferred[None]:
        self._emit(GroupCommitted(1, 0.0))
        return succeed(None) if fault is None else fail(fault)

    def _answer(self, result: T) -> Deferred[T]:
        return succeed(result) if self._open else fail(SpoolError("the spool is closed"))


def _moment(delivery: Delivery) -> float:
    return float("inf") if delivery.next_attempt is None else delivery.next_attempt
