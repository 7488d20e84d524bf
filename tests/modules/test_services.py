"""
What a module is given works until the module stops.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from empath.errors import ModuleError
from empath.interfaces import IServices
from empath.mail.address import parse_address
from empath.modules.services import Services
from empath.observe.metrics.modules import MOST_EVENTS, ModulesCounts
from tests.modules.hosting import Workers, surroundings


class ServicesTests(SynchronousTestCase):
    """
    The services of the module "test".
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.counts = ModulesCounts()
        self.workers = Workers()
        self.services = Services(
            "test",
            surroundings(self.reactor, counts=self.counts.of, workers=lambda name, reactor: self.workers),
        )

    def test_provides_what_is_promised(self) -> None:
        """
        As IServices says.
        """
        verifyObject(IServices, self.services)
        self.assertEqual(self.services.storage, "storage of test")
        self.assertEqual((self.services.hostname, str(self.services.folder)), ("mx.example.org", "/etc/empath"))
        answer: Any = self.services.lookup("example.org", "MX")
        address = parse_address("a@example.org")
        self.assertEqual((answer.name, self.services.verify(address)), ("example.org", address))

    def test_our_domains(self) -> None:
        """
        Are those of [relay].
        """
        for text, ours in (("a@example.org", True), ("a@sub.example.org", False), ("a@example.net", False)):
            self.assertEqual(self.services.local(parse_address(text)), ours)

    def test_counts(self) -> None:
        """
        By the names that the module chooses, up to a number of them.
        """
        self.services.count("hits")
        self.services.count("hits", 5)
        events = self.counts.of("test").events.by_label
        self.assertEqual(events, {"hits": 6})
        for number in range(MOST_EVENTS + 5):
            self.services.count(f"event {number}")
        self.assertEqual((len(events), events["other"]), (MOST_EVENTS + 1, 6))

    def test_threads_are_its_own(self) -> None:
        """
        They end with it, and are none afterwards.
        """
        self.assertEqual(self.successResultOf(self.services.in_thread(lambda: 5)), 5)
        self.assertEqual(self.workers.ran, 1)
        self.successResultOf(Deferred.fromCoroutine(self.services.stop()))
        self.assertTrue(self.workers.stopped)

    def test_no_threads_once_it_has_stopped(self) -> None:
        """
        Nor if there were none before.
        """
        self.successResultOf(Deferred.fromCoroutine(self.services.stop()))
        self.failureResultOf(self.services.in_thread(lambda: 5), ModuleError)
        self.services.every(1.0, self.fail)
        self.assertEqual((self.workers.ran, self.reactor.getDelayedCalls()), (0, []))

    def test_connects_to_endpoints(self) -> None:
        """
        Of Twisted's strings.
        """
        self.services.connect("tcp:192.0.2.1:11332", Factory.forProtocol(Protocol))
        self.services.connect("unix:/run/milter", Factory.forProtocol(Protocol))
        self.assertEqual([each[:2] for each in self.reactor.tcpClients], [("192.0.2.1", 11332)])
        self.assertEqual([each[0] for each in self.reactor.unixClients], ["/run/milter"])

    def test_counts_that_are_none(self) -> None:
        """
        Its author hears of them; whoever reads the page of metrics does not.
        """
        for amount, error in (("5", TypeError), (1j, TypeError), (0.5, TypeError), (-1, ValueError)):
            self.assertRaises(error, self.services.count, "hits", amount)
        self.services.count("\ud800")
        self.assertEqual(self.counts.of("test").events.by_label, {"?": 1})


class EveryTests(SynchronousTestCase):
    """
    What is called again and again.
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.services = Services("test", surroundings(self.reactor))
        self.answers: list[Any] = []
        self.calls = 0

    def call(self) -> Any:
        """
        Count, and give the next answer.
        """
        self.calls += 1
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def after(self, *seconds: float) -> list[int]:
        """
        Let time pass; tells the calls so far.
        """
        told = []
        for each in seconds:
            self.reactor.advance(each)
            told.append(self.calls)
        return told

    def test_comes_after_each_interval(self) -> None:
        """
        Not at once, and never without a pause.
        """
        self.services.every(10.0, self.call)
        self.assertEqual(self.after(9.9, 0.1, 10, 10), [0, 1, 2, 3])
        self.services.every(0.0, self.call)
        self.assertEqual(self.after(0.1), [4])

    def test_comes_again_whatever_it_does(self) -> None:
        """
        Failures are logged.
        """

        async def failing() -> None:
            raise ValueError

        self.answers = [KeyError(), SystemExit(), fail(ValueError()), failing(), "text"]
        self.services.every(1.0, self.call)
        self.assertEqual(self.after(*[1.0] * 6), [1, 2, 3, 4, 5, 6])
        self.assertEqual(len(self.flushLoggedErrors(KeyError, SystemExit, ValueError)), 4)

    def test_two_never_run_at_once(self) -> None:
        """
        A round that is not over is waited for.
        """
        waiting: Deferred[None] = Deferred()
        self.answers = [waiting]
        self.services.every(1.0, self.call)
        self.assertEqual(self.after(1, 1, 1), [1, 1, 1])
        waiting.callback(None)
        self.assertEqual(self.after(1, 1), [2, 3])

    def test_ends_even_if_the_round_does_not_let_itself_be_cancelled(self) -> None:
        """
        The stop of the module goes on.
        """

        def canceller(_: object) -> None:
            raise SystemExit

        self.answers = [Deferred(canceller)]
        self.services.every(1.0, self.call)
        self.after(1)
        self.services.stop_rounds()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_ends_with_the_module(self) -> None:
        """
        The round that runs is cancelled.
        """
        waiting: Deferred[None] = Deferred()
        self.answers = [waiting]
        self.services.every(1.0, self.call)
        self.services.every(5.0, self.fail)
        self.after(1)
        self.services.stop_rounds()
        self.services.stop_rounds()
        self.assertEqual((waiting.called, self.reactor.getDelayedCalls()), (True, []))
        self.assertEqual(self.after(10), [1])
