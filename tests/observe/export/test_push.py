"""
Requirements on metrics that are pushed: now and then, the same as the page, and nobody waits for it.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.observe.export.outlet import LAST_WORDS
from empath.observe.export.push import FIRST, MetricPush
from empath.observe.export.sent import TAKEN, Sent
from tests.observe.export.test_outlet import Thread


class Page:
    """
    A page that counts how often it was read.
    """

    def __init__(self) -> None:
        self.looked = self.read_times = 0
        self.looking: Deferred[Any] = succeed(None)

    def look(self) -> Deferred[Any]:
        self.looked += 1
        return self.looking

    def read(self) -> int:
        self.read_times += 1
        return self.read_times

    def families(self, readings: int) -> list[int]:
        return [readings]


class PushTests(SynchronousTestCase):
    """
    A page, pushed every minute.
    """

    def setUp(self) -> None:
        self.clock, self.thread, self.page = Clock(), Thread(), Page()
        self.pushed: list[tuple[list[int], float]] = []
        self.answer = TAKEN
        self.push = MetricPush(self.page, self.clock, self.thread)
        self.push.use(self.send, 60.0)

    def send(self, families: list[int], now: float) -> Sent:
        self.pushed.append((families, now))
        return self.answer

    def figures(self) -> tuple[int, int]:
        told = self.push.figures()
        return told["sent"], told["lost"]

    def test_begins_soon_and_goes_on_at_the_interval(self) -> None:
        self.push.start()
        self.clock.advance(FIRST)
        self.thread.end()
        for _ in range(2):
            self.clock.advance(60)
            self.thread.end()
        self.assertEqual(self.pushed, [([1], 5.0), ([2], 65.0), ([3], 125.0)])
        self.assertEqual(self.figures(), (3, 0))

    def test_waits_for_what_the_page_has_to_look_at(self) -> None:
        self.page.looking = Deferred()
        self.push.start()
        self.clock.advance(FIRST)
        self.assertEqual(self.page.read_times, 0)
        self.page.looking.callback(None)
        self.thread.end()
        self.assertEqual(self.figures(), (1, 0))

    def test_one_that_hangs_is_not_followed_by_another(self) -> None:
        self.push.start()
        self.clock.pump([FIRST, 60, 60])
        self.assertEqual(len(self.thread.under_way), 1)
        self.thread.end()
        self.clock.advance(60)
        self.assertEqual(len(self.thread.under_way), 1)

    def test_one_that_is_not_taken_is_counted_and_the_next_tells_more(self) -> None:
        self.answer = Sent("no", again=True)
        self.push.start()
        self.clock.advance(FIRST)
        self.thread.end()
        self.answer = TAKEN
        self.clock.advance(60)
        self.thread.end()
        self.assertEqual(self.figures(), (1, 1))

    def test_a_collector_is_left_alone_as_long_as_it_asks_for(self) -> None:
        self.answer = Sent("no", again=True, after=150.0)
        self.push.start()
        self.clock.advance(FIRST)
        self.thread.end()
        self.clock.pump([60, 60])
        self.assertEqual(self.thread.under_way, [])
        self.clock.advance(30)
        self.assertEqual(len(self.thread.under_way), 1)

    def test_a_page_that_cannot_be_read_is_a_bug_that_is_told_and_the_next_is_pushed(self) -> None:
        self.page.looking = Deferred()
        self.push.start()
        self.clock.advance(FIRST)
        self.page.looking.errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.page.looking = succeed(None)
        self.clock.advance(60)
        self.thread.end()
        self.assertEqual(self.figures(), (1, 0))

    def test_the_last_counts_go_before_the_end(self) -> None:
        self.push.start()
        stopping = Deferred.fromCoroutine(self.push.stop())
        self.assertNoResult(stopping)
        self.thread.end()
        self.successResultOf(stopping)
        self.assertEqual((len(self.pushed), self.figures(), self.clock.getDelayedCalls()), (1, (1, 0), []))

    def test_the_end_waits_for_no_one_that_hangs(self) -> None:
        self.push.start()
        self.clock.advance(FIRST)
        stopping = Deferred.fromCoroutine(self.push.stop())
        self.clock.advance(LAST_WORDS)
        self.successResultOf(stopping)
        self.thread.end()
        self.assertEqual((self.thread.under_way, self.clock.getDelayedCalls()), ([], []))

    def test_the_last_push_that_does_not_get_there_in_time_is_counted(self) -> None:
        self.push.start()
        self.clock.advance(FIRST)
        stopping = Deferred.fromCoroutine(self.push.stop())
        self.clock.advance(LAST_WORDS)
        self.successResultOf(stopping)
        self.assertEqual(self.figures(), (0, 1))
        self.thread.end()
        self.assertEqual(self.figures(), (0, 1))

    def test_reloads_without_end_put_off_none(self) -> None:
        self.push.start()
        for _ in range(int(FIRST)):
            self.push.use(self.send, 60.0)
            self.clock.advance(1.0)
        self.thread.end()
        self.assertEqual(self.figures(), (1, 0))

    def test_nothing_happens_with_nowhere_to_push_to(self) -> None:
        push = MetricPush(self.page, self.clock, self.thread)
        push.start()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.successResultOf(Deferred.fromCoroutine(push.stop()))

    def test_ends_and_begins_at_a_reload(self) -> None:
        self.push.start()
        self.push.use(None, 60.0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.push.use(self.send, 2.0)
        self.clock.advance(2)
        self.assertEqual(len(self.thread.under_way), 1)
