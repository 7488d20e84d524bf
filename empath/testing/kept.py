"""
What outlasts a restart in memory: the spool, each message written down as a row and read back, and modules' storage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from empath.config.schema import Spool
from empath.errors import SpoolError
from empath.interfaces import IStorage
from empath.mail.life import Emit
from empath.mail.message import Delivery, Message
from empath.spool.memory import MemorySpool
from empath.spool.rows import message_of, message_row

LONGEST_KEY: Final = 1000  # characters
LONGEST_VALUE: Final = 64 * 1024  # octets


class KeptSpool(MemorySpool):
    """
    A spool in memory whose messages come back as from a disk: what cannot be stored with a message is not there.
    """

    def __init__(self, section: Spool, emit: Emit, before: KeptSpool | None = None) -> None:
        super().__init__(section, emit=emit)
        if before is not None:
            for queue_id, stored in before._stored.items():
                again = attrs.evolve(
                    stored, message=reread(stored.message), deliveries=dict(stored.deliveries), kept=dict(stored.kept)
                )
                self._stored[queue_id] = again
            self._files = dict(before._files)
            self._used = before._used
            self._claims = list(before._claims)

    @property
    def deliveries(self) -> list[Delivery]:
        """
        All deliveries that are stored, those that are kept after their end among them.
        """
        return self._deliveries()

    def message(self, queue_id: str) -> Message | None:
        """
        Give a message, None if it is not (or no more) stored.
        """
        stored = self._stored.get(queue_id)
        return None if stored is None else stored.message

    def content(self, message: Message) -> bytes:
        """
        Give header and body of a message.
        """
        body = message.body if message.body is not None else self._files.get(message.body_file or "", b"")
        return message.header + body

    def _put(self, message: Message, deliveries: tuple[Delivery, ...], body: bytes | None) -> SpoolError | None:
        return super()._put(reread(message), deliveries, body)


def reread(message: Message) -> Message:
    """
    Write a message down and read it, as the spool on disk does.
    """
    _, *row = message_row(0, message)
    return message_of(tuple(row))


class KeptStorages:
    """
    The storages of all modules in memory, by their names. `now` is asked for expiry.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.items: dict[str, dict[str, tuple[str, float | None]]] = {}
        self._now = now

    def open(self) -> None:
        """
        Nothing is to be opened.
        """

    async def close(self) -> None:
        """
        What is stored stays.
        """

    def of(self, module: str) -> IStorage:
        """
        Give the storage of one module.
        """
        return FakeStorage(self.items.setdefault(module, {}), self._now)


@implementer(IStorage)
class FakeStorage:
    """
    One module's storage: `kept` are values with the time at which they expire (None: never).
    """

    def __init__(self, kept: dict[str, tuple[str, float | None]], now: Callable[[], float]) -> None:
        self._kept = kept
        self._now = now

    def get(self, key: str) -> Deferred[str | None]:
        """
        As `IStorage.get`; it has fired.
        """
        _check(key, LONGEST_KEY)
        found = self._kept.get(key)
        return succeed(found[0] if found is not None and self._lasts(found[1]) else None)

    def put(self, key: str, value: str, expires: float | None = None) -> Deferred[None]:
        """
        As `IStorage.put`; it has fired.
        """
        _check(key, LONGEST_KEY)
        _check(value, LONGEST_VALUE)
        self._kept[key] = (value, expires)
        return succeed(None)

    def delete(self, key: str) -> Deferred[None]:
        """
        As `IStorage.delete`; it has fired.
        """
        _check(key, LONGEST_KEY)
        self._kept.pop(key, None)
        return succeed(None)

    def keys(self, prefix: str = "", limit: int = 1000) -> Deferred[list[str]]:
        """
        As `IStorage.keys`; it has fired.
        """
        there = (key for key, (_, expires) in self._kept.items() if key.startswith(prefix) and self._lasts(expires))
        return succeed(sorted(there)[:limit])

    def items(self, after: str = "", limit: int = 1000) -> Deferred[list[tuple[str, str]]]:
        """
        As `IStorage.items`; it has fired.
        """
        there = ((key, found[0]) for key, found in self._kept.items() if key > after and self._lasts(found[1]))
        return succeed(sorted(there)[:limit])

    def _lasts(self, expires: float | None) -> bool:
        return expires is None or expires > self._now()


def _check(text: str, longest: int) -> None:
    if not isinstance(text, str):
        raise TypeError(f"a key or value is a text, not {type(text).__name__}")
    size = len(text) if longest == LONGEST_KEY else len(text.encode())
    if size > longest:
        raise ValueError(f"a key has at most {LONGEST_KEY} characters, a value {LONGEST_VALUE} octets")
