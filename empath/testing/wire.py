"""
Connections in memory: what one end writes, the other one reads in the reactor's next turn. TLS on them is real.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IAddress, IConsumer, ITCPTransport, ITLSTransport
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(ITCPTransport, ITLSTransport, IConsumer)
class Wire:
    """
    One end of a connection. `clock` is the world's; `ended` is called once when this end is gone.
    """

    disconnecting = False
    disconnected = False
    connected = True
    TLS = False

    def __init__(self, clock: Any, host: IAddress, peer: IAddress, is_client: bool) -> None:
        self.protocol: Any = None
        self.other: Wire
        self.ended: Callable[[Failure], None] = lambda _: None
        self._clock = clock
        self._host = host
        self._peer = peer
        self._is_client = is_client
        self._tls: TLSMemoryBIOProtocol | None = None
        self._paused = False
        self._aborting = False
        self._came: deque[bytes | Exception] = deque()
        self._pull: Any = None

    # What a protocol does ---------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """
        Send, through TLS if there is any.
        """
        if self._tls is not None:
            self._tls.write(data)
        else:
            self.send(data)

    def writeSequence(self, iovec: Any) -> None:
        """
        Send pieces.
        """
        self.write(b"".join(iovec))

    def loseConnection(self) -> None:
        """
        Close behind what was written, through TLS if there is any.
        """
        if self._tls is not None:
            self._tls.loseConnection()
        else:
            self.close()

    def abortConnection(self) -> None:
        """
        Cut: nothing is read or written any more, and in the next turn, as with Twisted's own transports, both ends see
        a connection that is lost.
        """
        if self.connected and not self._aborting:
            self._aborting = self.disconnecting = True
            self._clock.callLater(0, self._end, ConnectionAborted(), ConnectionLost())

    def startTLS(self, contextFactory: Any, normal: bool = True) -> None:  # noqa: N803 as Twisted's own
        """
        Put TLS between the protocol and the wire, as Twisted's own transports do.
        """
        nobody: Any = None  # the protocol is there already
        factory = TLSMemoryBIOFactory(contextFactory, self._is_client is normal, nobody, self._clock)
        tls: Any = factory.protocol(factory, self.protocol, False)
        self._tls = self.protocol = tls
        self.TLS = True
        tls.makeConnection(_Below(self))

    def getHandle(self) -> SSL.Connection | None:
        """
        Tell what encrypts, None without TLS.
        """
        return None if self._tls is None else self._tls.getHandle()

    def getPeerCertificate(self) -> Any:
        """
        Tell the other's certificate.
        """
        return None if self._tls is None else self._tls.getPeerCertificate()

    def getHost(self) -> Any:
        """
        Tell this end's address.
        """
        return self._host

    def getPeer(self) -> Any:
        """
        Tell the other end's address.
        """
        return self._peer

    def pauseProducing(self) -> None:
        """
        Keep what comes for later.
        """
        self._paused = True

    def resumeProducing(self) -> None:
        """
        Give on what came, in the next turn.
        """
        self._paused = False
        self._clock.callLater(0, self._give)

    def stopProducing(self) -> None:
        """
        Close.
        """
        self.loseConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        There is room for everything: a push producer never has to pause, a pull producer is asked turn after turn.
        """
        if self._tls is not None:
            self._tls.registerProducer(producer, streaming)
        elif not streaming:
            self.pull(producer)

    def unregisterProducer(self) -> None:
        """
        Ask it no more.
        """
        if self._tls is not None:
            self._tls.unregisterProducer()
        else:
            self._pull = None

    def setTcpNoDelay(self, enabled: bool) -> None:
        """
        Nothing is delayed.
        """

    def getTcpNoDelay(self) -> bool:
        """
        Nothing is delayed.
        """
        return True

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """
        A connection in memory is not lost by itself.
        """

    def getTcpKeepAlive(self) -> bool:
        """
        A connection in memory is not lost by itself.
        """
        return False

    def loseWriteConnection(self) -> None:
        """
        Close: a half of a connection is of no use here.
        """
        self.loseConnection()

    # Below TLS --------------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """
        Put bytes on the wire.
        """
        if self.connected and not self.disconnecting and data:
            self._clock.callLater(0, self.other._arrive, bytes(data))

    def close(self) -> None:
        """
        Close, once all that was written has gone.
        """
        if self.connected and not self.disconnecting:
            self.disconnecting = True
            self._clock.callLater(0, self._end, ConnectionDone(), ConnectionDone())

    def pull(self, producer: Any) -> None:
        """
        Ask a producer for more until it is unregistered.
        """
        self._pull = producer
        self._clock.callLater(0, self._ask)

    def _ask(self) -> None:
        if self._pull is not None and self.connected:
            self._pull.resumeProducing()
            self._clock.callLater(0, self._ask)

    def _end(self, here: Exception, there: Exception) -> None:
        if self.connected:
            self._clock.callLater(0, self.other._arrive, there)
            self._lost(here)

    def _arrive(self, what: bytes | Exception) -> None:
        self._came.append(what)
        self._give()

    def _give(self) -> None:
        while self._came and self.connected and not self._paused and not self._aborting:
            what = self._came.popleft()
            if isinstance(what, bytes):
                self.protocol.dataReceived(what)
            else:
                self._lost(what)

    def _lost(self, why: Exception) -> None:
        self.connected, self.disconnected, self._pull = False, True, None
        reason = Failure(why)
        self.protocol.connectionLost(reason)
        self.ended(reason)


class _Below:
    """
    The wire as TLS sees it.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wire, name)

    def write(self, data: bytes) -> None:
        """
        Send ciphertext.
        """
        self._wire.send(data)

    def writeSequence(self, iovec: Any) -> None:
        """
        Send pieces of ciphertext.
        """
        self._wire.send(b"".join(iovec))

    def loseConnection(self) -> None:
        """
        Close the wire.
        """
        self._wire.close()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        As without TLS.
        """
        if not streaming:
            self._wire.pull(producer)

    def unregisterProducer(self) -> None:
        """
        As without TLS.
        """
        self._wire._pull = None
