"""
Tests for empath.policy.incoming, empath.policy.suppressed and empath.policy.bloom.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.address import Address, parse_address
from empath.policy.bloom import Bloom
from empath.policy.incoming import PLACE, Incoming, Reading, read_place
from empath.policy.seal import Seals
from empath.policy.srs import Srs
from empath.policy.suppressed import refusal_of
from empath.policy.verp import Verp

NOW = 1_795_000_000.0


class PlaceTests(SynchronousTestCase):
    """
    Where reports are read.
    """

    def test_there_and_back(self) -> None:
        """
        A place tells how a report is to be read there, however long the recipient's address is.
        """
        for text in ("bob@example.org", f"{'b' * 64}@{'c' * 60}.example", '"a@b"@example.org', "jürgen@example.org"):
            reading = Reading(parse_address(text, utf8=True))
            self.assertEqual(read_place(reading.address), reading)
        for reading in (Reading(None), Reading(None, True)):
            self.assertEqual(read_place(reading.address), reading)

    def test_what_is_no_place(self) -> None:
        """
        What we did not write tells nothing.
        """
        for address in (parse_address("bob@example.org"), Address("bob", PLACE, f"bob@{PLACE}")):
            self.assertIsNone(read_place(address))


class IncomingTests(SynchronousTestCase):
    """
    For which addresses somebody answers.
    """

    def test_answers(self) -> None:
        """
        All of the SRS domain, sealed addresses of VERP, and addresses for complaints, in any case.
        """
        verp = Verp(frozenset({"example.edu"}), Seals(("secret",)))
        srs = Srs("srs.example.net", Seals(("secret",)))
        incoming = Incoming(frozenset(), srs, verp, frozenset({("fbl", "example.net")}))
        sealed = verp.name(parse_address("a@example.edu"), parse_address("bob@example.org"), NOW)
        assert sealed is not None
        asked = [
            sealed,
            *map(parse_address, ("x@srs.example.net", "FBL@example.net", "a@example.edu", "x@example.net")),
        ]
        self.assertEqual([incoming.answers(each, NOW) for each in asked], [True, True, True, False, False])
        self.assertFalse(incoming.idle)
        self.assertTrue(Incoming(frozenset()).idle)
        self.assertFalse(Incoming(frozenset()).answers(sealed, NOW))


class RefusalTests(SynchronousTestCase):
    """
    What is said of who is on the list.
    """

    def test_codes(self) -> None:
        """
        A failed address is refused as such, any other by policy; whatever an operator wrote makes a reply.
        """
        self.assertEqual(
            str(refusal_of("bad-mailbox")), "550 5.1.1 the address is on the suppression list here: bad-mailbox"
        )
        self.assertEqual(
            [refusal_of(each).status for each in ("bad-domain", "complaint", "")], ["5.1.2", "5.7.1", "5.7.1"]
        )
        self.assertEqual(
            str(refusal_of("by\r\nhand")), "550 5.7.1 the address is on the suppression list here: by??hand"
        )


class BloomTests(SynchronousTestCase):
    """
    The filter.
    """

    def test_never_wrong_about_members(self) -> None:
        """
        All that was added is there; of what was not, few seem to be.
        """
        bloom = Bloom(2000)
        for number in range(2000):
            bloom.add(f"user{number}@example.org")
        self.assertTrue(all(f"user{number}@example.org" in bloom for number in range(2000)))
        self.assertLess(sum(f"other{number}@example.org" in bloom for number in range(2000)), 60)
        self.assertGreater(bloom.count, 1950)

    def test_the_same_twice(self) -> None:
        """
        What is there already is not counted again.
        """
        bloom = Bloom(1)
        bloom.add("x")
        bloom.add("x")
        self.assertEqual(bloom.count, 1)
