"""
Where a message came from: who may vouch for it decides whether we sign it, and whom it counts against.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import attrs

_LOGIN: Final = "login:"


class Source(Enum):
    """
    Who handed a message to us.
    """

    OUTSIDE = "outside"  # anybody, for one of our domains
    TRUSTED = "trusted"  # a client in a network that may send to anyone
    LOGIN = "login"  # a client that logged in
    OWN = "own"  # we: a report


@attrs.frozen(slots=True)
class Origin:
    """
    The source of a message, with the `login` where there was one.
    """

    source: Source
    login: str = ""

    @property
    def vouched(self) -> bool:
        """
        Whether it is mail of our own side: ours, of a trusted client, or of one that logged in.
        """
        return self.source is not Source.OUTSIDE

    def __str__(self) -> str:
        if self.source is Source.OUTSIDE:  # no `match`, which costs twice as much: this is stored with each message
            return ""
        return _LOGIN + self.login if self.source is Source.LOGIN else self.source.value


OUTSIDE: Final = Origin(Source.OUTSIDE)
TRUSTED: Final = Origin(Source.TRUSTED)
OWN: Final = Origin(Source.OWN)


def origin_of(trusted: bool, login: str) -> Origin:
    """
    Tell the origin of what comes in a session.
    """
    if login:
        return Origin(Source.LOGIN, login)
    return TRUSTED if trusted else OUTSIDE


def read_origin(text: str | None) -> Origin:
    """
    Read what `str` made of an origin; what it never makes is mail from outside.
    """
    if not text:
        return OUTSIDE
    if text.startswith(_LOGIN):
        return Origin(Source.LOGIN, text.removeprefix(_LOGIN))
    return {"trusted": TRUSTED, "own": OWN}.get(text, OUTSIDE)
