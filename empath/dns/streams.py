"""
One question over TCP (RFC 7766), for answers that do not fit into a datagram.

A connection that fails or ends early is told as twisted.internet.error.ConnectError or ConnectionClosed; time-outs are
the caller's, who cancels.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IAddress, IReactorTCP, IStreamClientEndpoint, ITCPTransport
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone
from twisted.python.failure import Failure

from empath.dns.servers import Server

_LENGTH: Final = struct.Struct("!H")

OpenStream = Callable[[Server], IStreamClientEndpoint]
"""
A way to a server by TCP.
"""


def tcp_streams(reactor: IReactorTCP) -> OpenStream:
    """
    Make the way that real connections take.
    """

    def endpoint(server: Server) -> IStreamClientEndpoint:
        kind = TCP6ClientEndpoint if ":" in server.host else TCP4ClientEndpoint
        return kind(reactor, server.host, server.port)

    return endpoint


class _OneAnswer(Protocol):
    """
    Send one query and take one message, each behind its length in two octets.
    """

    transport: ITCPTransport

    def __init__(self, query: bytes) -> None:
        self._query = query
        self._buffer = b""
        self._waiting: Deferred[bytes] | None = Deferred()
        self.answer: Deferred[bytes] = self._waiting

    def connectionMade(self) -> None:
        self.transport.write(_LENGTH.pack(len(self._query)) + self._query)

    def dataReceived(self, data: bytes) -> None:
        if self._waiting is None:
            return
        self._buffer += data  # at most 64 KiB and one read: the length says where it ends
        if len(self._buffer) < _LENGTH.size:
            return
        end = _LENGTH.size + _LENGTH.unpack_from(self._buffer)[0]
        if len(self._buffer) >= end:
            waiting, self._waiting = self._waiting, None
            waiting.callback(self._buffer[_LENGTH.size : end])

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.errback(reason)


class _Once(ClientFactory):
    noisy = False

    def __init__(self, protocol: _OneAnswer) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: IAddress | None) -> _OneAnswer:
        return self._protocol


async def ask_by_stream(endpoint: IStreamClientEndpoint, query: bytes) -> bytes:
    """
    Send `query` and give the message that comes back; the connection is closed in any case.
    """
    protocol = _OneAnswer(query)
    try:
        await endpoint.connect(_Once(protocol))
    except ConnectingCancelledError:  # an endpoint's own word for it, which no time-out understands
        raise CancelledError from None
    try:
        return await protocol.answer
    finally:
        protocol.transport.abortConnection()
