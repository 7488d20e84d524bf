"""
The spool in memory, for tests and trials: the promises of `ISpool` but for the one that outlasts the process.

Every Deferred has fired when the call returns. `capacity` bounds it as a disk would: beyond it new mail is refused with
SpoolFull. Content above the inline limit is kept apart, as if it were in a file, so that users see the same as with
`sqlite`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from empath.config.schema import Spool
from empath.errors import MessageUnknown, QueueIdTaken, SpoolError, SpoolFull
from empath.interfaces import IBodyReader, IContentWriter, ISpool
from empath.mail.idempotency import Claim
from empath.mail.life import Emit, GroupCommitted
from empath.mail.message import Delivery, Message, Status
from empath.mail.settlement import Change, Settlement
from empath.mail.stored import Check, Fault, Figures, Progress, Space
from empath.spool.body import BodyInMemory, BodyLost
from empath.spool.memory_questions import MemoryQuestions, moment_of
from empath.spool.memory_stored import Stored
from empath.spool.memory_writer import MemoryWriter
from empath.spool.rows import END, UNFIT, as_stored, message_row

CAPACITY: Final = 256 * 1024 * 1024


@implementer(ISpool)
class MemorySpool(MemoryQuestions):
    """
    A spool of at most `capacity` bytes; `min_free` of the section means nothing here.
    """

    def __init__(self, section: Spool, *, emit: Emit, capacity: int = CAPACITY) -> None:
        MemoryQuestions.__init__(self)
        self.inline_limit: int = section.inline_limit
        self.pending_bytes = 0
        self.deletion_failures = 0
        self.orphans = 0
        self._emit = emit
        self._capacity = capacity
        self._used = 0
        self._files: dict[str, bytes] = {}

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

    def space(self) -> Space:
        """
        As `ISpool.space`, of `capacity`.
        """
        used = self._used + self.pending_bytes
        return Space(max(0, self._capacity - used), 0, 0, 0, used)

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
        stored.remember(delivery)
        stored.kept.pop(delivery.domain, None)
        if delivery.status in END and settlement.keep_until is None:
            self._end(delivery.queue_id, delivery.domain)
        elif delivery.status in END:
            stored.kept[delivery.domain] = settlement.keep_until or 0.0
            stored.deliveries[delivery.domain] = attrs.evolve(as_stored(delivery), next_attempt=None)
        else:
            stored.deliveries[delivery.domain] = as_stored(delivery)
        return self._committed(None)

    def hasten(self, domains: Collection[str], now: float) -> Deferred[int]:
        """
        As `ISpool.hasten`.
        """
        waiting = [
            each
            for each in self._deliveries()
            if each.domain in domains and each.status is Status.RETRY and now < moment_of(each) < float("inf")
        ]
        for each in waiting:
            self._stored[each.queue_id].deliveries[each.domain] = attrs.evolve(each, next_attempt=now)
        return self._answer(len(waiting))

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

    def open_body(self, message: Message) -> IBodyReader:
        """
        As `ISpool.open_body`.
        """
        body = message.body if message.body is not None else self._files.get(message.body_file or "")
        return BodyLost("the content cannot be read") if body is None else BodyInMemory(body)

    def warn(
        self, late: Sequence[Delivery], report: Message | None = None, report_deliveries: tuple[Delivery, ...] = ()
    ) -> Deferred[bool]:
        """
        As `ISpool.warn`.
        """
        stored = self._stored.get(late[0].queue_id)
        if stored is None or not all(map(stored.is_untold, late)):
            return self._answer(False)
        if report is not None and (fault := self._put(report, report_deliveries, report.body)):
            return fail(fault)
        stored.warned.update([each.domain for each in late])
        return self._answer(True)

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

    def clean_completed(self, progress: Progress) -> Deferred[int]:
        """
        As `ISpool.clean_completed`.
        """
        completed = [each for each in self._deliveries() if each.status is Status.COMPLETED]
        for each in completed:
            self._end(each.queue_id, each.domain)
        return self._answer(len(completed))

    def figures(self) -> Deferred[Figures]:
        """
        As `ISpool.figures`.
        """
        octets, free = sum(map(len, self._files.values())), self._capacity - self._used
        counts = (len(self._stored), self._used, len(self._files), octets)
        return self._answer(Figures("memory", "", 0, *counts, 0, 0, max(0, free), 0, 0))

    def verify(self, progress: Progress) -> Deferred[Check]:
        """
        As `ISpool.verify`: no disk, no faults but ours.
        """
        found = [
            Fault("no-content", queue_id, "the message has no content")
            for queue_id, stored in self._stored.items()
            if stored.message.body is None and stored.message.body_file not in self._files
        ]
        return self._answer(Check(len(self._stored), len(self._deliveries()), len(self._files), tuple(found)))

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

    def _committed(self, fault: SpoolError | None) -> Deferred[None]:
        self._emit(GroupCommitted(1, 0.0))
        return succeed(None) if fault is None else fail(fault)
