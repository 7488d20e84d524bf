"""
Reading what comes back about our mail: bounces and complaints, as a way of delivery, so that none is lost.

Fatal: nothing. Retried: a report whose content cannot be read now, and one whose consequence cannot be stored. Ignored,
but logged: mail that is no report.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from empath.deliver.streaming import OpenBody
from empath.errors import SpoolError, StorageError
from empath.interfaces import IAgent, IStorage
from empath.mail.address import Address, parse_address
from empath.mail.attempt import Attempt
from empath.mail.incoming_report import MOST_READ, Bounce, Complaint, Told, read_report
from empath.mail.life import Emit
from empath.mail.life_safety import BounceReceived, ComplaintReceived
from empath.mail.message import Delivery, Message
from empath.mail.origin import Source
from empath.mail.outcome import Custody, Outcome, PermanentFailure, Scope, Success, TransientFailure
from empath.mail.reply import Reply
from empath.policy.incoming import Incoming, Reading, read_place
from empath.policy.srs import Kept

READ: Final = Success(Reply(250, "2.0.0", ("read",)), custody=Custody.DELIVERED)
NO_PLACE: Final = PermanentFailure(Reply(550, "5.1.1", ("reports are not read there",)), Scope.RECIPIENT)
UNREADABLE: Final = TransientFailure(Reply(451, "4.3.0", ("the report cannot be read now",)), Scope.RECIPIENT)
UNWRITABLE: Final = TransientFailure(Reply(451, "4.3.0", ("the report has no effect now",)), Scope.RECIPIENT)

Classify = Callable[[Reply], str]
"""
Tell the category of a failure by the reply.
"""

Hear = Callable[[BounceReceived | ComplaintReceived], Awaitable[None]]
"""
Do what follows from a report; StorageError if that is not possible now.
"""

log = Logger()


@implementer(IAgent)
class ReportReader:
    """
    Reads mail that was sent to `empath.policy.incoming.PLACE`. `incoming` makes and reads our addresses, `storage`
    tells what tokens in them stand for. `hear` does what follows, and then `emit` tells everybody.
    """

    def __init__(
        self,
        incoming: Incoming,
        hostname: str,
        open_body: OpenBody,
        storage: IStorage,
        clock: IReactorTime,
        classify: Classify,
        hear: Hear,
        emit: Emit,
    ) -> None:
        self.incoming = incoming
        self.classify = classify
        self._hostname = hostname
        self._open_body = open_body
        self._storage = storage
        self._clock = clock
        self._hear = hear
        self._emit = emit

    async def deliver(self, message: Message, delivery: Delivery, attempt: Attempt) -> tuple[Outcome, ...]:
        """
        See `IAgent`. Reports of our own are not read: of whom they are, the sender chose who made them come here.
        """
        if message.origin.source is Source.OWN:
            return (NO_PLACE,) * len(delivery.open_recipients)
        try:
            report = read_report(message.header, await self._beginning(message), self._hostname)
        except SpoolError as error:
            log.error("{queue_id}: cannot be read: {error}", queue_id=message.queue_id, error=error)
            return (UNREADABLE,) * len(delivery.open_recipients)
        finally:
            attempt.ended = self._clock.seconds()
        places = [read_place(state.address) for state in delivery.open_recipients]
        return tuple([NO_PLACE if place is None else await self._read(message, report, place) for place in places])

    def stop(self) -> None:
        """
        See `IAgent`; nothing is held open.
        """

    async def _beginning(self, message: Message) -> bytes:
        """
        Read as much of a body as is looked at.
        """
        if message.body is not None:
            return message.body[:MOST_READ]
        pieces, size = list[bytes](), 0
        reader = self._open_body(message)
        try:
            while size < MOST_READ and (piece := await reader.read()):
                pieces.append(piece)
                size += len(piece)
        finally:
            reader.close()
        return b"".join(pieces)[:MOST_READ]

    async def _read(self, message: Message, report: Bounce | Complaint | None, place: Reading) -> Outcome:
        """
        Do what follows from a report, as far as the place where it came may tell of it.
        """
        match report:
            case Bounce() if place.recipient is not None:
                events: Iterable[BounceReceived | ComplaintReceived] = self._bounces(report, place.recipient)
            case Complaint() if place.recipient is None:
                events = [await self._complaint(message, report, place.vouched)]
            case _:
                log.info("{queue_id}: came back to us, and is no report", queue_id=message.queue_id)
                return READ
        try:
            for event in events:
                await self._hear(event)
                self._emit(event)
        except StorageError as error:
            log.warn("{queue_id}: has no effect now: {error}", queue_id=message.queue_id, error=error)
            return UNWRITABLE
        return READ

    def _bounces(self, report: Bounce, recipient: Address) -> list[BounceReceived]:
        """
        Tell of whom the address names, whatever the report says: it may name whom he forwards his mail to.
        """
        told = min(report.told, key=_severity)
        category = self.classify(told.reply) if told.action in ("failed", "delayed") else ""
        return [BounceReceived(recipient, told.action, told.status, category, str(told.reply), report.queue_id)]

    async def _complaint(self, message: Message, report: Complaint, vouched: bool) -> ComplaintReceived:
        """
        Tell who complained: the recipient that a reverse-path of ours names, or that somebody vouches for.
        """
        recipient = await self._named(report.paths)
        if recipient is None and report.recipients:
            if vouched and len(report.recipients) == 1:
                recipient = report.recipients[0]
            else:
                log.info(
                    "{queue_id}: is said to be a complaint of {recipients}, which nobody can tell for sure",
                    queue_id=message.queue_id,
                    recipients=", ".join(each.text for each in report.recipients),
                )
        return ComplaintReceived(recipient, report.kind, report.reporter, report.queue_id)

    async def _named(self, paths: Iterable[Address]) -> Address | None:
        verp = self.incoming.verp
        for path in paths:
            about = None if verp is None else verp.read(path, self._clock.seconds())
            if about is None:
                continue
            if not isinstance(about.recipient, Kept):
                return about.recipient
            try:
                return parse_address(await self._storage.get(about.recipient.token) or "", utf8=True)
            except (StorageError, ValueError):
                continue
        return None


def _severity(told: Told) -> int:
    """
    Order what a report tells of several recipients: it came to the address of one, so the worst is about it.
    """
    return ("failed", "delayed", "expanded", "relayed", "delivered").index(told.action)
