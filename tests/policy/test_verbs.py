"""
Tests for what operators make of deliveries.
"""

from __future__ import annotations

from typing import Final

import attrs
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.address import Address
from empath.mail.envelope import Recipient
from empath.mail.message import Delivery, RecipientState, Status
from empath.mail.reply import Reply
from empath.mail.settlement import Change
from empath.policy.frozen import Interval
from empath.policy.verbs import Verb, change

NOW: Final = 1000.0
NO: Final = Reply.of("550 5.1.1 no")
STATE: Final = RecipientState(Recipient(Address("a", "x.example", "a@x.example")))
FRESH: Final = Delivery("1" * 26, "x.example", 900.0, (STATE,), next_attempt=900.0)
RETRY: Final = attrs.evolve(FRESH, status=Status.RETRY, attempts=2, next_attempt=1500.0, last_error="451 no")


def after(verb: Verb, delivery: Delivery, now: float = NOW, *intervals: Interval) -> Delivery | None:
    """
    Tell what a verb makes of a delivery.
    """
    made = change(verb, delivery, now, intervals)
    return None if made is None else made.after


class VerbTests(SynchronousTestCase):
    """
    Tests for `change`.
    """

    def be(self, verb: Verb, delivery: Delivery, now: float = NOW, *intervals: Interval) -> Delivery:
        """
        Do a verb that does something.
        """
        made = after(verb, delivery, now, *intervals)
        assert made is not None
        return made

    def test_holding_stops_the_clocks(self) -> None:
        """
        What is held is not scheduled; when it is released it is due, and as old as when it was held.
        """
        held = self.be(Verb.HOLD, RETRY)
        self.assertEqual((held.status, held.next_attempt, held.held_since), (Status.HELD, None, NOW))
        free = self.be(Verb.RELEASE, held, 5000.0)
        self.assertEqual(
            (free.status, free.next_attempt, free.received, free.held_since), (Status.RETRY, 5000.0, 4900.0, None)
        )
        self.assertEqual((free.attempts, free.last_error), (2, "451 no"))
        self.assertIs(self.be(Verb.RELEASE, self.be(Verb.HOLD, FRESH)).status, Status.PENDING)

    def test_frozen_while_held(self) -> None:
        """
        Time that was frozen counts neither before it was held, nor meanwhile, nor twice.
        """
        held = self.be(Verb.HOLD, FRESH, NOW, Interval(950, 990))
        self.assertEqual(held.received, 940.0)
        free = self.be(Verb.RELEASE, held, 2000.0, Interval(950, 990), Interval(1500, 1980))
        self.assertEqual(free.received, 1460.0)  # 40 s before the second interval, 20 s after it

    def test_a_later_release_stays(self) -> None:
        """
        Mail that its sender wants released later is not released earlier by being held.
        """
        later = attrs.evolve(FRESH, received=3000.0, next_attempt=3000.0)
        held = self.be(Verb.HOLD, later)
        self.assertEqual((held.received, held.held_since), (3000.0, NOW))
        self.assertEqual(self.be(Verb.RELEASE, held, 2000.0), attrs.evolve(later, held_since=None))
        self.assertEqual(self.be(Verb.RELEASE, held, 4000.0).next_attempt, 4000.0)

    def test_what_a_module_held(self) -> None:
        """
        Is released as if it had come now; why it was held is no error of its delivery.
        """
        held = attrs.evolve(FRESH, status=Status.HELD, next_attempt=None, last_error="odd")
        free = self.be(Verb.RELEASE, held)
        self.assertEqual((free.status, free.received, free.next_attempt), (Status.PENDING, NOW, NOW))
        self.assertEqual(free.last_error, "")

    def test_retrying_what_waits(self) -> None:
        """
        It is due; what is due already, was never tried, or is at its end and well, is left alone.
        """
        self.assertEqual(after(Verb.RETRY, RETRY), attrs.evolve(RETRY, next_attempt=NOW))
        self.assertIsNone(after(Verb.RETRY, attrs.evolve(RETRY, next_attempt=NOW)))
        for verb in (Verb.RETRY, Verb.FORCE):
            self.assertIsNone(after(verb, FRESH))
            self.assertIsNone(after(verb, attrs.evolve(FRESH, next_attempt=None)))
            self.assertIsNone(after(verb, attrs.evolve(FRESH, status=Status.COMPLETED)))

    def test_retrying_what_had_failed(self) -> None:
        """
        It begins anew, but never with those who have the mail; doubts stay.
        """
        states = (
            attrs.evolve(STATE, status=Status.COMPLETED),
            attrs.evolve(STATE, status=Status.FAILED, reply=NO, host="mx", doubtful=True, category="other"),
            attrs.evolve(STATE, status=Status.EXPIRED, late=True),
        )
        for status in (Status.FAILED, Status.EXPIRED):
            failed = attrs.evolve(RETRY, status=status, recipients=states, next_attempt=None, held_since=3.0)
            anew = self.be(Verb.RETRY, failed)
            self.assertEqual(
                (anew.status, anew.attempts, anew.received, anew.next_attempt), (Status.PENDING, 0, NOW, NOW)
            )
            self.assertEqual([state.status for state in anew.open_recipients], [Status.PENDING] * 2)
            self.assertEqual(anew.recipients[0], states[0])
            self.assertEqual(anew.recipients[1], attrs.evolve(STATE, reply=NO, doubtful=True))
            self.assertEqual(anew.recipients[2], STATE)
            self.assertIsNone(anew.held_since)

    def test_retrying_by_force(self) -> None:
        """
        What is held, or to be released later, is attempted too, and no other.
        """
        later = attrs.evolve(FRESH, received=3000.0, next_attempt=3000.0)
        held = self.be(Verb.HOLD, FRESH)
        for each in (later, held):
            self.assertIsNone(after(Verb.RETRY, each))
            self.assertEqual(self.be(Verb.FORCE, each).next_attempt, NOW)
        both = self.be(Verb.FORCE, self.be(Verb.HOLD, later))
        self.assertEqual((both.received, both.next_attempt, both.status), (NOW, NOW, Status.PENDING))

    def test_what_cannot_be_done(self) -> None:
        """
        Is not done: nothing at its end is held or bounced, nothing is held twice, only what is held is released.
        """
        for status in (Status.COMPLETED, Status.FAILED, Status.EXPIRED):
            ended = attrs.evolve(FRESH, status=status, next_attempt=None)
            for verb in (Verb.HOLD, Verb.RELEASE, Verb.BOUNCE):
                self.assertIsNone(after(verb, ended), verb)
        self.assertIsNone(after(Verb.HOLD, self.be(Verb.HOLD, FRESH)))
        self.assertIsNone(after(Verb.RELEASE, RETRY))

    def test_bouncing_and_deleting(self) -> None:
        """
        What is not at its end can be bounced, and everything deleted.
        """
        held = self.be(Verb.HOLD, FRESH)
        for each in (FRESH, RETRY, held):
            self.assertEqual(change(Verb.BOUNCE, each, NOW, ()), Change(each, each))
        for each in (FRESH, held, attrs.evolve(FRESH, status=Status.FAILED)):
            self.assertEqual(change(Verb.DELETE, each, NOW, ()), Change(each, None))
