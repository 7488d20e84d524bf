"""
Content in chunks, as a client sends it (BDAT, RFC 3030): nothing is stuffed, and the server knows each length before.
"""

from __future__ import annotations

from typing import Final

CHUNK_SIZE: Final = 1024 * 1024  # bytes


class Chunks:
    """
    Divides `size` bytes of content into chunks, whatever the pieces they come in.

    The first chunk has to be answered before the second begins. From then on one more may be under way than was
    answered where commands are `pipelined`, none otherwise.
    """

    __slots__ = ("_begun", "_chunk", "_pipelined", "_window", "left", "unanswered")

    def __init__(self, size: int, *, pipelined: bool) -> None:
        self._pipelined = pipelined
        self._window = 1
        self._chunk = 0
        self._begun = False
        self.left = size  # bytes that were not given so far
        self.unanswered = 0  # chunks that were given whole

    @property
    def room(self) -> int:
        """
        How many bytes of the content may be given now.
        """
        if self._chunk:
            return self._chunk
        return min(self.left, CHUNK_SIZE) if self.unanswered < self._window else 0

    @property
    def between(self) -> bool:
        """
        Whether no chunk is half given.
        """
        return not self._chunk

    @property
    def whole(self) -> bool:
        """
        Whether all was given.
        """
        return self._begun and not self.left

    def frame(self, piece: bytes) -> bytes:
        """
        Give the next bytes, of which there are no more than `room`, as they go over the wire.
        """
        command = b""
        if not self._chunk:
            self._begun = True
            self._chunk = min(self.left, CHUNK_SIZE)
            command = b"BDAT %d%b\r\n" % (self._chunk, b" LAST" if self._chunk == self.left else b"")
        self._chunk -= len(piece)
        self.left -= len(piece)
        if not self._chunk:
            self.unanswered += 1
        return command + piece

    def answered(self) -> None:
        """
        The server answered a chunk.
        """
        self.unanswered -= 1
        if self._pipelined:
            self._window = 2
