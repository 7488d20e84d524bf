"""
Requirements on what is logged again and again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from empath.config import schema
from empath.observe.logs.lines import LineObserver
from empath.observe.logs.repeats import MOST, Repeats


class Reactor(MemoryReactorClock):
    """
    A reactor in whose own thread everything happens.
    """

    def callFromThread(self, call: Callable[..., object], *args: object) -> None:
        """
        Call it a moment later, as a reactor does.
        """
        self.callLater(0.0, call, *args)


class RepeatsTests(SynchronousTestCase):
    """
    An observer that counts for 30 seconds.
    """

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.reactor.advance(1795255200)
        self.written: list[str] = []
        self.observer = LineObserver(schema.Log(), self.written.append)
        self.repeats = self.observer.repeats = Repeats(30.0, self.reactor, self.observer)

    def say(self, text: str = "odd", level: Any = LogLevel.warn, namespace: str = "empath.dns", **more: Any) -> None:
        event = {"log_level": level, "log_namespace": namespace, "log_time": self.reactor.seconds()}
        self.observer({**event, "log_format": "{text}", "text": text, **more})

    def told(self) -> list[str]:
        """
        Take what was written, without its times.
        """
        self.reactor.advance(0)
        texts = [line[25:].rstrip("\n") for line in self.written]
        self.written.clear()
        return texts

    def test_the_first_is_written_and_the_others_told_once_at_the_end(self) -> None:
        """
        After that it is new again.
        """
        for _ in range(5):
            self.say()
            self.reactor.advance(1)
        self.assertEqual(self.told(), ["warn dns: odd"])
        self.reactor.advance(26)
        self.assertEqual(self.told(), ["warn dns: said 4 more times in the last 31 s: odd"])
        self.reactor.advance(100)
        self.assertEqual(self.told(), [])
        self.say()
        self.assertEqual(self.told(), ["warn dns: odd"])

    def test_what_differs_in_anything_is_something_else(self) -> None:
        """
        In its text, level, speaker, or in what went wrong.
        """
        failures = [Failure(ValueError(word)) for word in ("a", "b")]
        self.say()
        self.say("other")
        self.say(level=LogLevel.error)
        self.say(namespace="empath.queue")
        for failure in failures:
            self.say(log_failure=failure)
        self.assertEqual(len(self.written), 6)
        self.say(log_failure=failures[0])
        self.assertEqual(len(self.written), 6)

    def test_lines_of_messages_are_all_written(self) -> None:
        """
        They are the accounts of an MTA.
        """
        for _ in range(3):
            self.say(queue_id="01ARZ3NDEKTSV4RRFFQ69G5FAV")
            self.say(queue_id="NOQUEUE")
        self.assertEqual(len(self.written), 6)

    def test_answers_are_all_written(self) -> None:
        """
        Who sent a signal waits for them, however often.
        """
        for _ in range(3):
            self.say(log_answer=True)
        self.assertEqual(len(self.written), 3)

    def test_what_was_said_once_is_not_told_of(self) -> None:
        """
        Nothing waits for its end either.
        """
        self.say()
        self.reactor.advance(0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.reactor.advance(31)
        self.say()
        self.assertEqual(self.told(), ["warn dns: odd", "warn dns: odd"])

    def test_each_ends_in_its_own_time(self) -> None:
        """
        Also where they overlap.
        """
        self.say("a")
        self.say("a")
        self.reactor.advance(20)
        self.say("b")
        self.say("b")
        self.told()
        self.reactor.advance(10)
        self.assertEqual(self.told(), ["warn dns: said once more in the last 30 s: a"])
        self.reactor.advance(20)
        self.assertEqual(self.told(), ["warn dns: said once more in the last 30 s: b"])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_memory_is_bounded(self) -> None:
        """
        The oldest makes room, and is told of.
        """
        self.say("first")
        self.say("first")
        for number in range(MOST):
            self.say(f"n{number}" * 500)
        self.assertIn("warn dns: said once more in the last 1 s: first", self.told())
        self.assertEqual(len(self.repeats._said), MOST)
        self.assertLess(max(len(each.text) for each in self.repeats._said.values()), 600)

    def test_a_stop_tells_the_rest(self) -> None:
        """
        And counts no more, so that nothing is lost after it.
        """
        self.say()
        self.say()
        self.repeats.stop()
        self.say()
        self.say()
        said = "warn dns: said once more in the last 1 s: odd"
        self.assertEqual(self.told(), ["warn dns: odd", said, "warn dns: odd", "warn dns: odd"])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_another_interval_holds_at_once(self) -> None:
        """
        0 writes it all; what was counted is told.
        """
        self.say()
        self.say()
        self.repeats.use(0.0)
        self.say()
        self.assertEqual(len(self.told()), 3)
        self.repeats.use(5.0)
        self.say()
        self.say()
        self.assertEqual(len(self.told()), 1)
        self.reactor.advance(5)
        self.assertEqual(len(self.told()), 1)

    def test_a_clock_that_is_set_back_hides_nothing_for_long(self) -> None:
        """
        What was said in the future is over.
        """
        self.say()
        self.reactor.rightNow -= 3600
        self.say()
        self.assertEqual(len(self.told()), 2)

    def test_a_logger_that_logs_while_it_is_told_is_no_trouble(self) -> None:
        """
        No lock is held while something is written or put together.
        """
        log = Logger("empath.dns", observer=self.observer)

        class Talkative:
            def __str__(self) -> str:
                log.warn("inside")
                return "outside"

        log.warn("{talk}", talk=Talkative())
        log.warn("{talk}", talk=Talkative())
        self.assertEqual(self.told(), ["warn dns: inside", "warn dns: outside"])
