"""
Senders that are stopped and released.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.config import schema
from empath.config.units import seconds
from empath.errors import SpoolError, StorageError
from empath.mail.attempt import Attempt
from empath.mail.life import AttemptEnded, LifeEvent, MessageReceived
from empath.mail.life_safety import SenderStopped
from empath.mail.message import Message, Status, deliveries_of
from empath.mail.origin import OUTSIDE, TRUSTED, Origin, Source
from empath.observe.life import LifeEvents
from empath.policy.selection import Selection
from empath.queue.sender_notes import StoppedSender
from empath.queue.senders import Senders
from empath.queue.under_way import HELD_FOR, MOST
from tests.queue.fakes import FakeStorage, address, mail

ANN = Origin(Source.LOGIN, "ann")
SECTION = schema.SenderBreaker(
    enabled=True,
    window=seconds(3600),
    min_recipients=4,
    max_failure_ratio=0.5,
    max_recipients=10,
    exempt=("bob", "Ok@x"),
)


class FakeVerbs:
    """
    Records; `slow` is what the next call waits for, `faults` what the next calls fail with.
    """

    def __init__(self) -> None:
        self.did: list[tuple[str, Selection, str]] = []
        self.slow: Deferred[None] | None = None
        self.faults: list[Exception] = []

    def hold(self, selection: Selection, why: str) -> Awaitable[object]:
        return self._do("hold", selection, why)

    def release(self, selection: Selection, why: str) -> Awaitable[object]:
        return self._do("release", selection, why)

    def _do(self, verb: str, selection: Selection, why: str) -> Awaitable[object]:
        self.did.append((verb, selection, why))
        if self.faults:
            raise self.faults.pop(0)
        slow, self.slow = self.slow, None
        return succeed(None) if slow is None else slow


class SendersCase(SynchronousTestCase):
    """
    One that listens to events.
    """

    section = SECTION

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.verbs = FakeVerbs()
        self.storage = FakeStorage()
        self.told: list[LifeEvent] = []
        self.events = LifeEvents()
        self.events.subscribe(SenderStopped, self.told.append)
        self.senders = self.make()

    def make(self) -> Senders:
        return Senders(self.section, self.verbs, self.storage, self.clock, self.events.emit, self.events.subscribe)

    def mail(self, origin: Origin = ANN, recipients: int = 1, sender: str = "ann@sender.example") -> Message:
        message = mail(1, *[f"{nth}@d.example" for nth in range(recipients)])
        envelope = attrs.evolve(message.envelope, reverse_path=address(sender))
        return attrs.evolve(message, origin=origin, envelope=envelope)

    def receive(self, **how: Any) -> None:
        self.events.emit(MessageReceived(self.mail(**how), None, 0.0))

    def end(self, *statuses: Status, origin: Origin = ANN) -> None:
        message = self.mail(origin, len(statuses))
        (delivery,) = deliveries_of(message)
        results = tuple(
            attrs.evolve(state, status=status) for state, status in zip(delivery.recipients, statuses, strict=True)
        )
        self.events.emit(AttemptEnded(message, delivery, Attempt(1, 0.0), results))

    def words(self) -> list[tuple[str, bool, str]]:
        return [(each.sender, each.stopped, each.detail) for each in self.told if isinstance(each, SenderStopped)]

    def verbs_done(self) -> list[str]:
        did, self.verbs.did = self.verbs.did, []
        return [verb for verb, _, _ in did]


class BreakerTests(SendersCase):
    """
    Senders that are stopped because of what becomes of their mail.
    """

    def test_too_much_fails(self) -> None:
        """
        The login is stopped, its mail is held, others are left alone.
        """
        self.end(Status.FAILED, Status.COMPLETED, Status.RETRY)
        self.end(Status.FAILED)
        self.end(*[Status.FAILED] * 9, origin=OUTSIDE)
        self.assertEqual((self.senders.stopped(), self.verbs.did), ((), []))
        self.end(Status.FAILED, origin=Origin(Source.LOGIN, "eve"))
        self.end(Status.COMPLETED)
        detail = "2 of 4 recipients failed in 3600 s"
        self.assertEqual(self.senders.stopped(), (StoppedSender("login:ann", 1000.0, detail, held=True),))
        self.assertEqual(self.verbs.did, [("hold", Selection(login="ann"), HELD_FOR)])
        self.assertEqual(self.words(), [("login:ann", True, detail)])
        self.assertTrue(self.senders.refuses("ann", None))
        self.assertEqual(self.senders.held(self.mail()), HELD_FOR)
        for origin in (Origin(Source.LOGIN, "eve"), TRUSTED, OUTSIDE):
            self.assertFalse(self.senders.refuses(origin.login, address("ann@sender.example")))
            self.assertEqual(self.senders.held(self.mail(origin)), "")
        self.end(*[Status.FAILED] * 10)
        self.assertEqual(len(self.told), 1)

    def test_too_many_recipients(self) -> None:
        """
        A sender's address, where nobody logged in, has its own count.
        """
        self.receive(origin=TRUSTED, recipients=10, sender="A@x.example")
        self.receive(origin=TRUSTED, recipients=10, sender="b@x.example")
        self.receive(recipients=10)
        self.assertEqual(self.told, [])
        self.receive(origin=TRUSTED, sender="a@x.example")
        self.assertEqual(self.words(), [("a@x.example", True, "11 recipients in 3600 s, and 10 are allowed")])
        self.assertEqual(self.verbs.did[0][1], Selection(sender="a@x.example", source=Source.TRUSTED))
        self.assertTrue(self.senders.refuses("", address("A@X.example")))

    def test_who_is_exempt(self) -> None:
        """
        Logins and addresses; an operator can stop them all the same.
        """
        self.receive(origin=Origin(Source.LOGIN, "bob"), recipients=100)
        self.receive(origin=TRUSTED, sender="ok@X", recipients=100)
        self.end(*[Status.FAILED] * 9, origin=Origin(Source.LOGIN, "bob"))
        self.assertEqual(self.told, [])
        self.assertTrue(self.successResultOf(Deferred.fromCoroutine(self.senders.stop("login:bob"))))

    def test_mail_that_was_under_way(self) -> None:
        """
        A message that reaches the disk after its sender's mail was held is held, too.
        """
        self.receive(recipients=11)
        self.verbs_done()
        self.receive()
        self.assertEqual(self.verbs.did, [("hold", Selection(queue_id=f"{1:026}"), HELD_FOR)])

    def test_released_while_it_was_under_way(self) -> None:
        """
        What was to be stored as held, and is only after all others were released, goes on, too.
        """
        self.senders.reconfigure(schema.SenderBreaker())
        for released in (True, False):
            self.successResultOf(Deferred.fromCoroutine(self.senders.stop("login:ann")))
            self.assertEqual(self.senders.held(self.mail()), HELD_FOR)
            if released:
                self.successResultOf(Deferred.fromCoroutine(self.senders.release("login:ann")))
            self.verbs.did = []
            self.receive()
            wanted = [("release", Selection(queue_id=f"{1:026}", held_for=HELD_FOR), "its sender was released")]
            self.assertEqual(self.verbs.did, wanted if released else [])
            self.assertEqual(MessageReceived in self.events._listeners, not released)

    def test_those_that_are_never_stored(self) -> None:
        """
        Are forgotten.
        """
        self.successResultOf(Deferred.fromCoroutine(self.senders.stop("login:ann")))
        for number in range(MOST + 5):
            self.senders.held(attrs.evolve(self.mail(), queue_id=f"{number:026}"))
        self.assertEqual(len(self.senders._under_way), MOST)

    def test_a_hold_that_comes_too_late(self) -> None:
        """
        Is not done: nobody would release that message.
        """
        self.receive(recipients=11)
        self.verbs.faults = [SpoolError("full")]
        self.receive()
        self.successResultOf(Deferred.fromCoroutine(self.senders.release("login:ann")))
        self.verbs_done()
        self.clock.advance(1.0)
        self.assertEqual(self.verbs_done(), [])

    def test_switched_off(self) -> None:
        """
        Nothing is counted, or even listened to; that may change while we run.
        """
        self.senders.reconfigure(schema.SenderBreaker())
        self.assertNotIn(MessageReceived, self.events._listeners)
        self.receive(recipients=100)
        self.senders.reconfigure(SECTION)
        self.assertEqual(self.told, [])
        self.receive(recipients=11)
        self.assertEqual(len(self.told), 1)
        self.senders.reconfigure(schema.SenderBreaker())
        self.assertTrue(self.senders.refuses("ann", None))
        self.assertIn(MessageReceived, self.events._listeners)


class OperatorTests(SendersCase):
    """
    Senders that are stopped and released by hand.
    """

    section = schema.SenderBreaker()

    def do(self, verb: Callable[..., Any], *args: str) -> bool:
        done: bool = self.successResultOf(Deferred.fromCoroutine(verb(*args)))
        return done

    def test_stop_and_release(self) -> None:
        """
        What was held for it goes on, and the sender begins anew; neither is done twice.
        """
        self.assertTrue(self.do(self.senders.stop, "login:ann", "stolen"))
        self.assertFalse(self.do(self.senders.stop, "login:ann"))
        self.assertTrue(self.do(self.senders.stop, "A@x.example"))
        self.assertEqual([each.sender for each in self.senders.stopped()], ["a@x.example", "login:ann"])
        self.verbs_done()
        self.assertTrue(self.do(self.senders.release, "login:ann"))
        self.assertFalse(self.do(self.senders.release, "login:ann"))
        self.assertTrue(self.do(self.senders.release, "a@X.example"))
        selections = [selection for _, selection, _ in self.verbs.did[:4]]
        self.assertEqual({each.login for each in selections}, {"ann"})
        self.assertEqual(self.verbs_done(), ["release"] * 8)
        self.assertEqual((self.senders.stopped(), self.storage.texts), ((), {}))
        self.assertFalse(self.senders.refuses("ann", None))
        words = [(sender, stopped) for sender, stopped, _ in self.words()]
        wanted = [("login:ann", True), ("a@x.example", True), ("login:ann", False), ("a@x.example", False)]
        self.assertEqual(words, wanted)
        self.assertNotIn(MessageReceived, self.events._listeners)

    def test_what_is_no_sender(self) -> None:
        """
        Is refused, or not known.
        """
        for nobody in ("", "login:"):
            self.failureResultOf(Deferred.fromCoroutine(self.senders.stop(nobody)), ValueError)
            self.assertFalse(self.do(self.senders.release, nobody))

    def test_what_cannot_be_done_now(self) -> None:
        """
        Is tried again; nothing new is taken meanwhile.
        """
        self.storage.faults = [StorageError("full")]
        self.verbs.faults = [SpoolError("full"), ValueError("a bug")]
        done = Deferred.fromCoroutine(self.senders.stop("login:ann"))
        self.assertTrue(self.senders.refuses("ann", None))
        for _ in range(3):
            self.assertNoResult(done)
            self.clock.advance(2.0)
        self.assertTrue(self.successResultOf(done))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(self.verbs_done(), ["hold"] * 3)

    def test_a_clock_that_goes_back(self) -> None:
        """
        While mail is held: what is held then is released with the rest.
        """
        slow = self.verbs.slow = Deferred()
        stopping = Deferred.fromCoroutine(self.senders.stop("login:ann"))
        self.clock.rightNow = 900.0
        slow.callback(None)
        self.successResultOf(stopping)
        self.assertEqual(self.senders.stopped()[0].since, 900.0)
        self.assertTrue(self.do(self.senders.release, "login:ann"))
        self.assertIn(900.0, [selection.held_from for _, selection, _ in self.verbs.did])

    def test_a_release_while_it_is_being_stopped(self) -> None:
        """
        The release is what counts in the end, and the other way round.
        """
        slow = self.verbs.slow = Deferred()
        stopping = Deferred.fromCoroutine(self.senders.stop("login:ann"))
        self.assertTrue(self.do(self.senders.release, "login:ann"))
        self.assertTrue(slow.called)
        self.successResultOf(stopping)
        self.assertEqual(self.senders.stopped(), ())
        self.do(self.senders.stop, "login:ann")
        self.clock.advance(10.0)
        self.verbs.slow = Deferred()
        releasing = Deferred.fromCoroutine(self.senders.release("login:ann"))
        self.assertFalse(self.senders.refuses("ann", None))
        self.assertTrue(self.do(self.senders.stop, "login:ann"))
        self.successResultOf(releasing)
        ((stopped),) = self.senders.stopped()
        self.assertEqual((stopped.since, stopped.held, stopped.released), (1000.0, True, False))
        self.assertTrue(self.senders.refuses("ann", None))

    def test_who_stops_waiting_stops_nothing(self) -> None:
        """
        The work goes on.
        """
        slow = self.verbs.slow = Deferred()
        stopping = Deferred.fromCoroutine(self.senders.stop("login:ann"))
        stopping.addErrback(lambda _: None)
        stopping.cancel()
        slow.callback(None)
        self.assertTrue(self.senders.stopped()[0].held)


class RestartTests(SendersCase):
    """
    What a restart finds.
    """

    section = schema.SenderBreaker()

    def restarted(self) -> Senders:
        self.senders.close()
        senders = self.make()
        self.verbs.did = []
        self.successResultOf(Deferred.fromCoroutine(senders.restore()))
        return senders

    def test_who_is_stopped_stays_so(self) -> None:
        """
        Their mail is held already, and is not held again.
        """
        self.successResultOf(Deferred.fromCoroutine(self.senders.stop("login:" + "é" * 5000, "why")))
        stopped = self.senders.stopped()
        senders = self.restarted()
        self.assertEqual((senders.stopped(), self.verbs.did), (stopped, []))

    def test_what_was_under_way_goes_on(self) -> None:
        """
        Mail is held, or released, that was to be.
        """
        self.verbs.slow = Deferred()
        stopping = Deferred.fromCoroutine(self.senders.stop("login:ann"))
        senders = self.restarted()
        self.successResultOf(stopping)
        self.assertEqual(self.verbs_done(), ["hold"])
        self.assertTrue(senders.refuses("ann", None))
        self.senders = senders
        self.verbs.slow = Deferred()
        releasing = Deferred.fromCoroutine(senders.release("login:ann"))
        senders = self.restarted()
        self.successResultOf(releasing)
        self.assertEqual(self.verbs_done(), ["release"] * 4)
        self.assertEqual((senders.stopped(), self.storage.texts), ((), {}))

    def test_notes_that_cannot_be_read(self) -> None:
        """
        They are told, and harm nobody else.
        """
        self.successResultOf(Deferred.fromCoroutine(self.senders.stop("login:ann")))
        self.storage.texts.update({"a": "nonsense", "b": "[1]", "c": "7"})
        self.assertEqual(len(self.restarted().stopped()), 1)

    def test_notes_that_cannot_be_read_now(self) -> None:
        """
        The start does not wait for them; they are read later, and who was stopped meanwhile stays so.
        """
        for sender in ("login:ann", "login:bob"):
            self.successResultOf(Deferred.fromCoroutine(self.senders.stop(sender, "before")))
        self.storage.faults = [StorageError("away")] * 2
        senders = self.restarted()
        self.assertFalse(senders.refuses("ann", None))
        self.clock.advance(1.0)
        self.assertEqual(senders.stopped(), ())
        self.successResultOf(Deferred.fromCoroutine(senders.stop("login:bob", "meanwhile")))
        self.clock.advance(1.0)
        details = [(each.sender, each.detail) for each in senders.stopped()]
        self.assertEqual(details, [("login:ann", "before"), ("login:bob", "meanwhile")])
        self.assertTrue(senders.refuses("ann", None))

    def test_a_stop_ends_that(self) -> None:
        """
        Nothing is left to be done.
        """
        self.storage.faults = [StorageError("away")]
        self.restarted().close()
        self.assertEqual(self.clock.getDelayedCalls(), [])
