"""
Few checks at once.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.auth.turns import Turns
from empath.errors import AuthenticatorUnavailable
from tests.auth.made import Threads


class TurnsTests(SynchronousTestCase):
    """
    Two at once, two waiting.
    """

    def setUp(self) -> None:
        self.threads = Threads()
        self.turns = Turns(self.threads, at_once=2, max_waiting=2)
        self.ran: list[str] = []
        self.known: dict[str, str] = {}

    def ask(self, name: str) -> Deferred[str]:
        """
        Ask for one call.
        """

        def call() -> str:
            self.ran.append(name)
            return name.upper()

        return Deferred.fromCoroutine(self.turns.run(call, lambda: self.known.get(name)))

    def test_turns(self) -> None:
        """
        Two run, the next when one is done, in their order.
        """
        asked = [self.ask(name) for name in "abc"]
        self.assertEqual(len(self.threads.waiting), 2)
        self.threads.run()
        self.assertEqual(self.successResultOf(asked[0]), "A")
        self.assertEqual(len(self.threads.waiting), 2)
        self.threads.run()
        self.threads.run()
        self.assertEqual([self.successResultOf(one) for one in asked[1:]], ["B", "C"])

    def test_too_many(self) -> None:
        """
        Who would wait behind too many hears so at once.
        """
        for name in "abcd":
            self.ask(name)
        self.failureResultOf(self.ask("e"), AuthenticatorUnavailable)

    def test_known_by_then(self) -> None:
        """
        What another call found out while this one waited is not found out again.
        """
        for name in "ab":
            self.ask(name)
        third, fourth = self.ask("c"), self.ask("d")
        self.known["c"] = "C!"
        self.threads.run()
        self.assertEqual(self.successResultOf(third), "C!")
        self.threads.run()
        self.threads.run()
        self.assertEqual(self.successResultOf(fourth), "D")
        self.assertEqual(self.ran, ["a", "b", "d"])

    def test_failure(self) -> None:
        """
        What a call raises is told, and its turn is over.
        """

        def fail() -> str:
            raise ZeroDivisionError

        failing = [Deferred.fromCoroutine(self.turns.run(fail, lambda: None)) for _ in range(2)]
        last = self.ask("c")
        for _ in range(3):
            self.threads.run()
        for one in failing:
            self.failureResultOf(one, ZeroDivisionError)
        self.assertEqual(self.successResultOf(last), "C")

    def test_clients_that_go_cannot_pile_up_work(self) -> None:
        """
        A call that runs keeps its turn though nobody wants its answer; one that waits is dropped.
        """
        asked = [self.ask(name) for name in "abcd"]
        for one in (asked[0], asked[2]):
            one.cancel()
            self.failureResultOf(one, CancelledError)
        self.assertEqual(len(self.threads.waiting), 2)
        self.threads.run()
        self.threads.run()
        self.threads.run()
        self.assertEqual(self.ran, ["a", "b", "d"])
        self.assertEqual([self.successResultOf(asked[index]) for index in (1, 3)], ["B", "D"])
