"""
Our own DNSSEC validation against unbound's, name by name, over zones that BIND signed and serves.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Iterator
from typing import Final

import dns.flags
import dns.message
import dns.query
import dns.rcode
from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from empath.config.schema import Dns
from empath.config.units import File, seconds
from empath.dns.datagrams import UdpSockets
from empath.dns.resolver import Resolver
from empath.dns.streams import tcp_streams
from empath.mail.answer import Answer, Found, Security
from tests.e2e.dns_lab import DnsLab, Flaw, Signing
from tests.e2e.processes import temporary_folder

ALGORITHMS: Final = (
    "RSASHA1",
    "NSEC3RSASHA1",
    "RSASHA256",
    "RSASHA512",
    "ECDSAP256SHA256",
    "ECDSAP384SHA384",
    "ED25519",
    "ED448",
)
RECORDS: Final = (
    "*.wild A 127.0.0.1",
    "deep.er.name A 127.0.0.3",
    "MiXed A 127.0.0.1",
    "alias CNAME mx1",
    "away CNAME mx1.ed25519.test.",
    "nowhere CNAME nobody.nsec3.test.",
    "broken CNAME mx1.tampered.test.",
    "unsafe CNAME mx1.plain.test.",
    "*.aliases CNAME mx1",
    "renamed DNAME wild",
    "elsewhere DNAME nsec.test.",
    "large TXT " + " ".join(['"' + "x" * 250 + '"'] * 12),
)
BELOW: Final = (
    "mx1",
    "nope",
    "a.b.nope",
    "a.wild",
    "a.b.wild",
    "wild",
    "er.name",
    "mixed",
    "alias",
    "away",
    "nowhere",
    "broken",
    "unsafe",
    "w.aliases",
    "x.renamed",
    "mx1.elsewhere",
    "nope.elsewhere",
    "large",
    "_25._tcp.mx1",
    "_25._tcp.nope",
)


class DnssecTests(TestCase):
    """
    One laboratory with everything in it.
    """

    timeout = 240

    def setUp(self) -> None:
        self.lab = DnsLab(temporary_folder(self))
        self.addCleanup(self.lab.stop)

    def fill(self) -> None:
        """
        Add zones of every algorithm, way of denial and flaw.
        """
        for algorithm in ALGORITHMS:
            signing = Signing.NSEC3 if algorithm.startswith("NSEC3") else Signing.NSEC
            self.lab.zone(f"{algorithm.lower()}.test", signing, algorithm=algorithm).mail("127.0.0.2")
        self.lab.zone("plain.test", Signing.NONE).mail("127.0.0.2")
        for flaw in set(Flaw) - {Flaw.NONE}:
            self.lab.zone(f"{flaw.value}.test", flaw=flaw).mail("127.0.0.2")
        for signing in Signing:
            name = f"{signing.value}.test"
            self.lab.zone(name, signing).mail("127.0.0.2").tlsa("mx1", 25, 3, 1, 1, b"\1" * 32).add(*RECORDS)
            self.lab.zone(f"unsigned.{name}", Signing.NONE).mail("127.0.0.2")
            self.lab.zone(f"signed.{name}", Signing.NSEC3).mail("127.0.0.2")
        self.lab.zone("salted.test", Signing.NSEC3, iterations=100).mail("127.0.0.2").add(*RECORDS)
        self.lab.zone("holes.test").mail("127.0.0.2", "127.0.0.3").unsign("mx1", "A").tamper("mx2", "A", "127.0.0.9")
        self.lab.serve()

    def questions(self) -> Iterator[tuple[str, str]]:
        """
        Tell every name with the types that mail asks for.
        """
        rich = {f"{signing.value}.test" for signing in Signing} | {"salted.test"}
        yield from ((name, "A") for name in ("lab", "ns.lab", "nowhere-at-all", "a.b.c.nowhere-at-all"))
        for zone in self.lab.zones.values():
            if zone is not self.lab.root:
                yield from ((zone.name, rdtype) for rdtype in ("MX", "A", "TXT"))
                below = BELOW if zone.name in rich else (*BELOW[:2], "mx2", BELOW[-2])
                yield from ((f"{each}.{zone.name}", "TLSA" if each[0] == "_" else "A") for each in below)

    def make_resolver(self, section: Dns) -> Resolver:
        """
        Make ours.
        """
        resolver = Resolver(
            section,
            reactor,
            random.SystemRandom(),
            lambda event: None,
            UdpSockets(reactor),
            tcp_streams(reactor),
        )
        resolver.start()
        self.addCleanup(resolver.stop)
        return resolver

    def checking(self, server: str, enforce: bool = False) -> Resolver:
        """
        Make ours, so that it validates what `server` says.
        """
        anchors = File(str(self.lab.anchors))
        return self.make_resolver(
            Dns(servers=(server,), timeout=seconds(5), dnssec="validate", trust_anchor=anchors, dnssec_enforce=enforce)
        )

    @staticmethod
    async def ask(resolver: Resolver, name: str, rdtype: str = "A") -> Answer:
        """
        Look something up.
        """
        asked = resolver.lookup(name, rdtype)
        return await asked if isinstance(asked, Awaitable) else asked

    def unbounds(self, name: str, rdtype: str) -> Security:
        """
        Tell what unbound thinks.
        """
        query = dns.message.make_query(name, rdtype, want_dnssec=True)
        answer, _ = dns.query.udp_with_fallback(query, "127.0.0.1", 10, self.lab.resolver_port)
        if answer.rcode() == dns.rcode.SERVFAIL:
            return Security.BOGUS
        return Security.SECURE if answer.flags & dns.flags.AD else Security.INSECURE

    async def test_every_verdict_is_unbounds(self) -> None:
        """
        Every name and type of every zone, asked of unbound, which validates nothing for us, and of BIND itself.
        """
        self.fill()
        resolvers = {each: self.checking(each) for each in (self.lab.server, self.lab.authority)}
        wrong, seen = [], set()
        for name, rdtype in self.questions():
            wanted = self.unbounds(name, rdtype)
            seen.add((wanted, name))
            for server, resolver in resolvers.items():
                answer = await self.ask(resolver, name, rdtype)
                if answer.security is not wanted:
                    wrong.append(f"{name} {rdtype} of {server}: {wanted.value} to unbound, {answer}")
        self.assertEqual(wrong, [])
        counts = {kind: sum(1 for security, _ in seen if security is kind) for kind in Security}
        self.assertTrue(all(counts[kind] > 20 for kind in set(Security) - {Security.UNCHECKED}), counts)

    async def test_what_is_wrong(self) -> None:
        """
        What is bogus is used where nothing else is wanted, says why, and is never told as secure.
        """
        self.fill()
        resolver = self.checking(self.lab.server)
        for flaw, why in (
            (Flaw.WRONG_DS, "no DNSKEY is one that the zone above vouches for"),
            (Flaw.EXPIRED, "the signature has expired"),
            (Flaw.NOT_YET, "the signature is not valid yet"),
            (Flaw.TAMPERED, "does not hold"),
            (Flaw.STRIPPED, "it has no DNSKEY"),
        ):
            answer = await self.ask(resolver, f"mx1.{flaw.value}.test")
            self.assertEqual((answer.found, answer.security), (Found.RECORDS, Security.BOGUS), flaw)
            self.assertIn(why, answer.detail)
        answer = await self.ask(resolver, "mx1.foreign-ds.test")
        self.assertIs(answer.security, Security.INSECURE)

    async def test_enforced(self) -> None:
        """
        Where it is enforced, what is bogus is no answer.
        """
        self.lab.zone("expired.test", flaw=Flaw.EXPIRED).mail("127.0.0.2")
        self.lab.zone("good.test").mail("127.0.0.2").add("alias CNAME mx1.expired.test.")
        self.lab.serve()
        resolver = self.checking(self.lab.server, enforce=True)
        for name, rdtype in (("expired.test", "MX"), ("mx1.expired.test", "A"), ("alias.good.test", "A")):
            answer = await self.ask(resolver, name, rdtype)
            self.assertIs(answer.found, Found.FAILED)
            self.assertIn("expired", answer.detail)
        answer = await self.ask(resolver, "good.test", "MX")
        self.assertEqual((answer.found, answer.security), (Found.RECORDS, Security.SECURE))

    async def test_new_keys(self) -> None:
        """
        Zones that get new records, or lose their signatures with their DS, are judged as they are now.
        """
        one = self.lab.zone("one.test").mail("127.0.0.2")
        self.lab.serve()
        self.assertIs((await self.ask(self.checking(self.lab.server), "mx1.one.test")).security, Security.SECURE)
        self.lab.zone("one.test", Signing.NONE).records = one.records
        self.lab.serve()
        self.assertIs((await self.ask(self.checking(self.lab.server), "mx1.one.test")).security, Security.INSECURE)

    async def test_without_signatures_on_the_way(self) -> None:
        """
        A server that keeps signatures to itself makes all bogus: nothing tells that from an attack.
        """
        self.lab.zone("one.test").mail("127.0.0.2")
        self.lab.root.flaw = Flaw.STRIPPED
        self.lab.serve()
        answer = await self.ask(self.checking(self.lab.server), "mx1.one.test")
        self.assertIs(answer.security, Security.BOGUS)
        self.assertIn("no DNSKEY", answer.detail)
