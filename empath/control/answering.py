"""
From a request as it came to the box of its answer, or of the error that stands for it; each is accounted for.

Nothing here is fatal, and nothing is raised: our own faults are logged, and the peer is told where.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import CancelledError, Deferred

from empath.control import protocol
from empath.control.boxes import Box
from empath.control.protocol import Asked, Code
from empath.control.running import Running, Understood, Wrong
from empath.control.serving import Caller
from empath.control.telling import Outcome, done, same
from empath.control.terms.asking import Ask

if TYPE_CHECKING:
    from empath.control.server import ControlServer

MAX_REMEMBERED: Final = 1000
MAX_NUMBER: Final = 20  # octets of a request's number
MARGIN: Final = 100_000  # octets of an answer's box around its JSON, more than enough
RESULTS: Final = dict.fromkeys(Code, "refused") | {
    Code.NOT_FOUND: "not-found",
    Code.NOT_ALLOWED: "not-allowed",
    Code.CANCELLED: "cancelled",
    Code.TIMED_OUT: "failed",
}

Peer = tuple[int | None, int | None]
"""
The user id and process id of who asks.
"""


class Seen:
    """
    What a connection asked, and changed nothing by: live views ask the same every second, and it is told once.
    """

    def __init__(self) -> None:
        self._keys: set[bytes] = set()

    def again(self, request: Ask[Any]) -> bool:
        """
        Tell whether this was asked before, and remember it.
        """
        if request.changes:
            return False
        key = same(request)
        if key in self._keys:
            return True
        if len(self._keys) >= MAX_REMEMBERED:
            self._keys.clear()
        self._keys.add(key)
        return False


class Serving:
    """
    One request of a connection. `send_piece` sends a piece of it (None: a sign of life) under its number.
    """

    __slots__ = ("_running", "_send_piece", "deferred", "number")

    def __init__(self, number: bytes, send_piece: Callable[[Running, bytes, bytes | None], None]) -> None:
        self.number = number
        self.deferred: Deferred[None] | None = None
        self._running: Running | None = None
        self._send_piece = send_piece

    def cancel(self, why: Wrong | None = None) -> None:
        """
        Answer it no more; `why` is what the peer is told.
        """
        if why is not None and self._running is not None:
            self._running.end(why)
        elif self.deferred is not None:
            self.deferred.cancel()

    async def answer(self, server: ControlServer, peer: Peer, tag: bytes, asked: Asked, seen: Seen) -> Box:
        """
        Answer it, or say why there is no answer, and tell that it was asked.
        """
        began = server.clock.seconds()
        caller, understood, again = Caller(*peer), None, False
        try:
            server.check_version(asked)
            caller = await server.admit(await server.caller(*peer), asked.token)
            understood = server.understand(asked)
            content = _bounded(protocol.encoded(await self._run(understood, asked, server).result(caller)))
            box, result, detail = protocol.answering(tag, content), "ok", done(understood.request, content)
            again = seen.again(understood.request)
        except Wrong as wrong:
            box, result, detail = protocol.refusing(tag, wrong.code, *wrong.problems), RESULTS[wrong.code], str(wrong)
        except CancelledError:
            detail = "it was cancelled, or empath stops"
            box, result = protocol.refusing(tag, Code.CANCELLED, detail), "cancelled"
        except Exception:
            detail = f"a fault of empath's own: its log tells more at {server.fault(asked.verb)!r}"
            box, result = protocol.refusing(tag, Code.FAULT, detail), "failed"
        if not again:
            server.account(caller, asked, understood, Outcome(result, detail, server.clock.seconds() - began))
        return box

    def _run(self, understood: Understood, asked: Asked, server: ControlServer) -> Running:
        number = asked.number
        if understood.follows and (not number or len(number) > MAX_NUMBER):
            raise Wrong(Code.REFUSED, f"{asked.verb} needs a number, under which its pieces come")
        self._running = running = Running(understood, server.clock, self._piece)
        return running

    def _piece(self, content: bytes | None) -> None:
        if self._running is not None:
            self._send_piece(self._running, self.number, content)


def _bounded(content: bytes) -> bytes:
    if len(content) > protocol.MAX_RESPONSE - MARGIN:
        raise Wrong(Code.TOO_LARGE, f"the answer has {len(content)} octets: ask for less at a time")
    return content
