"""
The content of a message that has come in, as modules read and change it before it is stored.

Fatal: nothing. What cannot be stored, or makes the message too large, is the answer to the final dot.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from twisted.internet.defer import Deferred
from zope.interface import implementer

from empath.errors import SpoolError
from empath.interfaces import IBodyReader, IContent, IContentWriter, IJudgedContent
from empath.mail.reply import Reply
from empath.receive.fields import Fields, are_lines, check_lines
from empath.receive.replies import LOCAL_ERROR, TOO_LARGE

ENDED: Final = "the message has been judged: its content cannot be changed any more"


@implementer(IJudgedContent)
class Content(Fields):
    """
    Header block and body of one message; the body is what `writer` was given, `body_eight` tells whether any octet of
    it is 128 or greater. What is not ASCII stays so in fields that are added if `utf8`. `limit` bounds the whole in
    octets, 0 does not.

    `fault` is why the message cannot be taken as it was made. After `close` nothing changes any more.
    """

    __slots__ = ("_body_eight", "_changes", "_closed", "_limit", "_readers", "_replaced", "_writer", "fault")

    def __init__(self, block: bytes, writer: IContentWriter, body_eight: bool, utf8: bool, limit: int) -> None:
        super().__init__(block, utf8)
        self._writer = writer
        self._body_eight = body_eight
        self._limit = max(limit, self.size) if limit else 0  # what was mended in it counts for nobody else
        self._readers: list[IBodyReader] | None = None
        self._changes = 0  # to the body
        self._replaced = False
        self._closed = False
        self.fault: Reply | SpoolError | None = None

    @property
    def size(self) -> int:
        """
        As `IContent.size`.
        """
        return self._header_size() + int(self._writer.size)

    @property
    def eight_bit(self) -> bool:
        """
        As `IContent.eight_bit`.
        """
        return self._body_eight or not self.header.isascii()

    @property
    def body(self) -> bytes | None:
        """
        As `IContent.body`.
        """
        body: bytes | None = self._writer.body
        return body

    def open(self) -> IBodyReader:
        """
        As `IContent.open`.
        """
        reader: IBodyReader = self._writer.open()
        self._readers = [*(self._readers or ()), reader]
        return reader

    def append(self, data: bytes) -> Awaitable[None] | None:
        """
        As `IContent.append`.
        """
        check_lines(data)
        return self._write(data)

    def replace_body(self, data: bytes) -> Awaitable[None] | None:
        """
        As `IContent.replace_body`.
        """
        check_lines(data)
        self._open()
        try:
            waiting = self._writer.clear()
        except SpoolError as error:
            self.fault = error
            raise
        self._let_readers_go()
        self._changes += 1
        self._body_eight = False
        self._replaced = True
        if waiting is None:
            return self._write(data)
        return Deferred.fromCoroutine(self._written(waiting, data))

    @property
    def lines(self) -> bool:
        """
        Whether binary content has become text: another body is in its place, and the header block is no binary.
        """
        return self._replaced and are_lines(self.header)

    def mark(self) -> object:
        """
        As `IJudgedContent.mark`.
        """
        return self.header, self._changes, self.fault

    def put_back(self, mark: object) -> None:
        """
        As `IJudgedContent.put_back`: the header block. Of a body that was changed nothing is kept to put back, so the
        message is not taken.
        """
        assert isinstance(mark, tuple)
        header, changes, fault = mark
        super().put_back(header)
        if not isinstance(self.fault, SpoolError):
            self.fault = fault if changes == self._changes else fault or LOCAL_ERROR

    def shadow(self) -> IContent:
        """
        As `IJudgedContent.shadow`.
        """
        return ShadowContent(self)

    def close(self) -> None:
        """
        Let nothing read or change it any more.
        """
        self._block, self._header, self._stale = self.header, None, False
        self._closed = True
        self._let_readers_go()

    def _let_readers_go(self) -> None:
        readers, self._readers = self._readers, None
        for reader in readers or ():
            reader.close()

    def _changed(self) -> None:
        self._open()
        super()._changed()
        self._measure(0)

    def _open(self) -> None:
        if self._closed:
            raise SpoolError(ENDED)

    def _measure(self, more: int) -> bool:
        """
        Tell whether `more` octets may still come; one too many is the end of the message.
        """
        if self.size + more > self._limit > 0:
            self.fault = self.fault or TOO_LARGE
        return self.fault is None

    def _write(self, data: bytes) -> Awaitable[None] | None:
        """
        Add to the body, behind the empty line that every body begins with.
        """
        self._open()
        if data and not self._writer.size and not data.startswith(b"\r\n"):
            data = b"\r\n" + data
        if not data or not self._measure(len(data)):
            return None
        self._changes += 1
        self._body_eight = self._body_eight or not data.isascii()
        try:
            waiting: Awaitable[None] | None = self._writer.write(data)
        except SpoolError as error:
            self.fault = error
            raise
        return None if waiting is None else Deferred.fromCoroutine(self._written(waiting))

    async def _written(self, waiting: Awaitable[None], data: bytes = b"") -> None:
        try:
            await waiting
            further = self._write(data)
            if further is not None:
                await further
        except SpoolError as error:
            self.fault = self.fault or error
            raise


@implementer(IContent)
class ShadowContent(Fields):
    """
    The content as one sees it whose changes count for nothing: it sees its own changes to the header block, the body
    stays as it is.
    """

    __slots__ = ("_content",)

    def __init__(self, content: Content) -> None:
        super().__init__(content.header, content._utf8)
        self._content = content

    @property
    def size(self) -> int:
        """
        As `IContent.size`.
        """
        return self._header_size() + int(self._content._writer.size)

    @property
    def eight_bit(self) -> bool:
        """
        As `IContent.eight_bit`.
        """
        return self._content._body_eight or not self.header.isascii()

    @property
    def body(self) -> bytes | None:
        """
        As `IContent.body`.
        """
        return self._content.body

    def open(self) -> IBodyReader:
        """
        As `IContent.open`.
        """
        return self._content.open()

    def append(self, data: bytes) -> None:
        """
        As `IContent.append`; nothing comes of it.
        """
        check_lines(data)

    def replace_body(self, data: bytes) -> None:
        """
        As `IContent.replace_body`; nothing comes of it.
        """
        check_lines(data)
