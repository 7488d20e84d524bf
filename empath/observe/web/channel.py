"""
One HTTP connection to a page for monitoring, to which a client can owe nothing for long, and cost little.

twisted.web trusts its clients: it keeps the content of whatever is sent in a file without end, waits as long as one
octet after the other comes, and answers all requests that were sent in a row, whether the answers are read or not.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any, Final, Protocol

from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.http import Request as HttpRequest
from twisted.web.server import Request, Site

MOST_CONNECTIONS: Final = 256  # at once, of one endpoint: mail needs descriptors too
MOST_CONTENT: Final = 64 * 1024  # octets of a request's content, which nobody reads
REQUEST_TIME: Final = 15.0  # seconds in which a request has to be there as a whole, and its answer to be read
_TOO_LARGE: Final = b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Idle(Protocol):
    """
    Keeps account of connections, whose requests are answered meanwhile or not.
    """

    @property
    def closing(self) -> bool:
        """
        Whether there should be no further request.
        """

    def idles(self, channel: Channel) -> None:
        """
        It waits for a request.
        """

    def works(self, channel: Channel) -> None:
        """
        A request is answered.
        """

    def ended(self, channel: Channel) -> None:
        """
        The connection is lost.
        """


class ContentlessRequest(Request):
    """
    A request that drops its content, and ends its connection if that is large.
    """

    channel: Any
    _length = 0

    def gotLength(self, length: int | None) -> None:
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        self._length += len(data)
        if self._length > MOST_CONTENT:
            self.channel.refuse(_TOO_LARGE)


class Channel(HTTPChannel):
    """
    Speaks HTTP/1.1. A request has REQUEST_TIME to arrive from the moment that one could, however it trickles in; what
    waits for a client that does not read is one answer, beside what its transport holds anyway (64 KiB).
    """

    site: Idle
    transport: Any
    _ending = False

    def connectionMade(self) -> None:
        super().connectionMade()  # type: ignore[no-untyped-call]  # Twisted's, as all below
        self.site.idles(self)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self.site.ended(self)
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def refuse(self, answer: bytes) -> None:
        """
        Answer with this, and end the connection.
        """
        if not self._ending:
            self.transport.write(answer)
            self.loseConnection()

    def resetTimeout(self) -> None:
        pass

    def allContentReceived(self) -> None:
        if self._ending:  # it was refused
            return
        self.site.works(self)
        super().allContentReceived()  # type: ignore[no-untyped-call]

    def requestDone(self, request: Request) -> None:
        if self.site.closing:
            self.persistent = 0
        self.site.idles(self)
        super().requestDone(request)  # type: ignore[no-untyped-call]

    def loseConnection(self) -> None:
        if self._ending:
            return
        self._ending = True
        self._abortingCall = self.callLater(self.abortTimeout, self.forceAbortClient)  # type: ignore[no-untyped-call]
        super().loseConnection()  # type: ignore[no-untyped-call]

    def timeoutConnection(self) -> None:
        self.loseConnection()  # and no word in the log: who can connect could fill that

    def forceAbortClient(self) -> None:
        self._abortingCall = None
        self.transport.abortConnection()

    def pauseProducing(self) -> None:
        super().pauseProducing()  # type: ignore[no-untyped-call]
        self.paused = True  # requests that were read already wait, too
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        super().resumeProducing()  # type: ignore[no-untyped-call]
        self.paused = False
        self.transport.resumeProducing()
        self.dataReceived(b"")  # type: ignore[no-untyped-call]


class MonitoringSite(Site):
    """
    A site that writes no access log, not even to Twisted's own log, and needs no clock of its own for it. It takes so
    many connections at once: for one beyond it ends the one that waits for a request longest, so that whoever opens
    many and says nothing does not keep others out.
    """

    noisy = False
    protocol: Callable[[], Any] = Channel
    requestFactory = ContentlessRequest  # noqa: N815 (Twisted's name)

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)  # type: ignore[no-untyped-call]
        self.closing = False
        self.connections = 0
        self._idle: dict[Channel, None] = {}  # since the longest time first

    def startFactory(self) -> None:  # the base's opens the log and ticks once a second
        pass

    def stopFactory(self) -> None:
        pass

    def log(self, request: HttpRequest) -> None:
        pass

    def acceptableProtocols(self) -> list[bytes]:
        """
        HTTP/1.1 alone, whatever else is installed: all bounds are those of `Channel`.
        """
        return [b"http/1.1"]

    def buildProtocol(self, addr: IAddress | None) -> Any:
        if self.connections >= MOST_CONNECTIONS:
            longest = next(iter(self._idle), None)
            if longest is None:
                return None
            self._idle.pop(longest)
            longest.forceAbortClient()
        channel = super().buildProtocol(addr)  # type: ignore[no-untyped-call]
        self.connections += 1
        return channel

    def idles(self, channel: Channel) -> None:
        """
        See Idle.
        """
        self._idle[channel] = None

    def works(self, channel: Channel) -> None:
        """
        See Idle.
        """
        self._idle.pop(channel, None)

    def ended(self, channel: Channel) -> None:
        """
        See Idle.
        """
        self.connections -= 1
        self._idle.pop(channel, None)

    def close(self) -> None:
        """
        End connections that wait for a request, and others after their answer.
        """
        self.closing = True
        for channel in [*self._idle]:
            channel.loseConnection()
