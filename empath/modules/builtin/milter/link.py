"""
One connection to a milter: says what the dialogue gives, and waits for what it expects, within bounds.

Fatal for the connection: whatever raises MilterError. Nothing is retried here, and nothing ignored.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from empath.modules.builtin.milter.codec import (
    Command,
    MilterError,
    Negotiated,
)
from empath.modules.builtin.milter.dialogue import NEXT, Dialogue, Response
from empath.modules.builtin.milter.said import (
    Answer,
    Change,
    Kind,
    Progress,
)

CONTINUE: Final = Answer(Kind.CONTINUE)
LINGER: Final = 30.0  # seconds for the goodbye to leave


@implementer(IPushProducer)
class MilterLink(Protocol):
    """
    A connection from our offer on. `gone` is called once when it is lost.

    While the milter reads slowly nothing more is said, and while its answers are not looked at nothing more is read.
    """

    def __init__(self, clock: IReactorTime, version: int, gone: Callable[[], None]) -> None:
        self._clock = clock
        self._gone = gone
        self._responses: deque[Response] = deque()
        self._waiting: Deferred[None] | None = None
        self._drained: Deferred[None] | None = None
        self._failure: MilterError | None = None
        self._lingering: IDelayedCall | None = None
        self._paused = False
        self._wire: Any = None  # the transport, with all that those of streams can do
        self.dialogue = Dialogue(version)

    @property
    def usable(self) -> bool:
        """
        Whether the connection stands and the milter said nothing wrong.
        """
        return self._failure is None and self._wire is not None

    async def negotiate(self, seconds: float) -> Negotiated:
        """
        Make our offer and wait for what comes of it.
        """
        await self._write(self.dialogue.negotiate(), seconds)
        response = await self._next(seconds)
        assert isinstance(response, Negotiated)
        return response

    async def ask(
        self,
        command: Command,
        seconds: float,
        content: bytes = b"",
        macros: Mapping[str, str] | None = None,
        change: Callable[[Change], Awaitable[None] | None] | None = None,
    ) -> Answer:
        """
        Say something and wait for the answer, if there is to be one: each time at most `seconds`, which begin anew
        with every sign of life. What the milter wants changed goes to `change`.
        """
        if self._failure is not None:
            raise self._failure
        said = self.dialogue.say(command, content, macros)
        answered = self.dialogue.awaiting is not None  # the answer may have come before all has left
        await self._write(said, seconds)
        if not answered:
            return CONTINUE
        while True:
            response = await self._next(seconds)
            if isinstance(response, Answer):
                return response
            if not isinstance(response, Progress | Negotiated) and change is not None:
                waiting = change(response)
                if waiting is not None:
                    await waiting

    def tell(self, command: Command) -> None:
        """
        Say something that has no answer.
        """
        if self.usable:
            self._send(self.dialogue.say(command))

    def leave(self) -> None:
        """
        Say goodbye where that can be said now, and hang up; harmless when repeated.
        """
        polite = self.usable and self.dialogue.awaiting is None and self._drained is None
        if polite and (self.dialogue.state, Command.QUIT) in NEXT:
            self._lingering = self._clock.callLater(LINGER, self._wire.abortConnection)
            self._send(self.dialogue.say(Command.QUIT))
            self._failure = MilterError("the connection was closed by us")
            self._wire.unregisterProducer()
            self._wire.loseConnection()
        else:
            self.fail(MilterError("the connection was given up"))

    def fail(self, error: MilterError) -> None:
        """
        Cut the connection; whoever waits hears why.
        """
        if self._failure is None:
            self._failure = error
        if self._wire is not None:
            self._wire.unregisterProducer()
            self._wire.abortConnection()
        self._wake()

    # What Twisted calls

    def connectionMade(self) -> None:
        self._wire = self.transport
        if ITCPTransport.providedBy(self._wire):
            self._wire.setTcpNoDelay(True)  # several packets without an answer would wait 40 ms for its system's ACK
        self._wire.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        if self._failure is not None:
            return
        try:
            self._responses.extend(self.dialogue.received(data))
        except MilterError as error:
            self.fail(error)
            return
        if self._responses:
            if self._waiting is None:
                self._hold(True)
            else:
                self._wake()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._failure is None:
            self._failure = MilterError(f"the connection was lost: {reason.getErrorMessage()}")
        if self._lingering is not None and self._lingering.active():
            self._lingering.cancel()
        self._wake()
        self._gone()

    def pauseProducing(self) -> None:
        if self._drained is None:
            self._drained = Deferred()

    def resumeProducing(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.called:
            drained.callback(None)

    def stopProducing(self) -> None:
        self.resumeProducing()

    # Within

    async def _write(self, sent: bytes, seconds: float) -> None:
        if self._failure is not None:
            raise self._failure
        if sent:
            self._send(sent)
        if self._drained is not None:
            await self._wait(self._drained, seconds)

    def _send(self, sent: bytes) -> None:
        self._wire.write(sent)

    async def _next(self, seconds: float) -> Response:
        if not self._responses:
            if self._failure is not None:
                raise self._failure
            self._waiting = Deferred()
            try:
                await self._wait(self._waiting, seconds)
            finally:
                self._waiting = None
        if not self._responses:
            raise self._failure or MilterError("no answer")
        response = self._responses.popleft()
        if not self._responses:
            self._hold(False)
        return response

    async def _wait(self, waiting: Deferred[None], seconds: float) -> None:
        try:
            await waiting.addTimeout(seconds, self._clock)
        except TimeoutError:
            self.fail(MilterError(f"nothing was heard for {seconds:g} s"))
        if self._failure is not None and not self._responses:
            raise self._failure

    def _wake(self) -> None:
        for waiting in (self._waiting, self._drained):
            if waiting is not None and not waiting.called:
                waiting.callback(None)

    def _hold(self, pause: bool) -> None:
        if pause != self._paused and self._failure is None:
            self._paused = pause
            if pause:
                self._wire.pauseProducing()
            else:
                self._wire.resumeProducing()
