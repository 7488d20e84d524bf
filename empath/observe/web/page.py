"""
What is asked for over HTTP, and what it is answered with: a page, or a stream that goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Protocol

import attrs
from twisted.internet.defer import Deferred

TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"
_NONE: Final[Mapping[str, str]] = MappingProxyType({})


@attrs.frozen(slots=True)
class Asked:
    """
    What a request says, as far as pages go by it; header fields are "" where there are none.

    `is_local` is whether the client is on this machine, by the address that it comes from.
    """

    path: str
    accept: str
    accept_encoding: str
    authorization: str
    host: str
    is_local: bool


@attrs.frozen(slots=True)
class Page:
    """
    What a request is answered with. `headers` are fields beyond those that every answer has, or instead of them: a page
    that is more than text has a Content-Security-Policy of its own.
    """

    code: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = _NONE


class Feed(Protocol):
    """
    The way to one client of a stream.
    """

    def write(self, piece: bytes) -> None:
        """
        Send. Never raises: to a client that is gone it is nothing, and one that is too slow for it is cut off.
        """

    def end(self) -> None:
        """
        Send no more: the stream is complete. Once is enough.
        """


@attrs.frozen(slots=True)
class Stream:
    """
    An answer that goes on until one side ends it, such as server-sent events. `begin` is given the client's feed once
    the head of the answer is on its way, and gives what is called, once, when the stream has ended, whoever ended it.
    """

    content_type: str
    begin: Callable[[Feed], Callable[[], object]]
    headers: Mapping[str, str] = _NONE


Answer = Page | Stream
Ask = Callable[[Asked], "Answer | Deferred[Page]"]
Pages = Mapping[bytes, Ask]
"""
For each path, what answers it.
"""


def text(code: int, said: str, **headers: str) -> Page:
    """
    Make a page of one line; `headers` are named with underscores.
    """
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Page(code, TEXT, f"{said}\n".encode(), fields)
