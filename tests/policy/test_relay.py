"""
Nobody relays who may not.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.address import Address, parse_address
from empath.policy.relay import ROUTED, UNKNOWN_USER, client_address, client_key, read_recipients, relay_policy


class TrustTests(SynchronousTestCase):
    """
    Which clients may send to anyone.
    """

    def test_networks(self) -> None:
        """
        Trust is by network, IPv4-mapped addresses as IPv4, and "unix" only where it is listed.
        """
        policy = relay_policy(["127.0.0.0/8", "2001:db8::/32"], [], None)
        for peer in ("127.0.0.1", "::ffff:127.0.0.9", "2001:db8:1::1", "2001:db8::1%eth0"):
            self.assertTrue(policy.trusts(peer), peer)
        for peer in ("192.0.2.1", "::1", "::ffff:192.0.2.1", "unix"):
            self.assertFalse(policy.trusts(peer), peer)
        self.assertTrue(relay_policy(["unix"], [], None).trusts("unix"))

    def test_wrong_networks(self) -> None:
        """
        What is no network, or has host bits set, is refused.
        """
        for text in ("10.0.0.1/8", "example.org", ""):
            self.assertRaises(ValueError, relay_policy, [text], [], None)

    def test_client_address(self) -> None:
        """
        Mapped addresses are unmapped, zones dropped.
        """
        self.assertEqual(str(client_address("::ffff:192.0.2.1")), "192.0.2.1")
        self.assertEqual(str(client_address("fe80::1%eth0")), "fe80::1")

    def test_client_key(self) -> None:
        """
        A client is counted by its IPv4 address, or by its IPv6 network of 64 bits: it has all of that to itself.
        """
        for peer, key in (
            ("unix", "unix"),
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::/64"),
            ("fe80::1%eth0", "fe80::/64"),
        ):
            self.assertEqual(client_key(peer), key)


class RelayTests(SynchronousTestCase):
    """
    Who may send to whom.
    """

    def setUp(self) -> None:
        self.policy = relay_policy([], ["Example.ORG", "münchen.example"], [("user", "example.org")])

    def judge(self, text: str, trusted: bool = False) -> str:
        """
        Tell the reply to an address, "" if it passes.
        """
        verdict = self.policy.judge(trusted, parse_address(text))
        return str(verdict.reply)[:9] if verdict else ""

    def test_trusted(self) -> None:
        """
        Trusted clients send to anyone.
        """
        for text in ("a@elsewhere.example", "nobody@example.org", "a%b@example.org"):
            self.assertEqual(self.judge(text, trusted=True), "")

    def test_others(self) -> None:
        """
        Others reach the mailboxes of our domains, in any case of letters, and nobody else.
        """
        self.assertEqual(self.judge("User@EXAMPLE.org"), "")
        self.assertEqual(self.judge("nobody@example.org"), "550 5.1.1")
        self.assertEqual(self.judge("user@elsewhere.example"), "550 5.7.1")
        self.assertEqual(self.judge("user@sub.example.org"), "550 5.7.1")
        self.assertEqual(self.judge("user@[127.0.0.1]"), "550 5.7.1")
        self.assertEqual(self.judge("user@xn--mnchen-3ya.example"), "550 5.1.1")

    def test_postmaster(self) -> None:
        """
        The postmaster of our domains, and <Postmaster>, are always reachable.
        """
        self.assertEqual(self.judge("PostMaster@example.org"), "")
        self.assertIsNone(self.policy.judge(False, Address("Postmaster", "", "Postmaster")))
        self.assertEqual(self.judge("postmaster@elsewhere.example"), "550 5.7.1")

    def test_routes_in_local_parts(self) -> None:
        """
        %, ! and @ in a local part go nowhere, quoted or not.
        """
        for text in ("a%b@example.org", "b!a@example.org", '"a@b"@example.org', "a%b@elsewhere.example"):
            self.assertEqual(self.judge(text), "550 5.7.1")

    def test_routes_in_other_letters(self) -> None:
        """
        Nor do characters that become one of these where somebody further on normalizes the local part.
        """
        policy = relay_policy([], ["example.org"], None)
        for sign in "\uff05\uff01\uff20\ufe6b\ufe57\u203c":
            verdict = policy.judge(False, parse_address(f"a{sign}b@example.org", utf8=True))
            self.assertEqual(verdict, ROUTED, sign)
        self.assertIsNone(policy.judge(False, parse_address("\u03b4\u03bf\u03ba@example.org", utf8=True)))

    def test_local_parts_that_are_not_ascii(self) -> None:
        """
        They are listed as they are, in any case of letters, and none becomes another that is ASCII.
        """
        policy = relay_policy([], ["example.org"], read_recipients("J\u00f6rg@example.org\nkim@example.org"))
        for text, judged in (
            ("J\u00d6RG", None),
            ("j\u00f6rg", None),
            ("\u212aim", UNKNOWN_USER),
            ("jorg", UNKNOWN_USER),
        ):
            address = parse_address(f"{text}@example.org", utf8=True)
            self.assertEqual(policy.judge(False, address), judged, text)

    def test_everybody(self) -> None:
        """
        "@example.org" stands for every mailbox of that domain, and of no other.
        """
        policy = relay_policy([], ["example.org", "example.net"], read_recipients("@Example.org\na@example.net\n"))
        self.assertIsNone(policy.judge(False, parse_address("anybody@example.org")))
        self.assertEqual(policy.judge(False, parse_address("anybody@example.net")), UNKNOWN_USER)

    def test_verified_elsewhere(self) -> None:
        """
        Whoever checks recipients elsewhere says so, so that nobody warns of backscatter.
        """
        self.assertTrue(relay_policy([], ["example.org"], None, verified=True).verified)
        self.assertFalse(self.policy.verified)

    def test_any(self) -> None:
        """
        Without a list any local part of our domains passes.
        """
        policy = relay_policy([], ["example.org"], None)
        self.assertIsNone(policy.judge(False, parse_address("nobody@example.org")))
        self.assertIsNotNone(policy.judge(False, parse_address("a%b@example.org")))


class RecipientsFileTests(SynchronousTestCase):
    """
    The file of recipients.
    """

    def test_read(self) -> None:
        """
        An address a line; comments and empty lines are passed over.
        """
        text = "# ours\n\nUser@Example.org\n  b@münchen.example  \r\n"
        self.assertEqual(read_recipients(text), {("user", "example.org"), ("b", "xn--mnchen-3ya.example")})

    def test_quoted_nothing(self) -> None:
        """
        An address whose local part is empty is that one address.
        """
        policy = relay_policy([], ["example.org"], read_recipients('""@example.org'))
        self.assertIsNone(policy.judge(False, parse_address('""@example.org')))
        self.assertEqual(policy.judge(False, parse_address("a@example.org")), UNKNOWN_USER)

    def test_wrong(self) -> None:
        """
        Every wrong line is told.
        """
        error = self.assertRaises(ValueError, read_recipients, "a@b.example\nnobody\nx y@c.example\n")
        self.assertEqual([line[:7] for line in str(error).splitlines()], ["line 2:", "line 3:"])

    def test_another_file(self) -> None:
        """
        Of a file that is something else not every line is told.
        """
        error = self.assertRaises(ValueError, read_recipients, "root:x:0:0:root:/root:/bin/sh\n" * 1000)
        lines = str(error).splitlines()
        self.assertEqual((len(lines), lines[19][:8], lines[20]), (21, "line 20:", "and perhaps more"))
