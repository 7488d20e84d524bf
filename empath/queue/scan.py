"""
Finding mail in the spool: what is due goes into the window, what is due next sets a timer.

Retried: a look-up that fails, at the next interval. Nothing here is fatal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from empath.errors import SpoolError
from empath.interfaces import ISpool
from empath.mail.message import Delivery, Status
from empath.queue.entry import Key
from empath.queue.window import Window

log = Logger()

BATCH: Final = 500
LARGEST: Final = 5000  # so many take a tenth of a second
GAP: Final = 0.1


class Scan:
    """
    Looks into the spool when told to, at least `GAP` seconds apart, and never twice at a time.

    `dispatch` is called when there is something new in the lines. `waiting` is how many deliveries were due at the
    last count but had no place in the window.
    """

    def __init__(self, spool: ISpool, clock: IReactorTime, window: Window, dispatch: Callable[[], None]) -> None:
        self.rounds = 0
        self.waiting = 0
        self._spool = spool
        self._clock = clock
        self._window = window
        self._dispatch = dispatch
        self._timer: IDelayedCall | None = None
        self._busy = False
        self._running: Deferred[None] | None = None
        self._last = 0.0
        self._asked = 0.0
        self._wanted: float | None = None
        self._stopped = False

    def wake_at(self, when: float) -> None:
        """
        Look into the spool at `when` (seconds since the epoch) or earlier.
        """
        if self._stopped:
            return
        if self._busy:
            self._wanted = when if self._wanted is None else min(when, self._wanted)
            return
        now = self._clock.seconds()
        when = max(when, min(self._last + GAP, now + GAP))
        if self._timer is None:
            self._timer = self._clock.callLater(max(0.0, when - now), self._on_time)
        elif self._timer.getTime() > when:
            self._timer.reset(max(0.0, when - now))

    def wake(self) -> None:
        """
        Look into the spool as soon as may be.
        """
        self.wake_at(self._clock.seconds())

    def stop(self) -> None:
        """
        Look no more; a look-up under way is cancelled.
        """
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._running is not None:
            self._running.cancel()

    async def look_and_count(self) -> None:
        """
        The periodic round: look, unless that is being done, and count what is due and has no place in the window.
        """
        if not self._busy:
            self._look()
        skip, kept = self._window.held_back()
        due = await self._spool.due_count(self._clock.seconds(), skip)
        self.waiting = max(0, due - len(self._window.active) + kept)

    def _on_time(self) -> None:
        self._timer = None
        self._look()

    def _look(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wanted = None
        self._busy = True  # a round may tell of more to look for before it first waits
        running = Deferred.fromCoroutine(self._round())
        if not running.called:
            self._running = running
        running.addBoth(self._over)

    def _over(self, _: object) -> None:
        self._busy = False
        self._running = None
        self._last = self._clock.seconds()
        if self._wanted is not None:
            self.wake_at(self._wanted)

    async def _round(self) -> None:
        self.rounds += 1
        refused: set[str] = set()
        try:
            while await self._more(refused):
                pass
            upcoming = await self._spool.next_due(self._asked)
            if upcoming is not None:
                self._wanted = upcoming if self._wanted is None else min(self._wanted, upcoming)
        except CancelledError:
            pass  # stopping
        except SpoolError as error:
            log.warn("the spool could not be searched for due mail, tried again later: {error}", error=error)
        except Exception:
            log.failure("the search for due mail failed")

    async def _more(self, refused: set[str]) -> bool:
        """
        Take one batch of due deliveries into the window; tells whether there may be more that have a place.

        The spool does not know what is active, so the batch is as much greater as the window has entries of those
        destinations: it always reaches beyond them. Destinations that turned out to have no place are `refused`, and
        not asked for again in this round; where there were only such, more is asked for at a time.
        """
        window = self._window
        room = window.room
        self._asked = self._clock.seconds()
        if window.lines.frozen:
            return False
        if not room:
            window.crowded = True
            return False
        skip, others = window.full()
        limit = max(others + min(room, max(BATCH, others)), min(len(refused), LARGEST))
        left = window.watch()
        try:
            found = await self._spool.due(self._asked, limit, skip | refused if refused else skip)
        finally:
            window.unwatch(left)
        if self._stopped:
            return False
        new = self._take(found, left, refused)
        self._dispatch()
        return new > 0 and len(found) >= limit

    def _take(self, found: list[Delivery], left: set[Key], refused: set[str]) -> int:
        """
        Offer what was found to the window, the more urgent first (RFC 6710), so that they get what room there is; tells
        how many deliveries it did not hold before.
        """
        window = self._window
        new = 0
        found.sort(key=_urgency)
        for delivery in found:
            key = (delivery.queue_id, delivery.domain)
            if delivery.status is Status.HELD or key in left or key in window.active:
                continue
            new += 1
            if not window.admit(delivery, None, self._asked):
                refused.add(delivery.domain)
            if any(state.status is Status.RETRY and not state.host for state in delivery.recipients):
                window.lines.suppose_trouble(delivery.domain)
        return new


def _urgency(delivery: Delivery) -> int:
    return -delivery.priority
