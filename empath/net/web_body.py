"""
The body of a request on its way to a web server: as fast as the server takes it, and no faster.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from empath.interfaces import IBodyReader
from empath.net.held_body import HeldBody


class Body(Protocol):
    """
    What a request carries; read from its first octet on at each try.
    """

    @property
    def length(self) -> int:
        """
        How many octets it has.
        """

    def open(self) -> IBodyReader:
        """
        Begin to read it; whoever does closes the reader.
        """


@attrs.frozen(slots=True)
class Held:
    """
    A body in memory.
    """

    content: bytes

    @property
    def length(self) -> int:
        """
        How many octets it has.
        """
        return len(self.content)

    def open(self) -> IBodyReader:
        """
        Begin to read it.
        """
        return HeldBody(self.content)


@implementer(IBodyProducer)
class Produced:
    """
    Writes a body to the connection. `progress` is told of every piece and of the end; `finished` tells that all was
    written. What the reader fails with is what the request fails with.
    """

    def __init__(self, body: Body, progress: Callable[[], None]) -> None:
        self.length = body.length
        self.finished = False
        self._body = body
        self._progress = progress
        self._writing: Deferred[None] | None = None
        self._room: Deferred[None] | None = None
        self._stopped = False

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """
        Write; fires when all is written, and never once it was stopped: who waits has heard of that otherwise.
        """
        written: Deferred[None] = Deferred(lambda _: self.stopProducing())
        self._writing = Deferred.fromCoroutine(self._write(consumer))
        self._writing.addCallbacks(written.callback, self._failed, (), {}, (written,))
        return written

    def pauseProducing(self) -> None:
        """
        Write no more for now.
        """
        if self._room is None:
            self._room = Deferred()

    def resumeProducing(self) -> None:
        """
        Go on.
        """
        room, self._room = self._room, None
        if room is not None:
            room.callback(None)

    def stopProducing(self) -> None:
        """
        Write no more at all.
        """
        self._stopped = True
        if self._writing is not None:
            self._writing.cancel()

    async def _write(self, consumer: IConsumer) -> None:
        """
        Write as much as was promised: the last octet is the end, an answer may come before the reader tells of it.
        """
        reader, left = self._body.open(), self.length
        try:
            while left > 0 and (piece := await reader.read()):
                left -= len(piece)
                if self._room is not None:
                    await self._room
                consumer.write(piece)
                self._progress()
        finally:
            reader.close()
        self.finished = True
        self._progress()

    def _failed(self, failure: Failure, written: Deferred[None]) -> None:
        if not self._stopped:
            written.errback(failure)
