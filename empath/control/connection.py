"""
One connection to the control server: boxes in and out, within bounds.

Nothing here is fatal. What is no box, or too large, is answered as far as can be and ends the connection; so does a
peer that sends half a box and no more, that does not read, or that asks for nothing for a long time.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, ITransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from empath.control import protocol
from empath.control.answering import Seen, Serving
from empath.control.boxes import Box, BoxMalformed, BoxReader, BoxTooLarge, octets_of
from empath.control.peers import credentials_of
from empath.control.protocol import Asked, Code
from empath.control.running import Running, Wrong

if TYPE_CHECKING:
    from empath.control.server import ControlServer

log = Logger()

MAX_REQUESTS: Final = 16  # at the same time
MAX_PIECES: Final = 50_000  # that the peer has not taken, of all its requests so far
LEAVING: Final = 5.0  # seconds for the peer to read our last words


class Waiting(Enum):
    """
    What a connection waits for.
    """

    REQUEST = auto()
    REST_OF_BOX = auto()
    READER = auto()
    END = auto()
    ANSWERS = auto()


PATIENCE: Final = {  # seconds; who asks decides how long answers take
    Waiting.REQUEST: protocol.IDLE_TIMEOUT,
    Waiting.REST_OF_BOX: protocol.SERVER_TIMEOUT,
    Waiting.READER: protocol.SERVER_TIMEOUT,
    Waiting.END: LEAVING,
}


@implementer(IPushProducer)
class Connection(Protocol):
    """
    Reads requests and sends what `server` answers; `surplus` is why it does not, "" if it does.
    """

    transport: ITransport

    def __init__(self, server: ControlServer, surplus: str) -> None:
        self._server = server
        self._surplus = surplus
        self._reader = BoxReader(protocol.MAX_REQUEST)
        self._boxes: deque[Box] = deque()
        self._serving: dict[bytes, Serving] = {}
        self._pieces: dict[bytes, Running] = {}
        self._piece = 0
        self.unread = 0  # octets that we sent since the peer read all, at most
        self._seen = Seen()
        self._peer: tuple[int | None, int | None] = (None, None)
        self._paused = self._ending = self._gone = False
        self._waiting = Waiting.ANSWERS
        self._deadline: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """
        Begin; nobody is known by more than what the kernel says.
        """
        self._peer = credentials_of(self.transport)
        self._server.opened(self)
        self.transport.registerProducer(self, True)  # type: ignore[attr-defined]  # of IConsumer, too
        self._await()

    def dataReceived(self, data: bytes) -> None:
        """
        Read on; what comes after our last words is thrown away.
        """
        if self._ending:
            return
        try:
            boxes = self._reader.feed(data)
        except BoxMalformed as trouble:
            self._boxes.clear()
            self._refuse_box(trouble)
            return
        if boxes:
            self._waiting = Waiting.ANSWERS  # so that the next wait begins anew
            self._boxes.extend(boxes)
            self._advance()
        self._await()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        End what is being answered: there is nobody to hear it.
        """
        self._gone = self._ending = True
        self.unread = 0
        self._server.closed(self)
        self._boxes.clear()
        self._await()
        for serving in tuple(self._serving.values()):
            serving.cancel()

    def pauseProducing(self) -> None:
        """
        The peer does not read: neither do we.
        """
        self._paused = True
        self.transport.pauseProducing()  # type: ignore[attr-defined]  # of IPushProducer, too
        self._await()

    def resumeProducing(self) -> None:
        """
        The peer has read all that we sent.
        """
        self._paused = False
        self.unread = 0
        self._advance()
        if not self._paused and not self._gone:
            self.transport.resumeProducing()  # type: ignore[attr-defined]  # of IPushProducer, too
        self._await()

    def stopProducing(self) -> None:
        """
        See connectionLost.
        """

    def close(self) -> None:
        """
        End the connection, and what is being answered.
        """
        self._ending = True
        for serving in tuple(self._serving.values()):
            serving.cancel()
        self._await()
        self.transport.unregisterProducer()  # type: ignore[attr-defined]  # of IConsumer, too
        self.transport.loseConnection()

    def give_up(self, why: str) -> None:
        """
        End the connection at once, whatever is on its way.
        """
        log.warn("control connection of uid {uid} ended: it {why}", uid=self._peer[0], why=why)
        self._gone = self._ending = True
        self.unread = 0
        self._boxes.clear()
        self._abort()

    def _await(self) -> None:
        """
        Set the clock for what we wait for now.
        """
        waiting = self._awaited()
        if waiting is self._waiting and not self._gone:
            return
        self._waiting = waiting
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None
        if waiting in PATIENCE and not self._gone:
            self._deadline = self._server.clock.callLater(PATIENCE[waiting], self._abort)

    def _awaited(self) -> Waiting:
        if self._ending or (self._surplus and not self._serving):
            return Waiting.END
        if self._paused:
            return Waiting.READER
        if self._reader.inside:
            return Waiting.REST_OF_BOX
        return Waiting.ANSWERS if self._serving else Waiting.REQUEST

    def _abort(self) -> None:
        self.transport.abortConnection()  # type: ignore[attr-defined]  # of ITCPTransport and its kin

    def _refuse_box(self, trouble: BoxMalformed) -> None:
        """
        Say what is wrong with what came, if it asked for something, and read no more.
        """
        log.warn("control connection of uid {uid} ended: {why}", uid=self._peer[0], why=str(trouble))
        tag = trouble.box.get(b"_ask", b"")
        if tag:
            large = isinstance(trouble, BoxTooLarge)
            self._send(protocol.refusing(tag, Code.TOO_LARGE if large else Code.MALFORMED, str(trouble)))
        self._ending = True
        self._await()

    def _advance(self) -> None:
        """
        Take the boxes that came, one after the other, as long as the peer reads what we say.
        """
        while self._boxes and not self._paused and not self._ending:
            box = self._boxes.popleft()
            try:
                self._take(box)
            except BoxMalformed as trouble:
                self._refuse_box(trouble)

    def _take(self, box: Box) -> None:
        command = box.get(b"_command", b"")
        taken = box.get(b"_answer") or box.get(b"_error")
        if command == protocol.ASK_COMMAND and box.get(b"_ask"):
            self._begin(box[b"_ask"], protocol.asked(box))
        elif command == protocol.CANCEL_COMMAND:
            self._cancel(box.get(protocol.NUMBER, b""))
            if box.get(b"_ask"):
                self._send({b"_answer": box[b"_ask"]})
        elif command and box.get(b"_ask"):
            self._send(protocol.refusing(box[b"_ask"], Code.REFUSED, f"there is no command {command[:80]!r}"))
        elif taken is not None and taken in self._pieces:
            self._pieces.pop(taken).taken()
        else:
            raise BoxMalformed("a box that neither asks nor answers anything", box)

    def _begin(self, tag: bytes, asked: Asked) -> None:
        if tag in self._serving:
            raise BoxMalformed("a request under the tag of another one", {b"_ask": tag})
        if self._surplus or len(self._serving) >= MAX_REQUESTS:
            reason = self._surplus or f"{MAX_REQUESTS} requests of this connection are being answered already"
            self._send(protocol.refusing(tag, Code.BUSY, f"{reason}: try again later"))
            return
        self._serving[tag] = serving = Serving(asked.number, self._send_piece)
        deferred: Deferred[None] = Deferred.fromCoroutine(self._serve(tag, asked, serving))
        serving.deferred = deferred
        deferred.addErrback(self._crashed)

    def _crashed(self, failure: Failure) -> None:
        log.failure("a control connection crashed, by a fault of empath's own", failure)
        self._abort()

    def _cancel(self, number: bytes) -> None:
        for serving in tuple(self._serving.values()):
            if serving.number == number:
                serving.cancel(Wrong(Code.CANCELLED, "the client wanted it no more"))

    async def _serve(self, tag: bytes, asked: Asked, serving: Serving) -> None:
        box = await serving.answer(self._server, self._peer, tag, asked, self._seen)
        self._serving.pop(tag, None)
        self._send(box)
        self._await()

    def _send_piece(self, running: Running, number: bytes, content: bytes | None) -> None:
        self._piece += 1
        tag = b"p%x" % self._piece
        self._pieces[tag] = running
        if len(self._pieces) > MAX_PIECES:  # of requests that ended, too
            self._abort()
        self._send(protocol.piece(tag, number, content))

    def _send(self, box: Box) -> None:
        if self._gone:
            return
        octets = octets_of(box)
        self.transport.write(octets)
        if self._paused:
            self.unread += len(octets)
            self._server.unread()
