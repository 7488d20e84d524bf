"""
Tests for empath.policy.return_path.
"""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.address import parse_address
from empath.mail.envelope import Envelope, Recipient
from empath.mail.message import Message
from empath.mail.origin import OUTSIDE, OWN, TRUSTED, Origin, Source
from empath.policy.return_path import ReturnPaths
from empath.policy.seal import Seals
from empath.policy.srs import Kept, Srs
from empath.policy.verp import About, Verp

NOW = 1_795_000_000.0
SRS = Srs("srs.example.net", Seals(("secret",)))
VERP = Verp(frozenset({"example.net"}), Seals(("secret",)))
BOTH = ReturnPaths(frozenset({"example.net", "example.edu"}), SRS, VERP)


def made(sender: str, *recipients: str, origin: Origin = OUTSIDE) -> Message:
    """
    Make a message; "" is the null reverse-path.
    """
    path = parse_address(sender, utf8=True) if sender else None
    envelope = Envelope(path, tuple(Recipient(parse_address(each, utf8=True)) for each in recipients))
    return Message("01J0000000000000000000000A", NOW, envelope, b"", b"", None, 0, False, origin=origin)


class ReturnPathTests(SynchronousTestCase):
    """
    What leaves with which reverse-path.
    """

    def setUp(self) -> None:
        self.kept: list[tuple[str, str]] = []

    def of(self, message: Message, paths: ReturnPaths = BOTH) -> str:
        """
        Give the reverse-path of a transaction with all recipients.
        """
        path = paths.of(message, message.envelope.recipients, NOW, lambda *kept: self.kept.append(kept))
        return "" if path is None else path.text

    def test_outside_mail_that_leaves(self) -> None:
        """
        It is forwarded, so its reverse-path is ours, and leads back.
        """
        path = self.of(made("bob@example.org", "eve@example.com"))
        self.assertEqual(str(SRS.back(parse_address(path), NOW)), "bob@example.org")

    def test_long_senders(self) -> None:
        """
        What does not fit is kept.
        """
        long = f"{'b' * 60}@example.org"
        path = self.of(made(long, "eve@example.com"))
        ((token, text),) = self.kept
        self.assertEqual(SRS.back(parse_address(path), NOW), Kept(token))
        self.assertEqual(text, long)

    def test_what_stays_as_it_is(self) -> None:
        """
        The null reverse-path, mail for domains of ours, senders of ours, and our own addresses stay.
        """
        own = self.of(made("bob@example.org", "eve@example.com"))
        for message in (
            made("", "eve@example.com"),
            made("bob@example.org", "alice@example.net", "al@example.edu"),
            made("alice@example.edu", "eve@example.com"),
            made(own, "eve@example.com"),
            made("", "eve@example.com", origin=TRUSTED),
            made("bob@example.org", "eve@example.com", origin=TRUSTED),  # of a sender that is not ours to name
            made("alice@example.net", "al@example.edu", origin=TRUSTED),
            made("alice@example.net", "eve@example.com", origin=OWN),
        ):
            path = message.envelope.reverse_path
            self.assertEqual(self.of(message), "" if path is None else path.text)
            self.assertFalse(BOTH.alone(message, message.envelope.recipients))

    def test_our_own_side_names_the_recipient(self) -> None:
        """
        Mail of a login or a trusted client leaves alone, and its reverse-path tells of whom it is.
        """
        for origin in (TRUSTED, Origin(Source.LOGIN, "alice")):
            message = made("alice@example.net", "eve@example.com", origin=origin)
            self.assertTrue(BOTH.alone(message, message.envelope.recipients))
            about = VERP.read(parse_address(self.of(message)), NOW)
            self.assertEqual(about, About(parse_address("alice@example.net"), parse_address("eve@example.com")))

    def test_recipients_of_our_own(self) -> None:
        """
        They go together, whoever else gets the mail.
        """
        message = made("alice@example.net", "eve@example.com", "al@example.net", "ed@example.edu", origin=TRUSTED)
        self.assertFalse(BOTH.alone(message, message.envelope.recipients[1:]))
        self.assertTrue(BOTH.alone(message, message.envelope.recipients))

    def test_senders_that_leave_no_room(self) -> None:
        """
        Their mail goes out as it would without VERP: in one transaction, whoever gets it.
        """
        for local, room in (("a" * 35, True), ("a" * 36, False), ('"a b"', False)):
            message = made(f"{local}@example.net", "e@a.example", "b@b.example", origin=TRUSTED)
            self.assertEqual(BOTH.alone(message, message.envelope.recipients), room)
            single = made(f"{local}@example.net", "e@a.example", origin=TRUSTED)
            self.assertEqual(self.of(single) != f"{local}@example.net", room)

    def test_several_in_one_transaction(self) -> None:
        """
        A reverse-path that could name one of several names none.
        """
        message = made("alice@example.net", "eve@example.com", "bob@example.org", origin=TRUSTED)
        self.assertTrue(BOTH.alone(message, message.envelope.recipients))
        self.assertEqual(self.of(message), "alice@example.net")

    def test_long_recipients(self) -> None:
        """
        A recipient that does not fit is kept, unless the sender leaves no room for that.
        """
        long = f"{'b' * 60}@example.org"
        path = self.of(made("alice@example.net", long, origin=TRUSTED))
        ((token, text),) = self.kept
        self.assertEqual(VERP.read(parse_address(path), NOW), About(parse_address("alice@example.net"), Kept(token)))
        self.assertEqual(text, long)
        sender = f"{'a' * 60}@example.net"
        self.assertEqual(self.of(made(sender, "eve@example.com", origin=TRUSTED)), sender)

    def test_a_delimiter_that_needs_quotes(self) -> None:
        """
        Nothing is named behind one.
        """
        odd = attrs.evolve(BOTH, verp=attrs.evolve(VERP, delimiter="%"))
        self.assertEqual(self.of(made("al@example.net", "e@a.example", origin=TRUSTED), odd), "al@example.net")

    def test_off(self) -> None:
        """
        Without SRS and VERP nothing is rewritten.
        """
        off = attrs.evolve(BOTH, srs=None, verp=None)
        self.assertEqual(self.of(made("bob@example.org", "eve@example.com"), off), "bob@example.org")
        message = made("alice@example.net", "eve@example.com", origin=TRUSTED)
        self.assertEqual(self.of(message, off), "alice@example.net")
        self.assertFalse(off.alone(message, message.envelope.recipients))
