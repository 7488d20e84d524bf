from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.config import schema
from empath.observe.metrics.exposition import Exposition
from empath.observe.metrics.scrapes import Scrapes
from empath.observe.metrics.totals import Metrics
from empath.observe.web.page import Asked, Page
from tests.observe.metrics.test_page import OPENMETRICS
from tests.observe.metrics.test_totals import gauges

Call = tuple[Callable[[], Any], Deferred[Any]]


class ScrapesTests(SynchronousTestCase):
    """
    However many ask at once.
    """

    def setUp(self) -> None:
        self.sessions = 0
        section = schema.Metrics()
        exposition = Exposition(section, Metrics(section), gauges(connections_active=lambda: self.sessions))
        self.calls: list[Call] = []
        self.scrapes = Scrapes(exposition, self.in_thread)

    def in_thread(self, call: Callable[[], Any]) -> Deferred[Any]:
        self.calls.append((call, Deferred()))
        return self.calls[-1][1]

    def work(self) -> None:
        """
        Let the thread do what it was given.
        """
        call, done = self.calls.pop(0)
        done.callback(call())

    def ask(self, accept: str = "") -> Deferred[Page]:
        return self.scrapes.ask(Asked("/metrics", accept, "", "", "localhost", True))

    def told(self, asked: Deferred[Page]) -> bool:
        """
        Tell whether a page counts as many sessions as there are.
        """
        return f"\nempath_smtp_connections_active {self.sessions}.0\n" in self.successResultOf(asked).body.decode()

    def test_one_page_is_written_for_all_who_asked_before_it_was_begun(self) -> None:
        first = self.ask()
        self.sessions = 7
        others = [self.ask() for _ in range(20)]
        self.assertEqual(len(self.calls), 1)
        self.work()
        self.assertFalse(self.told(first))
        self.assertEqual(len(self.calls), 1)
        self.work()
        self.assertTrue(all(self.told(each) for each in others))
        self.assertEqual(self.calls, [])

    def test_each_gets_the_format_that_it_wants(self) -> None:
        self.ask()
        asked = {accept: self.ask(accept) for accept in ("", "text/html", OPENMETRICS)}
        self.work()
        self.work()
        self.work()
        types = [self.successResultOf(each).content_type.partition(";")[0] for each in asked.values()]
        self.assertEqual(types, ["text/plain", "text/plain", "application/openmetrics-text"])
        self.assertEqual(self.calls, [])

    def test_who_left_is_not_written_for(self) -> None:
        first, second = self.ask(), self.ask(OPENMETRICS)
        second.cancel()
        self.failureResultOf(second)
        self.work()
        self.assertTrue(self.told(first))
        self.assertEqual(self.calls, [])
        self.ask()
        self.work()

    def test_a_failure_is_told_to_those_who_waited_and_to_nobody_else(self) -> None:
        failing = [self.ask()]
        self.calls.pop()[1].errback(ZeroDivisionError())
        self.failureResultOf(failing[0], ZeroDivisionError)
        again = self.ask()
        self.work()
        self.assertTrue(self.told(again))

    def test_nonsense_in_the_accept_field_is_the_usual_format(self) -> None:
        for accept in ("application/openmetrics-text; version=x", "text/plain;version=1.x", ";;,,=", "a" * 10_000):
            asked = self.ask(accept)
            self.work()
            self.assertTrue(self.told(asked), accept)
