"""
The fields of a message that has come in, and what may be added to its body.
"""

from __future__ import annotations

from empath.mail.encoded import encode_value
from empath.mail.header import Header


class Fields:
    """
    The fields of a header block, parsed when they are first asked for; put together again when that is.
    """

    __slots__ = ("_block", "_header", "_stale", "_utf8")

    def __init__(self, block: bytes, utf8: bool) -> None:
        self._block = block
        self._header: Header | None = None
        self._stale = False
        self._utf8 = utf8

    @property
    def header(self) -> bytes:
        """
        As `IContent.header`.
        """
        if self._stale:
            self._block, self._stale = bytes(self._parsed()), False
        return self._block

    def fields(self) -> list[tuple[str, str]]:
        """
        As `IContent.fields`.
        """
        return self._parsed().fields()

    def get(self, name: str) -> str | None:
        """
        As `IContent.get`.
        """
        return self._parsed().get(name)

    def get_all(self, name: str) -> list[str]:
        """
        As `IContent.get_all`.
        """
        return self._parsed().get_all(name)

    def add(self, name: str, value: str, at: int | None = None) -> None:
        """
        As `IContent.add`.
        """
        header = self._parsed()
        header.add(name, value, at, self._as_it_is(name, value))
        self._changed()

    def remove(self, name: str, number: int | None = None) -> int:
        """
        As `IContent.remove`.
        """
        header = self._parsed()
        removed = header.remove(name, number)
        if removed:
            self._changed()
        return removed

    def replace(self, name: str, value: str, number: int = 0) -> None:
        """
        As `IContent.replace`.
        """
        header = self._parsed()
        header.replace(name, value, number, self._as_it_is(name, value))
        self._changed()

    def rename(self, name: str, new: str) -> int:
        """
        As `IContent.rename`.
        """
        header = self._parsed()
        renamed = header.rename(name, new)
        if renamed:
            self._changed()
        return renamed

    def _parsed(self) -> Header:
        if self._header is None:
            self._header = Header(self._block)
        return self._header

    def mark(self) -> object:
        """
        As `IJudgedContent.mark`.
        """
        return self.header

    def put_back(self, mark: object) -> None:
        """
        As `IJudgedContent.put_back`.
        """
        if isinstance(mark, bytes) and mark != self.header:
            self._block, self._header, self._stale = mark, None, False

    def _as_it_is(self, name: str, value: str) -> bool:
        """
        Tell whether a value that is not ASCII is not to be encoded: where that cannot be done, or the header block is
        not ASCII anyway. Hosts without SMTPUTF8 can be given any other message that came with it.
        """
        if not self._utf8 or value.isascii() or not self.header.isascii():
            return self._utf8
        try:
            encode_value(name, value)
        except ValueError:
            return True
        return False

    def _header_size(self) -> int:
        return len(self._block) if self._header is None else self._header.size

    def _changed(self) -> None:
        self._stale = True


def check_lines(data: bytes) -> None:
    """
    Let pass what lines can be made of; ValueError for a CR or an LF that stands alone, or a NUL.
    """
    if not are_lines(data):
        raise ValueError("there is a NUL, or a CR or an LF that stands alone, in what was to be added to the message")


def are_lines(data: bytes) -> bool:
    """
    Tell whether it can go out after DATA: no CR and no LF stands alone, and there is no NUL.
    """
    line_ends = data.count(b"\r\n")
    return data.count(b"\n") == line_ends == data.count(b"\r") and b"\0" not in data
