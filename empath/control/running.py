"""
One request while it is answered: its time, its pieces, and what became of it.

Nothing here is fatal: what goes wrong in answering is told to the peer and, where it is our own fault, logged.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from empath.control import protocol
from empath.control.protocol import Code
from empath.control.serving import Answer, Call, Caller, NotFound, Refused
from empath.control.terms.asking import Ask, Follow
from empath.errors import EmpathError

log = Logger()

MAX_AHEAD: Final = 32  # pieces that the peer has not taken, from which on who tells is to wait
MAX_UNTAKEN: Final = 2048  # such pieces, with which a request ends


class Wrong(EmpathError):
    """
    A request that gets no answer, but this error.
    """

    def __init__(self, code: Code, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.code = code
        self.problems = problems


@attrs.frozen(slots=True, eq=False)
class Understood:
    """
    A request that can be answered, and by whom.
    """

    request: Ask[Any]
    answer: Answer

    @property
    def follows(self) -> bool:
        """
        Whether pieces come before the answer.
        """
        return isinstance(self.request, Follow)


class Running:
    """
    Answers one request. `send_piece` sends a piece, or with None a sign of life; whatever it sends is taken by the
    peer sooner or later, and `taken` is called then.

    A request to which no pieces come has `SERVER_TIMEOUT` seconds. One with pieces has any time, as long as the peer
    takes each of them within that.
    """

    def __init__(self, understood: Understood, clock: IReactorTime, send_piece: Callable[[bytes | None], None]) -> None:
        self._understood = understood
        self._clock = clock
        self._send_piece = send_piece
        self._untaken = 0
        self._waiting: list[Deferred[None]] = []
        self._ended: Wrong | None = None
        self._taken_at = 0.0
        self._alarm: IDelayedCall | None = None
        self._working: Deferred[Any] | None = None

    async def result(self, caller: Caller) -> object:
        """
        Give the answer. Raises Wrong for what the peer is to hear, and whatever else `answer` raises.
        """
        self._taken_at = self._clock.seconds()
        follows = self._understood.follows
        self._alarm = self._clock.callLater(
            protocol.ALIVE_INTERVAL if follows else protocol.SERVER_TIMEOUT, self._look if follows else self._too_late
        )
        try:
            found = self._understood.answer(self._understood.request, Call(caller, self._tell))
            if isinstance(found, Awaitable):
                self._working = Deferred.fromCoroutine(_awaited(found))
                found = await self._working
            return found
        except NotFound as trouble:
            raise Wrong(Code.NOT_FOUND, *trouble.problems) from trouble
        except Refused as trouble:
            raise Wrong(Code.REFUSED, *trouble.problems) from trouble
        except CancelledError:
            if self._ended is None:
                raise
            raise self._ended from None
        finally:
            self._close()

    def end(self, why: Wrong) -> None:
        """
        Stop answering: the peer is gone, or wants it no more, or it takes too long.
        """
        if self._ended is None:
            self._ended = why
            if self._working is not None:
                self._working.cancel()

    def taken(self) -> None:
        """
        The peer has taken one piece.
        """
        self._untaken -= 1
        self._taken_at = self._clock.seconds()
        if self._untaken < MAX_AHEAD:
            self._wake()

    def _tell(self, term: object) -> Awaitable[None] | None:
        if self._ended is not None or self._alarm is None or not self._understood.follows:
            return None
        content = protocol.encoded(term)
        if len(content) > protocol.MAX_PIECE:
            raise ValueError(f"a piece of {len(content)} octets")
        self._send(content)
        if self._untaken >= MAX_UNTAKEN:
            self._clock.callLater(0, self.end, Wrong(Code.TIMED_OUT, "the client takes pieces too slowly"))
        if self._untaken < MAX_AHEAD:
            return None
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        return waiting

    def _send(self, content: bytes | None) -> None:
        self._untaken += 1
        self._send_piece(content)

    def _look(self) -> None:
        """
        See whether the peer takes what it is sent; if it has it all, show that we are at it.
        """
        if self._untaken == 0:
            self._taken_at = self._clock.seconds()
            self._send(None)
        elif self._clock.seconds() - self._taken_at > protocol.SERVER_TIMEOUT:
            self._too_late()
            return
        self._alarm = self._clock.callLater(protocol.ALIVE_INTERVAL, self._look)

    def _too_late(self) -> None:
        seconds = f"{protocol.SERVER_TIMEOUT:.0f} seconds"
        if self._understood.follows:
            self.end(Wrong(Code.TIMED_OUT, f"the client took no piece of the answer for {seconds}"))
        else:
            self.end(Wrong(Code.TIMED_OUT, f"there was no answer within {seconds}: ask for less, or look into the log"))

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.called:
                each.callback(None)

    def _close(self) -> None:
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()
        self._alarm = None
        self._wake()


async def _awaited(found: Awaitable[Any]) -> Any:
    return await found
