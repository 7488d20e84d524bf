"""
Prompt writing, over real socket pairs.
"""

from __future__ import annotations

import socket

from twisted.internet import reactor  # noqa: TID251  # real sockets are what this module is about
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase, TestCase

from empath.net.writer import PromptWriter


class WithoutSocketTests(SynchronousTestCase):
    """
    A transport that is not a plain socket gets every byte itself.
    """

    def test_through_transport(self) -> None:
        """
        Bytes go to the transport in order.
        """
        transport = StringTransport()
        writer = PromptWriter(transport)
        writer.write(b"one")
        writer.write(b"two")
        self.assertEqual(transport.value(), b"onetwo")

    def test_stream_pauses(self) -> None:
        """
        In a stream the transport says when it holds enough and when it wants more.
        """
        transport = StringTransport()
        writer = PromptWriter(transport)
        drained: list[bool] = []
        writer.begin_stream(lambda: drained.append(writer.paused))
        self.assertIs(transport.producer, writer)
        writer.pauseProducing()
        self.assertTrue(writer.paused)
        writer.resumeProducing()
        self.assertEqual(drained, [False])
        writer.end_stream()
        writer.end_stream()
        self.assertIsNone(transport.producer)


class _Collector(Protocol):
    """
    Reads nothing until told to, then everything.
    """

    def __init__(self) -> None:
        self.received = bytearray()
        self.closed: Deferred[bytes] = Deferred()

    def connectionMade(self) -> None:
        self.transport.pauseProducing()  # type: ignore[union-attr]  # a connected protocol has one

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: object = None) -> None:
        self.closed.callback(bytes(self.received))


class RealSocketTests(TestCase):
    """
    Over a real socket bytes arrive in order, whether sent directly or held back.
    """

    async def _pair(self) -> tuple[Protocol, _Collector]:
        accepted: Deferred[_Collector] = Deferred()

        class Accepting(Factory):
            def buildProtocol(self, _address: object) -> _Collector:
                collector = _Collector()
                reactor.callLater(0, accepted.callback, collector)
                return collector

        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Accepting())
        self.addCleanup(port.stopListening)
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
        client = await connectProtocol(endpoint, Protocol())
        return client, await accepted

    async def test_direct(self) -> None:
        """
        What fits the socket is there before the reactor turns.
        """
        client, server = await self._pair()
        writer = PromptWriter(client.transport)  # type: ignore[arg-type]  # connected
        writer.write(b"220 hello\r\n")
        peer = server.transport.getHandle()  # type: ignore[union-attr]  # connected
        peer.setblocking(True)
        self.assertEqual(peer.recv(100, socket.MSG_PEEK), b"220 hello\r\n")
        peer.setblocking(False)
        server.transport.resumeProducing()  # type: ignore[union-attr]
        client.transport.loseConnection()  # type: ignore[union-attr]
        self.assertEqual(await server.closed, b"220 hello\r\n")

    async def test_more_than_the_socket_takes(self) -> None:
        """
        More than the socket takes is held back, and nothing written later overtakes it.
        """
        client, server = await self._pair()
        writer = PromptWriter(client.transport)  # type: ignore[arg-type]
        pieces = [bytes([65 + n]) * 3_000_000 for n in range(4)] + [b"end"]
        for piece in pieces:
            writer.write(piece)
        writer.begin_stream(lambda: None)
        writer.write(b"stream")
        writer.end_stream()
        writer.write(b"last")
        client.transport.loseConnection()  # type: ignore[union-attr]
        server.transport.resumeProducing()  # type: ignore[union-attr]
        self.assertEqual(await server.closed, b"".join(pieces) + b"streamlast")

    async def test_direct_again_once_drained(self) -> None:
        """
        Once all is sent, bytes go straight to the socket again.
        """
        client, server = await self._pair()
        writer = PromptWriter(client.transport)  # type: ignore[arg-type]
        server.transport.resumeProducing()  # type: ignore[union-attr]
        writer.write(b"x" * 8_000_000)
        while len(server.received) < 8_000_000:
            turn: Deferred[None] = Deferred()
            reactor.callLater(0.001, turn.callback, None)
            await turn
        self.assertIsNone(client.transport.producer)  # type: ignore[union-attr]
        client.transport.loseConnection()  # type: ignore[union-attr]
        await server.closed

    async def test_broken_socket(self) -> None:
        """
        A peer that is gone shows as a lost connection, not as an exception.
        """
        client, server = await self._pair()
        lost: Deferred[None] = Deferred()
        client.connectionLost = lambda reason=None: lost.callback(None)  # type: ignore[method-assign]  # one test, one instance
        server.transport.abortConnection()  # type: ignore[union-attr]
        await server.closed
        writer = PromptWriter(client.transport)  # type: ignore[arg-type]
        writer.write(b"hello")
        writer.write(b"again")
        await lost
        self.assertTrue(lost.called)
