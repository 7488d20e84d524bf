"""
Streams to HTTP clients: so many at once, and none waits for a client that does not read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.logger import Logger
from twisted.web.server import Request
from zope.interface import implementer

from empath.observe.web.page import Stream

log = Logger()

MOST: Final = 50  # streams at once, of one endpoint
MOST_UNSENT: Final = 256 * 1024  # bytes that may wait for one client, beside what its transport holds anyway (64 KiB)
SLOWEST: Final = 10.0  # seconds after which one is cut off that has read nothing, as far as its transport can tell


@implementer(IPushProducer)
class Feeding:
    """
    A `Feed` over a request of twisted.web; `over` is called once it has ended.
    """

    def __init__(self, request: Request, clock: IReactorTime, over: Callable[[Feeding], object]) -> None:
        self._request = request
        self._clock = clock
        self._over = over
        self._open = True
        self._unsent = 0
        self._slow: IDelayedCall | None = None
        self.ended: Callable[[], object] = lambda: None
        request.notifyFinish().addBoth(lambda _: self._end())
        request.registerProducer(self, True)

    @property
    def open(self) -> bool:
        """
        Whether it has not ended.
        """
        return self._open

    def write(self, piece: bytes) -> None:
        """
        See Feed.
        """
        if not self._open or not piece:
            return
        if self._slow is not None:
            self._unsent += len(piece)
            if self._unsent > MOST_UNSENT:
                self._cut()
                return
        self._request.write(piece)

    def end(self) -> None:
        """
        See Feed.
        """
        if self._open:
            self._request.unregisterProducer()
            self._request.finish()  # which tells _end

    def pauseProducing(self) -> None:
        """
        The client does not keep up: from now on what waits for it is counted, and so is its time.
        """
        if self._slow is None and self._open:
            self._slow = self._clock.callLater(SLOWEST, self._cut)

    def resumeProducing(self) -> None:
        """
        The client has read all that waited.
        """
        self._unsent = 0
        slow, self._slow = self._slow, None
        if slow is not None and slow.active():
            slow.cancel()

    def stopProducing(self) -> None:
        """
        The connection is lost: so notifyFinish says too.
        """

    def _cut(self) -> None:
        self._request.channel.forceAbortClient()
        self._end()

    def _end(self) -> None:
        if not self._open:
            return
        self._open = False
        self.resumeProducing()
        self._over(self)
        try:
            self.ended()
        except Exception:
            log.failure("the end of a stream could not be told")


class Streams:
    """
    The streams of one endpoint.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._feeds: set[Feeding] = set()

    @property
    def full(self) -> bool:
        """
        Whether there are as many as there may be.
        """
        return len(self._feeds) >= MOST

    @property
    def count(self) -> int:
        """
        How many there are.
        """
        return len(self._feeds)

    def begin(self, request: Request, stream: Stream) -> None:
        """
        Begin one, to a request whose head was written. Raises what `stream.begin` does, with the stream ended.
        """
        feeding = Feeding(request, self._clock, self._feeds.discard)
        self._feeds.add(feeding)
        try:
            ended = stream.begin(feeding)
        except Exception:
            feeding.end()
            raise
        if feeding.open:
            feeding.ended = ended
        else:
            ended()

    def end(self) -> None:
        """
        End all of them.
        """
        for feeding in [*self._feeds]:
            feeding.end()
