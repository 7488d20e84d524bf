"""
UDP sockets for one question each: a fresh one has a fresh source port, chosen by the kernel (RFC 5452 §9.2).

The socket is connected, so the kernel drops what comes from elsewhere and reports a closed port at once. Twisted's own
UDP port is not used: it writes two lines into the log for every socket, and an ICMP error other than "refused" is a
traceback there. Whatever goes wrong ends this one socket and is told to its receiver; nothing is raised but the OSError
of `open`.
"""

from __future__ import annotations

import socket
from typing import Final, Protocol

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from empath.dns.servers import Server

_LARGEST: Final = 65535
_AT_ONCE: Final = 16  # datagrams read before others get their turn


class DatagramReceiver(Protocol):
    """
    Whoever waits for datagrams.
    """

    def received(self, datagram: bytes, address: str, port: int) -> None:
        """
        A datagram came from `address`, an IP address as text.
        """

    def barred(self, why: str) -> None:
        """
        The socket is of no more use.
        """


class Datagrams(Protocol):
    """
    An open socket.
    """

    def send(self, datagram: bytes) -> None:
        """
        Send to the server; trouble is told to the receiver, later or before this returns.
        """

    def close(self) -> None:
        """
        Let go of it; harmless when repeated. The receiver hears nothing more.
        """


class OpenDatagrams(Protocol):
    """
    A way to open a socket towards a server.
    """

    def __call__(self, server: Server, receiver: DatagramReceiver) -> Datagrams:
        """
        Open one; OSError if that cannot be done.
        """


class UdpSockets:
    """
    Real sockets on a reactor.
    """

    def __init__(self, reactor: IReactorFDSet) -> None:
        self._reactor = reactor

    def __call__(self, server: Server, receiver: DatagramReceiver) -> UdpSocket:
        """
        Open a socket on a source port of its own and connect it to `server`.
        """
        sock = socket.socket(socket.AF_INET6 if ":" in server.host else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.connect((server.host, server.port))
        except OSError:
            sock.close()
            raise
        return UdpSocket(self._reactor, sock, receiver)


@implementer(IReadDescriptor)
class UdpSocket:
    """
    A connected UDP socket as the reactor reads it.
    """

    def __init__(self, reactor: IReactorFDSet, sock: socket.socket, receiver: DatagramReceiver) -> None:
        self._reactor = reactor
        self._socket = sock
        self._receiver = receiver
        self._open = True
        reactor.addReader(self)

    def send(self, datagram: bytes) -> None:
        """
        Send; a full buffer is a lost datagram like any other.
        """
        try:
            self._socket.send(datagram)
        except BlockingIOError:
            return
        except OSError as trouble:
            self._bar(trouble)

    def close(self) -> None:
        """
        Stop reading and give the port back.
        """
        if self._open:
            self._open = False
            self._reactor.removeReader(self)
            self._socket.close()

    def doRead(self) -> None:
        """
        Take what has come.
        """
        for _ in range(_AT_ONCE):
            if not self._open:
                return
            try:
                datagram, source = self._socket.recvfrom(_LARGEST)
            except BlockingIOError:
                return
            except OSError as trouble:
                self._bar(trouble)
                return
            self._receiver.received(datagram, source[0], source[1])

    def fileno(self) -> int:
        """
        The descriptor, -1 once closed.
        """
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """
        What Twisted's log calls us.
        """
        return "dns"

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor gives us up; it says so too after `close` within `doRead`, and then there is nothing to tell.
        """
        if self._open:
            self.close()
            self._receiver.barred(reason.getErrorMessage())

    def _bar(self, trouble: OSError) -> None:
        self.close()
        self._receiver.barred(trouble.strerror or type(trouble).__name__)
