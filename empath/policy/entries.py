"""
The files that operators write, line by line.
"""

from __future__ import annotations

from collections.abc import Iterator


def entries(text: str) -> Iterator[tuple[int, str]]:
    """
    Give a text's lines with their numbers, without surrounding blanks; empty ones and those that begin with "#" not.
    """
    at, number = 0, 1
    while at < len(text):  # not all at once: a million of lines would hold up all other threads
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        entry = text[at:end].strip()
        if entry and not entry.startswith("#"):
            yield number, entry
        at, number = end + 1, number + 1
