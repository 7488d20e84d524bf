"""
Requirements on the queues before collectors: whoever hands in is never held up, and what is lost is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from empath.observe.export.log_record import LogRecord, octets_of
from empath.observe.export.losses import SAID_EVERY
from empath.observe.export.outlet import EVERY, LAST_WORDS, LONGEST_PAUSE, LogOutlet, Outlet, SpanOutlet
from empath.observe.export.sent import TAKEN, Sent
from empath.observe.export.waiting import Waiting


class Thread:
    """
    A thread whose calls end when the test says so; they are made then.
    """

    def __init__(self) -> None:
        self.under_way: list[tuple[Callable[[], Sent], Deferred[Sent]]] = []

    def __call__(self, call: Callable[[], Sent]) -> Deferred[Sent]:
        ended: Deferred[Sent] = Deferred()
        self.under_way.append((call, ended))
        return ended

    def end(self) -> None:
        call, ended = self.under_way.pop(0)
        try:
            sent = call()
        except Exception:
            ended.errback()
        else:
            ended.callback(sent)


class Collector:
    """
    Answers what it is told to, and keeps what it takes.
    """

    def __init__(self) -> None:
        self.answers: list[Sent] = []
        self.asked: list[list[int]] = []
        self.taken: list[int] = []

    def __call__(self, items: Sequence[int]) -> Sent:
        self.asked.append(list(items))
        answer = self.answers.pop(0) if self.answers else TAKEN
        if not answer.trouble:
            self.taken += items
        return answer


class OutletTestCase(SynchronousTestCase):
    """
    An outlet for numbers, 3 at once and 10 in all.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.thread = Thread()
        self.collector = Collector()
        self.outlet: Outlet[int] = Outlet("traces", self.clock, self.thread, 3, Waiting(10, 1000))
        self.outlet.use(self.collector)
        self.logged: list[tuple[LogLevel, str]] = []
        keep: Any = self.keep
        globalLogPublisher.addObserver(keep)
        self.addCleanup(globalLogPublisher.removeObserver, keep)

    def keep(self, event: dict[str, Any]) -> None:
        if event["log_namespace"].startswith("empath.observe.export"):
            self.logged.append((event["log_level"], event["log_format"].format(**event)))

    def add(self, *numbers: int) -> None:
        for number in numbers:
            self.outlet.add(number)

    def answer(self, *answers: Sent) -> None:
        """
        Have requests end, those after the first ones that follow at once or at the next look, too.
        """
        self.collector.answers += answers
        for _ in answers:
            if not self.thread.under_way:
                self.clock.advance(EVERY)
            self.thread.end()
            self.clock.advance(0)

    def figures(self) -> tuple[int, int, int, int]:
        told = self.outlet.figures()
        return told["sent"], told["lost"], told["failures"], told["waiting"]


