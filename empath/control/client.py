"""
Ask a running empath, from any Python program: blocking, and without Twisted.

    with ControlClient("/run/empath/control.sock") as empath:
        print(empath.ask(Ping()).version)
        for page in empath.walk(ListQueue(Filter(domain="example.org"))):
            for item in page.items:
                print(item.queue_id, item.why)

What can be asked is in `empath.control.terms`. What can go wrong is a `ControlError` of `empath.control.faults`.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import stat
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Final, TypeVar

import attrs

from empath.control import protocol
from empath.control.boxes import Box, BoxMalformed, BoxReader, BoxTooLarge, from_values, octets_of
from empath.control.faults import (
    ConnectionLost,
    NotPermitted,
    ServerFault,
    TimedOut,
    TooLarge,
    Unreachable,
    fault_of,
)
from empath.control.terms.asking import Ask, Follow

A = TypeVar("A")
P = TypeVar("P")

CHUNK: Final = 262_144
CONNECT_PAUSE: Final = 0.02  # seconds
MAX_PATH: Final = 107  # octets of a UNIX socket's path


class ControlClient:
    """
    Asks one empath at the socket `path`, over one connection that is made when it is needed, and made again after it
    broke. `timeout` is how many seconds of silence it bears. Not to be used by two threads at once.
    """

    def __init__(
        self, path: str | os.PathLike[str], token: str | None = None, timeout: float = protocol.CLIENT_TIMEOUT
    ) -> None:
        self.path = os.fspath(path)
        self.timeout = timeout
        self._token = token or ""
        self._number = 0
        self._socket: socket.socket | None = None
        self._reader = BoxReader(protocol.MAX_RESPONSE)
        self._boxes: list[Box] = []

    def __enter__(self) -> ControlClient:
        """
        Give the client itself; it connects when something is asked.
        """
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """
        Close the connection.
        """
        self.close()

    def close(self) -> None:
        """
        Close the connection, and with it what is still being answered. The next request opens another one.
        """
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._boxes.clear()

    def ask(self, request: Ask[A]) -> A:
        """
        Give the answer. ControlError if there is none.
        """
        return self._asked(request, None)

    def follow(self, request: Follow[A, P], on_piece: Callable[[P], object]) -> A:
        """
        Hand each piece to `on_piece` as it comes, and give the answer. An exception of `on_piece`, KeyboardInterrupt
        for one, hangs up, which ends the request at the server.
        """
        return self._asked(request, on_piece)

    def walk(self, request: Ask[A]) -> Iterator[A]:
        """
        Give page after page of a listing, from the one that `request` asks for to the last.
        """
        after: str | None = None
        while after != "":
            page = self.ask(request)
            after = page.after  # type: ignore[attr-defined]  # listings have it, their requests too
            request = attrs.evolve(request, after=after)  # type: ignore[misc]
            yield page

    def _asked(self, request: Ask[A], on_piece: Callable[[Any], object] | None) -> A:
        self._number += 1
        tag = b"%x" % self._number
        octets = octets_of(protocol.asking(tag, self._number, request, self._token))
        if len(octets) > protocol.MAX_REQUEST:
            raise TooLarge(
                f"the request has {len(octets)} octets, and may have {protocol.MAX_REQUEST}: give less at a time"
            )
        try:
            self._send(octets)
            box = self._answer_to(tag, request, on_piece)
        except BaseException:
            self.close()  # whatever still comes belongs to what nobody waits for
            raise
        if b"_error" in box:
            raise fault_of(box.get(b"_error_code", b""), box.get(b"_error_description", b""))
        try:
            return protocol.decoded(from_values(protocol.JSON, box) or b"", request.answer)
        except ValueError as trouble:
            raise ServerFault(f"the answer to {request.verb} is not understood: {trouble}") from trouble

    def _answer_to(self, tag: bytes, request: Ask[Any], on_piece: Callable[[Any], object] | None) -> Box:
        """
        Read on until the answer, or the error that stands for it.
        """
        while True:
            box = self._box()
            if tag in (box.get(b"_answer"), box.get(b"_error")):
                return box
            if box.get(b"_command") != protocol.PIECE_COMMAND:
                raise ServerFault("the server sent what was not asked for")
            content = from_values(protocol.JSON, box)
            if content is not None and on_piece is not None and isinstance(request, Follow):
                on_piece(protocol.decoded(content, request.piece))
            self._write(octets_of({b"_answer": box.get(b"_ask", b"")}))

    def _send(self, octets: bytes) -> None:
        """
        Send a request; over a new connection, where the old one was closed since the last answer.
        """
        if self._socket is not None and (self._boxes or _readable(self._socket)):
            self.close()
        if self._socket is None:
            self._connect()
        self._write(octets)

    def _connect(self) -> None:
        self._reader = BoxReader(protocol.MAX_RESPONSE)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(self.timeout)
            _dial(connection, self.path, time.monotonic() + self.timeout)
        except OSError as trouble:
            connection.close()
            raise unreachable(self.path, trouble) from trouble
        self._socket = connection

    def _write(self, octets: bytes) -> None:
        if self._socket is None:
            raise ConnectionLost("the connection is closed")
        try:
            self._socket.sendall(octets)
        except TimeoutError as trouble:
            raise self._silent() from trouble
        except OSError:  # what it said before it hung up is still there to be read
            return

    def _box(self) -> Box:
        while not self._boxes:
            octets = self._read()
            if not octets:
                raise ConnectionLost(
                    f"the connection to {self.path} ended before the answer: empath stopped, or was restarted; what "
                    "was asked may have been done"
                )
            try:
                self._boxes = self._reader.feed(octets)
            except BoxTooLarge as trouble:
                raise TooLarge(f"the answer has more than {protocol.MAX_RESPONSE} octets: ask for less") from trouble
            except BoxMalformed as trouble:
                raise ServerFault(f"at {self.path} is something that is not empath: {trouble}") from trouble
        return self._boxes.pop(0)

    def _read(self) -> bytes:
        if self._socket is None:
            return b""
        try:
            return self._socket.recv(CHUNK)
        except TimeoutError as trouble:
            raise self._silent() from trouble
        except OSError:
            return b""

    def _silent(self) -> TimedOut:
        return TimedOut(
            f"empath at {self.path} was silent for {self.timeout:g} seconds: it may be overloaded (see its log), or "
            "needs longer for this; what was asked may still be done"
        )


def _dial(connection: socket.socket, path: str, until: float) -> None:
    """
    Connect; while too many wait there already, which the kernel says at once, try again.
    """
    while True:
        try:
            connection.connect(path)
            return
        except BlockingIOError:
            if time.monotonic() >= until:
                raise
            time.sleep(CONNECT_PAUSE)


def _readable(connection: socket.socket) -> bool:
    poll = select.poll()  # select() knows no descriptor above 1,023
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return True  # gone meanwhile


def unreachable(path: str, trouble: OSError) -> Unreachable | NotPermitted:
    """
    Say why nobody could be asked at a socket, and what to do.
    """
    if isinstance(trouble, PermissionError):
        return NotPermitted(f"you may not use {path}: only the user that empath runs as, and root, may")
    if len(os.fsencode(path)) > MAX_PATH:
        return Unreachable(f"{path} is longer than the {MAX_PATH} octets that a socket's path may have")
    reasons = {
        errno.ENOENT: "it does not exist: empath does not run, or has another control_socket",
        errno.ENOTDIR: "its folder is no folder",
        errno.ECONNREFUSED: "nobody answers: empath does not run (it left this socket behind when it was killed)"
        if _is_socket(path)
        else "it is no socket",
        errno.EAGAIN: "too many connections wait there: empath may be overloaded, see its log",
        errno.EPROTOTYPE: "it is not empath's",
    }
    reason = "nobody answered in time" if isinstance(trouble, TimeoutError) else reasons.get(trouble.errno or 0)
    return Unreachable(f"no empath at {path}: {reason or trouble.strerror or trouble}")
