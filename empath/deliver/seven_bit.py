"""
Content on its way to a server that takes 7 bits only: what it becomes, and how large.

Fatal: nothing. Retried: a spool that cannot be read. Content that must not be changed goes as it is, and the session
refuses it for its host.
"""

from __future__ import annotations

import attrs
from twisted.logger import Logger
from zope.interface import implementer

from empath.deliver.streaming import UNREADABLE, OpenBody
from empath.errors import SpoolError
from empath.interfaces import IBodyReader
from empath.mail.message import Message
from empath.mail.outcome import TransientFailure
from empath.mail.seven_bit import Converter, NotConvertible

log = Logger()


@implementer(IBodyReader)
class ConvertingReader:
    """
    A whole message as 7 bits, without its first `skipped` bytes; `reader` gives its body. NotConvertible is raised by
    `read`.
    """

    def __init__(self, message: Message, reader: IBodyReader, skipped: int = 0) -> None:
        self._reader = reader
        self._skipped = skipped
        self._converter = Converter()
        self._ready = self._converter.feed(message.header)
        self._ended = False

    async def read(self) -> bytes:
        """
        Give the next piece; see `IBodyReader`.
        """
        ready = self._kept(self._ready)
        self._ready = b""
        while not ready and not self._ended:
            piece = await self._reader.read()
            self._ended = not piece
            ready = self._kept(self._converter.feed(piece) if piece else self._converter.finish())
        return ready

    def _kept(self, ready: bytes) -> bytes:
        skipped = min(self._skipped, len(ready))
        self._skipped -= skipped
        return ready[skipped:] if skipped else ready

    def close(self) -> None:
        """
        Let go of the body.
        """
        self._reader.close()


class SevenBit:
    """
    One message for 7-bit servers. It is converted once if it is small; what lies in a file is measured once, since its
    size has to be told before, and converted again each time it goes.
    """

    def __init__(self, message: Message, open_body: OpenBody) -> None:
        self._message = message
        self._open_body = open_body
        self._made: Message | TransientFailure | None = None
        self._header = 0  # bytes of the converted one
        self._done = False

    async def make(self) -> Message | TransientFailure | None:
        """
        Give the message that goes instead, with its header as it is then: a small one whole, another with its body read
        by `open_body`. None: it must not be converted.
        """
        if not self._done:
            self._made = await self._convert()
            self._done = not isinstance(self._made, TransientFailure)
        return self._made

    def open_body(self, _made: Message) -> IBodyReader:
        """
        Read the converted body of a message that lies in a file.
        """
        return ConvertingReader(self._message, self._open_body(self._message), self._header)

    async def _convert(self) -> Message | TransientFailure | None:
        message = self._message
        try:
            if message.body is not None:
                return _whole(message, message.body)
            header, size = await self._measure()
            self._header = len(header)
            return attrs.evolve(message, header=header, size=size, eight_bit=False)
        except NotConvertible:
            return None
        except SpoolError as fault:
            log.error("{queue_id}: content cannot be read: {fault}", queue_id=message.queue_id, fault=fault)
            return UNREADABLE

    async def _measure(self) -> tuple[bytes, int]:
        """
        Give the converted header, and the size of all.
        """
        reader = self._open_body(self._message)
        try:
            converting = ConvertingReader(self._message, reader)
            begin, size, found = b"", 0, -1
            while piece := await converting.read():
                size += len(piece)
                if found < 0:
                    begin += piece
                    found = _end_of_header(begin)
            return begin if found < 0 else begin[:found], size
        finally:
            reader.close()


def _whole(message: Message, body: bytes) -> Message:
    converter = Converter()
    content = converter.feed(message.header) + converter.feed(body) + converter.finish()
    end = _end_of_header(content)
    header, body = (content, b"") if end < 0 else (content[:end], content[end:])
    return attrs.evolve(message, header=header, body=body, size=len(content), eight_bit=False)


def _end_of_header(content: bytes) -> int:
    """
    Tell where the empty line is that begins the body, -1 for nowhere.
    """
    if content.startswith(b"\r\n"):
        return 0
    end = content.find(b"\r\n\r\n")
    return end + 2 if end >= 0 else -1
