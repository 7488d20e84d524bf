"""
Tests for empath.policy.srs.
"""

from __future__ import annotations

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.address import Address, parse_address
from empath.policy.seal import DAY, Seals
from empath.policy.srs import Kept, Srs

NOW = 1_795_000_000.0
SRS = Srs("srs.example.net", Seals(("secret",)))
OTHER = Srs("fwd.example.com", Seals(("another",)))

LOCAL = st.from_regex(r"[A-Za-z0-9#$&'*+/=?^_`{|}~-]{1,20}", fullmatch=True)


def forwarded(srs: Srs, text: str) -> Address:
    """
    Rewrite an address that fits.
    """
    made = srs.forward(parse_address(text), NOW)
    assert made is not None, text
    return made


class ForwardTests(SynchronousTestCase):
    """
    Ordinary reverse-paths.
    """

    def test_there_and_back(self) -> None:
        """
        The rewritten address is in our domain, can be sent, and stands for the sender as he was written.
        """
        made = forwarded(SRS, "Bob.Builder@Example.ORG")
        self.assertRegex(made.text, r"^SRS0=[A-Z2-7]{8}=[A-Z2-7]{2}=example\.org=Bob\.Builder@srs\.example\.net$")
        self.assertEqual(parse_address(made.text), made)
        back = SRS.back(made, NOW)
        self.assertEqual(str(back), "Bob.Builder@example.org")

    @given(LOCAL)
    @settings(max_examples=200)
    def test_any_local_part_comes_back(self, local: str) -> None:
        """
        Whatever characters it has, equals signs and what looks like SRS among them.
        """
        made = SRS.forward(Address(local, "example.org", f"{local}@example.org"), NOW)
        assert made is not None
        back = SRS.back(parse_address(made.text), NOW)
        assert isinstance(back, Address)
        expected = back.text if local[:4].upper() in ("SRS0", "SRS1") else f"{local}@example.org"
        self.assertEqual(back.text, expected)

    def test_a_host_that_writes_it_otherwise(self) -> None:
        """
        The case of letters may change on the way.
        """
        made = forwarded(SRS, "bob@example.org")
        lower = parse_address(made.text.lower())
        self.assertTrue(SRS.concerns(lower))
        self.assertEqual(str(SRS.back(lower, NOW)), "bob@example.org")

    def test_what_does_not_fit_is_kept(self) -> None:
        """
        A long address, one that needs quotes or UTF-8, or that looks like a source route, is kept under a token.
        """
        for text in (
            f"{'b' * 50}@example.org",
            '"a b"@example.org',
            "bob@[192.0.2.1]",
            "b%example.com@example.org",
            "a!b@example.org",
            "bob@localhost",
            "jürgen@example.org",
        ):
            sender = parse_address(text, utf8=True)
            self.assertIsNone(SRS.forward(sender, NOW), text)
            token, made = SRS.keep(sender, NOW)
            self.assertEqual(parse_address(made.text), made)
            self.assertEqual(SRS.back(made, NOW), Kept(token))
            self.assertEqual(SRS.back(parse_address(made.text.lower()), NOW), Kept(token))

    def test_forged(self) -> None:
        """
        What we did not make stands for nobody: another address, day or domain under a seal, or no seal at all.
        """
        made = forwarded(SRS, "bob@example.org")
        _, kept = SRS.keep(parse_address("bob@[192.0.2.1]"), NOW)
        again = forwarded(SRS, forwarded(OTHER, "bob@example.org").text)
        for local in (
            made.local.replace("bob", "eve"),
            made.local.replace("example.org", "example.com"),
            made.local.replace("SRS0", "SRS1"),
            made.local[:5] + "AAAAAAAA" + made.local[13:],
            kept.local[:-1] + ("A" if kept.local[-1] != "A" else "B"),
            again.local.replace("fwd.example.com", "victim.example"),
            "SRS0=",
            "SRS0=x",
            "SRS1=x=y",
            "SRSK=x=y",
            "SRS0=a=b=c=d",
            "SRS1=a=b=c",
            "SRSK=a=b=c",
            "bob",
        ):
            address = Address(local, SRS.domain, f"{local}@{SRS.domain}")
            self.assertIsNone(SRS.back(address, NOW), local)

    def test_nobody_can_be_made_of_it(self) -> None:
        """
        Even under a true seal, what is no address is none.
        """
        text = f"{forwarded(SRS, 'bob@example.org').local.split('=')[2]}=example.org=b..b"
        local = f"SRS0={SRS.seals.seal('srs0', text)}={text}"
        self.assertIsNone(SRS.back(Address(local, SRS.domain, f"{local}@{SRS.domain}"), NOW))

    def test_over(self) -> None:
        """
        After three weeks an address is over, of whichever form.
        """
        again = forwarded(SRS, forwarded(OTHER, "bob@example.org").text)
        made = [forwarded(SRS, "bob@example.org"), SRS.keep(parse_address("bob@[192.0.2.1]"), NOW)[1], again]
        self.assertNotIn(None, [SRS.back(each, NOW + 20 * DAY) for each in made])
        self.assertEqual([SRS.back(each, NOW + 22 * DAY) for each in made], [None] * 3)

    def test_other_domains(self) -> None:
        """
        An address in another domain does not concern us.
        """
        made = attrs.evolve(forwarded(SRS, "bob@example.org"), domain="example.org")
        self.assertFalse(SRS.concerns(made))
        self.assertIsNone(SRS.back(made, NOW))


