"""
Attempts that end in any way, stops and crashes at any moment: mail arrives, and twice only where a crash makes it so.

Messages may have a release later than their reception, a time to be delivered by, and senders that want to know.
"""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from empath.config.schema import CircuitBreaker, Domain, Dsn, RateLimits, Shaping, Spool
from empath.config.schema import Delivery as Section
from empath.config.units import NO_LIMIT, Folder, Rate, Size, seconds
from empath.interfaces import IAgent
from empath.mail.attempt import Attempt
from empath.mail.deliver_by import lapsed
from empath.mail.envelope import Envelope, Recipient
from empath.mail.life import AttemptEnded, LifeEvent, ReportQueued
from empath.mail.message import Delivery, Message, Status, deliveries_of
from empath.mail.notice import Action, Notice
from empath.mail.outcome import Custody, Outcome, PermanentFailure, Success
from empath.mail.queue_id import new_queue_id
from empath.queue.queue import Queue
from empath.report.bounce import Reporter
from empath.spool.sqlite import SqliteSpool
from tests.queue.fakes import DOWN, GREY, REFUSED, SENT, FakeSites, FakeStorage, address
from tests.spool.support import HeldThread, at_once

Key = tuple[str, str]

DELIVERED = Success(SENT.reply, custody=Custody.DELIVERED)


@implementer(IAgent)
class Agent:
    """
    Ends attempts at any time with any outcome; `sent` and `refused` count (queue id, recipient). `early` counts the
    attempts before a message's release, `overdue` those that began when it had to be delivered.
    """

    def __init__(self, chance: random.Random, now: Callable[[], float]) -> None:
        self.chance = chance
        self.now = now
        self.early = self.overdue = 0
        self.sent: Counter[Key] = Counter()
        self.refused: Counter[Key] = Counter()
        self.running: Counter[Key] = Counter()
        self.most = 0
        self.waiting: list[Deferred[None]] = []
        self.choices: tuple[Outcome, ...] = (SENT, SENT, DELIVERED, GREY, DOWN, REFUSED)

    async def deliver(self, message: Message, delivery: Delivery, attempt: Attempt) -> tuple[Outcome, ...]:
        key = (message.queue_id, delivery.domain)
        self.early += self.now() < delivery.received
        self.overdue += lapsed(message, self.now())
        self.running[key] += 1
        self.most = max(self.most, self.running[key])
        try:
            if len(self.choices) > 1 and self.chance.random() < 0.7:
                self.waiting.append(Deferred())
                await self.waiting[-1]
            outcomes = tuple(self.chance.choice(self.choices) for _ in delivery.open_recipients)
        finally:
            self.running[key] -= 1
        for state, outcome in zip(delivery.open_recipients, outcomes, strict=True):
            self.sent[message.queue_id, state.address.text] += isinstance(outcome, Success)
            self.refused[message.queue_id, state.address.text] += isinstance(outcome, PermanentFailure)
        return outcomes

    def end_one(self) -> None:
        self.waiting = [each for each in self.waiting if not each.called]
        if self.waiting:
            self.waiting.pop(self.chance.randrange(len(self.waiting))).callback(None)

    def stop(self) -> None:
        return None


