"""
A queue between a fake spool and a fake agent, with a clock that is moved by hand.
"""

from __future__ import annotations

import random

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.config import schema
from empath.config.units import seconds
from empath.mail.envelope import Envelope, Recipient
from empath.mail.life import AttemptEnded, LifeEvent
from empath.mail.message import Delivery, Message, Status, deliveries_of
from empath.mail.notice import Notice
from empath.queue.queue import Queue
from tests.queue.fakes import FakeAgent, FakeSites, FakeSpool, FakeStorage, address

START = 1_700_000_000.0

PATIENT = schema.CircuitBreaker(failure_threshold=1000)

SECTION = schema.Delivery(retry_jitter_factor=0.0, base_retry_delay=seconds(2), circuit_breaker=PATIENT)


class QueueCase(SynchronousTestCase):
    """
    Builds the queue; `reports` records what was asked of the reporter, which numbers its reports from 900 on.
    """

    section = SECTION

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(START)
        self.spool = FakeSpool()
        self.agent = FakeAgent()
        self.sites = FakeSites()
        self.storage = FakeStorage()
        self.events: list[LifeEvent] = []
        self.reports: list[tuple[Message, tuple[Notice, ...]]] = []
        self.queue = self.make()

    def make(self) -> Queue:
        return Queue(
            self.section,
            self.spool,
            self.agent,
            self.report,
            self.clock,
            random.Random(1),
            self.events.append,
            self.sites,
            self.storage,
        )

    def report(self, message: Message, notices: tuple[Notice, ...]) -> tuple[Message, tuple[Delivery, ...]] | None:
        self.reports.append((message, notices))
        sender = message.envelope.reverse_path
        if sender is None:
            return None
        number = 899 + len(self.reports)
        envelope = Envelope(None, (Recipient(sender),))
        made = Message(f"{number:026}", self.clock.seconds(), envelope, b"Subject: r\r\n", b"\r\n", None, 14, False)
        return made, deliveries_of(made)

    def mail(
        self, number: int, *recipients: str, body: bytes = b"\r\nhello\r\n", by: str = "", notify: str = ""
    ) -> Message:
        asked = {"NOTIFY": notify} if notify else {}
        to = tuple(Recipient(address(text), dict(asked)) for text in recipients)
        envelope = Envelope(address("ann@sender.example"), to, {"BY": by} if by else {})
        header = b"Subject: x\r\n"
        size = len(header) + len(body)
        return Message(f"{number:026}", self.clock.seconds(), envelope, header, body, None, size, False)

    def accept(
        self, number: int, *recipients: str, body: bytes = b"\r\nhello\r\n", by: str = "", notify: str = ""
    ) -> Message:
        """
        Commit a message to the spool and tell the queue, as reception does.
        """
        message = self.mail(number, *recipients, body=body, by=by, notify=notify)
        self.queue.fresh(message, self.spool.keep(message))
        return message

    def hold(self, number: int, *recipients: str, **changes: object) -> Message:
        """
        Have a message in the spool that the queue was not told of.
        """
        message = self.mail(number, *recipients)
        self.spool.keep(message)
        for key, delivery in list(self.spool.deliveries.items()):
            if key[0] == message.queue_id:
                self.spool.deliveries[key] = attrs.evolve(delivery, **changes)  # type: ignore[arg-type]  # as the test says
        return message

    def pass_time(self, duration: float, step: float = 1.0) -> None:
        self.clock.pump([step] * round(duration / step))

    def stopped(self, timeout: float | None = None) -> Deferred[None]:
        return Deferred.fromCoroutine(self.queue.stop(timeout))

    def ended(self) -> list[AttemptEnded]:
        return [event for event in self.events if isinstance(event, AttemptEnded)]

    def statuses(self) -> list[Status]:
        return [settlement.delivery.status for settlement in self.spool.settlements]
