"""
A server for the resolver's tests: sockets that record what is sent and say what the test tells them to.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import attrs
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
from twisted.internet.testing import MemoryReactorClock

from empath.config.schema import Dns
from empath.config.units import seconds
from empath.dns.datagrams import DatagramReceiver
from empath.dns.resolver import Resolver
from empath.dns.servers import Server
from empath.dns.streams import tcp_streams
from empath.mail.life import Emit, LifeEvent

FIRST = Server("192.0.2.1")
SECOND = Server("192.0.2.2", 5353)
NOW = 1_000_000.0
SOA = "example.org. 300 IN SOA ns.example.org. root.example.org. 1 2 3 4 120"


@attrs.define(eq=False)
class FakeSocket:
    """
    One open socket: `sent` is what the resolver wrote.
    """

    server: Server
    receiver: DatagramReceiver
    sent: list[bytes] = attrs.field(factory=list)
    closed: bool = False

    def send(self, datagram: bytes) -> None:
        """
        Record it.
        """
        self.sent.append(datagram)

    def close(self) -> None:
        """
        Record it.
        """
        self.closed = True

    @property
    def query(self) -> dns.message.Message:
        """
        What was asked last.
        """
        return dns.message.from_wire(self.sent[-1])

    def say(self, wire: bytes, source: Server | None = None) -> None:
        """
        Let a datagram come, from this server or another source.
        """
        source = source or self.server
        self.receiver.received(wire, source.host, source.port)

    def answer(self, *records: str, authority: Sequence[str] = (), rcode: int = dns.rcode.NOERROR) -> None:
        """
        Answer what was asked last with records in master-file form.
        """
        self.say(answer_to(self.sent[-1], *records, authority=authority, rcode=rcode))


class FakeDatagrams:
    """
    Opens fake sockets and keeps them, the newest last; `trouble` is raised instead once it is set.
    """

    def __init__(self, make: Callable[[Server, DatagramReceiver], FakeSocket]) -> None:
        self.sockets: list[FakeSocket] = []
        self.trouble: OSError | None = None
        self._make = make

    def __call__(self, server: Server, receiver: DatagramReceiver) -> FakeSocket:
        """
        Open one.
        """
        if self.trouble is not None:
            raise self.trouble
        self.sockets.append(self._make(server, receiver))
        return self.sockets[-1]


def answer_to(
    query: bytes,
    *records: str,
    authority: Sequence[str] = (),
    rcode: int = dns.rcode.NOERROR,
    flags: int = 0,
) -> bytes:
    """
    Make the answer to a query as it came over the wire.
    """
    response = dns.message.make_response(dns.message.from_wire(query), recursion_available=True)
    response.set_rcode(dns.rcode.Rcode(rcode))
    response.flags |= dns.flags.Flag(flags)
    for section, lines in ((response.answer, records), (response.authority, authority)):
        for line in lines:
            name, ttl, klass, kind, *rest = line.split(" ", 4)
            made = dns.rrset.from_text(name, int(ttl), klass, kind, *rest)
            response.find_rrset(section, made.name, made.rdclass, made.rdtype, create=True).update(made)
            response.find_rrset(section, made.name, made.rdclass, made.rdtype).ttl = made.ttl
    return response.to_wire(max_size=65535)


class Bench:
    """
    A resolver with everything around it fake.
    """

    def __init__(
        self,
        servers: Sequence[Server] = (FIRST, SECOND),
        section: Dns | None = None,
        emit: Emit | None = None,
        make: Callable[[Server, DatagramReceiver], FakeSocket] = FakeSocket,
    ) -> None:
        self.reactor = MemoryReactorClock()
        self.reactor.rightNow = NOW
        self.datagrams = FakeDatagrams(make)
        self.events: list[LifeEvent] = []
        self.resolver = Resolver(
            section or Dns(timeout=seconds(5)),
            self.reactor,
            random.Random(7),
            emit or self.events.append,
            self.datagrams,
            tcp_streams(self.reactor),
            lambda: servers,
        )
        self.resolver.start()

    @property
    def socket(self) -> FakeSocket:
        """
        The socket opened last.
        """
        return self.datagrams.sockets[-1]

    @property
    def asked(self) -> list[Server]:
        """
        Every server asked by datagram, in order.
        """
        return [socket.server for socket in self.datagrams.sockets]
