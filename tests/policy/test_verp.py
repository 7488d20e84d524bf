"""
Tests for empath.policy.verp.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.address import Address, parse_address
from empath.policy.seal import DAY, Seals
from empath.policy.srs import Kept
from empath.policy.verp import About, Verp

NOW = 1_795_000_000.0
VERP = Verp(frozenset({"example.net"}), Seals(("secret",)))
ALICE = parse_address("alice@example.net")
BOB = parse_address("bob@example.org")

LOCAL = st.from_regex(r"[A-Za-z0-9+=-]{1,12}", fullmatch=True)


class VerpTests(SynchronousTestCase):
    """
    Reverse-paths that name a recipient.
    """

    def test_names_the_recipient(self) -> None:
        """
        The address is the sender's with the recipient in it, can be sent, and tells both.
        """
        made = VERP.name(ALICE, BOB, NOW)
        assert made is not None
        self.assertRegex(made.text, r"^alice\+bob=example\.org=[A-Z2-7]{10}@example\.net$")
        self.assertEqual(parse_address(made.text), made)
        self.assertEqual(VERP.read(made, NOW), About(ALICE, BOB))
        self.assertEqual(VERP.read(parse_address(made.text.lower()), NOW), About(ALICE, BOB))

    @given(LOCAL, LOCAL)
    @settings(max_examples=200)
    def test_delimiters_anywhere(self, local: str, whom: str) -> None:
        """
        Sender and recipient may have delimiters and equals signs of their own.
        """
        sender = Address(local, "example.net", f"{local}@example.net")
        recipient = Address(whom, "example.org", f"{whom}@example.org")
        made = VERP.name(sender, recipient, NOW)
        assert made is not None
        self.assertEqual(VERP.read(made, NOW), About(sender, recipient))

    def test_another_delimiter(self) -> None:
        """
        The operator chooses what stands behind the sender.
        """
        verp = Verp(frozenset({"example.net"}), Seals(("secret",)), "-bounce-")
        made = verp.name(ALICE, BOB, NOW)
        assert made is not None
        self.assertTrue(made.local.startswith("alice-bounce-bob="))
        self.assertEqual(verp.read(made, NOW), About(ALICE, BOB))

    def test_what_does_not_fit_is_kept(self) -> None:
        """
        A recipient that is long, or needs quotes, UTF-8 or a literal, is kept under a token.
        """
        for text in (
            f"{'b' * 50}@example.org",
            '"a b"@example.org',
            "bob@[192.0.2.1]",
            "jürgen@example.org",
            "a%b@c.example",
        ):
            recipient = parse_address(text, utf8=True)
            self.assertIsNone(VERP.name(ALICE, recipient, NOW))
            kept = VERP.keep(ALICE, recipient, NOW)
            assert kept is not None
            token, made = kept
            self.assertEqual(VERP.read(parse_address(made.text.lower()), NOW), About(ALICE, Kept(token)))

    def test_no_room(self) -> None:
        """
        A sender that is long himself, or could not stand in a reverse-path of ours, keeps his own.
        """
        for text in (f"{'a' * 60}@example.net", '"a b"@example.net', "a%b@example.net"):
            self.assertIsNone(VERP.keep(parse_address(text), BOB, NOW))

    def test_forged(self) -> None:
        """
        What we did not make, or for another recipient, sender or domain, or too long ago, tells nothing.
        """
        made = VERP.name(ALICE, BOB, NOW)
        assert made is not None
        for text in (
            made.text.replace("bob", "eve"),
            made.text.replace("alice", "mallory"),
            made.text.replace("example.net", "example.com"),
            f"alice+bob=example.org={made.local[-10:-8]}AAAAAAAA@example.net",
            f"alice+=AAAAAAAAAAAAAAAA={made.local[-10:-8]}AAAAAAAA@example.net",
            "alice+bob=example.org=x@example.net",
            "alice@example.net",
            f"alice={made.local[-10:]}@example.net",
        ):
            self.assertIsNone(VERP.read(parse_address(text), NOW), text)
        self.assertIsNotNone(VERP.read(made, NOW + 20 * DAY))
        self.assertIsNone(VERP.read(made, NOW + 22 * DAY))

    def test_nobody_can_be_made_of_it(self) -> None:
        """
        Even under a true seal, what names no address tells nothing.
        """
        made = VERP.name(ALICE, BOB, NOW)
        assert made is not None
        stamp = made.local[-10:-8]
        seal = VERP.seals.seal("verp", f"{stamp}=alice@example.net=b..b=example.org")
        local = f"alice+b..b=example.org={stamp}{seal}"
        self.assertIsNone(VERP.read(Address(local, "example.net", f"{local}@example.net"), NOW))
