"""
Content on its way into the spool in memory.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from empath.errors import SpoolError, SpoolFull
from empath.interfaces import IBodyReader, IContentWriter
from empath.mail.idempotency import Claim
from empath.mail.message import Delivery, Message
from empath.spool.body import BodyInMemory, BodyLost


class _Spool(Protocol):
    inline_limit: int
    pending_bytes: int

    def has_room(self, size: int) -> bool: ...

    def insert(
        self, message: Message, deliveries: tuple[Delivery, ...], body: bytes, claim: Claim | None = None
    ) -> Deferred[None]: ...


@implementer(IContentWriter)
class MemoryWriter:
    """
    One message's content; beyond the inline limit it says that it lies in a file, as the real one does.
    """

    def __init__(self, queue_id: str, spool: _Spool) -> None:
        self.size = 0
        self.body_file: str | None = None
        self._queue_id = queue_id
        self._spool = spool
        self._pieces: list[bytes] = []
        self._ended = False

    @property
    def body(self) -> bytes | None:
        """
        All of it, while it is small.
        """
        return None if self.body_file is not None else b"".join(self._pieces)

    def write(self, data: bytes) -> Awaitable[None] | None:
        """
        As `IContentWriter.write`; never has to wait.
        """
        if self._ended:
            raise SpoolError("the writer of this content has ended")
        if not self._spool.has_room(len(data)):
            self.abort()
            raise SpoolFull("the spool in memory is full")
        self._pieces.append(data)
        self.size += len(data)
        self._spool.pending_bytes += len(data)
        if self.size > self._spool.inline_limit:
            self.body_file = self._queue_id
        return None

    def open(self) -> IBodyReader:
        """
        As `IContentWriter.open`.
        """
        return BodyLost("the content is gone") if self._ended else BodyInMemory(b"".join(self._pieces))

    def clear(self) -> Awaitable[None] | None:
        """
        As `IContentWriter.clear`; never has to wait.
        """
        if self._ended:
            raise SpoolError("the writer of this content has ended")
        self._spool.pending_bytes -= self.size
        self._pieces = []
        self.size = 0
        return None

    def commit(self, message: Message, deliveries: tuple[Delivery, ...], claim: Claim | None = None) -> Deferred[None]:
        """
        As `IContentWriter.commit`.
        """
        if self._ended:
            return fail(SpoolError("the writer of this content has ended"))
        body = b"".join(self._pieces)
        self.abort()
        return self._spool.insert(message, deliveries, body, claim)

    def abort(self) -> None:
        """
        As `IContentWriter.abort`.
        """
        if not self._ended:
            self._ended = True
            self._spool.pending_bytes -= self.size
            self._pieces = []
