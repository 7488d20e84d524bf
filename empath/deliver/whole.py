"""
A message from its first octet to its last, header and body, as it is stored.

Raised as SpoolError: stored content that cannot be read, or is not of the size that it was.
"""

from __future__ import annotations

import attrs
from zope.interface import implementer

from empath.deliver.streaming import OpenBody
from empath.errors import SpoolError
from empath.interfaces import IBodyReader
from empath.mail.message import Message
from empath.net.held_body import HeldBody


@attrs.frozen(slots=True)
class Whole:
    """
    A message, byte for byte, as often as it is read.
    """

    message: Message
    open_body: OpenBody

    @property
    def length(self) -> int:
        """
        Its size.
        """
        return self.message.size

    def open(self) -> IBodyReader:
        """
        Begin to read it.
        """
        message = self.message
        body: IBodyReader = self.open_body(message) if message.body is None else HeldBody(message.body)
        return _Pieces(message, body)


@implementer(IBodyReader)
class _Pieces:
    """
    Header and body, of the size that was promised.
    """

    def __init__(self, message: Message, body: IBodyReader) -> None:
        self._header = message.header
        self._left = message.size
        self._body = body

    async def read(self) -> bytes:
        """
        Give the next piece.
        """
        header, self._header = self._header, b""
        piece = header + await self._body.read()
        self._left -= len(piece)
        if self._left < 0 or (not piece and self._left):
            raise SpoolError("content is not of the size that it was")
        return piece

    def close(self) -> None:
        """
        Let go of it.
        """
        self._body.close()
