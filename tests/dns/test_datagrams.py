"""
A UDP socket as the reactor reads it.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from typing import cast

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.internet.testing import MemoryReactor
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from empath.dns.datagrams import UdpSocket, UdpSockets
from empath.dns.servers import Server

Came = tuple[bytes, tuple[str, int]]


class FakeKernel:
    """
    A socket that gives what it was told to and records what it is given.
    """

    def __init__(self, coming: Iterable[Came | OSError] = (), trouble: OSError | None = None) -> None:
        self.coming = list(coming)
        self.trouble = trouble
        self.sent: list[bytes] = []
        self.closed = 0

    def recvfrom(self, size: int) -> Came:
        """
        Give the next datagram, or the next trouble.
        """
        if not self.coming:
            raise BlockingIOError
        came = self.coming.pop(0)
        if isinstance(came, OSError):
            raise came
        return came

    def send(self, datagram: bytes) -> None:
        """
        Record it, or fail.
        """
        if self.trouble is not None:
            raise self.trouble
        self.sent.append(datagram)

    def close(self) -> None:
        """
        Count it.
        """
        self.closed += 1

    def fileno(self) -> int:
        """
        A descriptor until it is closed.
        """
        return -1 if self.closed else 7


class Heard:
    """
    A receiver that records; `closes` is closed at the first datagram.
    """

    def __init__(self) -> None:
        self.events: list[object] = []
        self.closes: UdpSocket | None = None

    def received(self, datagram: bytes, address: str, port: int) -> None:
        """
        Record it.
        """
        self.events.append((datagram, address, port))
        if self.closes is not None:
            self.closes.close()

    def barred(self, why: str) -> None:
        """
        Record it.
        """
        self.events.append(why)


class UdpSocketTests(SynchronousTestCase):
    """
    What becomes of datagrams and of trouble.
    """

    def make(self, kernel: FakeKernel) -> UdpSocket:
        """
        Put a socket on a reactor.
        """
        self.kernel, self.heard, self.reactor = kernel, Heard(), MemoryReactor()
        return UdpSocket(cast(IReactorFDSet, self.reactor), cast(socket.socket, kernel), self.heard)

    def test_interface(self) -> None:
        """
        It is what a reactor reads from, and it is put there when it is made.
        """
        made = self.make(FakeKernel())
        verifyObject(IReadDescriptor, made)
        self.assertEqual((self.reactor.getReaders(), made.fileno(), made.logPrefix()), ([made], 7, "dns"))

    def test_reads_all_that_came(self) -> None:
        """
        Datagrams are told with their source (IPv6 sources have four parts) until there are no more.
        """
        source = cast(tuple[str, int], ("2001:db8::1", 53, 0, 0))
        made = self.make(FakeKernel([(b"a", ("192.0.2.1", 53)), (b"b", source)]))
        made.doRead()
        self.assertEqual(self.heard.events, [(b"a", "192.0.2.1", 53), (b"b", "2001:db8::1", 53)])

    def test_a_flood_lets_others_have_their_turn(self) -> None:
        """
        One turn reads a bounded number of datagrams.
        """
        made = self.make(FakeKernel([(b"a", ("192.0.2.1", 53))] * 100))
        made.doRead()
        self.assertLess(len(self.heard.events), 100)

    def test_closed_while_reading(self) -> None:
        """
        After a close within a datagram nothing more is read or told, not even the reactor's farewell.
        """
        made = self.make(FakeKernel([(b"a", ("192.0.2.1", 53))] * 2))
        self.heard.closes = made
        made.doRead()
        made.connectionLost(Failure(ConnectionLost()))
        made.close()
        self.assertEqual((len(self.heard.events), self.kernel.closed, self.reactor.getReaders()), (1, 1, []))

    def test_trouble_ends_it(self) -> None:
        """
        An error of reading or sending, whichever ICMP brought, and the reactor's giving up are told once.
        """
        refused = OSError(errno.ECONNREFUSED, "Connection refused")
        unreachable = OSError(errno.EHOSTUNREACH, "No route to host")
        made = self.make(FakeKernel([refused, (b"a", ("192.0.2.1", 53))]))
        made.doRead()
        self.assertEqual((self.heard.events, self.kernel.closed), (["Connection refused"], 1))
        self.make(FakeKernel(trouble=unreachable)).send(b"q")
        self.assertEqual((self.heard.events, self.kernel.closed), (["No route to host"], 1))
        self.make(FakeKernel()).connectionLost(Failure(ConnectionLost("gone")))
        self.assertEqual((len(self.heard.events), self.kernel.closed), (1, 1))

    def test_sending(self) -> None:
        """
        A datagram goes out as it is; a full buffer loses it, as the net might, and time-outs deal with that.
        """
        self.make(FakeKernel()).send(b"q")
        self.assertEqual(self.kernel.sent, [b"q"])
        self.make(FakeKernel(trouble=BlockingIOError())).send(b"q")
        self.assertEqual((self.heard.events, self.kernel.closed), ([], 0))

    def test_no_way_there(self) -> None:
        """
        An address that cannot be connected to is an OSError at once, and no socket is left over.
        """
        opened = UdpSockets(cast(IReactorFDSet, MemoryReactor()))
        self.assertRaises(OSError, opened, Server("255.255.255.255"), Heard())
