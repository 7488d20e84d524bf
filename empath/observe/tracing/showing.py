"""
How the words of strangers, and of ourselves about people, stand in spans.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from empath.mail.step import Fact
from empath.observe.escaping import escaped

LONGEST: Final = 1000  # characters of a text
HIDDEN: Final = "…"
_AT: Final = re.compile("@|%40|=40|\\+40|＠", re.IGNORECASE)  # also as URLs, quoted-printable and xtext write it
_LOCAL_PART: Final = re.compile(
    r"""(?:"(?:[^"\\\r\n]|\\.){1,128}"|(?<![^\s<>"(),;:@])[^\s<>"(),;:@]+?)"""  # quoted or not
    r"""(?=@|%40|=40|\+40|＠)""",
    re.IGNORECASE,
)


class Showing:
    """
    Makes texts fit for spans: printable, of a bounded length, and, unless `addresses` are to be shown whole, without
    local parts.
    """

    __slots__ = ("addresses",)

    def __init__(self, addresses: bool = False) -> None:
        self.addresses = addresses

    def text(self, text: str) -> str:
        """
        Give a text as it is shown.
        """
        if not self.addresses and _AT.search(text):
            text = _LOCAL_PART.sub(HIDDEN, text)
        text = escaped(text)
        return text if len(text) <= LONGEST else text[:LONGEST] + HIDDEN

    def facts(self, facts: Mapping[str, Fact]) -> dict[str, Fact]:
        """
        Give attributes as they are shown.
        """
        return {key: self.text(fact) if isinstance(fact, str) else fact for key, fact in facts.items()}
