"""
Content in memory, read as any other.
"""

from __future__ import annotations

from zope.interface import implementer

from empath.interfaces import IBodyReader


@implementer(IBodyReader)
class HeldBody:
    """
    A body in memory.
    """

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def read(self) -> bytes:
        """
        Give all of it, then nothing.
        """
        body, self._body = self._body, b""
        return body

    def close(self) -> None:
        """
        Nothing is open.
        """
