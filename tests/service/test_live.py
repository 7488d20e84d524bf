"""
Requirements on what is measured all the time.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Metrics
from empath.observe.life import LifeEvents
from empath.service.live import Live

TOLD = Metrics(enabled=True)
PUSHED = Metrics(enabled=False, otlp_endpoint="http://127.0.0.1:4318")
UNTOLD = Metrics(enabled=False)


class LiveTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.callbacks: list[Any] = []

    def started(self, section: Metrics) -> Live:
        live = Live(self.clock, LifeEvents(), self.callbacks, section)
        live.start()
        self.addCleanup(live.stop)
        return live

    def measured(self) -> bool:
        """
        Tell whether anything costs time while nobody looks; all does, or nothing.
        """
        measured = bool(self.clock.getDelayedCalls())
        self.assertEqual(bool(self.callbacks), measured)
        return measured

    def test_what_is_told_is_measured(self) -> None:
        for section in (TOLD, PUSHED):
            live = self.started(section)
            self.assertTrue(self.measured())
            live.stop()
            self.assertFalse(self.measured())

    def test_nothing_wakes_a_process_whose_figures_go_nowhere(self) -> None:
        self.started(UNTOLD)
        self.assertFalse(self.measured())

    def test_it_begins_and_ends_with_a_reload(self) -> None:
        live = self.started(UNTOLD)
        live.use(TOLD)
        self.assertTrue(self.measured())
        live.use(UNTOLD)
        self.assertFalse(self.measured())

    def test_nothing_begins_before_the_start(self) -> None:
        Live(self.clock, LifeEvents(), self.callbacks, UNTOLD).use(TOLD)
        self.assertFalse(self.measured())

    def test_a_clock_of_a_test_is_left_alone(self) -> None:
        Live(self.clock, LifeEvents(), None, TOLD).start()
        self.assertEqual(self.clock.getDelayedCalls(), [])
