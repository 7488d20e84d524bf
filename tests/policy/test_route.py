"""
Which route a domain takes.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.policy.route import NextHop, Route, Routes, next_hop

DEFAULT = Route(path="default")


def routes(*keys: str) -> Routes:
    """
    Make routes that are told apart by their path.
    """
    return Routes({key: Route(path=key) for key in keys}, DEFAULT)


class RoutesTests(SynchronousTestCase):
    """
    Exact, then the longest suffix, then every other.
    """

    def test_order(self) -> None:
        """
        The most particular entry wins; "*.x" is for what lies below x, not for x.
        """
        table = routes("a.example.org", "*.example.org", "*.org", "*", "*.b.example.org")
        for domain, path in (
            ("a.example.org", "a.example.org"),
            ("c.example.org", "*.example.org"),
            ("x.b.example.org", "*.b.example.org"),
            ("b.example.org", "*.example.org"),
            ("example.org", "*.org"),
            ("org", "*"),
            ("example.net", "*"),
            ("[192.0.2.1]", "*"),
            ("", "*"),
        ):
            self.assertEqual(table.find(domain).path, path, domain)
            self.assertEqual(table.name_of(domain), path, domain)

    def test_default(self) -> None:
        """
        Without a fitting entry the default holds.
        """
        self.assertIs(routes().find("example.org"), DEFAULT)
        table = routes("*.com", "a.b")
        self.assertIs(table.find("example.org"), DEFAULT)
        self.assertEqual(table.name_of("example.org"), "")

    def test_names_that_have_a_route_of_their_own(self) -> None:
        """
        A suffix, or what is for every other, is none.
        """
        table = routes("archive", "*.example.org", "*")
        self.assertEqual([name in table for name in ("archive", "a.example.org", "other")], [True, False, False])

    def test_case(self) -> None:
        """
        The operator's case does not matter.
        """
        self.assertEqual(routes("Example.ORG").find("example.org").path, "Example.ORG")

    def test_password_is_not_shown(self) -> None:
        """
        A route's representation has no password.
        """
        self.assertNotIn("secret", repr(Route(password="secret")))


class StayingTests(SynchronousTestCase):
    """
    Tests for whether LMTP leaves this machine.
    """

    def test_sockets_and_loopback_stay(self) -> None:
        """
        One host elsewhere is enough to leave; a name other than localhost may lead anywhere.
        """
        self.assertTrue(Route(path="/run/lmtp").stays)
        self.assertTrue(Route(hosts=(next_hop("localhost:24", 24), next_hop("127.0.0.2:24", 24))).stays)
        self.assertFalse(Route(hosts=(next_hop("[::1]:24", 24), next_hop("192.0.2.1:24", 24))).stays)
        self.assertFalse(Route(hosts=(next_hop("lmtp.example.org:24", 24),)).stays)


class NextHopTests(SynchronousTestCase):
    """
    Hosts as an operator writes them.
    """

    def test_forms(self) -> None:
        """
        Host or address, with or without a port.
        """
        for text, host, port in (
            ("localhost:2525", "localhost", 2525),
            ("MX.example.org.", "mx.example.org", 25),
            (" 127.0.0.1 ", "127.0.0.1", 25),
            ("127.0.0.1:2525", "127.0.0.1", 2525),
            ("[127.0.0.1]:2525", "127.0.0.1", 2525),
            ("[::1]:2525", "::1", 2525),
            ("[IPv6:::1]", "::1", 25),
            ("2001:db8::1", "2001:db8::1", 25),
            ("[mx.example.org]:587", "mx.example.org", 587),
        ):
            self.assertEqual(next_hop(text, 25), NextHop(host, port), text)

    def test_bad(self) -> None:
        """
        What is no host or port is refused.
        """
        for text in ("", ":25", "a:", "a:0", "a:65536", "a:x", "a:２５", "[a", "[a]b", "[a]:", "[]:25", "a b"):
            self.assertRaises(ValueError, next_hop, text, 25)

    @given(st.text(max_size=20))
    def test_any_text(self, text: str) -> None:
        """
        Any text is read or refused.
        """
        try:
            hop = next_hop(text, 25)
        except ValueError:
            return
        self.assertTrue(hop.host)
        self.assertTrue(0 < hop.port < 65536)
