"""
The line to one client of a scripted server: what comes in its order, and answers as the script has them.

Replies leave in the order of the commands, however long one of them takes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.protocol import Protocol, connectionDone

from empath.testing.script import Cut, Say, Script, Silence, reply

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from empath.testing.mock_smtp import MockServer


class MockLine(Protocol):
    """
    One client's connection. `peer` is its address, `open` whether it is there.
    """

    def __init__(self, server: MockServer, peer: str) -> None:
        self.server = server
        self.peer = peer
        self.open = self._busy = False
        self._buffer = bytearray()
        self._take: Callable[[], bool] = self._take_line
        self._held = True  # until the greeting, and while an answer takes its time
        self._chunk = self._searched = 0
        self._timers: list[Any] = []

    # For subclasses to fill in

    _command: Callable[[str], None]  # answer a command line
    _end_of_mail: Callable[[bytes], None]  # answer the content of a message
    _end_of_chunk: Callable[[bytes], None]  # answer a chunk
    _log_in: Callable[[str], None]  # answer a login's token

    # What Twisted calls -----------------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        """
        Greet.
        """
        self.open = True
        self._answer("GREETING", "", reply(220, f"{self._script.ehlo[0]} ESMTP"))

    def dataReceived(self, data: bytes) -> None:
        """
        Take what has come, as far as its turn is.
        """
        self._buffer += data
        self._go_on()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The client is gone.
        """
        self.open = False
        for timer in self._timers:
            if timer.active():
                timer.cancel()

    def cut(self) -> None:
        """
        Break the connection.
        """
        if self.open:
            self._held = True
            self._wire.abortConnection()

    # Input ------------------------------------------------------------------------------------------------------

    @property
    def _script(self) -> Script:
        return self.server.script

    @property
    def _wire(self) -> Any:
        return self.transport

    def _go_on(self) -> None:
        """
        Take what has come, as far as answers do not hold it up; a call from within is part of it.
        """
        if self._busy:
            return
        self._busy = True
        try:
            while self.open and not self._held and self._take():
                pass
        finally:
            self._busy = False

    def _take_line(self) -> bool:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            return False
        line = bytes(self._buffer[:end]).decode("utf-8", "surrogateescape")
        del self._buffer[: end + 2]
        self._command(line)
        return True

    def _take_content(self) -> bool:
        """
        Take all up to the final dot; the empty line before it may be the content's own beginning.
        """
        if self._buffer.startswith(b".\r\n"):
            end, length = 0, 3
        else:
            end, length = self._buffer.find(b"\r\n.\r\n", max(0, self._searched - 4)), 5
            self._searched = len(self._buffer)
        if end < 0:
            return False
        content = bytes(self._buffer[: end + length - 3])
        del self._buffer[: end + length]
        self._take = self._take_line
        unstuffed = content.replace(b"\r\n.", b"\r\n")
        self._end_of_mail(unstuffed[1:] if unstuffed.startswith(b".") else unstuffed)
        return True

    def _take_chunk(self) -> bool:
        if len(self._buffer) < self._chunk:
            return False
        chunk = bytes(self._buffer[: self._chunk])
        del self._buffer[: self._chunk]
        self._take = self._take_line
        self._end_of_chunk(chunk)
        return True

    def _take_token(self) -> bool:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            return False
        token = bytes(self._buffer[:end]).decode("ascii", "replace")
        del self._buffer[: end + 2]
        self._take = self._take_line
        self._log_in(token)
        return True

    # Output -----------------------------------------------------------------------------------------------------

    def _answer(self, step: str, line: str, usual: bytes, then: Callable[[], None] | None = None) -> bool:
        """
        Answer as the script has it, else as usual; tell whether the step is done. `then` follows an answer that does.
        """
        act = self._script.act(step, line, self.server.seen)
        delay = self._script.delay(step)
        match act:
            case Silence():
                self._held = True
                return False
            case Cut():
                self._held = True
                self._later(delay, self._wire.loseConnection)
                return True
            case Say(raw):
                done = raw[:1] == usual[:1] and usual[:1] in b"23"
            case None:
                raw, done = usual, True
        self._held = True
        self._later(delay, lambda: self._send(raw, then if done else None))
        return done

    def _later(self, delay: float, call: Callable[[], None]) -> None:
        if not delay:
            call()
            return
        if self.server.clock is None:
            raise RuntimeError("a slow answer needs a clock: MockSmtpServer().….build(clock)")
        self._timers = [timer for timer in self._timers if timer.active()]
        self._timers.append(self.server.clock.callLater(delay, call))

    def _send(self, raw: bytes, then: Callable[[], None] | None) -> None:
        """
        Write an answer, in pieces if the script wants that, then go on; what has come meanwhile is taken behind it.
        """
        size = self._script.piece or len(raw)
        self._wire.write(raw[:size])
        rest = raw[size:]
        if rest and self.server.clock is not None:
            self._held = True
            self._timers.append(self.server.clock.callLater(0, self._send, rest, then))
        elif rest:
            self._send(rest, then)
        elif then is not None:
            then()
        else:
            self._held = False
            self._go_on()

    def _write(self, raw: bytes) -> None:
        self._send(raw, None)
