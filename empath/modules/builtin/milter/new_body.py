"""
The body that a milter puts in the place of the client's, as it comes in.

MilterError for one that is too large. What the disk does not take raises OSError. Nothing is retried or ignored.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final

from empath.modules import IContent
from empath.modules.builtin.milter.codec import MilterError

IN_MEMORY: Final = 64 * 1024  # octets of a new body; more goes to a temporary file
_PIECE: Final = 64 * 1024


class NewBody:
    """
    A body of at most `limit` octets. All line ends become CRLF; a NUL, which no mail can carry and a client may have
    sent, is left out.
    """

    def __init__(self, in_thread: Callable[[Callable[[], Any]], Awaitable[Any]], limit: int) -> None:
        self._in_thread = in_thread
        self._limit = limit
        self._size = 0
        self._kept = b""  # a CR whose LF may come with the next piece
        self._last = b""
        self._file: IO[bytes] = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - `close` closes it

    def take(self, piece: bytes) -> Awaitable[None] | None:
        """
        Keep the next piece.
        """
        piece = self._kept + piece.replace(b"\0", b"")
        self._kept = piece[-1:] if piece.endswith(b"\r") else b""
        return self._write(_crlf(piece.removesuffix(b"\r")))

    async def give(self, content: IContent) -> None:
        """
        Put it in the place of the body there is.
        """
        ended = self._write((b"\r\n" if self._kept else b"") or (b"\r\n" if self._last not in (b"", b"\n") else b""))
        if ended is not None:
            await ended
        await self._read(lambda: self._file.seek(0))
        waiting = content.replace_body(b"\r\n")
        kept = b""
        while True:
            if waiting is not None:
                await waiting
            piece = await self._read(lambda: self._file.read(_PIECE))
            if not piece:
                return
            whole = kept + piece
            kept = b"\r" if whole.endswith(b"\r") else b""
            waiting = content.append(whole.removesuffix(b"\r"))

    def close(self) -> None:
        """
        Let go of it.
        """
        self._file.close()

    def _write(self, data: bytes) -> Awaitable[None] | None:
        self._size += len(data)
        if self._size > self._limit:
            raise MilterError(f"wants a body of more than {self._limit} octets")
        self._last = data[-1:] or self._last
        if self._size <= IN_MEMORY:
            self._file.write(data)
            return None
        return self._in_thread(lambda: self._file.write(data))

    async def _read(self, call: Callable[[], Any]) -> Any:
        return call() if self._size <= IN_MEMORY else await self._in_thread(call)


def _crlf(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