class Trial:
    """
    One history, as `chance` has it. `settled` are the ends that are on disk, `spare` the ends that a crash undid.
    """

    def __init__(self, chance: random.Random, root: str) -> None:
        self.chance = chance
        self.root = root
        self.clock = Clock()
        self.clock.advance(1e9)
        self.agent = Agent(chance, self.clock.seconds)
        self.accepted: dict[str, tuple[str, ...]] = {}
        self.told: Counter[tuple[str, str, Action]] = Counter()
        self.asked: dict[str, tuple[str, str]] = {}
        self.written: dict[str, tuple[Notice, ...]] = {}
        self.expired: Counter[Key] = Counter()
        self.final: dict[Key, Status] = {}
        self.late: set[Key] = set()
        self.settled: Counter[Key] = Counter()
        self.spare: Counter[Key] = Counter()
        self.sites, self.storage = FakeSites(), FakeStorage()
        self.lost: list[object] = []  # coroutines that nobody holds would still be ended
        self.start()

    def start(self) -> None:
        chance, clock = self.chance, self.clock
        self.writer, self.reader = HeldThread(), HeldThread()
        self.spool = SqliteSpool(
            Spool(path=Folder(self.root), min_free=Size(0)),
            clock=clock,
            in_writer=self.writer,
            in_reader=self.reader,
            in_thread=at_once,
            emit=lambda event: None,
            ballast=4096,
        )
        self.spool.open()
        section = Section(
            max_active=chance.choice([3, 20, 1000]),
            max_parallel_deliveries=chance.choice([1, 5, 100]),
            keep_failed=seconds(chance.choice([0, 50])),
            max_attempts=1000,
            message_expiration=seconds(10**8),
            max_retry_delay=seconds(300),
            shutdown_timeout=seconds(5),
            circuit_breaker=CircuitBreaker(
                failure_threshold=chance.choice([1, 5, 1000]),
                timeout=seconds(chance.choice([10, 300])),
                half_open_max_calls=chance.choice([1, 3]),
            ),
            rate_limits=RateLimits(
                global_=chance.choice([NO_LIMIT, Rate(10, 1.0)]),
                default=chance.choice([NO_LIMIT, Rate(1, 2.0)]),
                burst=chance.choice([1, 20]),
            ),
            shaping=Shaping(enabled=chance.choice([True, False])),
            domains=chance.choice([{}, {"a.example": Domain(max_connections=1, rate_limit=Rate(60, 60.0))}]),
        )
        self.sites.sites = chance.choice([{}, {"a.example": "mx", "b.example": "mx"}])
        self.sites.slow = chance.choice([set(), {"b.example"}])
        self.reporter = Reporter(Dsn(), "mx.example", clock, chance, lambda event: None)
        self.queue = Queue(
            section, self.spool, self.agent, self.report, clock, chance, self.heard, self.sites, self.storage
        )
        Deferred.fromCoroutine(self.queue.restore())
        self.queue.start()

    def report(self, message: Message, notices: tuple[Notice, ...]) -> tuple[Message, tuple[Delivery, ...]] | None:
        made = self.reporter.report_for(message, notices)
        if made is not None:
            self.written[made[0].queue_id] = notices
        return made

    def heard(self, event: LifeEvent) -> None:
        if isinstance(event, ReportQueued):
            for notice in self.written.pop(event.report.queue_id):
                self.told[event.message.queue_id, notice.state.address.text, notice.action] += 1
        elif isinstance(event, AttemptEnded):
            for state in event.results:
                key = (event.message.queue_id, state.address.text)
                self.final[key] = state.status
                if state.status is Status.RETRY and event.attempt.ended >= event.message.received + 30:
                    self.late.add(key)
                if state.status is Status.EXPIRED:
                    self.expired[key] += 1
                elif state.status in (Status.COMPLETED, Status.FAILED):
                    self.settled[key] += 1

    def accept(self) -> None:
        chance, queue = self.chance, self.queue
        queue_id = new_queue_id(self.clock.seconds(), chance)
        recipients = tuple(f"u{n}@{chance.choice('abc')}.example" for n in range(chance.choice([1, 1, 3])))
        by = chance.choice(["", "", "", "300;R", "30;N", "300;RT"])
        notify = chance.choice(["", "", "NEVER", "SUCCESS,FAILURE", "DELAY", "FAILURE"])
        to = tuple(Recipient(address(text), {"NOTIFY": notify} if notify else {}) for text in recipients)
        envelope = Envelope(address("s@from.example"), to, {"BY": by} if by else {})
        now, priority = self.clock.seconds(), chance.choice([0, 0, 9, -9])
        message = Message(queue_id, now, envelope, b"A: b\r\n", b"\r\nx\r\n", None, 11, False, priority=priority)
        deliveries = deliveries_of(message, now + chance.choice([0, 0, 0, 20, 200]))
        self.asked[queue_id] = (by, notify)
        stored = self.spool.store(message, deliveries)
        stored.addCallback(lambda _: self.accepted.update({queue_id: recipients}))
        stored.addCallback(lambda _: queue.fresh(message, deliveries))

    def work(self) -> None:
        for thread in (self.writer, self.reader):
            if thread.calls:
                thread.run()

    def step(self) -> None:
        what = self.chance.randrange(100)
        self.sites.answer()
        if what < 20:
            self.accept()
        elif what < 60:
            self.work()
        elif what < 75:
            self.agent.end_one()
        elif what < 97:
            self.clock.advance(self.chance.choice([0.1, 1, 11, 61, 400]))
        elif what < 99:
            self.stop()
            self.start()
        else:
            self.crash()
            self.start()

    def stop(self) -> None:
        over: list[object] = []
        Deferred.fromCoroutine(self.queue.stop()).addCallback(over.append)
        while not over:
            self.work()
            self.clock.advance(0.1)
            if self.chance.random() < 0.2:
                self.agent.end_one()
        Deferred.fromCoroutine(self.spool.close()).addCallback(over.append)
        while len(over) < 2:
            self.work()

    def crash(self) -> None:
        """
        Nothing that is under way comes to an end; what was done but is not on disk will be done again.
        """
        self.queue.attempts.open = False
        spool: Any = self.spool
        spool._writer.close()
        spool._reader._drop()
        spool._lock.release()
        for timer in list(self.clock.getDelayedCalls()):
            timer.cancel()
        self.lost.append((self.queue, self.agent.waiting, self.writer.calls, self.reader.calls))
        self.agent.waiting = []
        self.agent.running.clear()
        self.spare.update(self.agent.sent + self.agent.refused - self.settled)
        self.settled.update(self.agent.sent + self.agent.refused - self.settled)

    def run(self) -> None:
        for _ in range(300):
            self.step()
        self.agent.choices = (SENT,)
        while self.agent.waiting:
            self.agent.end_one()
        self.stop()
        self.start()
        self.writer.release()
        self.reader.release()
        for _ in range(400):
            self.sites.answer()
            self.clock.advance(self.chance.choice([0.5, 1, 100]))


