"""
The watchdog: each entry is in exactly one place, and in none for ever. What is not is counted and repaired.
"""

from __future__ import annotations

from twisted.logger import Logger

from empath.queue.attempts import Attempts
from empath.queue.entry import Place
from empath.queue.window import Window

log = Logger()


class Watchdog:
    """
    Looks the window over. `strays` counts what was in a wrong place or none, `overdue` attempts past their deadline.
    """

    def __init__(self, window: Window, attempts: Attempts) -> None:
        self.strays = 0
        self.overdue = 0
        self._window = window
        self._attempts = attempts

    async def look(self) -> None:
        """
        One round, between two turns of the reactor.
        """
        self.overdue += self._attempts.overdue()
        lost = self._drop_lost()
        wrong = self._window.lines.faults(self._window.active.values())
        if lost or wrong:
            self.strays += lost + wrong
            log.critical(
                "{count} deliveries were not where they should be: the lines are made anew", count=lost + wrong
            )
            self._window.lines.rebuild(self._window.active.values())
            self._attempts.dispatch()

    def _drop_lost(self) -> int:
        """
        Leave to the spool what nothing works on and no line holds.
        """
        lost = [
            entry
            for entry in self._window.active.values()
            if (entry.place is not Place.READY and entry.running is None) or entry.place is Place.GONE
        ]
        for entry in lost:
            log.error("{queue_id}: lost on the way to {domain}, found again", **entry.named)
            self._window.release(entry)
        return len(lost)
