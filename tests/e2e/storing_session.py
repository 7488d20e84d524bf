"""
What a storing server does on one connection, and what it keeps of it.
"""

from __future__ import annotations

import base64
import hashlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import BinaryIO, Final

import attrs

from tests.e2e.scripted import Action, Close, Hang, Say, Script, Wait

OK: Final = b"250 2.0.0 Ok\r\n"
DEFAULT_EXTENSIONS: Final = ("PIPELINING", "SIZE 1000000000", "8BITMIME", "ENHANCEDSTATUSCODES")
PIECE: Final = 65536


@attrs.frozen(slots=True)
class Stored:
    """
    One transaction that was taken: `content` is None where the server only counts; `digest` is its SHA-256.
    """

    mail: bytes
    rcpt: tuple[bytes, ...]
    content: bytes | None
    size: int
    digest: str
    at: float
    tls: bool
    login: str

    @property
    def recipients(self) -> tuple[str, ...]:
        """
        The forward-paths without their brackets.
        """
        return tuple(address(line) for line in self.rcpt)

    @property
    def sender(self) -> str:
        """
        The reverse-path without its brackets.
        """
        return address(self.mail)


def address(line: bytes) -> str:
    """
    Take what stands between the angle brackets of a MAIL or RCPT command.
    """
    return line[line.index(b"<") + 1 : line.rindex(b">")].decode("utf-8", "surrogateescape")


@attrs.define(slots=True)
class Options:
    """
    How a server presents itself; `context` offers STARTTLS, or TLS from the first byte when `implicit`.

    With `skip_trace` a Received header at the top counts neither for the size nor for the digest.
    """

    extensions: tuple[str, ...] = DEFAULT_EXTENSIONS
    context: ssl.SSLContext | None = None
    implicit: bool = False
    logins: dict[str, str] = attrs.field(factory=dict)
    keep_content: bool = True
    skip_trace: bool = False


@attrs.frozen(slots=True)
class Place:
    """
    What the sessions of one server share.
    """

    options: Options
    script: Script
    commands: list[bytes]
    keep: Callable[[Stored], None]


class Done(Exception):
    """
    The session is over.
    """


