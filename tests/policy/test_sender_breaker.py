"""
When senders are stopped.
"""

from __future__ import annotations

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.address import parse_address
from empath.mail.envelope import Recipient
from empath.mail.message import RecipientState, Status
from empath.mail.origin import OUTSIDE, OWN, TRUSTED, Origin, Source
from empath.policy.selection import Selection
from empath.policy.sender_breaker import (
    Limits,
    SenderBreaker,
    canonical_sender,
    failed_and_ended,
    mail_of,
    sender_of,
    to_release,
)
from empath.policy.verbs import BOUNCED

ANN = parse_address("Ann@Example.org")
LOGIN = Origin(Source.LOGIN, "ann")


class SenderTests(SynchronousTestCase):
    """
    Whom mail counts against.
    """

    def test_names(self) -> None:
        """
        A login, whatever address it sends with; else the address of a trusted client's mail.
        """
        self.assertEqual(sender_of(LOGIN, ANN), "login:ann")
        self.assertEqual(sender_of(LOGIN, None), "login:ann")
        self.assertEqual(sender_of(TRUSTED, ANN), "ann@example.org")
        for origin, path in ((TRUSTED, None), (OUTSIDE, ANN), (OWN, ANN)):
            self.assertEqual(sender_of(origin, path), "")

    def test_operators_may_write_them_otherwise(self) -> None:
        """
        Addresses in any case; logins as they are.
        """
        self.assertEqual(canonical_sender("Ann@Example.ORG"), "ann@example.org")
        self.assertEqual(canonical_sender("login:Ann"), "login:Ann")

    def test_their_mail(self) -> None:
        """
        That of a login, or that which trusted clients sent with the address; nobody else's.
        """
        self.assertEqual(mail_of("login:ann"), Selection(login="ann"))
        self.assertEqual(mail_of("a@b.example"), Selection(sender="a@b.example", source=Source.TRUSTED))
        for nobody in ("", "login:", "ann"):
            self.assertRaises(ValueError, mail_of, nobody)

    def test_what_goes_on(self) -> None:
        """
        What was held because of the stop, not what was held before or by others.
        """
        pending, retry, held, came = to_release("login:ann", 5.0, "why")
        self.assertEqual((pending.status, retry.status), (Status.PENDING, Status.RETRY))
        self.assertEqual(held, Selection(login="ann", held_from=5.0))
        self.assertEqual(came, Selection(login="ann", held_for="why"))

    def test_ends(self) -> None:
        """
        What expires came to an end, but nobody refused it; what is tried again did not.
        """
        state = RecipientState(Recipient(ANN))
        states = [attrs.evolve(state, status=status) for status in Status]
        self.assertEqual(failed_and_ended(states), (1, 3))

    def test_what_operators_bounce(self) -> None:
        """
        Counts for nothing.
        """
        failed = RecipientState(Recipient(ANN), Status.FAILED)
        self.assertEqual(failed_and_ended([attrs.evolve(failed, reply=BOUNCED.reply)]), (0, 0))


class SenderBreakerTests(SynchronousTestCase):
    """
    Tests for `SenderBreaker`.
    """

    def setUp(self) -> None:
        self.breaker = SenderBreaker(Limits(3600.0, 10, 0.5, 100), 3)

    def test_failures(self) -> None:
        """
        A sender is stopped once enough came to an end and too much of that failed.
        """
        self.assertEqual(self.breaker.came_to_end("a", 9, 9, 0.0), "")
        self.assertEqual(self.breaker.came_to_end("b", 4, 10, 0.0), "")
        self.assertEqual(self.breaker.came_to_end("b", 1, 1, 0.0), "")
        self.assertEqual(self.breaker.came_to_end("b", 1, 1, 0.0), "6 of 12 recipients failed in 3600 s")
        self.assertEqual(self.breaker.came_to_end("a", 0, 1, 0.0), "9 of 10 recipients failed in 3600 s")

    def test_without_failures(self) -> None:
        """
        A ratio of nothing stops nobody whose mail all arrives.
        """
        self.breaker.reconfigure(Limits(3600.0, 1, 0.0))
        self.assertEqual(self.breaker.came_to_end("a", 0, 50, 0.0), "")
        self.assertEqual(self.breaker.came_to_end("a", 1, 1, 0.0), "1 of 51 recipients failed in 3600 s")

    def test_too_many_recipients(self) -> None:
        """
        Whatever becomes of them; 0 is no limit.
        """
        self.assertEqual(self.breaker.sent("a", 100, 0.0), "")
        self.assertEqual(self.breaker.sent("a", 1, 0.0), "101 recipients in 3600 s, and 100 are allowed")
        self.breaker.reconfigure(Limits(3600.0, 10, 0.5))
        self.assertEqual(self.breaker.sent("a", 1000, 0.0), "")

    def test_the_window_slides(self) -> None:
        """
        What is older than the window counts no more, whichever way the clock goes.
        """
        self.breaker.sent("a", 60, 0.0)
        self.breaker.sent("a", 40, 1800.0)
        self.assertNotEqual(self.breaker.sent("a", 1, 3299.0), "")
        self.assertEqual(self.breaker.sent("a", 1, 3600.0), "")
        self.assertNotEqual(self.breaker.sent("a", 59, 3500.0), "")
        self.assertEqual(self.breaker.sent("a", 100, 1e9), "")
        self.breaker.reconfigure(Limits(60.0, 10, 0.5, 100))
        self.assertEqual(self.breaker.sent("a", 100, 1e9), "")

    def test_memory_is_bounded(self) -> None:
        """
        Whoever was quiet for longest is forgotten first.
        """
        for sender in ("a", "b", "c", "a", "d"):
            self.breaker.sent(sender, 100, 0.0)
        self.assertEqual(len(self.breaker), 3)
        self.assertNotEqual(self.breaker.sent("a", 1, 0.0), "")
        self.assertEqual(self.breaker.sent("b", 1, 0.0), "")

    def test_addresses_do_not_make_logins_be_forgotten(self) -> None:
        """
        However many a client makes up.
        """
        self.breaker.sent("login:ann", 100, 0.0)
        for number in range(10):
            self.breaker.sent(f"{number}@x.example", 1, 0.0)
        self.assertEqual(len(self.breaker), 4)
        self.assertNotEqual(self.breaker.sent("login:ann", 1, 0.0), "")

    def test_a_clock_that_was_wrong(self) -> None:
        """
        Once it is put right, counts begin anew: else nothing would get too old until that time.
        """
        self.breaker.sent("a", 100, 1e9)
        self.assertEqual(self.breaker.sent("a", 100, 5000.0), "")
        self.assertEqual(self.breaker.sent("a", 100, 9000.0), "")

    def test_to_begin_anew(self) -> None:
        """
        After a release, what was counted before stops nobody again.
        """
        self.breaker.sent("a", 100, 0.0)
        self.breaker.forget("a")
        self.breaker.forget("unknown")
        self.assertEqual(self.breaker.sent("a", 100, 0.0), "")

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.tuples(st.floats(0, 10000), st.integers(0, 50)), max_size=30))
    def test_sums(self, sends: list[tuple[float, int]]) -> None:
        """
        It stops for what came within the window, and never for what is older.
        """
        breaker = SenderBreaker(Limits(1200.0, 1, 1.0, 100))
        told: list[tuple[int, int]] = []
        for now, recipients in sorted(sends):
            told.append((int(now / 100), recipients))
            within = sum(count for at, count in told if at > told[-1][0] - 12)
            self.assertEqual(bool(breaker.sent("a", recipients, now)), within > 100)
