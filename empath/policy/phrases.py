"""
Texts that are told apart by the phrases in them.
"""

from __future__ import annotations

from collections.abc import Iterable


class Words:
    """
    Finds the first kind of which any phrase is in a text.
    """

    __slots__ = ("_kinds",)

    def __init__(self, kinds: Iterable[tuple[str, str]]) -> None:
        self._kinds = []
        for kind, text in kinds:
            phrases = [phrase.strip().replace("~", " ") for phrase in text.split("|")]
            whole = tuple([phrase for phrase in phrases if "*" not in phrase])
            parted = tuple([tuple(phrase.split("*")) for phrase in phrases if "*" in phrase])
            self._kinds.append((kind, whole, parted))

    def find(self, text: str) -> str | None:
        """
        Tell the kind of a text in lower case, None if none of the phrases is in it.
        """
        for kind, phrases, parted in self._kinds:
            for phrase in phrases:
                if phrase in text:
                    return kind
            for parts in parted:
                if _in_order(parts, text):
                    return kind
        return None


def _in_order(parts: tuple[str, ...], text: str) -> bool:
    at = 0
    for part in parts:
        at = text.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return True
