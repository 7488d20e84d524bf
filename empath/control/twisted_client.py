"""
Ask a running empath, from a program that runs on Twisted: as `empath.control.client`, with Deferreds.

    empath = await connect(reactor, "/run/empath/control.sock")
    print((await empath.ask(Ping())).version)

Requests may overlap. What can go wrong is a `ControlError` of `empath.control.faults`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from empath.control import protocol
from empath.control.boxes import Box, BoxMalformed, BoxReader, from_values, octets_of
from empath.control.client import MAX_PATH, unreachable
from empath.control.faults import ConnectionLost, ControlError, ServerFault, TimedOut, TooLarge, fault_of
from empath.control.terms.asking import Ask, Follow

A = TypeVar("A")
P = TypeVar("P")


@attrs.define(slots=True, eq=False)
class _Asked:
    """
    A request that has no answer yet.
    """

    request: Ask[Any]
    answer: Deferred[Any]
    on_piece: Callable[[Any], object] | None
    silence: IDelayedCall | None = None


class TwistedControlClient(Protocol):
    """
    One connection to an empath; see `connect`. `timeout` is how many seconds of silence a request bears.

    Cancelling a Deferred ends its request at the server. Nothing connects again by itself.
    """

    transport: ITransport

    def __init__(self, clock: IReactorTime, token: str | None, timeout: float) -> None:
        self._clock = clock
        self._token = token or ""
        self._timeout = timeout
        self._number = 0
        self._reader = BoxReader(protocol.MAX_RESPONSE)
        self._asked: dict[int, _Asked] = {}
        self._lost: ControlError | None = None

    def ask(self, request: Ask[A]) -> Deferred[A]:
        """
        Fires with the answer; fails with a ControlError if there is none.
        """
        return self._ask(request, None)

    def follow(self, request: Follow[A, P], on_piece: Callable[[P], object]) -> Deferred[A]:
        """
        Hand each piece to `on_piece` as it comes; fires with the answer. An exception of `on_piece` ends the request.
        """
        return self._ask(request, on_piece)

    def close(self) -> None:
        """
        Close the connection; what has no answer fails with ConnectionLost.
        """
        self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        """
        Read on; what is no box ends the connection.
        """
        try:
            for box in self._reader.feed(data):
                self._take(box)
        except BoxMalformed as trouble:
            self._lost = ServerFault(f"what is there is not empath: {trouble}")
            self.transport.abortConnection()  # type: ignore[attr-defined]  # UNIX transports have it

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Fail all that has no answer.
        """
        lost = self._lost = self._lost or ConnectionLost(
            "the connection ended before the answer: empath stopped, or was restarted; what was asked may have been "
            "done"
        )
        for number in tuple(self._asked):
            self._end(number, Failure(lost))

    def _ask(self, request: Ask[A], on_piece: Callable[[Any], object] | None) -> Deferred[A]:
        self._number += 1
        number = self._number
        answer: Deferred[A] = Deferred(lambda _: self._cancel(number))
        octets = octets_of(protocol.asking(b"%x" % number, number, request, self._token))
        if self._lost is not None:
            answer.errback(self._lost)
        elif len(octets) > protocol.MAX_REQUEST:
            answer.errback(
                TooLarge(f"the request has {len(octets)} octets, and may have {protocol.MAX_REQUEST}: ask for less")
            )
        else:
            self._asked[number] = asked = _Asked(request, answer, on_piece)
            asked.silence = self._clock.callLater(self._timeout, self._silent, number)
            self.transport.write(octets)
        return answer

    def _take(self, box: Box) -> None:
        if box.get(b"_command") == protocol.PIECE_COMMAND:
            self.transport.write(octets_of({b"_answer": box.get(b"_ask", b"")}))
            self._take_piece(_number(box.get(protocol.NUMBER, b""), 10), box)
            return
        number = _number(box.get(b"_answer") or box.get(b"_error") or b"", 16)
        asked = self._asked.get(number)
        if asked is None:
            return  # an answer that is waited for no more
        if b"_error" in box:
            self._end(number, Failure(fault_of(box.get(b"_error_code", b""), box.get(b"_error_description", b""))))
            return
        try:
            self._end(number, protocol.decoded(from_values(protocol.JSON, box) or b"", asked.request.answer))
        except ValueError as trouble:
            self._end(number, Failure(ServerFault(f"the answer to {asked.request.verb} is not understood: {trouble}")))

    def _take_piece(self, number: int, box: Box) -> None:
        asked = self._asked.get(number)
        if asked is None:
            return
        if asked.silence is not None:
            asked.silence.reset(self._timeout)
        content = from_values(protocol.JSON, box)
        if content is None or asked.on_piece is None or not isinstance(asked.request, Follow):
            return
        try:
            asked.on_piece(protocol.decoded(content, asked.request.piece))
        except Exception:
            self._stop(number)
            self._end(number, Failure())

    def _silent(self, number: int) -> None:
        self._stop(number)
        trouble = TimedOut(f"empath was silent for {self._timeout:g} seconds; what was asked may still be done")
        self._end(number, Failure(trouble))

    def _cancel(self, number: int) -> None:
        if self._forget(number) is not None:
            self._stop(number)

    def _stop(self, number: int) -> None:
        """
        Tell the server that nobody waits any more.
        """
        if self._lost is None:
            self.transport.write(octets_of({b"_command": protocol.CANCEL_COMMAND, protocol.NUMBER: b"%d" % number}))

    def _forget(self, number: int) -> _Asked | None:
        asked = self._asked.pop(number, None)
        if asked is not None and asked.silence is not None and asked.silence.active():
            asked.silence.cancel()
        return asked

    def _end(self, number: int, result: Any) -> None:
        asked = self._forget(number)
        if asked is not None:
            asked.answer.callback(result)


async def connect(
    reactor: Any, path: str, token: str | None = None, timeout: float = protocol.CLIENT_TIMEOUT
) -> TwistedControlClient:
    """
    Connect to the empath whose control socket is at `path`. Unreachable or NotPermitted if that cannot be.
    """
    if len(os.fsencode(path)) > MAX_PATH:  # Twisted would log it as a fault, and wait until the end of its time
        raise unreachable(path, OSError(errno.ENAMETOOLONG, ""))
    client = TwistedControlClient(reactor, token, timeout)
    try:
        await connectProtocol(UNIXClientEndpoint(reactor, path, timeout), client)
    except ConnectError as trouble:
        raise unreachable(path, OSError(trouble.osError or 0, str(trouble))) from trouble
    return client


def _number(octets: bytes, base: int) -> int:
    try:
        return int(octets, base)
    except ValueError:
        return 0
