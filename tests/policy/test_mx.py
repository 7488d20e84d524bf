"""
From DNS answers to hosts and addresses.
"""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.answer import Answer, Found, MxRecord
from empath.mail.outcome import PermanentFailure, Scope, TransientFailure
from empath.policy import mx

OURS = frozenset({"us.example.net"})


def mx_answer(*records: tuple[int, str]) -> Answer:
    """
    Make an answer with these MX records.
    """
    return Answer("example.org", "MX", Found.RECORDS, mx=tuple(MxRecord(p, h) for p, h in records))


def groups(answer: Answer, seed: int = 1) -> object:
    """
    Order the hosts of an answer.
    """
    return mx.host_groups(answer, OURS, random.Random(seed))


class HostGroupTests(SynchronousTestCase):
    """
    Order and absence of MX hosts.
    """

    def test_order(self) -> None:
        """
        Lower preferences come first; a host named twice at one preference is one host.
        """
        answer = mx_answer((20, "b"), (10, "a"), (30, "c"), (10, "a"))
        self.assertEqual(groups(answer), (("a",), ("b",), ("c",)))

    def test_equal_preferences_are_shuffled(self) -> None:
        """
        Hosts of equal preference share the load.
        """
        answer = mx_answer((10, "a"), (10, "b"), (10, "c"))
        seen = {groups(answer, seed) for seed in range(50)}
        self.assertEqual(len(seen), 6)

    def test_no_mx(self) -> None:
        """
        Without MX records the domain is its own host (RFC 5321 §5.1).
        """
        self.assertEqual(groups(Answer("example.org", "MX", Found.NO_DATA)), (("example.org",),))

    def test_null_mx(self) -> None:
        """
        The null MX is permanent, 5.1.10 (RFC 7505); among real hosts it is ignored.
        """
        for answer in (mx_answer((0, "")), mx_answer((0, ""), (10, ""))):
            failure = groups(answer)
            assert isinstance(failure, PermanentFailure)
            self.assertEqual(str(failure.reply)[:10], "556 5.1.10")
        self.assertEqual(groups(mx_answer((0, ""), (10, "a"))), (("a",),))

    def test_no_domain(self) -> None:
        """
        A domain that does not exist is permanent: 5.1.2.
        """
        self.assertIs(groups(Answer("example.org", "MX", Found.NO_NAME)), mx.NO_DOMAIN)

    def test_failed(self) -> None:
        """
        A failed look-up is transient: 4.4.3, whatever the resolver says about it.
        """
        for detail in ("", "SERVFAIL\r\n"):
            failure = groups(Answer("example.org", "MX", Found.FAILED, detail=detail))
            assert isinstance(failure, TransientFailure)
            self.assertEqual((failure.reply.code, failure.reply.enhanced, failure.scope), (451, "4.4.3", Scope.HOST))

    def test_loops_are_cut(self) -> None:
        """
        Our own preference and all worse ones are cut; if nothing is left, the mail loops: 5.4.6.
        """
        self.assertEqual(groups(mx_answer((10, "a"), (20, "us.example.net"), (20, "b"), (30, "c"))), (("a",),))
        self.assertIs(groups(mx_answer((10, "us.example.net"), (20, "b"))), mx.LOOP)
        self.assertIs(groups(mx_answer((10, "us.example.net"))), mx.LOOP)
        self.assertIs(groups(Answer("us.example.net", "MX", Found.NO_DATA)), mx.LOOP)


class AddressTests(SynchronousTestCase):
    """
    Addresses from the DNS, the operator and the envelope.
    """

    def test_no_candidates(self) -> None:
        """
        Hosts without addresses are permanent (5.4.4), unless a look-up failed (4.4.3).
        """
        none = Answer("a", "A", Found.NO_NAME)
        private = Answer("a", "A", Found.RECORDS, addresses=("10.0.0.1",))
        failed = Answer("a", "A", Found.FAILED)
        self.assertIs(mx.no_candidates([none]), mx.NO_ADDRESS)
        self.assertIs(mx.no_candidates([none, private]), mx.NOT_USABLE)
        self.assertEqual(mx.no_candidates([private, failed, none]), mx.dns_trouble(failed))

    def test_interleave(self) -> None:
        """
        Families take turns.
        """
        self.assertEqual(mx.interleave([["6a", "6b", "6c"], ["4a"]]), ["6a", "4a", "6b", "6c"])
        self.assertEqual(mx.interleave([["4a", "4b"]]), ["4a", "4b"])

    def test_public(self) -> None:
        """
        Loopback, link-local, private, multicast, unspecified and reserved addresses are not public, mapped or not.
        """
        for address in (
            "127.0.0.1",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.1.1",
            "169.254.1.1",
            "224.0.0.1",
            "0.0.0.0",
            "100.64.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "nonsense",
        ):
            self.assertFalse(mx.is_public(address), address)
        for address in ("192.0.2.1", "8.8.8.8", "172.32.0.1", "2001:db8::1", "::ffff:8.8.8.8"):
            self.assertTrue(mx.is_public(address), address)

    @given(st.text(max_size=20))
    def test_any_text(self, text: str) -> None:
        """
        No text of a record or an address makes them raise.
        """
        mx.is_public(text)
        mx.read_address(text)
        mx.read_literal(text)
        mx.read_literal(f"[{text}]")

    def test_literals(self) -> None:
        """
        Address literals are read as RFC 5321 §4.1.3 writes them; another one is permanent, a domain is none.
        """
        self.assertEqual(mx.read_literal("[192.0.2.1]"), "192.0.2.1")
        self.assertEqual(mx.read_literal("[IPv6:2001:DB8::1]"), "2001:db8::1")
        self.assertIsNone(mx.read_literal("example.org"))
        for bad in ("[2001:db8::1]", "[x400:y]", "[]", "[300.1.1.1]"):
            self.assertIs(mx.read_literal(bad), mx.BAD_LITERAL)

    def test_read_address(self) -> None:
        """
        An operator's address is read, a name is not.
        """
        self.assertEqual(mx.read_address("::1"), "::1")
        self.assertIsNone(mx.read_address("localhost"))
