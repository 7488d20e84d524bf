"""
The content of a message in chunks (RFC 3030), each of a size that BDAT says.
"""

from __future__ import annotations

import re
from typing import Final

from empath.smtp.events import Content, ContentEnded
from empath.smtp.incoming import SPOILED, DividedContent

_SIZE: Final = re.compile(r" *([0-9]{1,20})(?: +((?i:LAST)))? *")
_CRLF: Final = b"\r\n"


def read_chunk_size(argument: str) -> tuple[int, bool]:
    """
    Read the argument of BDAT: size of the chunk in octets, and whether it is the last; ValueError if it cannot.
    """
    match = _SIZE.fullmatch(argument)
    if match is None:
        raise ValueError("no size of a chunk")
    return int(match[1]), match[2] is not None


class IncomingChunks(DividedContent):
    """
    Turns the octets of chunks into events; how they are divided into chunks means nothing.

    Text has lines, and so the last one gets its line end where it has none. A CR or an LF that stands alone spoils it,
    as after DATA, or becomes a CRLF with `normalize`. Content declared `binary` may hold anything.
    """

    __slots__ = ("_bare", "_held", "_line_ended", "_normalize", "_nul")

    def __init__(self, normalize: bool, binary: bool) -> None:
        super().__init__(binary)
        self._normalize = normalize and not binary
        self._held = b""  # a CR whose LF may follow
        self._bare = False
        self._nul = False
        self._line_ended = True

    def receive(self, received: bytes) -> list[Content]:
        """
        Take the next octets of a chunk.
        """
        octets = self._held + received
        self._held = octets[-1:] if octets.endswith(b"\r") else b""
        return self._clean(octets[:-1] if self._held else octets)

    def finish(self) -> list[Content]:
        """
        Tell the end: the last chunk was read.
        """
        events = self._clean(self._held)
        if self._spoiled:
            return [SPOILED]
        if not self._line_ended and not (self._binary and self._header_ended):
            self._take(_CRLF, events)
        self._finish_header(events)
        needed = self._binary and (self._bare or self._nul)
        events.append(ContentEnded(self._size, self._eight_bit, False, needed))
        return events

    @property
    def _spoiled(self) -> bool:
        return self._bare and not self._normalize and not self._binary

    def _clean(self, piece: bytes) -> list[Content]:
        """
        Look for bare newlines, by counting (hot-path rule P6), and make events of what is fit for them.
        """
        line_ends = piece.count(_CRLF)
        if piece.count(b"\n") != line_ends or piece.count(b"\r") != line_ends:
            self._bare = True
            if self._normalize:
                piece = piece.replace(_CRLF, b"\n").replace(b"\r", b"\n").replace(b"\n", _CRLF)
        events: list[Content] = []
        if piece and not self._spoiled:
            self._nul = self._nul or b"\0" in piece
            self._line_ended = piece.endswith(_CRLF)
            self._take(piece, events)
        return events
