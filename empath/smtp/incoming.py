"""
The content of one message as it comes in: header block, body in pieces, and what there is to know at its end.
"""

from __future__ import annotations

from typing import Final

from empath.smtp.content import DotDecoder
from empath.smtp.events import Content, ContentChunk, ContentEnded, HeaderBlock

MAX_HEADER: Final = 256 * 1024  # bytes; what a longer header block has beyond its last line end before counts as body
SPOILED: Final = ContentEnded(0, False, True)


class HeaderSplitter:
    """
    Splits the header block from the body; together they are always exactly what came in.
    """

    __slots__ = ("_begun",)

    def __init__(self) -> None:
        self._begun = bytearray()

    def split(self, piece: bytes) -> tuple[bytes, bytes] | None:
        """
        Take the next bytes (never divided between CR and LF); give both parts once the header block has ended.
        """
        begun = self._begun
        start = max(0, len(begun) - 3)
        begun += piece
        if begun.startswith(b"\r\n"):
            return b"", bytes(begun)
        end = begun.find(b"\r\n\r\n", start)
        if 0 <= end <= MAX_HEADER - 2:
            return self._cut(end + 2)
        if len(begun) > MAX_HEADER:
            end = begun.rfind(b"\r\n", 0, MAX_HEADER)
            return self._cut(0 if end < 0 else end + 2)
        return None

    def finish(self) -> tuple[bytes, bytes]:
        """
        Give both parts of content that ended without an empty line: all of it is header block.
        """
        return self._cut(len(self._begun))

    def _cut(self, at: int) -> tuple[bytes, bytes]:
        whole = bytes(self._begun)
        self._begun = bytearray()
        return whole[:at], whole[at:]


class DividedContent:
    """
    Turns decoded content into events: header block, body, and what there is to know of both. A NUL in the header block
    is told of unless the content is `binary`.
    """

    __slots__ = ("_binary", "_eight_bit", "_header_ended", "_size", "_splitter")

    def __init__(self, binary: bool = False) -> None:
        self._binary = binary
        self._splitter: HeaderSplitter | None = None
        self._header_ended = False
        self._size = 0
        self._eight_bit = False

    def _take(self, piece: bytes, events: list[Content]) -> None:
        """
        Take a piece that is not empty, and not divided between CR and LF.
        """
        self._size += len(piece)
        if not piece.isascii():
            self._eight_bit = True
        self._divide(piece, events)

    def _finish_header(self, events: list[Content]) -> None:
        """
        Tell the header block if no empty line has ended it.
        """
        if not self._header_ended:
            self._header(self._splitter.finish() if self._splitter else (b"", b""), events)

    def _divide(self, piece: bytes, events: list[Content]) -> None:
        if self._header_ended:
            events.append(ContentChunk(piece))
            return
        if self._splitter is None:
            end = piece.find(b"\r\n\r\n", 0, MAX_HEADER + 2)
            if end >= 0 and not piece.startswith(b"\r\n"):  # the usual case: all of it in the first piece
                self._header((piece[: end + 2], piece[end + 2 :]), events)
                return
            self._splitter = HeaderSplitter()
        parts = self._splitter.split(piece)
        if parts is not None:
            self._header(parts, events)

    def _header(self, parts: tuple[bytes, bytes], events: list[Content]) -> None:
        header, body = parts
        self._splitter = None
        self._header_ended = True
        events.append(HeaderBlock(header, count_hops(header), not self._binary and b"\0" in header))
        if body:
            events.append(ContentChunk(body))


class IncomingContent(DividedContent):
    """
    Turns the bytes after DATA into events; `ended` once the final dot was read, and then `rest` is what follows it.
    """

    __slots__ = ("_decoder", "_normalize")

    def __init__(self, normalize: bool) -> None:
        DividedContent.__init__(self)  # super() costs more, once a message
        self._decoder = DotDecoder(normalize)
        self._normalize = normalize

    @property
    def ended(self) -> bool:
        """
        Whether the final dot was read.
        """
        return self._decoder.ended

    @property
    def rest(self) -> bytes:
        """
        What followed the final dot.
        """
        return self._decoder.rest

    def receive(self, received: bytes) -> list[Content]:
        """
        Take the next bytes from the peer.
        """
        decoder = self._decoder
        piece = decoder.decode(received)
        spoiled = decoder.bare_newline and not self._normalize
        events: list[Content] = []
        if piece and not spoiled:
            self._take(piece, events)
        if decoder.ended:
            if spoiled:
                events.append(SPOILED)
            else:
                self._finish_header(events)
                events.append(ContentEnded(self._size, self._eight_bit, False))
        return events


def count_hops(header: bytes) -> int:
    """
    Count the Received fields of a header block (RFC 5321 §6.3).
    """
    lowered = header.lower()
    return lowered.count(b"\r\nreceived:") + lowered.startswith(b"received:")