class ChainTests(SynchronousTestCase):
    """
    Mail that others have forwarded before us.
    """

    def test_back_to_the_first(self) -> None:
        """
        What comes back goes to the first forwarder, not through all of them, and as the address that it made.
        """
        first = forwarded(OTHER, "bob@example.org")
        second = forwarded(SRS, first.text)
        self.assertTrue(second.local.startswith("SRS1="))
        self.assertEqual(SRS.back(second, NOW), first)

    def test_back_over_three(self) -> None:
        """
        A third forwarder makes nothing longer, and leads to the first one, too.
        """
        third = Srs("x.example", Seals(("third",)))
        first = forwarded(OTHER, "bob@example.org")
        second = forwarded(SRS, first.text)
        last = third.forward(second, NOW)
        assert last is not None
        self.assertEqual(len(last.local), len(second.local))
        self.assertEqual(third.back(last, NOW), first)

    def test_back_to_ourselves(self) -> None:
        """
        Where we are the first forwarder, and a later one, too, it leads to the sender. What claims that we made it is
        another forwarder's, as far as we can tell.
        """
        again = forwarded(SRS, forwarded(OTHER, forwarded(SRS, "bob@example.org").text).text)
        self.assertEqual(str(SRS.back(again, NOW)), "bob@example.org")
        self.assertIsNone(SRS.back(again, NOW + 30 * DAY))
        forged = f"SRS1=x={SRS.domain}==A=AA=e.org=b@f.org"
        self.assertEqual(str(SRS.back(forwarded(SRS, forged), NOW)), forged)

    def test_other_separators(self) -> None:
        """
        Other forwarders write "+" or "-" behind the tag; their address comes back as they made it.
        """
        for text in ("SRS0+abcd=XY=example.org=bob@fwd.example.com", "SRS0-abcd=XY=example.org=bob@fwd.example.com"):
            self.assertEqual(str(SRS.back(forwarded(SRS, text), NOW)), text)

    def test_what_only_looks_like_it(self) -> None:
        """
        A local part that begins like one of SRS and is none is rewritten as any other.
        """
        for text in ("SRS1=x@example.org", "SRS1=x=-bad.example==y@example.org", "SRS1=x=host.example=y@example.org"):
            made = forwarded(SRS, text)
            self.assertTrue(made.local.startswith("SRS0="), text)
            self.assertEqual(str(SRS.back(made, NOW)), text)