class Session:
    """
    One connection of a storing server, served in the thread that calls `run`; Done, OSError or ValueError end it.
    """

    def __init__(self, place: Place, connection: socket.socket, stopped: threading.Event) -> None:
        self._place = place
        self._options = place.options
        self._stopped = stopped
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        self._reader: BinaryIO = connection.makefile("rb")
        self._tls = False
        self._login = ""
        self._mail = b""
        self._rcpt: list[bytes] = []
        self._chunks: list[bytes] = []

    def run(self) -> None:
        """
        Serve until QUIT.
        """
        if self._options.implicit:
            self._encrypt()
        self._answer("CONNECT", b"", b"220 storing.test ESMTP\r\n")
        while True:
            line = self._line()
            self._place.commands.append(line)
            self._command(line[:4].upper().rstrip(), line)

    def _command(self, verb: bytes, line: bytes) -> None:
        match verb:
            case b"EHLO" | b"HELO":
                self._answer("EHLO", line, self._keywords() if verb == b"EHLO" else b"250 storing.test\r\n")
            case b"STAR":
                self._answer("STARTTLS", line, b"220 go ahead\r\n")
                self._encrypt()
            case b"AUTH":
                self._auth(line)
            case b"MAIL":
                self._start(line)
            case b"RCPT":
                if not self._mail:
                    self._socket.sendall(b"503 5.5.1 no sender\r\n")
                elif self._answer("RCPT", line, OK):
                    self._rcpt.append(line)
            case b"DATA":
                self._data(line)
            case b"BDAT":
                self._bdat(line)
            case b"RSET" | b"NOOP":
                if verb == b"RSET":
                    self._mail, self._rcpt, self._chunks = b"", [], []
                self._answer(verb.decode(), line, OK)
            case b"QUIT":
                self._answer("QUIT", line, b"221 2.0.0 Bye\r\n")
                raise Done
            case _:
                self._socket.sendall(b"500 5.5.2 what?\r\n")

    def _answer(self, step: str, line: bytes, usual: bytes) -> bool:
        """
        Answer as the script says, else `usual`; tell whether it was `usual`.
        """
        action = self._place.script.take(step, line)
        if action is not None:
            return self._deviate(action, usual)
        self._socket.sendall(usual)
        return True

    def _deviate(self, action: Action, usual: bytes) -> bool:
        match action:
            case Say(raw):
                self._socket.sendall(raw)
                return False
            case Wait(seconds):
                self._stopped.wait(seconds)
                self._socket.sendall(usual)
                return True
            case Hang():
                while not self._stopped.is_set() and self._socket.recv(PIECE):
                    pass
        raise Done

    def _keywords(self) -> bytes:
        words = list(self._options.extensions)
        if self._options.context is not None and not self._tls:
            words.append("STARTTLS")
        if self._options.logins:
            words.append("AUTH PLAIN LOGIN")
        lines = ["storing.test", *words]
        ends = ["-"] * (len(lines) - 1) + [" "]
        return "".join(f"250{end}{line}\r\n" for end, line in zip(ends, lines, strict=True)).encode()

    def _start(self, line: bytes) -> None:
        if self._options.logins and not self._login:
            self._socket.sendall(b"530 5.7.0 Authentication required\r\n")
        elif self._answer("MAIL", line, OK):
            self._mail, self._rcpt = line, []

    def _auth(self, line: bytes) -> None:
        words = line.split()
        if words[1].upper() != b"PLAIN":
            self._socket.sendall(b"504 5.5.4 only PLAIN\r\n")
            return
        if len(words) < 3:
            self._socket.sendall(b"334 \r\n")
        token = words[2] if len(words) > 2 else self._line()
        _, name, password = base64.b64decode(token).decode().split("\0")
        good = self._options.logins.get(name) == password
        if self._answer("AUTH", line, b"235 2.7.0 welcome\r\n" if good else b"535 5.7.8 no\r\n") and good:
            self._login = name

    def _data(self, line: bytes) -> None:
        if not self._rcpt:
            self._socket.sendall(b"503 5.5.1 no recipients\r\n")
        elif self._answer("DATA", line, b"354 go on\r\n"):
            self._end_of_data(*self._content())

    def _bdat(self, line: bytes) -> None:
        """
        Take a chunk (RFC 3030).
        """
        words = line.split()
        chunk = self._reader.read(int(words[1]))
        if len(chunk) != int(words[1]):
            raise Done
        if not self._rcpt:
            self._socket.sendall(b"503 5.5.1 no recipients\r\n")
            return
        self._chunks.append(chunk)
        if words[-1].upper() != b"LAST":
            self._answer("BDAT", line, OK)
            return
        content = b"".join(self._chunks)
        self._chunks = []
        kept = content if self._options.keep_content else None
        self._end_of_data(kept, len(content), hashlib.sha256(content).hexdigest())

    def _end_of_data(self, content: bytes | None, size: int, digest: str) -> None:
        action = self._place.script.take("CONTENT", b" ".join([self._mail, *self._rcpt]))
        if action is None or isinstance(action, (Close, Wait)):
            mail, rcpt = self._mail, tuple(self._rcpt)
            self._place.keep(Stored(mail, rcpt, content, size, digest, time.time(), self._tls, self._login))
        self._mail, self._rcpt = b"", []
        if action is None:
            self._socket.sendall(OK)
        else:
            self._deviate(action, OK)

    def _content(self) -> tuple[bytes | None, int, str]:
        kept: list[bytes] = []
        size = 0
        digest = hashlib.sha256()
        trace = self._options.skip_trace
        fresh = True  # at the start of a line: only here a dot means something
        while True:
            piece = self._piece()
            if fresh and piece == b".\r\n":
                return (b"".join(kept) if self._options.keep_content else None), size, digest.hexdigest()
            if fresh and piece.startswith(b"."):
                piece = piece[1:]
            trace = trace and piece.startswith((b"Received:", b" ", b"\t"))
            if trace:
                continue
            size += len(piece)
            digest.update(piece)
            if self._options.keep_content:
                kept.append(piece)
            fresh = piece.endswith(b"\r\n")

    def _piece(self) -> bytes:
        piece = self._reader.readline()
        if not piece.endswith(b"\n"):
            raise Done
        return piece

    def _line(self) -> bytes:
        """
        Read up to CRLF, which alone ends a line; gives the line without it.
        """
        line = self._piece()
        while not line.endswith(b"\r\n"):
            line += self._piece()
        return line[:-2]

    def _encrypt(self) -> None:
        if self._options.context is None:
            raise Done
        wrapped = self._options.context.wrap_socket(self._socket, server_side=True)
        self._socket = wrapped
        self._reader = wrapped.makefile("rb")
        self._tls = True
