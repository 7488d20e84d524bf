"""
Tests for empath.report.suppression.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Suppression as Section
from empath.errors import StorageError
from empath.mail.address import Address, parse_address
from empath.mail.attempt import Attempt
from empath.mail.envelope import Envelope, Recipient
from empath.mail.life import AttemptEnded, LifeEvent
from empath.mail.life_safety import AddressSuppressed, BounceReceived
from empath.mail.message import Delivery, Message, RecipientState, Status
from empath.mail.origin import OUTSIDE, OWN, TRUSTED, Origin
from empath.mail.reply import Reply
from empath.policy.suppressed import refusal_of
from empath.policy.verbs import BOUNCED
from empath.report.suppression import Suppressed, Suppression
from empath.testing.kept import KeptStorages

BOB = parse_address("bob@example.net")


class Slow:
    """
    A storage whose answers come when the test says so, or that fails.
    """

    def __init__(self, storage: Any) -> None:
        self.storage = storage
        self.waiting: list[Deferred[None]] = []
        self.slow = False
        self.broken = False
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        return lambda *args: self._call(getattr(self.storage, name), *args)

    def _call(self, method: Any, *args: Any) -> Deferred[Any]:
        self.asked += 1
        if self.broken:
            return fail(StorageError("broken"))
        if not self.slow:
            return method(*args)  # type: ignore[no-any-return]  # the fake's own Deferred
        wait: Deferred[None] = Deferred()
        self.waiting.append(wait)
        return wait.addCallback(lambda _: method(*args))

    def go_on(self) -> None:
        """
        Answer.
        """
        while self.waiting:
            self.waiting.pop(0).callback(None)


def ended(status: Status, category: str, origin: Origin = TRUSTED, *others: Status) -> AttemptEnded:
    """
    Make the end of an attempt for bob, and for others.
    """
    states = tuple(
        RecipientState(
            Recipient(parse_address(f"{name}@example.net")), each, Reply.of("550 5.1.1 no"), "mx", category=category
        )
        for name, each in zip(("bob", "ben"), (status, *others), strict=False)
    )
    recipients = tuple(state.recipient for state in states)
    message = Message("Q", 0.0, Envelope(None, recipients), b"", b"", None, 0, False, origin=origin)
    worst = next((each for each in (Status.RETRY, Status.FAILED) if each in (status, *others)), status)
    return AttemptEnded(message, Delivery("Q", "example.net", 0.0, states, worst), Attempt(1, 0.0), states)


class SuppressionTests(SynchronousTestCase):
    """
    The list on a storage of its own.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.storage = Slow(KeptStorages(self.clock.seconds).of(".suppression"))
        self.events: list[LifeEvent] = []
        self.list = self.make()

    def make(self, **section: object) -> Suppression:
        """
        Make the list, as after a start.
        """
        wanted = Section(True, **section)  # type: ignore[arg-type]  # as the test says
        made = Suppression(wanted, self.storage, self.clock, self.events.append, frozenset({"example.org"}))  # type: ignore[arg-type]  # the fake
        made.start()
        return made

    def add(self, address: Address = BOB) -> Deferred[bool]:
        """
        Put an address on the list.
        """
        return Deferred.fromCoroutine(self.list.add(address, "by hand", "550 5.1.1 no"))

    def look(self, address: Address = BOB) -> Suppressed | None:
        """
        Tell whether an address is on the list.
        """
        found = self.list.suppressed(address)
        return self.successResultOf(found) if isinstance(found, Deferred) else found  # type: ignore[return-value]

    def test_at_once_for_most(self) -> None:
        """
        Whoever is not on the list is not looked up.
        """
        self.successResultOf(self.add())
        before = self.storage.asked
        self.assertIsNone(self.list.suppressed(parse_address("ben@example.net")))
        self.assertEqual(self.storage.asked, before)
        self.assertEqual(self.look(), Suppressed("bob@example.net", "by hand", 0.0, "550 5.1.1 no"))

    def test_before_it_is_known(self) -> None:
        """
        While the list is being read each look waits for the storage, and what is added meanwhile is known afterwards.
        """
        self.successResultOf(self.add())
        self.storage.slow = True
        self.list = self.make()
        found = self.list.suppressed(BOB)
        assert isinstance(found, Deferred)
        adding = self.add(parse_address("ben@example.net"))
        self.assertNoResult(found)
        self.storage.go_on()
        self.assertIsNotNone(self.successResultOf(found))
        self.assertTrue(self.successResultOf(adding))
        self.storage.slow = False
        self.assertIsNotNone(self.look(parse_address("ben@example.net")))
        self.assertIsNone(self.list.suppressed(parse_address("al@example.net")))

    def test_many(self) -> None:
        """
        The filter grows with the list, when it is read and when it is added to; every address is found.
        """
        for number in range(2500):
            self.storage.storage.put(f"u{number}@example.net", '["x", 1.0, ""]')
        self.patch(self.list, "_known", None)
        self.successResultOf(Deferred.fromCoroutine(self.list._learn(1)))
        for number in (0, 1500, 2499):
            self.assertIsNotNone(self.look(parse_address(f"u{number}@example.net")))
        self.assertIsNone(self.list.suppressed(BOB))
        self.list._known.room = 10  # type: ignore[union-attr]  # it is known
        self.successResultOf(self.add())
        self.assertIsNotNone(self.look())
        self.assertIsNone(self.list.suppressed(parse_address("ben@example.net")))

    def test_pages(self) -> None:
        """
        The list is given page by page, in its order.
        """
        for name in ("c", "a", "b"):
            self.successResultOf(self.add(parse_address(f"{name}@example.net")))
        first = self.successResultOf(Deferred.fromCoroutine(self.list.entries("", 2)))
        second = self.successResultOf(Deferred.fromCoroutine(self.list.entries(first[-1].address, 2)))
        self.assertEqual([each.address[0] for each in (*first, *second)], ["a", "b", "c"])

    def test_entries_that_cannot_be_read(self) -> None:
        """
        The address counts all the same.
        """
        for value in ("", "[]", '["x", null, ""]', "nonsense"):
            self.storage.storage.put("bob@example.net", value)
            self.patch(self.list, "_known", None)
            self.assertEqual(self.look(), Suppressed("bob@example.net", "", 0.0))

    def test_storage_in_trouble(self) -> None:
        """
        Mail goes out, and what fails is not on the list; who adds one by hand hears of it.
        """
        self.successResultOf(self.add())
        self.storage.broken = True
        self.assertIsNone(self.look())
        self.list.attempt_ended(ended(Status.FAILED, "bad-mailbox"))
        self.failureResultOf(self.add(), StorageError)
        self.assertEqual(len(self.events), 1)
        later = self.make()
        self.storage.broken = False
        self.list = later
        self.assertIsNotNone(self.look())

    def test_who_is_put_on_it(self) -> None:
        """
        Who failed for good in one of the categories, of mail of our own side.
        """
        for event in (
            ended(Status.FAILED, "spam"),
            ended(Status.RETRY, "bad-mailbox"),
            ended(Status.EXPIRED, "bad-mailbox"),
            ended(Status.COMPLETED, ""),
            ended(Status.FAILED, "bad-mailbox", OUTSIDE),
            ended(Status.FAILED, "bad-mailbox", OWN),
        ):
            self.list.attempt_ended(event)
        self.assertEqual(self.events, [])
        self.list.attempt_ended(ended(Status.FAILED, "bad-mailbox", TRUSTED, Status.RETRY))
        (told,) = self.events
        assert isinstance(told, AddressSuppressed)
        self.assertEqual((told.address, told.suppressed, told.why), ("bob@example.net", True, "bad-mailbox"))

    def test_refused_by_the_list(self) -> None:
        """
        Who is taken off it while an attempt is under way is not put there again since the list refused him; what a host
        says counts, even if it says the same.
        """
        said = refusal_of("bad-mailbox")
        event = ended(Status.FAILED, "bad-mailbox")
        (state,) = event.results
        self.list.attempt_ended(attrs.evolve(event, results=(attrs.evolve(state, reply=said, host=""),)))
        self.assertIsNone(self.look())
        self.list.attempt_ended(attrs.evolve(event, results=(attrs.evolve(state, reply=said),)))
        self.assertIsNotNone(self.look())

    def test_bounced_by_an_operator(self) -> None:
        """
        That says nothing of an address, however it is classified; a host that says the same does.
        """
        event = ended(Status.FAILED, "bad-mailbox")
        (state,) = event.results
        bounced = attrs.evolve(state, reply=BOUNCED.reply, host="")
        self.list.attempt_ended(attrs.evolve(event, results=(bounced,)))
        self.assertIsNone(self.look())
        self.list.attempt_ended(attrs.evolve(event, results=(attrs.evolve(bounced, host="mx"),)))
        self.assertIsNotNone(self.look())

    def test_domains_that_are_not_found(self) -> None:
        """
        That our own look-up finds no domain puts nobody on the list; that a host says so does.
        """
        event = ended(Status.FAILED, "bad-domain")
        (state,) = event.results
        self.list.attempt_ended(attrs.evolve(event, results=(attrs.evolve(state, host=""),)))
        self.assertIsNone(self.look())
        self.list.attempt_ended(event)
        self.assertIsNotNone(self.look())

    def test_our_own_people(self) -> None:
        """
        No failure puts a mailbox of ours on the list: it may be there tomorrow, and no receiver minds.
        """
        event = ended(Status.FAILED, "bad-mailbox")
        postmaster = Recipient(parse_address("postmaster@example.org"))
        self.list.attempt_ended(attrs.evolve(event, results=(attrs.evolve(event.results[0], recipient=postmaster),)))
        self.assertIsNone(self.look(postmaster.address))

    def test_read_again(self) -> None:
        """
        A list that cannot be read is read again later; a stop ends that.
        """
        self.storage.broken = True
        self.list = self.make()
        self.storage.broken = False
        self.successResultOf(self.add())
        self.assertIsInstance(self.list.suppressed(parse_address("ben@example.net")), Deferred)
        self.clock.advance(60)
        self.assertIsNone(self.list.suppressed(parse_address("ben@example.net")))
        self.assertIsNotNone(self.look())
        self.storage.broken = True
        self.list = self.make()
        self.successResultOf(Deferred.fromCoroutine(self.list.stop()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_stop_while_it_is_read(self) -> None:
        """
        What is known in part is not taken for the whole.
        """
        self.successResultOf(self.add())
        self.storage.slow = True
        self.list = self.make()
        stopping: Deferred[None] = Deferred.fromCoroutine(self.list.stop())
        self.storage.go_on()
        self.successResultOf(stopping)
        self.storage.slow = False
        self.assertIsNotNone(self.look())

    def test_twice_at_a_time(self) -> None:
        """
        Who fails twice at the same time is put on the list once; a stop waits until it is written.
        """
        self.storage.slow = True
        for _ in range(2):
            self.list.attempt_ended(ended(Status.FAILED, "bad-mailbox"))
        stopping: Deferred[None] = Deferred.fromCoroutine(self.list.stop())
        self.assertNoResult(stopping)
        self.storage.go_on()
        self.successResultOf(stopping)
        self.assertEqual(len(self.events), 1)

    def test_nothing_is_renewed(self) -> None:
        """
        Who is on the list for a time gets off it then, however often his mail was refused for that meanwhile.
        """
        self.list = self.make(duration=100.0)
        self.list.attempt_ended(ended(Status.FAILED, "bad-mailbox"))
        self.clock.advance(60)
        self.list.attempt_ended(ended(Status.FAILED, "bad-mailbox"))
        self.clock.advance(60)
        self.assertIsNone(self.look())

    def test_off(self) -> None:
        """
        A list that is not in use looks at nothing, and nothing gets on it by itself.
        """
        self.list.reconfigure(attrs.evolve(Section(), enabled=False))
        before = self.storage.asked
        self.list.attempt_ended(ended(Status.FAILED, "bad-mailbox"))
        bounce = BounceReceived(BOB, "failed", "5.1.1", "bad-mailbox", "550 no")
        self.successResultOf(Deferred.fromCoroutine(self.list.heard(bounce)))
        self.assertIsNone(self.list.suppressed(BOB))
        self.assertEqual(self.storage.asked, before)
