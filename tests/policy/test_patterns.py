"""
Patterns: what each matches, and that the first one counts, whatever its kind.
"""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.address import parse_address
from empath.policy.patterns import AddressTable, DomainTable, NameTable, NetworkTable


def networks(*patterns: str) -> NetworkTable[str]:
    """
    Make a table in which every pattern has itself as value.
    """
    table: NetworkTable[str] = NetworkTable()
    for pattern in patterns:
        table.add(pattern, pattern)
    return table


def domains(*patterns: str) -> DomainTable[str]:
    """
    The same, of domains.
    """
    table: DomainTable[str] = DomainTable()
    for pattern in patterns:
        table.add(pattern, pattern)
    return table


def addresses(*patterns: str) -> AddressTable[str]:
    """
    The same, of mailboxes.
    """
    table: AddressTable[str] = AddressTable()
    for pattern in patterns:
        table.add(pattern, pattern)
    return table


def names(*patterns: str) -> NameTable[str]:
    """
    The same, of names.
    """
    table: NameTable[str] = NameTable()
    for pattern in patterns:
        table.add(pattern, pattern)
    return table


class NetworkTests(SynchronousTestCase):
    """
    Clients by network.
    """

    def test_first_match(self) -> None:
        """
        The one added first wins, not the narrowest.
        """
        table = networks("192.0.2.1", "192.0.2.0/24", "192.0.2.2", "192.0.2.0/24", "2001:db8::/32", "unix")
        self.assertEqual(len(table), 6)
        for peer, found in (
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.2", "192.0.2.0/24"),
            ("192.0.3.1", None),
            ("2001:db8:1::1", "2001:db8::/32"),
            ("2001:db9::1%eth0", None),
            ("::ffff:192.0.2.9", "192.0.2.0/24"),
            ("unix", "unix"),
        ):
            self.assertEqual(table.find(peer), found, peer)

    def test_any(self) -> None:
        """
        "*" is every client, in its place in the order; an empty table matches none.
        """
        table = networks("192.0.2.1", "*", "192.0.2.2")
        self.assertEqual([table.find(peer) for peer in ("192.0.2.1", "192.0.2.2", "unix")], ["192.0.2.1", "*", "*"])
        self.assertIsNone(networks().find("192.0.2.1"))
        self.assertIsNone(networks("192.0.2.1").find("unix"))

    def test_what_is_no_network(self) -> None:
        """
        Names, host bits behind the prefix and IPv4 in IPv6's clothes are refused.
        """
        for right in ("0.0.0.0", "255.255.255.255", "249.99.100.1", "1.2.30.199", "192.0.2.0/32"):
            self.assertEqual(networks(right).find(right.partition("/")[0]), right)
        for wrong in (
            "256.1.1.1",
            "1.1.1.01",
            "1.1.1.1.",
            "1.1.1.1.1",
            "1.1.1",
            "1.1.1.260",
            "300.1.1.1",
            "1.1.1.\u0661",
        ):
            self.assertRaises(ValueError, networks, wrong)
        for wrong in ("example.org", "192.0.2.1/24", "::ffff:192.0.2.0/120", "", "1.2.3", "192.0.2.0/33"):
            self.assertRaises(ValueError, networks, wrong)


