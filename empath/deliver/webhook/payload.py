"""
A description of a mail in JSON with the mail in base64; never whole in memory, unless the mail is.
"""

from __future__ import annotations

from binascii import b2a_base64

import attrs
from zope.interface import implementer

from empath.deliver.whole import Whole
from empath.interfaces import IBodyReader


@attrs.frozen(slots=True)
class InJson:
    """
    The mail in base64 between a beginning and an end, which make it a text of a JSON object.
    """

    raw: Whole
    begin: bytes
    end: bytes

    @property
    def length(self) -> int:
        """
        The size of all of it.
        """
        return len(self.begin) + (self.raw.length + 2) // 3 * 4 + len(self.end)

    def open(self) -> IBodyReader:
        """
        Begin to read it.
        """
        return _Encoded(self.raw.open(), self.begin, self.end)


@implementer(IBodyReader)
class _Encoded:
    """
    Encodes piece by piece; up to two octets wait for the next one.
    """

    def __init__(self, content: IBodyReader, begin: bytes, end: bytes) -> None:
        self._content = content
        self._begin = begin
        self._end = end
        self._rest = b""
        self._over = False

    async def read(self) -> bytes:
        """
        Give the next piece.
        """
        text = b""
        while not text and not self._over:
            piece = await self._content.read()
            content = self._rest + piece
            self._over = not piece
            whole = len(content) if self._over else len(content) // 3 * 3
            self._rest = content[whole:]
            begin, self._begin = self._begin, b""
            text = begin + b2a_base64(content[:whole], newline=False) + (self._end if self._over else b"")
        return text

    def close(self) -> None:
        """
        Let go of it.
        """
        self._content.close()
