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
    A whole message, header and all, as 7 bits; `reader` gives its body. NotConvertible is raised by `read`.
    """

    def __init__(self, message: Message, reader: IBodyReader) -> None:
        self._reader = reader
        self._converter = Converter()
        self._ready = self._converter.feed(message.header)
        self._ended = False

    async def read(self) -> bytes:
        """
        Give the next piece; see `IBodyReader`.
        """
        ready, self._ready = self._ready, b""
        while not ready and not self._ended:
            piece = await self._reader.read()
            self._ended = not piece
            ready = self._converter.feed(piece) if piece else self._converter.finish()
        return ready

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
        self._done = False

    async def make(self) -> Message | TransientFailure | None:
        """
        Give the message that goes instead: a small one as it is, another with its body read by `open_body`. None: it
        must not be converted.
        """
        if not self._done:
            self._made = await self._convert()
            self._done = not isinstance(self._made, TransientFailure)
        return self._made

    def open_body(self, _made: Message) -> IBodyReader:
        """
        Read the converted content of a message that lies in a file.
        """
        return ConvertingReader(self._message, self._open_body(self._message))

    async def _convert(self) -> Message | TransientFailure | None:
        message = self._message
        try:
            if message.body is not None:
                return _whole(message, message.body)
            return attrs.evolve(message, header=b"", size=await self._measure(), eight_bit=False)
        except NotConvertible:
            return None
        except SpoolError as fault:
            log.error("{queue_id}: content cannot be read: {fault}", queue_id=message.queue_id, fault=fault)
            return UNREADABLE

    async def _measure(self) -> int:
        reader = self._open_body(self._message)
        try:
            converting = ConvertingReader(self._message, reader)
            size = 0
            while piece := await converting.read():
                size += len(piece)
            return size
        finally:
            reader.close()


def _whole(message: Message, body: bytes) -> Message:
    converter = Converter()
    content = converter.feed(message.header) + converter.feed(body) + converter.finish()
    return attrs.evolve(message, header=b"", body=content, size=len(content), eight_bit=False)
