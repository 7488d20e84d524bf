"""
Reads the parts of a message out of an input: texts and bytes between separators, flags in the first byte.
"""

from __future__ import annotations

import re
from typing import Final

from empath.mail.address import Address, parse_address
from empath.mail.reply import Reply

SEPARATOR: Final = b"\x1e"  # ASCII's record separator
_CODE: Final = re.compile(rb"[2-5][0-9][0-9]")
_BARE: Final = re.compile(rb"\r\n|\r|\n")


class Fields:
    """
    What is left of an input; when nothing is left, everything is empty.
    """

    def __init__(self, data: bytes) -> None:
        self.flags = data[0] ^ 0x30 if data else 0  # so that the character "0" has none
        self._parts = data[1:].split(SEPARATOR)
        self._parts.reverse()

    @property
    def left(self) -> bool:
        """
        Whether anything is left.
        """
        return bool(self._parts)

    def raw(self) -> bytes:
        """
        Take the next part.
        """
        return self._parts.pop() if self._parts else b""

    def text(self) -> str:
        """
        Take the next part as a text such as JSON, SQLite and UTF-8 can hold.
        """
        return self.raw().decode("utf-8", "replace")

    def any_address(self) -> Address:
        """
        Take an address that nobody has checked.
        """
        text = self.text()
        local, _, domain = text.rpartition("@")
        return Address(local, domain.lower(), text)

    def address(self) -> Address:
        """
        Take an address as it passes reception.
        """
        text = self.raw().decode("latin-1")
        try:
            return parse_address(text)
        except ValueError:
            return Address("bob", "example.net", "bob@example.net")

    def content(self) -> bytes:
        """
        Take content as it passes reception: every line ends with CRLF, and nothing else holds a CR or an LF.
        """
        return _BARE.sub(b"\r\n", self.raw())

    def reply(self) -> Reply | None:
        """
        Take what a peer may have said.
        """
        said = self.raw()
        if not said:
            return None
        code = int(said[:3]) if _CODE.match(said) else 550
        return Reply.heard(code, [line.decode("utf-8", "replace") for line in said[4:].split(b"\n")])

    def parameters(self) -> dict[str, str]:
        """
        Take ESMTP parameters, "KEY=value KEY", whatever is in them.
        """
        words = [word.partition("=") for word in self.text().split(" ") if word]
        return {keyword.upper(): value for keyword, _, value in words}
