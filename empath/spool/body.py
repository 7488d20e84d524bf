"""
Reading the bodies of stored messages, piece by piece.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from empath.errors import SpoolError
from empath.interfaces import IBodyReader, InThread
from empath.spool.files import PIECE

CLOSED: Final = "the body is closed (it was replaced, or the message judged), or is being read"


@implementer(IBodyReader)
class BodyInMemory:
    """
    A body that is at hand.
    """

    def __init__(self, body: bytes) -> None:
        self._rest = memoryview(body)
        self._closed = False

    def read(self) -> Awaitable[bytes]:
        """
        As `IBodyReader.read`.
        """
        if self._closed:
            return fail(SpoolError(CLOSED))
        piece, self._rest = self._rest[:PIECE], self._rest[PIECE:]
        return succeed(bytes(piece))

    def close(self) -> None:
        """
        As `IBodyReader.close`.
        """
        self._closed = True
        self._rest = memoryview(b"")


@implementer(IBodyReader)
class BodyLost:
    """
    A body that cannot be read; every read tells why.
    """

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def read(self) -> Awaitable[bytes]:
        """
        As `IBodyReader.read`.
        """
        return fail(SpoolError(self._reason))

    def close(self) -> None:
        """
        As `IBodyReader.close`.
        """


@implementer(IBodyReader)
class BodyInFile:
    """
    A body of `size` bytes in a content file, read in `in_thread`; one read at a time. A file that ends before is
    trouble: who took that for the end would send half a message. What is behind is read, too, unless the file `grows`.
    """

    def __init__(self, path: str, size: int, in_thread: InThread[Any], grows: bool = False) -> None:
        self._path = path
        self._left = size
        self._grows = grows
        self._in_thread = in_thread
        self._descriptor: int | None = None
        self._reading = False
        self._closed = False

    def read(self) -> Awaitable[bytes]:
        """
        As `IBodyReader.read`.
        """
        if self._closed or self._reading:
            return fail(SpoolError(CLOSED))
        self._reading = True
        told: Deferred[bytes] = Deferred()  # ours: the thread goes on though the caller cancels
        self._in_thread(self._next).addBoth(self._read, told)
        return told

    def close(self) -> None:
        """
        As `IBodyReader.close`; a read that is under way ends first.
        """
        self._closed = True
        if not self._reading:
            self._let_go()

    def _next(self) -> bytes:
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            piece = os.read(self._descriptor, min(PIECE, self._left) if self._grows else PIECE)
        except OSError as failure:
            raise SpoolError(f"the content cannot be read: {failure}") from failure
        self._left -= len(piece)
        if not piece and self._left > 0:
            raise SpoolError(f"the content cannot be read: its last {self._left} bytes are missing")
        return piece

    def _read(self, result: Any, told: Deferred[bytes]) -> None:
        self._reading = False
        if self._closed:
            self._let_go()
            result = Failure(SpoolError(CLOSED))  # what was read may be another body's
        if not told.called:
            told.callback(result)  # a Failure fails it

    def _let_go(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


@implementer(IBodyReader)
class BodyBeingWritten:
    """
    A body in a content file that is not finished; `flush` brings what is still in memory into the file.
    """

    def __init__(self, flush: Callable[[], Deferred[None]], body: BodyInFile) -> None:
        self._flush = flush
        self._body = body
        self._flushed = False

    def read(self) -> Awaitable[bytes]:
        """
        As `IBodyReader.read`.
        """
        return self._body.read() if self._flushed else Deferred.fromCoroutine(self._first())

    def close(self) -> None:
        """
        As `IBodyReader.close`.
        """
        self._flushed = True
        self._body.close()

    async def _first(self) -> bytes:
        await self._flush()
        self._flushed = True
        return await self._body.read()