class SendingTests(OutletTestCase):
    """
    What goes.
    """

    def test_goes_some_at_a_time_one_request_after_the_other_in_order(self) -> None:
        self.outlet.start()
        self.add(1, 2, 3, 4)
        self.assertEqual(self.thread.under_way, [])
        self.clock.advance(EVERY)
        self.add(5)
        self.clock.advance(EVERY)
        self.assertEqual(len(self.thread.under_way), 1)
        self.assertEqual(self.figures(), (0, 0, 0, 5))
        self.answer(TAKEN, TAKEN)
        self.assertEqual(self.collector.asked, [[1, 2, 3], [4, 5]])
        self.assertEqual(self.figures(), (5, 0, 0, 0))
        self.assertEqual(self.logged, [])

    def test_goes_on_at_once_with_as_much_as_fills_a_request_and_later_with_less(self) -> None:
        """
        A request costs as much as some messages do: a few items that came meanwhile are not worth one of their own.
        """
        self.outlet.start()
        self.add(1, 2, 3, 4, 5, 6, 7)
        self.clock.advance(EVERY)
        self.answer(TAKEN)
        self.assertEqual(len(self.thread.under_way), 1)
        self.answer(TAKEN)
        self.assertEqual(self.thread.under_way, [])
        self.clock.advance(EVERY)
        self.answer(TAKEN)
        self.assertEqual(self.collector.asked, [[1, 2, 3], [4, 5, 6], [7]])

    def test_waits_for_the_start(self) -> None:
        self.add(1)
        self.clock.advance(60)
        self.assertEqual(self.thread.under_way, [])
        self.outlet.start()
        self.clock.advance(EVERY)
        self.answer(TAKEN)
        self.assertEqual(self.collector.taken, [1])

    def test_is_dropped_where_nobody_wants_it_and_costs_no_timer(self) -> None:
        outlet: Outlet[int] = Outlet("traces", self.clock, self.thread, 3, Waiting(10, 1000))
        outlet.start()
        outlet.add(1)
        self.assertEqual((outlet.figures()["waiting"], outlet.figures()["lost"], outlet.wanted), (0, 0, False))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_goes_elsewhere_from_a_reload_on(self) -> None:
        """
        What waits too, and what came back from where it went before; an outage of the old place holds up nothing.
        """
        self.outlet.start()
        self.add(1)
        self.clock.advance(EVERY)
        self.answer(Sent("no", again=True))
        other = Collector()
        self.outlet.use(other)
        self.clock.advance(EVERY)
        self.thread.end()
        self.assertEqual((self.collector.taken, other.taken), ([], [1]))

    def test_what_another_place_did_holds_up_nothing(self) -> None:
        """
        Nor is it lost, whatever is said of a request that was under way at a reload.
        """
        self.outlet.start()
        for trouble in (Sent("no", again=True, after=300.0), Sent("it answers 400"), Sent("large", too_large=True)):
            self.add(1, 2)
            self.clock.advance(EVERY)
            other = Collector()
            self.collector.answers.append(trouble)
            self.outlet.use(other)
            self.thread.end()
            self.clock.advance(EVERY)
            self.thread.end()
            self.clock.advance(0)
            self.assertEqual(other.taken, [1, 2])
            self.outlet.use(self.collector)
        self.assertEqual((self.figures(), self.logged), ((6, 0, 0, 0), []))

    def test_what_was_under_way_is_dropped_where_nobody_wants_it_any_more(self) -> None:
        self.outlet.start()
        self.add(1)
        self.clock.advance(EVERY)
        self.outlet.use(None)
        self.answer(Sent("no", again=True))
        self.assertEqual((self.figures(), self.logged), ((0, 0, 0, 0), []))

    def test_ends_at_a_reload(self) -> None:
        self.outlet.start()
        self.add(1)
        self.outlet.use(None)
        self.add(2)
        self.clock.advance(60)
        self.assertEqual((self.thread.under_way, self.figures()), ([], (0, 0, 0, 0)))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class TroubleTests(OutletTestCase):
    """
    A collector that does not take what it should.
    """

    def setUp(self) -> None:
        super().setUp()
        self.outlet.start()

    def test_is_asked_again_after_growing_pauses_and_told_once(self) -> None:
        self.add(1, 2)
        self.clock.advance(EVERY)
        pauses = []
        for _ in range(8):
            self.answer(Sent("no", again=True))
            began = self.clock.seconds()
            while not self.thread.under_way:
                self.clock.advance(EVERY)
            pauses.append(self.clock.seconds() - began)
        self.assertEqual(pauses, [1, 2, 4, 8, 16, 32, 60, 60])
        self.answer(TAKEN)
        self.assertEqual(self.collector.taken, [1, 2])
        self.assertEqual(self.figures(), (2, 0, 8, 0))
        texts = [text for _, text in self.logged]
        again = "traces get to their collector again; 0 lost"
        self.assertEqual(texts, ["traces do not get to their collector: no", again])

    def test_is_left_alone_as_long_as_it_asks_for_within_reason(self) -> None:
        for asked, left in ((17.0, 17.0), (1e9, LONGEST_PAUSE)):
            self.add(1)
            self.clock.advance(EVERY)
            self.answer(Sent("no", again=True, after=asked))
            self.clock.advance(left - EVERY)
            self.assertEqual(self.thread.under_way, [])
            self.clock.advance(EVERY)
            self.answer(TAKEN)

    def test_the_oldest_are_lost_when_there_is_no_room_and_counted(self) -> None:
        self.add(*range(8))
        self.clock.advance(EVERY)
        self.add(*range(8, 15))
        self.assertEqual(self.figures(), (0, 2, 0, 13))
        self.answer(Sent("no", again=True))
        self.assertEqual(self.figures(), (0, 5, 1, 10))
        self.clock.advance(1.5)
        self.answer(*[TAKEN] * 4)
        self.assertEqual(self.collector.taken, list(range(5, 15)))

    def test_what_is_told_of_an_outage_is_what_it_cost(self) -> None:
        for lost in (3, 2):
            self.add(*range(10))
            self.clock.advance(EVERY)
            self.answer(Sent("no", again=True))
            self.add(*range(lost))
            self.clock.advance(1.5)
            self.answer(*[TAKEN] * 4)
        again = [text for _, text in self.logged if "again" in text]
        self.assertEqual(again, [f"traces get to their collector again; {lost} lost" for lost in (3, 2)])

    def test_losses_are_told_once_a_minute(self) -> None:
        for _ in range(4):
            self.add(*range(12))
            self.clock.pump([EVERY] * int(SAID_EVERY / EVERY / 2))
        told = [text for _, text in self.logged]
        self.assertEqual([each.split(":")[1].split()[1] for each in told], ["lost", "lost"])

    def test_what_it_refuses_is_lost_and_the_next_goes_soon(self) -> None:
        self.add(1, 2, 3, 4)
        self.clock.advance(EVERY)
        self.answer(Sent("it answers 400"))
        self.clock.pump([EVERY] * 2)
        self.answer(TAKEN)
        self.assertEqual((self.collector.taken, self.figures()), ([4], (1, 3, 1, 0)))

    def test_too_large_a_request_goes_in_smaller_ones(self) -> None:
        large = Sent("it answers 413", too_large=True)
        self.add(1, 2, 3)
        self.clock.advance(EVERY)
        self.answer(large, TAKEN, TAKEN)
        self.assertEqual(self.collector.asked, [[1, 2, 3], [1], [2, 3]])
        self.assertEqual(self.figures(), (3, 0, 0, 0))

    def test_what_is_too_large_alone_is_lost(self) -> None:
        self.add(1)
        self.clock.advance(EVERY)
        self.answer(Sent("it answers 413", too_large=True))
        self.assertEqual(self.figures(), (0, 1, 1, 0))

    def test_what_it_rejects_of_a_request_is_counted(self) -> None:
        self.add(1, 2)
        self.clock.advance(EVERY)
        self.answer(Sent(lost=900, reason="old"))
        self.assertEqual(self.figures(), (0, 2, 0, 0))

    def test_a_bug_in_the_thread_loses_what_was_sent_and_no_more(self) -> None:
        def broken(items: Sequence[int]) -> Sent:
            raise ZeroDivisionError

        self.outlet.use(broken)
        self.add(1)
        self.clock.advance(EVERY)
        self.thread.end()
        self.clock.advance(0)
        self.assertEqual(self.figures(), (0, 1, 1, 0))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.outlet.use(self.collector)
        self.add(2)
        self.clock.advance(EVERY)
        self.answer(TAKEN)
        self.assertEqual(self.collector.taken, [2])


