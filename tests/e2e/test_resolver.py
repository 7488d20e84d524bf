"""
The resolver with a signed DNS: what it makes of a validating unbound's word, of signatures that it checks itself, and
of an unbound that is gone.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable
from typing import Literal

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from empath.config.schema import Dns
from empath.config.units import File, seconds
from empath.dns.datagrams import UdpSockets
from empath.dns.resolver import Resolver
from empath.dns.streams import tcp_streams
from empath.mail.answer import Answer, Found, Security, TlsaRecord
from empath.mail.life import LifeEvent
from tests.e2e.dns_lab import DnsLab, Flaw, Signing
from tests.e2e.processes import temporary_folder

DIGEST = bytes(range(32))


class SignedTests(TestCase):
    """
    A root, a signed zone, one that is not, and one whose records were changed after they were signed.
    """

    timeout = 120

    def setUp(self) -> None:
        self.lab = DnsLab(temporary_folder(self))
        self.addCleanup(self.lab.stop)
        one = self.lab.zone("one.test", Signing.NSEC3).mail("127.0.0.2").tlsa("mx1", 25, 3, 1, 1, DIGEST)
        one.add("out CNAME mx1.two.test.", "in CNAME mx1", "short 1 A 192.0.2.1")
        self.lab.zone("two.test", Signing.NONE).mail("127.0.0.3")
        self.lab.zone("three.test", flaw=Flaw.TAMPERED).mail("127.0.0.4")
        self.lab.serve()
        self.events: list[LifeEvent] = []

    def make(self, dnssec: Literal["off", "trust-ad", "validate"], enforce: bool = False) -> Resolver:
        """
        Make a resolver that asks the laboratory's.
        """
        section = Dns(
            servers=(self.lab.server,),
            timeout=seconds(5),
            min_cache_ttl=seconds(0),
            dnssec=dnssec,
            dnssec_enforce=enforce,
            trust_anchor=File(str(self.lab.anchors) if dnssec == "validate" else ""),
        )
        resolver = Resolver(
            section, reactor, random.SystemRandom(), self.events.append, UdpSockets(reactor), tcp_streams(reactor)
        )
        resolver.start()
        self.addCleanup(resolver.stop)
        return resolver

    async def ask(self, resolver: Resolver, name: str, rdtype: str) -> Answer:
        """
        Look up.
        """
        asked = resolver.lookup(name, rdtype)
        return await asked if isinstance(asked, Awaitable) else asked

    async def verdicts(self, resolver: Resolver) -> list[tuple[Security, Found]]:
        """
        Tell what is said of a secure, an insecure and a bogus MX, of a denial, and of an alias within and out.
        """
        asked = [
            ("one.test", "MX"),
            ("two.test", "MX"),
            ("three.test", "MX"),
            ("nobody.one.test", "TLSA"),
            ("in.one.test", "A"),
            ("out.one.test", "A"),
        ]
        answers = [await self.ask(resolver, name, rdtype) for name, rdtype in asked]
        self.assertEqual([answer.canonical for answer in answers[-2:]], ["mx1.one.test", "mx1.two.test"])
        return [(answer.security, answer.found) for answer in answers]

    async def test_off(self) -> None:
        """
        Without DNSSEC nothing is said of what is found; unbound keeps what is bogus to itself.
        """
        self.assertEqual(
            await self.verdicts(self.make("off")),
            [
                (Security.UNCHECKED, Found.RECORDS),
                (Security.UNCHECKED, Found.RECORDS),
                (Security.UNCHECKED, Found.FAILED),
                (Security.UNCHECKED, Found.NO_NAME),
                (Security.UNCHECKED, Found.RECORDS),
                (Security.UNCHECKED, Found.RECORDS),
            ],
        )

    async def test_trust_ad(self) -> None:
        """
        unbound's word is taken; of what it does not vouch for nothing is known.
        """
        self.assertEqual(
            await self.verdicts(self.make("trust-ad")),
            [
                (Security.SECURE, Found.RECORDS),
                (Security.UNCHECKED, Found.RECORDS),
                (Security.UNCHECKED, Found.FAILED),
                (Security.SECURE, Found.NO_NAME),
                (Security.SECURE, Found.RECORDS),
                (Security.UNCHECKED, Found.RECORDS),
            ],
        )

    async def test_validate(self) -> None:
        """
        Signatures are checked here; what is bogus is used, and known to be.
        """
        self.assertEqual(
            await self.verdicts(self.make("validate")),
            [
                (Security.SECURE, Found.RECORDS),
                (Security.INSECURE, Found.RECORDS),
                (Security.BOGUS, Found.RECORDS),
                (Security.SECURE, Found.NO_NAME),
                (Security.SECURE, Found.RECORDS),
                (Security.INSECURE, Found.RECORDS),
            ],
        )

    async def test_enforce(self) -> None:
        """
        Where it must not be used, what is bogus is a failure that says why.
        """
        answer = await self.ask(self.make("validate", True), "three.test", "MX")
        self.assertEqual((answer.security, answer.found), (Security.BOGUS, Found.FAILED))
        self.assertTrue(answer.detail.startswith("bogus: "), answer.detail)

    async def test_tlsa(self) -> None:
        """
        TLSA records come as they stand, and their signatures hold.
        """
        for dnssec in ("trust-ad", "validate"):
            resolver = self.make(dnssec)
            answer = await self.ask(resolver, "_25._tcp.mx1.one.test", "TLSA")
            self.assertEqual((answer.tlsa, answer.secure), ((TlsaRecord(3, 1, 1, DIGEST),), True))

    async def test_server_is_gone(self) -> None:
        """
        Records of a moment ago stand in for a server that is gone; names that nobody asked for fail.
        """
        resolver = self.make("trust-ad")
        self.assertTrue((await self.ask(resolver, "short.one.test", "A")).secure)
        self.lab.pause()
        await deferLater(reactor, 1.2)
        answer = await self.ask(resolver, "short.one.test", "A")
        self.assertEqual((answer.addresses, answer.stale, answer.secure), (("192.0.2.1",), True, True))
        self.assertIs((await self.ask(resolver, "one.test", "MX")).found, Found.FAILED)
        self.lab.resume()
        _, fresh = await resolver.refresh("short.one.test")
        self.assertEqual((fresh.addresses, fresh.stale), (("192.0.2.1",), False))
