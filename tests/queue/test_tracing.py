"""
Requirements on the trace of what is said while mail is delivered.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import cast

import attrs
from twisted.internet.defer import CancelledError
from twisted.logger import ILogObserver, LogEvent, Logger, formatEvent, globalLogPublisher

from empath.errors import SpoolError
from empath.mail.attempt import Attempt
from empath.mail.message import Delivery, Message
from empath.mail.outcome import Outcome
from empath.mail.trace_context import span_id_of, trace_id_of
from empath.mail.traces import Traces
from empath.queue.entry import LONGEST_ATTEMPT
from empath.queue.queue import Queue
from tests.queue.bench import SECTION, QueueCase
from tests.queue.fakes import SENT, FakeAgent

QUEUE_ID = f"{1:026}"
ROOT = span_id_of(QUEUE_ID)

log = Logger()


class TalkativeAgent(FakeAgent):
    """
    Says something of each message before it waits, and afterwards.
    """

    def deliver(self, message: Message, delivery: Delivery, attempt: Attempt) -> Awaitable[tuple[Outcome, ...]]:
        return self._talk(super().deliver(message, delivery, attempt), delivery)

    async def _talk(self, call: Awaitable[tuple[Outcome, ...]], delivery: Delivery) -> tuple[Outcome, ...]:
        log.info("before {domain}", queue_id=delivery.queue_id, domain=delivery.domain)
        outcomes = await call
        log.info("after {domain}", queue_id=delivery.queue_id, domain=delivery.domain)
        return outcomes


class SpokenCase(QueueCase):
    """
    `said` has each line about the message with its span, as the log finds it.
    """

    def setUp(self) -> None:
        self.traces = Traces(True, 0.0)
        super().setUp()
        self.said: list[tuple[str, str]] = []
        hear = cast("ILogObserver", self.hear)
        globalLogPublisher.addObserver(hear)
        self.addCleanup(globalLogPublisher.removeObserver, hear)
        self.agent = TalkativeAgent()
        self.queue = self.make()
        self.queue.start()

    def make(self) -> Queue:
        queue = super().make()
        queue.attempts.traces = self.traces
        return queue

    def hear(self, event: LogEvent) -> None:
        if event.get("queue_id") == QUEUE_ID:
            trace_id, span_id = event.get("log_ids") or self.traces.ids_of(QUEUE_ID) or ("", "")
            self.assertEqual(trace_id, trace_id_of(QUEUE_ID))
            self.said.append((formatEvent(event).removeprefix(f"{QUEUE_ID}: "), span_id))

    def span(self, domain: str, number: int = 1) -> str:
        return span_id_of(QUEUE_ID, domain, number)


class SpokenTests(SpokenCase):
    def test_attempts_at_one_message_that_run_at_once_keep_apart(self) -> None:
        """
        What an agent says belongs to the attempt that it is in, also after it has waited for something.
        """
        self.agent.hang_all = True
        self.accept(1, "a@x.example", "b@y.example")
        first, second = self.agent.hung
        second.end(SENT)
        first.end(SENT)
        x, y = self.span("x.example"), self.span("y.example")
        self.assertEqual(
            self.said,
            [("before x.example", x), ("before y.example", y), ("after y.example", y), ("after x.example", x)],
        )
        self.assertEqual(self.traces.ids_of(QUEUE_ID), (trace_id_of(QUEUE_ID), ROOT))

    def test_what_goes_wrong_with_an_attempt_belongs_to_it(self) -> None:
        """
        In the agent, and in the spool that is to keep what came of it.
        """
        self.agent.script["x.example"] = [ValueError("a bug")]
        self.spool.faults["settle"] = [SpoolError("disk")]
        self.accept(1, "a@x.example")
        self.pass_time(1.0)
        told = ["before x.example", "the agent for x.example failed", "cannot be settled, tried again: disk"]
        self.assertEqual(self.said, [(text, self.span("x.example")) for text in told])
        self.flushLoggedErrors(ValueError)

    def test_one_that_does_not_end_is_named_by_who_looks_for_it(self) -> None:
        self.agent.hang_all = True
        self.accept(1, "a@x.example")
        self.said.clear()
        self.pass_time(LONGEST_ATTEMPT + 180, 30.0)
        late = "the attempt at x.example did not end in time and is cancelled"
        told = [late, "the agent for x.example failed"]
        self.assertEqual(self.said[:2], [(text, self.span("x.example")) for text in told])
        self.flushLoggedErrors(CancelledError)


class NarrowTests(SpokenCase):
    """
    One attempt at a time.
    """

    section = attrs.evolve(SECTION, max_parallel_deliveries=1)

    def test_the_next_one_is_not_in_the_one_that_made_room_for_it(self) -> None:
        """
        Though it is started by its end: until it begins, it is in none.
        """
        self.agent.hang_all = True
        self.hold(1, "a@x.example", "b@y.example", next_attempt=0.0)
        self.pass_time(20.0)
        [first] = self.agent.hung
        self.spool.faults["load"] = [SpoolError("disk")]
        first.end(SENT)
        self.assertIn(("cannot be read, tried again: disk", ROOT), self.said)
