"""
One owner's texts by key: what the statements are, and what can be no key or value.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from math import isnan
from typing import Any, Final

from twisted.internet.defer import Deferred
from zope.interface import implementer

from empath.interfaces import IStorage

LONGEST_KEY: Final = 1000  # characters
LONGEST_VALUE: Final = 64 * 1024  # octets

_GET: Final = "SELECT value FROM item WHERE module = ? AND key = ? AND (expires IS NULL OR expires > ?)"
_PUT: Final = """
    INSERT INTO item (module, key, value, expires) VALUES (?, ?, ?, ?)
    ON CONFLICT (module, key) DO UPDATE SET value = excluded.value, expires = excluded.expires
"""
_DELETE: Final = "DELETE FROM item WHERE module = ? AND key = ?"
_KEYS: Final = """
    SELECT key FROM item WHERE module = ? AND key >= ? AND (expires IS NULL OR expires > ?) ORDER BY key LIMIT ?
"""
_KEYS_BELOW: Final = """
    SELECT key FROM item WHERE module = ? AND key >= ? AND key < ? AND (expires IS NULL OR expires > ?)
    ORDER BY key LIMIT ?
"""
_ITEMS: Final = """
    SELECT key, value FROM item WHERE module = ? AND key > ? AND (expires IS NULL OR expires > ?) ORDER BY key LIMIT ?
"""


@implementer(IStorage)
class Storage:
    """
    The storage of one module. TypeError and ValueError are raised at once, for what can be no key or value.
    """

    __slots__ = ("_module", "_now", "_submit")

    def __init__(self, module: str, submit: Callable[..., Deferred[Any]], now: Callable[[], float]) -> None:
        self._module = module
        self._submit = submit
        self._now = now

    def get(self, key: str) -> Deferred[str | None]:
        """
        As `IStorage.get`.
        """
        size = _check_key(key)
        return self._submit(partial(_get, self._module, key, self._now()), False, size)

    def put(self, key: str, value: str, expires: float | None = None) -> Deferred[None]:
        """
        As `IStorage.put`; a failed one, or one that was not waited for, may or may not have happened.
        """
        size = _check_key(key) + _check_value(value)
        if expires is not None and isnan(expires):
            raise ValueError("no time to expire at: nan")
        row = (self._module, key, value, None if expires is None else float(expires))
        return self._submit(partial(_write, _PUT, row), True, size)

    def delete(self, key: str) -> Deferred[None]:
        """
        As `IStorage.delete`.
        """
        size = _check_key(key)
        return self._submit(partial(_write, _DELETE, (self._module, key)), True, size)

    def keys(self, prefix: str = "", limit: int = 1000) -> Deferred[list[str]]:
        """
        As `IStorage.keys`.
        """
        size = _check_key(prefix)
        if limit < 0:
            raise ValueError(f"no limit: {limit}")
        return self._submit(partial(_keys, self._module, prefix, self._now(), limit), False, size)

    def items(self, after: str = "", limit: int = 1000) -> Deferred[list[tuple[str, str]]]:
        """
        As `IStorage.items`.
        """
        size = _check_key(after)
        if limit < 0:
            raise ValueError(f"no limit: {limit}")
        return self._submit(partial(_items, (self._module, after, self._now(), limit)), False, size)


def _check_key(key: str) -> int:
    """
    Give the octets of a key.
    """
    if not isinstance(key, str):
        raise TypeError(f"a key is a text, not {type(key).__name__}")
    if len(key) > LONGEST_KEY:
        raise ValueError(f"a key has at most {LONGEST_KEY} characters, not {len(key)}")
    return len(key.encode())


def _check_value(value: str) -> int:
    """
    Give the octets of a value.
    """
    if not isinstance(value, str):
        raise TypeError(f"a value is a text, not {type(value).__name__}")
    size = len(value) if len(value) > LONGEST_VALUE else len(value.encode())
    if size > LONGEST_VALUE:
        raise ValueError(f"a value has at most {LONGEST_VALUE} octets")
    return size


def _get(module: str, key: str, now: float, connection: sqlite3.Connection) -> str | None:
    row = connection.execute(_GET, (module, key, now)).fetchone()
    return None if row is None else str(row[0])


def _write(statement: str, row: tuple[object, ...], connection: sqlite3.Connection) -> None:
    connection.execute(statement, row)


def _keys(module: str, prefix: str, now: float, limit: int, connection: sqlite3.Connection) -> list[str]:
    end = _after(prefix)
    if end is None:
        rows = connection.execute(_KEYS, (module, prefix, now, limit))
    else:
        rows = connection.execute(_KEYS_BELOW, (module, prefix, end, now, limit))
    return [key for (key,) in rows]


def _items(row: tuple[object, ...], connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return [(key, value) for key, value in connection.execute(_ITEMS, row)]


def _after(prefix: str) -> str | None:
    """
    Give the first text, in the order of code points, that is behind all that begin with `prefix`; None if none is.
    """
    prefix = prefix.rstrip("\U0010ffff")
    if not prefix:
        return None
    following = ord(prefix[-1]) + 1
    return prefix[:-1] + chr(0xE000 if following == 0xD800 else following)  # no surrogates in UTF-8
