"""
What is in the spool, counted now and then so that whoever asks is answered from memory.
"""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.interfaces import IReactorTime

from empath.interfaces import ISpool
from empath.mail.message import Status


class Census:
    """
    The deliveries in the spool by status, and when its oldest live message came, as of the last `take`, at `counted`
    (seconds since the epoch, None before the first).
    """

    def __init__(self, spool: ISpool, clock: IReactorTime) -> None:
        self._spool = spool
        self._clock = clock
        self._oldest: float | None = None
        self.counted: float | None = None
        self.counts: Mapping[Status, int] = {}

    @property
    def oldest(self) -> float:
        """
        The age of the oldest live message in seconds, 0.0 without one.
        """
        return 0.0 if self._oldest is None else max(0.0, self._clock.seconds() - self._oldest)

    async def take(self) -> None:
        """
        Count anew.
        """
        self.counts = await self._spool.counts()
        self._oldest = await self._spool.oldest(self._clock.seconds())
        self.counted = self._clock.seconds()
