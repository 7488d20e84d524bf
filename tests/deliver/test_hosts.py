"""
From a domain to the addresses to try.
"""

from __future__ import annotations

import random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Delivery as Section
from empath.deliver.hosts import HostFinder
from empath.mail.answer import Found
from empath.policy import mx
from empath.policy.route import NextHop, Route
from tests.deliver.world import Resolver

OWN = frozenset({"192.0.2.99"})


class HostFinderTests(SynchronousTestCase):
    """
    Look-ups and what they lead to.
    """

    def find(
        self, table: dict[tuple[str, str], Any], domain: str = "example.org", route: Route | None = None, **section: Any
    ) -> Any:
        """
        Find the addresses of a domain, as (host, address, port), or the failure.
        """
        finder = HostFinder(Resolver(table), random.Random(1), Section(**section), frozenset({"us.example.net"}), OWN)
        found = self.successResultOf(Deferred.fromCoroutine(finder.find(route or Route(), domain)))
        return [(each.host, each.address, each.port) for each in found] if isinstance(found, list) else found

    def test_families(self) -> None:
        """
        Families are asked for and tried in turn, as configured.
        """
        table = {
            ("example.org", "MX"): [(10, "mx")],
            ("mx", "A"): ["192.0.2.1"],
            ("mx", "AAAA"): ["2001:db8::1"],
        }
        self.assertEqual(self.find(table), [("mx", "2001:db8::1", 25), ("mx", "192.0.2.1", 25)])
        self.assertEqual(self.find(table, address_families=("ipv4",), port=26), [("mx", "192.0.2.1", 26)])

    def test_no_mx(self) -> None:
        """
        Without MX the domain's own addresses are tried.
        """
        self.assertEqual(self.find({("example.org", "A"): ["192.0.2.1"]}), [("example.org", "192.0.2.1", 25)])

    def test_addresses_are_shuffled(self) -> None:
        """
        Addresses of one host share the load; of one host among several no more than three are tried.
        """
        many = [f"192.0.2.{n}" for n in range(1, 9)]
        one = self.find({("example.org", "MX"): [(10, "mx")], ("mx", "A"): many})
        self.assertEqual(len(one), 5)
        self.assertNotEqual([each[1] for each in one], many[:5])
        table = {("example.org", "MX"): [(10, "a"), (20, "b")], ("a", "A"): many, ("b", "A"): ["198.51.100.1"]}
        self.assertEqual([each[0] for each in self.find(table)], ["a", "a", "a", "b"])

    def test_no_address(self) -> None:
        """
        MX hosts without an address are permanent, unless a look-up failed.
        """
        table: dict[tuple[str, str], Any] = {("example.org", "MX"): [(10, "a"), (20, "b")]}
        self.assertIs(self.find(table), mx.NO_ADDRESS)
        table["b", "A"] = Found.FAILED
        self.assertEqual(self.find(table).reply.enhanced, "4.4.3")
        table["a", "A"] = ["192.0.2.1"]
        self.assertEqual(self.find(table), [("a", "192.0.2.1", 25)])

    def test_many_preferences(self) -> None:
        """
        Hosts of ten preferences are looked up, no more: a domain with a hundred that cannot be found would hold a place
        in delivery for as many time-outs.
        """
        table: dict[tuple[str, str], Any] = {("example.org", "MX"): [(n, f"mx{n}") for n in range(100)]}
        table["mx9", "A"] = ["192.0.2.9"]
        table["mx10", "A"] = ["192.0.2.10"]
        self.assertEqual(self.find(table), [("mx9", "192.0.2.9", 25)])

    def test_private(self) -> None:
        """
        Private addresses from the DNS are dropped, unless allowed.
        """
        table = {("example.org", "MX"): [(10, "a"), (20, "b")], ("a", "A"): ["127.0.0.1"], ("b", "A"): ["192.0.2.1"]}
        self.assertEqual(self.find(table), [("b", "192.0.2.1", 25)])
        self.assertEqual(self.find(table, allow_private_mx=True)[0], ("a", "127.0.0.1", 25))
        self.assertIs(self.find({("example.org", "A"): ["10.0.0.1"]}), mx.NOT_USABLE)

    def test_our_own_address(self) -> None:
        """
        Where a host has an address of ours, it and all that come after are cut.
        """
        table: dict[tuple[str, str], Any] = {
            ("example.org", "MX"): [(10, "a"), (20, "b"), (30, "c")],
            ("a", "A"): ["192.0.2.1"],
            ("b", "A"): ["192.0.2.99"],
            ("c", "A"): ["192.0.2.3"],
        }
        self.assertEqual(self.find(table), [("a", "192.0.2.1", 25)])
        table["example.org", "MX"] = [(20, "b"), (30, "c")]
        self.assertIs(self.find(table), mx.LOOP)

    def test_our_own_name(self) -> None:
        """
        The same by name.
        """
        self.assertIs(self.find({("example.org", "MX"): [(10, "us.example.net")]}), mx.LOOP)

    def test_literals(self) -> None:
        """
        An address literal is its own host; a private one is as private as from the DNS.
        """
        self.assertEqual(self.find({}, "[192.0.2.1]"), [("[192.0.2.1]", "192.0.2.1", 25)])
        self.assertIs(self.find({}, "[127.0.0.1]"), mx.NOT_USABLE)
        self.assertIs(self.find({}, "[nonsense]"), mx.BAD_LITERAL)

    def test_no_domain(self) -> None:
        """
        <Postmaster> without a domain has no MX.
        """
        self.assertIs(self.find({}, ""), mx.NO_DOMAIN)

    def test_given(self) -> None:
        """
        Hosts of the operator need no MX, may be private, and numbers and localhost need no DNS.
        """
        hops = (NextHop("127.0.0.1", 1), NextHop("localhost", 2), NextHop("relay", 3))
        found = self.find({("relay", "A"): ["10.0.0.1"]}, route=Route(hosts=hops))
        self.assertEqual(
            found,
            [
                ("127.0.0.1", "127.0.0.1", 1),
                ("localhost", "::1", 2),
                ("localhost", "127.0.0.1", 2),
                ("relay", "10.0.0.1", 3),
            ],
        )

    def test_each_given_has_its_turn(self) -> None:
        """
        However many addresses the first hosts have, the next ones are tried in the same attempt.
        """
        table = {
            (host, rdtype): [f"{start}{number}" for number in range(9)]
            for host in "abc"
            for rdtype, start in (("A", "10.0.0."), ("AAAA", "fd00::"))
        }
        for hosts, expected in (("a", "aaaaa"), ("ab", "aaabb"), ("abc", "aabbc")):
            found = self.find(table, route=Route(hosts=tuple(NextHop(host, 25) for host in hosts)))
            self.assertEqual("".join(host for host, _, _ in found), expected)
            self.assertEqual([address[:4] for _, address, _ in found[:2]], ["fd00", "10.0"])

    def test_given_but_unknown(self) -> None:
        """
        A smarthost that cannot be found must not bounce the queue.
        """
        failure = self.find({("relay", "A"): Found.NO_NAME}, route=Route(hosts=(NextHop("relay", 25),)))
        self.assertEqual((failure.reply.code, failure.reply.enhanced), (451, "4.4.4"))

    def test_verdicts_are_bounded(self) -> None:
        """
        What is remembered about addresses does not grow without end.
        """
        self.patch(__import__("empath.deliver.hosts", fromlist=["x"]), "_VERDICTS_KEPT", 1)
        table = {("example.org", "A"): ["192.0.2.1", "192.0.2.2", "10.0.0.1"]}
        self.assertEqual(len(self.find(table)), 2)
