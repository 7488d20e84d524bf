"""
Who has one of the tokens of [control], told by their hashes.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from empath.config.schema import ControlToken


class Tokens:
    """
    The tokens that let somebody in; without any, everybody whom the socket's permissions let in may ask.
    """

    def __init__(self, tokens: Sequence[ControlToken]) -> None:
        self.use(tokens)

    def use(self, tokens: Sequence[ControlToken]) -> None:
        """
        Let these in from now on, and no others.
        """
        self._tokens = tuple((token.sha256.lower().encode("ascii"), token.name) for token in tokens)

    @property
    def needed(self) -> bool:
        """
        Whether nobody comes in without one.
        """
        return bool(self._tokens)

    def name_of(self, token: str) -> str | None:
        """
        Tell whose token this is, "" where none is needed, None if it is nobody's. The time that it takes tells nothing.
        """
        if not self._tokens:
            return ""
        found: str | None = None
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest().encode("ascii")
        for known, name in self._tokens:
            if hmac.compare_digest(known, digest) and found is None:
                found = name
        return found
