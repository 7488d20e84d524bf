"""
Periodic work.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.errors import SpoolError
from empath.queue.periodic import Periodic


class PeriodicTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.rounds: list[float] = []
        self.results: list[Deferred[None] | Exception] = []
        self.periodic = Periodic("the work", self.work, 10.0, self.clock)

    def work(self) -> Deferred[None]:
        self.rounds.append(self.clock.seconds())
        result = self.results.pop(0) if self.results else succeed(None)
        if isinstance(result, Exception):
            raise result
        return result

    def test_begins_at_once_or_later(self) -> None:
        """
        The first round is made at the start where that is asked for.
        """
        self.periodic.start(now=True)
        self.clock.pump([10.0, 10.0])
        self.assertEqual(self.rounds, [0.0, 10.0, 20.0])

    def test_rounds_never_overlap(self) -> None:
        """
        While a round takes long, none begins.
        """
        slow: Deferred[None] = Deferred()
        self.results = [slow]
        self.periodic.start()
        self.clock.pump([10.0] * 3)
        self.assertEqual(self.rounds, [10.0])
        slow.callback(None)
        self.clock.advance(10.0)
        self.assertEqual(len(self.rounds), 2)

    def test_a_failure_is_logged_and_not_the_last_round(self) -> None:
        """
        Trouble of the spool is expected, anything else is logged as a bug; the work goes on.
        """
        self.results = [SpoolError("disk"), ValueError("bug")]
        self.periodic.start()
        self.clock.pump([10.0] * 3)
        self.assertEqual(len(self.rounds), 3)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_stop_cancels_the_round(self) -> None:
        """
        After stop nothing is left running, and stop may be repeated.
        """
        slow: Deferred[None] = Deferred()
        self.results = [slow]
        self.periodic.start(now=True)
        self.periodic.stop()
        self.assertTrue(slow.called)
        self.periodic.stop()
        self.clock.advance(100.0)
        self.assertEqual(self.rounds, [0.0])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_another_interval(self) -> None:
        """
        A new interval holds at once: nobody waits for the end of a long one. The same again does not begin it anew.
        """
        self.periodic.reconfigure(100.0)
        self.periodic.start()
        self.clock.advance(1.0)
        self.periodic.reconfigure(2.0)
        self.clock.advance(1.0)
        self.periodic.reconfigure(2.0)
        self.clock.pump([1.0, 2.0])
        self.assertEqual(self.rounds, [3.0, 5.0])
