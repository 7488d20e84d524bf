"""
The resolver against a real unbound, over real sockets of loopback.
"""

from __future__ import annotations

import random
import socket
import tempfile
from collections.abc import Awaitable
from pathlib import Path

import dns.exception
import dns.message
import dns.query
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from empath.config.schema import Dns
from empath.config.units import seconds
from empath.dns.datagrams import UdpSockets
from empath.dns.resolver import Resolver
from empath.dns.streams import tcp_streams
from empath.mail.answer import Answer, Found, MxRecord
from empath.mail.life import LifeEvent, LookedUp
from tests.e2e.ports import free_port
from tests.e2e.processes import Program, require_program

MANY = 100  # addresses: 1,600 octets, more than fits into the 1,232 that we offer

CONFIG = """
server:
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  num-threads: 1
  interface: 127.0.0.1@{port}
  interface: 127.0.0.2@{port}
  access-control: 127.0.0.0/8 allow
  module-config: "iterator"
  local-zone: "." refuse
  local-zone: "example.test." static
  local-data: "example.test. 3600 IN SOA ns.example.test. root.example.test. 1 3600 600 86400 90"
{records}
remote-control:
  control-enable: no
"""

RECORDS = [
    "two.example.test. 120 IN MX 20 MX2.Example.Test.",
    "two.example.test. 120 IN MX 10 mx1.example.test.",
    "null.example.test. 120 IN MX 0 .",
    "mx1.example.test. 120 IN A 192.0.2.1",
    "mx1.example.test. 120 IN AAAA 2001:db8::1",
    "alias.example.test. 70 IN CNAME mx1.example.test.",
    *(f"many.example.test. 120 IN A 192.0.2.{number}" for number in range(1, MANY + 1)),
]


class UnboundTests(TestCase):
    """
    What a real server says.
    """

    timeout = 60

    def setUp(self) -> None:
        unbound = require_program("unbound")
        held = tempfile.TemporaryDirectory()
        self.addCleanup(held.cleanup)
        folder = Path(held.name)
        self.port = free_port("127.0.0.1", "127.0.0.2")
        config = folder / "unbound.conf"
        records = "\n".join(f'  local-data: "{record}"' for record in RECORDS)
        config.write_text(CONFIG.format(folder=folder, port=self.port, records=records))
        self.server = Program([unbound, "-d", "-c", str(config)], folder / "log", folder)
        self.addCleanup(self.server.kill)
        self.server.wait_for(self.answers)
        self.events: list[LifeEvent] = []
        self.resolver = self.make_resolver(f"127.0.0.1:{self.port}")

    def answers(self) -> bool:
        """
        Tell whether the server is there.
        """
        try:
            dns.query.udp(dns.message.make_query("example.test", "SOA"), "127.0.0.1", 0.5, self.port)
        except (OSError, dns.exception.DNSException):
            return False
        return True

    def make_resolver(self, *servers: str, timeout: float = 5) -> Resolver:
        """
        Make a resolver that asks these servers.
        """
        section = Dns(servers=servers, timeout=seconds(timeout))
        resolver = Resolver(
            section, reactor, random.SystemRandom(), self.events.append, UdpSockets(reactor), tcp_streams(reactor)
        )
        resolver.start()
        self.addCleanup(resolver.stop)
        return resolver

    async def ask(self, name: str, rdtype: str, resolver: Resolver | None = None) -> Answer:
        """
        Look up what must not be cached yet.
        """
        asked = (resolver or self.resolver).lookup(name, rdtype)
        self.assertIsInstance(asked, Deferred)
        assert isinstance(asked, Awaitable)
        return await asked

    async def present(self, resolver: Resolver) -> bool:
        """
        Tell whether any of its servers answers.
        """
        found = resolver.presence.look()
        return found if isinstance(found, bool) else await found

    async def test_mail_exchangers(self) -> None:
        """
        MX records come best first; the second look-up is told at once.
        """
        answer = await self.ask("Two.Example.test.", "MX")
        self.assertEqual(answer.mx, (MxRecord(10, "mx1.example.test"), MxRecord(20, "mx2.example.test")))
        self.assertLess(abs(answer.expires - reactor.seconds() - 120), 10)
        self.assertIs(self.resolver.lookup("two.example.test", "MX"), answer)
        self.assertEqual((len(self.events), self.resolver.cache.hits), (1, 1))

    async def test_null_mx(self) -> None:
        """
        The null MX is told as the host "".
        """
        self.assertEqual((await self.ask("null.example.test", "MX")).mx, (MxRecord(0, ""),))

    async def test_addresses(self) -> None:
        """
        A and AAAA, by name and by alias.
        """
        self.assertEqual((await self.ask("mx1.example.test", "A")).addresses, ("192.0.2.1",))
        self.assertEqual((await self.ask("mx1.example.test", "AAAA")).addresses, ("2001:db8::1",))
        self.assertEqual((await self.ask("alias.example.test", "A")).addresses, ("192.0.2.1",))

    async def test_large_answer(self) -> None:
        """
        An answer that no datagram holds comes whole, over TCP.
        """
        self.assertEqual(len((await self.ask("many.example.test", "A")).addresses), MANY)

    async def test_negative(self) -> None:
        """
        No such name and no such record are told apart, and kept as the SOA says.
        """
        none = await self.ask("nobody.example.test", "MX")
        self.assertEqual(none.found, Found.NO_NAME)
        self.assertLess(abs(none.expires - reactor.seconds() - 90), 10)
        self.assertEqual((await self.ask("mx1.example.test", "MX")).found, Found.NO_DATA)

    async def test_refused_and_probe(self) -> None:
        """
        REFUSED is a failure of the look-up and a sign of life of the server.
        """
        answer = await self.ask("example.com", "MX")
        self.assertEqual((answer.found, answer.detail.partition(":")[0]), (Found.FAILED, "refused"))
        self.assertTrue(await self.present(self.resolver))
        self.assertLess(abs(self.resolver.last_answer - reactor.seconds()), 10)

    async def test_many_at_once(self) -> None:
        """
        Hundreds of questions at once are all answered, each with its own answer.
        """
        asked = [self.resolver.lookup(f"n{number}.example.test", "A") for number in range(500)]
        for number, waiting in enumerate(asked):
            answer = await waiting if isinstance(waiting, Awaitable) else waiting
            self.assertEqual((answer.name, answer.found), (f"n{number}.example.test", Found.NO_NAME))
        self.assertTrue(all(isinstance(event, LookedUp) and not event.cached for event in self.events))

    async def test_closed_port(self) -> None:
        """
        A server that is not there costs no time-out: the next one is asked at once; alone it is a failure at once.
        """
        closed = f"127.0.0.1:{free_port()}"
        resolver = self.make_resolver(closed, f"127.0.0.2:{self.port}", timeout=30)
        self.assertEqual((await self.ask("mx1.example.test", "A", resolver)).found, Found.RECORDS)
        answer = await self.ask("mx1.example.test", "A", self.make_resolver(closed, timeout=30))
        self.assertEqual((answer.found, answer.detail.partition(":")[0]), (Found.FAILED, "network"))

    async def test_silent_server(self) -> None:
        """
        A server that never answers is left for the next one after its time-out.
        """
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            name = f"127.0.0.1:{silent.getsockname()[1]}"
            resolver = self.make_resolver(name, f"127.0.0.1:{self.port}", timeout=0.3)
            self.assertEqual((await self.ask("mx1.example.test", "A", resolver)).found, Found.RECORDS)
            self.assertFalse(await self.present(self.make_resolver(name)))
