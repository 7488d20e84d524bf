"""
Addresses and domains are read as RFC 5321 §4.1.2 writes them.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.address import Address, canonical_domain, parse_address, parse_domain, usual_address


class AddressTests(SynchronousTestCase):
    """
    Mailboxes.
    """

    def test_plain(self) -> None:
        """
        The local part keeps its case, the domain loses it, the text stays.
        """
        address = parse_address("Some.One+tag@Mail.Example.ORG")
        self.assertEqual(address, Address("Some.One+tag", "mail.example.org", "Some.One+tag@Mail.Example.ORG"))
        self.assertEqual(str(address), "Some.One+tag@Mail.Example.ORG")

    def test_quoted(self) -> None:
        """
        A quoted local part is unquoted.
        """
        self.assertEqual(parse_address('"a b@c>\\"\\\\"@d.example').local, 'a b@c>"\\')
        self.assertEqual(parse_address('""@d.example').local, "")

    def test_literals(self) -> None:
        """
        Address literals are written in one way only.
        """
        self.assertEqual(parse_address("a@[192.0.2.1]").domain, "[192.0.2.1]")
        self.assertEqual(parse_address("a@[ipv6:2001:DB8:0::1]").domain, "[IPv6:2001:db8::1]")

    def test_a_labels(self) -> None:
        """
        A-labels are domains like others, U-labels none in ASCII.
        """
        self.assertEqual(parse_address("a@XN--mnchen-3ya.example").domain, "xn--mnchen-3ya.example")
        self.assertRaises(ValueError, parse_address, "a@münchen.example")

    def test_no_mailboxes(self) -> None:
        """
        Everything else is refused.
        """
        for text in (
            "",
            "a",
            "@b.example",
            "a@",
            "a b@c.example",
            ".a@b.example",
            "a.@b.example",
            "a..b@c.example",
            "a@b@c.example",
            "a@-b.example",
            "a@b-.example",
            "a@b..example",
            "a@b.example.",
            "a@b_c.example",
            "ü@b.example",
            'a"b"@c.example',
            '"a"b"@c.example',
            '"a\\"@c.example',
            '"\t"@c.example',
            "a@[192.0.2.256]",
            "a@[192.0.2.1",
            "a@[]",
            "a@[IPv6:fe80::1%eth0]",
            "a@[IPv6:192.0.2.1]",
            "a@[x400:y]",
            "a@b.example\n",
            "u" * 65 + "@b.example",
            '"' + "u" * 63 + '"@b.example',
            "a@" + "x" * 64 + ".example",
            "a@" + ".".join(["x" * 63] * 4) + ".y",
        ):
            self.assertRaises(ValueError, parse_address, text)

    def test_longest(self) -> None:
        """
        64 octets of local part, 63 of a label and 255 of a domain are allowed.
        """
        domain = ".".join(["x" * 63] * 4)
        self.assertEqual(len(domain), 255)
        self.assertEqual(parse_address("u" * 64 + "@" + domain).domain, domain)
        self.assertEqual(len(parse_address('"' + "u" * 62 + '"@b.example').local), 62)

    def test_usual(self) -> None:
        """
        The short way to an address gives up where lengths need a look.
        """
        self.assertEqual(usual_address("A@B.c", "A", "B.c"), parse_address("A@B.c"))
        self.assertIsNone(usual_address("", "u" * 65, "b.c"))
        self.assertIsNone(usual_address("", "u", "b" * 64))

    @settings(max_examples=200, deadline=None)
    @given(st.text(max_size=40) | st.from_regex(r"[a-z.\"\\]{0,9}@[a-z.\[\]0-9:-]{0,20}", fullmatch=True))
    def test_any_text(self, text: str) -> None:
        """
        Any text is a mailbox that reads back the same, or a ValueError.
        """
        try:
            address = parse_address(text)
        except ValueError:
            return
        self.assertEqual(parse_address(str(address)), address)
        self.assertEqual(parse_domain(address.domain), address.domain)

    def test_utf8(self) -> None:
        """
        With SMTPUTF8 local parts and domains need not be ASCII; the domain is kept as A-labels, the text as it was.
        """
        self.assertEqual(
            parse_address("Ü@MÜNCHEN.example", True), Address("Ü", "xn--mnchen-3ya.example", "Ü@MÜNCHEN.example")
        )
        self.assertEqual(parse_address("ü.é@b.Example", True).domain, "b.example")
        self.assertEqual(
            parse_address('"ü \\"é"@[192.0.2.1]', True), Address('ü "é', "[192.0.2.1]", '"ü \\"é"@[192.0.2.1]')
        )
        self.assertEqual(parse_address("a@b.example", True), parse_address("a@b.example"))
        for local in ("u\u0308", "\u0645\u06cc\u200c\u062e", "\U0001f4e7", "\U0010fffd"):
            self.assertEqual(parse_address(f"{local}@b.example", True).local, local)

    def test_no_utf8_mailboxes(self) -> None:
        """
        Controls, separators, marks of direction, what has no width, noncharacters, surrogates, false dots.
        """
        for text in (
            "ü",
            "ü@",
            "@ü",
            "ü@-b.example",
            "ü@b..example",
            "a@ü.example.",
            "a@ü。example",
            "a@ü．example",
            "a@☃" + "x" * 64,
            "ü..a@b.example",
            "ü a@b.example",
            '"ü@b.example',
            "a\x85ü@b.example",
            "a\u2028@b.example",
            "a\u202e@b.example",
            "a\u2066@b.example",
            "a\u061c@b.example",
            "a\u200b@b.example",
            "a\u200e@b.example",
            "a\u200f@b.example",
            "a\ufeff@b.example",
            "a\ufdd0@b.example",
            "a\uffff@b.example",
            "a\U0001fffe@b.example",
            "a\U0010ffff@b.example",
            "a\udcff@b.example",
            "ü\r\n@b.example",
            "ü\0@b.example",
            "ü" * 33 + "@b.example",
        ):
            self.assertRaises(ValueError, parse_address, text, True)

    @settings(max_examples=200, deadline=None)
    @given(
        st.text(max_size=40).map(lambda text: text + "@ü.example") | st.text(max_size=20).map(lambda text: "ü@" + text)
    )
    def test_any_utf8(self, text: str) -> None:
        """
        Any text is a mailbox that reads back the same, or a ValueError.
        """
        try:
            address = parse_address(text, True)
        except ValueError:
            return
        self.assertEqual(parse_address(address.text, True), address)
        self.assertEqual(parse_domain(address.domain), address.domain)


class DomainTests(SynchronousTestCase):
    """
    Domains as people write them in a configuration.
    """

    def test_canonical(self) -> None:
        """
        U-labels become A-labels, a final dot goes, literals stay.
        """
        self.assertEqual(canonical_domain("München.Example."), "xn--mnchen-3ya.example")
        self.assertEqual(canonical_domain("Example.ORG"), "example.org")
        self.assertEqual(canonical_domain("[192.0.2.1]"), "[192.0.2.1]")

    def test_wrong(self) -> None:
        """
        What is no domain is refused.
        """
        for text in ("", ".", "a b", "ü..example", "-ü.example", "☃" * 64, "[x]"):
            self.assertRaises(ValueError, canonical_domain, text)