class StoppingTests(OutletTestCase):
    """
    The end.
    """

    def setUp(self) -> None:
        super().setUp()
        self.outlet.start()

    def stop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.outlet.stop())

    def test_sends_all_that_waits(self) -> None:
        self.add(*range(7))
        stopping = self.stop()
        self.answer(TAKEN, TAKEN, TAKEN)
        self.successResultOf(stopping)
        self.assertEqual(self.collector.taken, list(range(7)))
        self.assertEqual((self.clock.getDelayedCalls(), self.logged), ([], []))

    def test_waits_for_a_request_that_is_under_way(self) -> None:
        self.add(1)
        self.clock.advance(EVERY)
        self.add(2)
        stopping = self.stop()
        self.assertNoResult(stopping)
        self.answer(TAKEN, TAKEN)
        self.successResultOf(stopping)
        self.assertEqual(self.collector.taken, [1, 2])

    def test_does_not_wait_for_one_that_hangs(self) -> None:
        self.add(1, 2, 3, 4)
        stopping = self.stop()
        self.clock.advance(LAST_WORDS)
        self.successResultOf(stopping)
        self.assertEqual(self.figures()[1], 4)
        self.assertEqual([text for _, text in self.logged], ["traces: 4 lost: they did not get there before the end"])
        self.thread.end()
        self.clock.advance(0)
        self.assertEqual(self.figures()[1], 4)

    def test_does_not_try_twice(self) -> None:
        self.add(1, 2, 3, 4)
        stopping = self.stop()
        self.answer(Sent("no", again=True))
        self.successResultOf(stopping)
        self.assertEqual(self.figures()[1], 4)

    def test_tries_once_during_a_pause(self) -> None:
        self.add(1)
        self.clock.advance(EVERY)
        self.answer(Sent("no", again=True, after=300.0))
        stopping = self.stop()
        self.answer(TAKEN)
        self.successResultOf(stopping)
        self.assertEqual(self.collector.taken, [1])

    def test_has_nothing_to_wait_for_without_anything(self) -> None:
        self.successResultOf(self.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_takes_nothing_afterwards(self) -> None:
        self.successResultOf(self.stop())
        self.add(1)
        self.assertEqual(self.figures(), (0, 0, 0, 0))


class BoundTests(SynchronousTestCase):
    """
    The outlets there are.
    """

    def test_hold_no_more_than_they_may(self) -> None:
        clock, thread = Clock(), Thread()
        outlets: tuple[Outlet[Any], ...] = (SpanOutlet(clock, thread), LogOutlet(clock, thread))
        for outlet in outlets:
            outlet.use(lambda items: TAKEN)
            for number in range(20_000):
                outlet.add(number, 100)
            told = outlet.figures()
            self.assertLess(told["waiting"], 10_000)
            self.assertEqual(told["waiting"] + told["lost"], 20_000)

    def test_hold_fewer_of_what_is_large(self) -> None:
        clock, thread = Clock(), Thread()
        outlets: tuple[Outlet[Any], ...] = (SpanOutlet(clock, thread), LogOutlet(clock, thread))
        for outlet in outlets:
            outlet.use(lambda items: TAKEN)
            for number in range(500):
                outlet.add(number, 1024 * 1024)
            told = outlet.figures()
            self.assertEqual((told["waiting"], told["lost"]), (32, 468))

    def test_a_log_record_takes_what_its_texts_take(self) -> None:
        long = LogRecord(1.0, "info", "empath.smtp", "x" * 5000, {"reply": "y" * 3000, "codes": [1] * 50, "n": 1})
        self.assertGreater(octets_of(long), 8000 + 50 * 50)
        self.assertLess(octets_of(LogRecord(1.0, "info", "empath.smtp", "x", {})), 1000)


class WaitingTests(SynchronousTestCase):
    """
    What waits.
    """

    def setUp(self) -> None:
        self.waiting: Waiting[int] = Waiting(5, 100)

    def test_the_oldest_make_room_for_octets(self) -> None:
        lost = [self.waiting.add(nth, 40) for nth in range(4)]
        self.assertEqual((lost, self.waiting.take(9, 999)), ([0, 0, 1, 1], [(2, 40), (3, 40)]))

    def test_what_is_too_large_for_all_of_the_room_is_lost(self) -> None:
        self.assertEqual([self.waiting.add(1, 40), self.waiting.add(2, 101), len(self.waiting)], [0, 2, 0])
        self.assertEqual(self.waiting.add(3, 100), 0)

    def test_is_taken_as_far_as_octets_allow_but_one_in_any_case(self) -> None:
        for nth, octets in enumerate((90, 4, 3, 3)):
            self.waiting.add(nth, octets)
        self.assertEqual(self.waiting.take(9, 7), [(0, 90)])
        self.assertEqual(self.waiting.take(9, 7), [(1, 4), (2, 3)])
        self.assertEqual(self.waiting.take(9, 7), [(3, 3)])
        self.assertEqual(self.waiting.take(9, 7), [])

    def test_what_comes_back_is_older_than_what_came_since(self) -> None:
        for nth in range(3):
            self.waiting.add(nth, 30)
        taken = self.waiting.take(2, 100)
        self.waiting.add(3, 30)
        self.assertEqual(self.waiting.put_back(taken), 1)
        self.assertEqual([item for item, _ in self.waiting.take(9, 999)], [1, 2, 3])

    def test_nothing_of_what_is_forgotten_takes_room(self) -> None:
        self.waiting.add(1, 100)
        self.waiting.clear()
        self.assertEqual((self.waiting.add(2, 100), len(self.waiting)), (0, 1))
