"""
TLS that is written promptly, over real sockets, with a server of Twisted's own.
"""

from __future__ import annotations

import functools
import socket
from collections.abc import Callable
from typing import Any, cast

from OpenSSL import SSL
from twisted.internet import reactor  # noqa: TID251  # real sockets are what this module is about
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHandshakeListener, IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from empath.net.prompt_tls import PromptTls, begin_tls, part
from empath.net.writer import PromptWriter
from empath.testing.certificates import Certified, anyone, self_signed


@functools.cache
def certified() -> Certified:
    """
    Make the server's certificate.
    """
    return self_signed("localhost")


@implementer(IOpenSSLClientConnectionCreator)
class Creator:
    """
    Begins TLS and judges nothing.
    """

    def clientConnectionForTLS(self, _protocol: object) -> SSL.Connection:
        return SSL.Connection(anyone(), None)


class Server(Protocol):
    """
    Begins TLS at once; `closed` gives what it heard.
    """

    def __init__(self) -> None:
        self.heard = bytearray()
        self.closed: Deferred[bytes] = Deferred()

    def connectionMade(self) -> None:
        cast(Any, self.transport).startTLS(certified().creator())

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        if data.endswith(b"?"):
            self.transport.write(b"yes")  # type: ignore[union-attr]  # a connected protocol has one

    def connectionLost(self, reason: object = None) -> None:
        self.closed.callback(bytes(self.heard))


@implementer(IHandshakeListener)
class Client(Protocol):
    """
    Speaks TLS; `said` is called once that can be heard, `answered` gives what is heard first.
    """

    def __init__(self, said: Callable[[Client], None]) -> None:
        self.said = said
        self.answered: Deferred[bytes] = Deferred()
        self.ended: Deferred[object] = Deferred()
        self.secured = 0

    def begin(self) -> None:
        self.writer = PromptWriter(self.transport)  # type: ignore[arg-type]  # connected
        self.tls: Any = begin_tls(self, self.writer, Creator(), cast(Any, reactor))

    def handshakeCompleted(self) -> None:
        self.secured += 1
        self.said(self)

    def dataReceived(self, data: bytes) -> None:
        self.answered.callback(data)

    def connectionLost(self, reason: object = None) -> None:
        self.ended.callback((reason,))


