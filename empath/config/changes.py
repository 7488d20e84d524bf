"""
What is different in two configurations.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from empath.config.convert import joined, key_of
from empath.config.units import Rate


def changes(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """
    Tell the path of every key whose value is another one; an array, or a value, is told as a whole.
    """
    if old == new:
        return
    if attrs.has(type(old)) and type(old) is type(new) and not isinstance(old, Rate):
        for field in attrs.fields(type(old)):
            yield from changes(getattr(old, field.name), getattr(new, field.name), joined(path, key_of(field.name)))
    elif isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *[key for key in new if key not in old]]:
            yield from changes(old.get(key), new.get(key), joined(path, key))
    else:
        yield path