class AnyQueueTests(SynchronousTestCase):
    """
    Many histories.
    """

    @settings(max_examples=20, deadline=None)
    @given(st.integers(0, 2**32))
    def test_any_history(self, seed: int) -> None:
        """
        Each recipient comes to one end, and to more only where a crash undid one; nothing is tried twice at a time.
        """
        root = os.path.abspath(self.mktemp())
        trial = Trial(random.Random(seed), root)
        trial.run()
        self.flushLoggedErrors(CancelledError)  # those that the watchdog found to take too long
        self.assertLessEqual(trial.agent.most, 1)
        self.assertEqual((trial.agent.early, trial.agent.overdue), (0, 0))
        ends = trial.agent.sent + trial.agent.refused + trial.expired
        for queue_id, recipients in trial.accepted.items():
            for recipient in recipients:
                extra = ends[queue_id, recipient] - 1
                self.assertIn(extra, range(trial.spare[queue_id, recipient] + 1))
                self.check_what_was_told(trial, queue_id, recipient)
        counts = self.successResultOf(trial.spool.counts())
        self.assertEqual((counts[Status.PENDING], counts[Status.RETRY]), (0, 0))
        self.assertEqual((trial.queue.active, trial.queue.in_flight, trial.queue.watchdog.strays), (0, 0, 0))
        trial.stop()
        self.assertEqual(trial.clock.getDelayedCalls(), [])
        shutil.rmtree(root)

    def check_what_was_told(self, trial: Trial, queue_id: str, recipient: str) -> None:
        """
        The sender heard of each end as NOTIFY and BY= ask for, once, and of a delay once at the most.
        """
        by, notify = trial.asked[queue_id]
        final = trial.final[queue_id, recipient]
        failed, delayed, relayed, expanded, delivered = (trial.told[queue_id, recipient, action] for action in Action)
        self.assertEqual(expanded, 0)
        wanted = final in (Status.FAILED, Status.EXPIRED) and (not notify or "FAILURE" in notify)
        self.assertEqual(failed, int(wanted))
        wanted = by == "30;N" and notify in ("", "DELAY")
        self.assertLessEqual(delayed, int(wanted))
        self.assertGreaterEqual(delayed, int(wanted and (queue_id, recipient) in trial.late))
        if "SUCCESS" in notify:
            self.assertEqual(relayed + delivered, int(final is Status.COMPLETED))
        else:
            self.assertEqual(delivered, 0)
            asked = by in ("30;N", "300;RT") and notify != "NEVER" and final is Status.COMPLETED
            self.assertLessEqual(relayed, int(asked))