class AddressTests(SynchronousTestCase):
    """
    Mailboxes and domains.
    """

    def test_kinds(self) -> None:
        """
        Each kind matches what it says, in any case, domains with U-labels too.
        """
        for pattern, yes, no in (
            ("User@Example.org", "uSER@example.ORG", "users@example.org"),
            ("@example.org", "a@example.org", "a@sub.example.org"),
            ("example.org", "a@example.org", "a@notexample.org"),
            (".example.org", "a@b.c.example.org", "a@example.org"),
            ("postmaster@", "Postmaster@any.example", "post@any.example"),
            ("@bücher.example", "a@xn--bcher-kva.example", "a@example"),
            ("[192.0.2.1]", "a@[192.0.2.1]", "a@[192.0.2.2]"),
            ('"a b"@example.org', '"A b"@example.org', "ab@example.org"),
        ):
            table = addresses(pattern)
            self.assertEqual(table.find_path(parse_address(yes)), pattern)
            self.assertIsNone(table.find_path(parse_address(no)), pattern)
            self.assertIsNone(table.find_path(None), pattern)

    def test_null_and_any(self) -> None:
        """
        "<>" is the null reverse-path alone, "*" is that and all others.
        """
        self.assertEqual(addresses("<>", "*").find_path(None), "<>")
        self.assertEqual(addresses("*", "<>").find_path(None), "*")
        self.assertEqual(addresses("<>", "*").find_path(parse_address("a@example.org")), "*")
        self.assertIsNone(addresses("<>").find_path(parse_address("a@example.org")))
        self.assertIsNone(addresses().find_path(None))

    def test_first_match(self) -> None:
        """
        The order of the list decides between kinds.
        """
        table = addresses(".example.org", "a@b.example.org", "a@", "@c.example", "a@c.example", ".b.example.org")
        self.assertEqual(len(table), 6)
        self.assertEqual(table.find_path(parse_address("a@b.example.org")), ".example.org")
        self.assertEqual(table.find_path(parse_address("a@c.example")), "a@")
        self.assertEqual(table.find_path(parse_address("x@c.example")), "@c.example")
        self.assertEqual(table.find_path(parse_address("x@a.b.example.org")), ".example.org")

    def test_what_is_no_pattern(self) -> None:
        """
        Blanks, bad domains, wild cards inside and "@" alone are refused.
        """
        for wrong in (
            "*@example.org",
            "a@*.example",
            "*.example.org",
            "",
            "@",
            "a b@example.org",
            "a@exa mple",
            "*.example.org",
            "a@-x",
            "..example",
            ".",
        ):
            self.assertRaises(ValueError, addresses, wrong)

    def test_domains(self) -> None:
        """
        The same for domains alone.
        """
        table = domains("example.org", ".example.net", "*")
        self.assertEqual(len(table), 3)
        self.assertEqual(table.find("example.org"), "example.org")
        self.assertEqual(table.find("a.example.net"), ".example.net")
        self.assertEqual(table.find("example.net"), "*")
        self.assertIsNone(domains("example.org").find("example.com"))
        self.assertRaises(ValueError, domains, "user@example.org")


class NameTests(SynchronousTestCase):
    """
    Names with "*".
    """

    def test_kinds(self) -> None:
        """
        Exact, by ending, with stars anywhere.
        """
        for pattern, yes, no in (
            ("Mail.example", "mail.EXAMPLE", "mail.example.org"),
            ("*.dynamic.example", "1-2.dynamic.example", "dynamic.example"),
            ("*dynamic.example", "dynamic.example", "dynamic.example.org"),
            ("dsl-*-*.example", "dsl-1-2.example", "dsl-1.example"),
            ("a*b*", "acbd", "cab"),
            ("[192.0.2.*]", "[192.0.2.9]", "192.0.2.9"),
            ("aa*aa", "aaaa", "aaa"),
            ("*@example.org", "me@example.org", "me@example.com"),
        ):
            table = names(pattern)
            self.assertEqual(table.find(yes), pattern)
            self.assertIsNone(table.find(no), pattern)

    def test_first_match(self) -> None:
        """
        The order of the list decides between kinds.
        """
        table = names("a*z", "abz", "*.example", "a.b.example", "a*x", "ax")
        self.assertEqual(len(table), 6)
        self.assertEqual([table.find(name) for name in ("abz", "a.b.example", "ax")], ["a*z", "*.example", "a*x"])
        self.assertEqual(names("ax", "a*").find("ax"), "ax")
        self.assertEqual(names("*").find(""), "*")
        self.assertIsNone(names().find("a"))
        self.assertRaises(ValueError, names, "")

    @given(st.text("ab*", min_size=1, max_size=6), st.text("ab", max_size=8))
    @settings(max_examples=200)
    def test_as_a_regular_expression(self, pattern: str, name: str) -> None:
        """
        A star is any characters, as it would be in a regular expression.
        """
        like = re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), name)
        assert (names(pattern).find(name) is not None) == (like is not None)
