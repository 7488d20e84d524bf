"""
The service extensions that a server session can offer (RFC 5321 §2.2).
"""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum
from typing import Final

import attrs

COMMAND_LINE: Final = 512  # octets with CRLF (RFC 5321 §4.5.3.1.4)


class Extension(Enum):
    """
    What EHLO lists, by keyword.
    """

    PIPELINING = "PIPELINING"  # RFC 2920
    SIZE = "SIZE"  # RFC 1870
    EIGHT_BIT = "8BITMIME"  # RFC 6152
    ENHANCED = "ENHANCEDSTATUSCODES"  # RFC 2034


@attrs.frozen(slots=True)
class Standing:
    """
    What the edge knows of the client, apart from what it says: whether TLS protects the session, the `login` it proved
    ("" for none), whether it may relay (`trusted`), and whether it may say XCLIENT.
    """

    secure: bool = False
    login: str = ""
    trusted: bool = False
    xclient: bool = False


_ADDED: Final = {  # octets by which an extension lengthens the longest command line
    Extension.SIZE: 26,  # RFC 1870 §3
    Extension.EIGHT_BIT: 17,  # RFC 6152 §2
}


def offered(off: Collection[str]) -> frozenset[Extension]:
    """
    Tell what is offered when the keywords in `off` are not.
    """
    return frozenset(extension for extension in Extension if extension.value not in off)


def line_limit(extensions: Collection[Extension]) -> int:
    """
    Tell how many octets a command line may have, CRLF counted.
    """
    return COMMAND_LINE + sum(_ADDED.get(extension, 0) for extension in extensions)


def keyword_lines(extensions: Collection[Extension], max_message_size: int) -> list[str]:
    """
    Spell out the keywords for the reply to EHLO; a `max_message_size` of 0 means no limit (RFC 1870 §3).
    """
    return [
        f"SIZE {max_message_size}" if extension is Extension.SIZE else extension.value
        for extension in Extension
        if extension in extensions
    ]
