"""
A site that failed and works again: all mail that waits for it becomes due.

One that fails and works by turns has that once, then after a minute, two, four … and an hour, at the most: its mail
would use up its attempts otherwise, and the spool would be busy with nothing else.

Retried: nothing; what the spool cannot make due has its own time. Fatal: nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from empath.errors import SpoolError
from empath.interfaces import ISpool
from empath.queue.line import Gate

log = Logger()

AT_ONCE: Final = 1000  # destinations: commits of others are not held up for long
FIRST_PAUSE: Final = 60.0
LONGEST_PAUSE: Final = 3600.0


class Recovery:
    """
    Has the spool make mail due; `wake` is called when it has. `count` is how often a site recovered.
    """

    def __init__(self, spool: ISpool, clock: IReactorTime, wake: Callable[[], None]) -> None:
        self.count = 0
        self._spool = spool
        self._clock = clock
        self._wake = wake
        self._errands: dict[Gate, Deferred[None]] = {}

    def recovered(self, gate: Gate) -> None:
        """
        Let everything that waits for a site go now that it takes mail again, or a little later.
        """
        self.count += 1
        self._wake()  # what was never tried is due, and looked for now
        if gate in self._errands:
            return
        errand = Deferred.fromCoroutine(self._hasten(gate))
        if not errand.called:
            self._errands[gate] = errand
            errand.addBoth(self._over, gate)

    def stop(self) -> None:
        """
        End what is under way.
        """
        for errand in list(self._errands.values()):
            errand.cancel()

    def _over(self, _: object, gate: Gate) -> None:
        del self._errands[gate]

    async def _hasten(self, gate: Gate) -> None:
        site, count = gate.site.name, 0
        try:
            if pause := self._pause(gate):
                await deferLater(self._clock, pause)
            if gate.troubled:
                return
            now = gate.hastened = self._clock.seconds()
            domains = tuple(gate.domains)
            for first in range(0, len(domains), AT_ONCE):
                count += await self._spool.hasten(domains[first : first + AT_ONCE], now)
        except CancelledError:
            return  # stopping
        except SpoolError as error:
            log.warn("{site} works again, but its mail waits on: {error}", site=site, error=error)
        except Exception:
            log.failure("{site} works again, but its mail waits on", site=site)
        else:
            log.info("{site} works again: {count} deliveries are due", site=site, count=count)
            self._wake()

    def _pause(self, gate: Gate) -> float:
        """
        Tell in how many seconds mail may be made due, and let the next time come later.
        """
        passed = self._clock.seconds() - gate.hastened
        if not 0.0 <= passed < LONGEST_PAUSE + gate.patience:
            gate.patience = FIRST_PAUSE
            return 0.0
        wait = max(0.0, gate.patience - passed)
        gate.patience = min(gate.patience * 2, LONGEST_PAUSE)
        return wait
