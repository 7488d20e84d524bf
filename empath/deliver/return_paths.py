"""
The reverse-paths with which mail leaves (SRS, VERP), and what of them has to be remembered.

Ignored, but told: what an address stands for cannot be stored; a bounce to that address is refused then.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from empath.errors import StorageError
from empath.interfaces import IStorage
from empath.mail.address import Address
from empath.mail.envelope import Recipient
from empath.mail.message import Delivery, Message
from empath.policy.return_path import ReturnPaths
from empath.policy.seal import DAY, LASTS

KEPT: Final = (LASTS + 2) * DAY  # seconds
AGAIN: Final = DAY  # after which what is used again is stored again
MOST_REMEMBERED: Final = 10_000  # tokens of which we know that they are stored

log = Logger()


class OutgoingPaths:
    """
    Gives mail that leaves by SMTP the reverse-paths that `paths` make.
    """

    def __init__(self, paths: ReturnPaths, clock: IReactorTime, storage: IStorage) -> None:
        self.paths = paths
        self._clock = clock
        self._storage = storage
        self._known: OrderedDict[str, float] = OrderedDict()
        self._storing: set[Deferred[None]] = set()

    def single(self, message: Message, recipients: tuple[Recipient, ...]) -> bool:
        """
        Tell whether each of these recipients of a message needs a transaction of its own.
        """
        return self.paths.alone(message, recipients)

    def return_path(self, message: Message, delivery: Delivery, recipients: tuple[Recipient, ...]) -> Address | None:
        """
        Give the reverse-path of the transaction with these recipients.
        """
        return self.paths.of(message, recipients, self._clock.seconds(), partial(self._keep, message.queue_id))

    async def stop(self) -> None:
        """
        Wait for what is being stored.
        """
        for storing in tuple(self._storing):
            await storing

    def _keep(self, queue_id: str, token: str, text: str) -> None:
        """
        Store what a token stands for, unless that was done lately.
        """
        now = self._clock.seconds()
        if 0 <= now - self._known.get(token, -AGAIN) < AGAIN:
            return
        self._known[token] = now
        self._known.move_to_end(token)
        if len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)
        storing = Deferred.fromCoroutine(self._store(queue_id, token, text, now + KEPT))
        if not storing.called:
            self._storing.add(storing)
            storing.addCallback(lambda _: self._storing.discard(storing))

    async def _store(self, queue_id: str, token: str, text: str, expires: float) -> None:
        try:
            await self._storage.put(token, text, expires)
        except StorageError as error:
            self._known.pop(token, None)
            log.warn(
                "{queue_id}: bounces to <{address}> will not find their way: {error}",
                queue_id=queue_id,
                address=text,
                error=error,
            )
        except Exception:
            self._known.pop(token, None)
            log.failure("{queue_id}: bounces to <{address}> will not find their way", queue_id=queue_id, address=text)
