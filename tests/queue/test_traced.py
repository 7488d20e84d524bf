"""
Attempts that are traced.
"""

from __future__ import annotations

import attrs

from empath.mail.trace_context import TraceContext, span_id_of, trace_id_of
from empath.mail.traces import Traces
from tests.queue.bench import QueueCase


class TracedTests(QueueCase):
    """
    What an attempt is given to write its steps into.
    """

    def setUp(self) -> None:
        super().setUp()
        self.traces = self.queue.attempts.traces = Traces(True, 0.0)
        self.queue.start()
        self.agent.hang_all = True

    def recorded(self, number: int, sampled: bool) -> bool:
        """
        Tell whether the first attempt of a message is, whose trace is recorded or not.
        """
        mail = self.mail(number, "a@x.example")
        root = TraceContext(trace_id_of(mail.queue_id), span_id_of(mail.queue_id), sampled)
        mail = attrs.evolve(mail, trace=str(root))
        self.queue.fresh(mail, self.spool.keep(mail))
        attempt = self.agent.calls[-1].attempt
        return attempt.steps is not None

    def test_is_recorded_where_the_trace_of_its_message_is(self) -> None:
        self.assertTrue(self.recorded(1, True))
        self.assertFalse(self.recorded(2, False))

    def test_is_not_recorded_while_tracing_is_off(self) -> None:
        """
        Though the message came in while it was on.
        """
        self.traces.use(False, 1.0)
        self.assertFalse(self.recorded(1, True))
        self.traces.use(True, 0.0)
        self.assertTrue(self.recorded(2, True))