class PromptTlsTests(TestCase):
    """
    What arrives, in which order, and how it ends.
    """

    async def pair(self, said: Callable[[Client], None], server_type: type[Protocol] = Server) -> tuple[Client, Any]:
        accepted: Deferred[Protocol] = Deferred()

        class Accepting(Factory):
            def buildProtocol(self, _address: object) -> Protocol:
                server = server_type()
                reactor.callLater(0, accepted.callback, server)
                return server

        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Accepting())
        self.addCleanup(port.stopListening)
        client = Client(said)
        await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port), client)
        client.begin()
        return client, await accepted

    async def test_talk(self) -> None:
        """
        What is said once TLS is there arrives, its answer too; the end is clean at both sides.
        """
        client, server = await self.pair(lambda client: client.writer.write(b"well?"))
        self.assertIs(client.transport, client.tls)
        self.assertIsInstance(client.tls, PromptTls)
        self.assertEqual(await client.answered, b"yes")
        self.assertEqual((client.secured, client.tls.getHandle().get_protocol_version_name()), (1, "TLSv1.3"))
        self.assertEqual(client.tls.getPeer().host, "127.0.0.1")
        part(client.tls)
        part(client.tls)
        self.assertEqual(await server.closed, b"well?")
        (reason,) = cast(Any, await client.ended)
        self.assertTrue(reason.check(ConnectionDone))
        part(client.tls)

    async def test_parted_without_an_answer(self) -> None:
        """
        A peer that never reads our end, nor says its own, is not waited for.
        """
        client, server = await self.pair(lambda client: client.writer.write(b"well?"))
        await client.answered
        server.transport.pauseProducing()
        part(client.tls)
        await client.ended
        server.transport.resumeProducing()
        await server.closed

    async def test_at_once(self) -> None:
        """
        What is written is on its way before the reactor turns.
        """
        client, server = await self.pair(lambda client: client.writer.write(b"well?"))
        await client.answered
        server.transport.pauseProducing()
        peer = server.transport.getHandle()
        plain: socket.socket = server.transport.socket
        client.writer.write(b"now")
        plain.settimeout(5)
        self.assertTrue(plain.recv(1000, socket.MSG_PEEK))
        plain.setblocking(False)
        self.assertIsInstance(peer, SSL.Connection)
        client.tls.loseConnection()
        server.transport.resumeProducing()
        self.assertEqual(await server.closed, b"well?now")
        await client.ended

    async def test_more_than_the_socket_takes(self) -> None:
        """
        Much more than the socket takes arrives whole and in order, streamed or not, and the end comes behind it.
        """
        pieces = [bytes([65 + n]) * 2_000_000 for n in range(3)]

        def said(client: Client) -> None:
            for piece in pieces:
                client.writer.write(piece)
            client.writer.begin_stream(lambda: None)
            client.writer.write(b"stream")
            client.writer.end_stream()
            client.writer.write(b"last")
            client.tls.loseConnection()

        client, server = await self.pair(said)
        self.assertEqual(await server.closed, b"".join(pieces) + b"streamlast")
        await client.ended

    async def test_stream_pauses(self) -> None:
        """
        A stream is told to pause while its peer reads nothing, and to go on when that has caught up.
        """
        drained: Deferred[None] = Deferred()

        def said(client: Client) -> None:
            client.writer.write(b"well?")

        client, server = await self.pair(said)
        await client.answered
        server.transport.pauseProducing()
        client.writer.begin_stream(lambda: drained.callback(None))
        sent = 0
        while not client.writer.paused:
            client.writer.write(b"x" * 100_000)
            sent += 100_000
        server.transport.resumeProducing()
        await drained
        client.writer.end_stream()
        client.writer.write(b"end")
        client.tls.loseConnection()
        self.assertEqual(await server.closed, b"well?" + b"x" * sent + b"end")
        await client.ended

    async def test_aborted(self) -> None:
        """
        An abort ends both sides, also in the middle of the handshake.
        """
        client, server = await self.pair(lambda client: client.tls.abortConnection())
        await client.ended
        self.assertEqual(await server.closed, b"")
        client, server = await self.pair(lambda _: None)
        client.tls.loseConnection()
        await client.ended
        await server.closed
        self.assertEqual(client.secured, 0)

    async def test_no_tls(self) -> None:
        """
        A peer that speaks no TLS gets an end.
        """

        class Plain(Server):
            def connectionMade(self) -> None:
                self.transport.write(b"554 what is this?\r\n")  # type: ignore[union-attr]

        client, server = await self.pair(lambda _: None, Plain)
        (reason,) = cast(Any, await client.ended)
        self.assertTrue(reason.check(SSL.Error))
        await server.closed


class WithoutSocketTests(SynchronousTestCase):
    """
    Anything but a plain socket.
    """

    def test_startTLS(self) -> None:
        """
        A transport that is no plain socket begins TLS itself, and stays the transport.
        """
        begun: list[object] = []

        class Transport:
            def startTLS(self, creator: object) -> None:
                begun.append(creator)

        protocol, transport, creator = Protocol(), cast(Any, Transport()), Creator()
        protocol.transport = transport
        told = begin_tls(protocol, PromptWriter(transport), creator, cast(Any, None))
        self.assertEqual((told, begun), (transport, [creator]))

    def test_part(self) -> None:
        """
        Without TLS it is closed as ever.
        """
        transport = StringTransport()
        part(transport)
        self.assertTrue(transport.disconnecting)
