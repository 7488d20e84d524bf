"""
What outlasts a restart of senders that are stopped.

Fatal, retried: nothing; whoever asks hears of it (StorageError). Ignored, but told: a note that cannot be read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable

import attrs
from twisted.logger import Logger

from empath.interfaces import IStorage

log = Logger()


@attrs.frozen(slots=True)
class StoppedSender:
    """
    Who is stopped ("login:<login>", or an address), since when (seconds since the epoch) and why. `held`: all of its
    mail is. `released`: mail is taken again, and what was held is on its way out of that.
    """

    sender: str
    since: float
    detail: str
    held: bool = False
    released: bool = False


class StopNotes:
    """
    Keeps them in `storage`, each under a digest of its name: senders may be longer than keys.
    """

    def __init__(self, storage: IStorage) -> None:
        self._storage = storage

    def put(self, stopped: StoppedSender) -> Awaitable[None]:
        """
        Note how it stands with a sender.
        """
        return self._storage.put(_key(stopped.sender), json.dumps(attrs.astuple(stopped)))

    def forget(self, sender: str) -> Awaitable[None]:
        """
        Forget a sender.
        """
        return self._storage.delete(_key(sender))

    async def read(self) -> list[StoppedSender]:
        """
        Give all that is noted.
        """
        found: list[StoppedSender] = []
        after = ""
        while page := await self._storage.items(after):
            after = page[-1][0]
            for key, text in page:
                try:
                    sender, since, detail, held, released = json.loads(text)
                    found.append(StoppedSender(str(sender), float(since), str(detail), bool(held), bool(released)))
                except (ValueError, TypeError):
                    log.error("a note of who is stopped cannot be read: {key}", key=key)
        return found


def _key(sender: str) -> str:
    return hashlib.sha256(sender.encode("utf-8", "surrogatepass")).hexdigest()
