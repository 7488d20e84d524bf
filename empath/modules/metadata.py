"""
The bounds of metadata: texts by texts, as many as one can keep with each message.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

MOST_KEYS: Final = 1000
MOST_OCTETS: Final = 64 * 1024  # of all keys and values, in UTF-8


def mend(metadata: Any, before: dict[str, str]) -> str:
    """
    Take back from a hook's metadata what does not fit, its latest changes first; tell why, "" if all of it may stay.

    `before` is what was there before the hook; what it replaced comes back.
    """
    wrong = [key for key, value in list(metadata.items()) if not (is_text(key) and is_text(value))]
    for key in wrong:
        _take_back(metadata, before, key)
    size = _octets(metadata)
    excess = ""
    if len(metadata) > MOST_KEYS or size > MOST_OCTETS:
        excess = f"metadata of {len(metadata)} keys and {size} octets, allowed are {MOST_KEYS} and {MOST_OCTETS}"
        for key in list(_newest_first(metadata, before)):
            size -= _octets({key: metadata[key]})
            size += _octets(_take_back(metadata, before, key))
            if len(metadata) <= MOST_KEYS and size <= MOST_OCTETS:
                break
    if wrong:
        return f"metadata that is no text: {', '.join(repr(key)[:60] for key in wrong[:3])}"
    return excess


def _newest_first(metadata: dict[str, str], before: dict[str, str]) -> Iterator[str]:
    """
    Tell the keys that the hook changed, then all others.
    """
    newest = list(reversed(metadata))
    changed = [key for key in newest if before.get(key) != metadata[key]]
    yield from changed
    yield from (key for key in newest if before.get(key) == metadata[key])


def _take_back(metadata: dict[str, str], before: dict[str, str], key: str) -> dict[str, str]:
    """
    Undo what happened to a key, or drop one that was there before; tell what is there now.
    """
    earlier = before.get(key)
    if earlier is None or earlier is metadata[key]:
        del metadata[key]
        return {}
    metadata[key] = earlier
    return {key: earlier}


def _octets(metadata: dict[str, str]) -> int:
    """
    Measure; a text that is longer than all may be together is not encoded for it.
    """
    return sum(_length(key) + _length(value) for key, value in list(metadata.items()))


def _length(text: str) -> int:
    return len(text) if text.isascii() or len(text) > MOST_OCTETS else len(text.encode())


def is_text(value: object) -> bool:
    """
    Tell whether it is a text that can be stored.
    """
    if not isinstance(value, str):
        return False
    if value.isascii() or len(value) > MOST_OCTETS:
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
