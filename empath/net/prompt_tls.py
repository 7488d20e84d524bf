"""
TLS on a connection whose bytes go to the socket without waiting for the reactor's next turn (hot-path rule P3).

Fatal: nothing. Trouble with TLS ends the connection as it does under Twisted's own `startTLS`, which this takes the
place of on a plain socket: there each write waits for one turn to be encrypted, and for another one to be sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from OpenSSL import SSL
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer_only

from empath.net.writer import PromptWriter

if TYPE_CHECKING:
    from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IReactorTime, ITransport
    from twisted.internet.protocol import Protocol


class PromptTls(TLSMemoryBIOProtocol):
    """
    TLS between a protocol, whose transport it is from now on, and the transport that it had.
    """

    def part(self) -> None:
        """
        Close a connection on which all that was said was answered: say that nothing follows (close_notify), and do not
        wait for the peer to say the same. It owes no answer (RFC 8446 §6.1), and many never give one.
        """
        self.loseConnection()  # type: ignore[no-untyped-call]
        handle: SSL.Connection | None = self.getHandle()  # type: ignore[no-untyped-call]
        if self.connected and handle is not None and handle.get_shutdown() & SSL.SENT_SHUTDOWN:
            handle.set_shutdown(SSL.SENT_SHUTDOWN | SSL.RECEIVED_SHUTDOWN)
            cast("ITransport", self.transport).loseConnection()


@implementer_only()  # TLS would declare whatever its transport is for itself, at each connection, at some cost
class Wire(PromptWriter):
    """
    What TLS takes for its transport: writes promptly, and is otherwise the transport below.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Leave the socket to the transport, which tells the producer of its buffer.
        """
        self._settle()
        self._streaming = True
        self._transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """
        Write promptly again, once the transport has sent what it holds.
        """
        self._transport.unregisterProducer()
        self._streaming = False
        self._wait()


def begin_tls(
    protocol: Protocol, writer: PromptWriter, creator: IOpenSSLClientConnectionCreator, clock: IReactorTime
) -> ITransport:
    """
    Begin TLS as a client; tells the protocol's transport from now on. `writer` writes to it.
    """
    transport: Any = protocol.transport
    if not writer.direct:
        writer.secured()
        transport.startTLS(creator)
        return cast("ITransport", transport)
    tls: Any = cast(Any, PromptTls)(TLSMemoryBIOFactory(creator, True, cast(Any, None), clock), protocol, False)
    transport.protocol = tls
    protocol.transport = tls
    writer.secured(tls)
    tls.makeConnection(Wire(transport))
    return cast("ITransport", tls)


def part(transport: ITransport) -> None:
    """
    Close a connection on which all that was said was answered, by TLS or not.
    """
    if isinstance(transport, PromptTls):
        transport.part()
    else:
        transport.loseConnection()
