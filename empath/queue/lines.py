"""
Ready lines: one for each destination, and whose turn it is. Plain data: no clock, no spool, no waiting.

Who may start is decided by what is left over, not by fixed quotas. A destination starts one more attempt only while it
holds less than a quarter of the slots that are still free: alone it gets a fifth of all slots (20 of 100), n busy ones
get 1/(n+4) each, and some always stay free for a destination that has none, however many others hang. Destinations
whose site failed last time (`suspect`) share half of all slots, so that any number of dead ones leaves the other half
to those that work. Among those that may start it is one attempt each in turn; within a line the more urgent go
first, then the older.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final

import attrs

from empath.queue.entry import Place

if TYPE_CHECKING:
    from empath.queue.entry import Entry

SHARE: Final = 4
REMEMBERED_SITES: Final = 10_000


@attrs.define(slots=True, eq=False)
class Line:
    """
    One destination's entries. `entries` counts all in the window, `in_flight` those that hold a slot.

    `queued` tells that the line waits for its turn or for a slot. `overflow` is how many entries it had when mail for
    it was left in the spool for lack of room, 0 if none was.
    """

    domain: str
    suspect: bool = False
    ready: list[tuple[int, int, Entry]] = attrs.field(factory=list)
    entries: int = 0
    in_flight: int = 0
    queued: bool = False
    overflow: int = 0


class Lines:
    """
    All lines, and the `limit` of attempts at a time; `stuck` settlements take up slots too.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.in_flight = 0
        self.stuck = 0
        self.ready = 0
        self.by_domain: dict[str, Line] = {}
        self._suspects_in_flight = 0
        self._sequence = 0
        self._turns: deque[Line] = deque()
        self._over_share: dict[str, Line] = {}
        self._suspects: dict[str, Line] = {}
        self._troubled: dict[str, bool] = {}

    def line(self, domain: str) -> Line:
        """
        Find or begin the line of a destination.
        """
        line = self.by_domain.get(domain)
        if line is None:
            line = self.by_domain[domain] = Line(domain, self._troubled.get(domain, False))
        return line

    def add(self, entry: Entry) -> None:
        """
        Put an entry into its line.
        """
        line = entry.line
        self._sequence += 1
        heappush(line.ready, (-entry.delivery.priority, self._sequence, entry))
        self.ready += 1
        if not line.queued:
            line.queued = True
            self._turns.append(line)

    def take(self) -> Entry | None:
        """
        Give the entry whose turn it is a slot, or tell that none may start now.
        """
        turns = self._turns
        while turns and self.in_flight + self.stuck < self.limit:
            line = turns.popleft()
            if line.suspect and self._suspects_in_flight >= max(1, self.limit // 2):
                self._suspects[line.domain] = line
            elif line.in_flight * SHARE >= self.limit - self.in_flight - self.stuck:
                self._over_share[line.domain] = line
            else:
                return self._start(line)
        return None

    def ended(self, line: Line) -> None:
        """
        Take back a slot; whoever waited for one gets a turn.
        """
        line.in_flight -= 1
        self.in_flight -= 1
        if line.domain in self._over_share:
            self._turns.append(self._over_share.pop(line.domain))
        elif self._over_share:
            self._turns.append(self._over_share.pop(next(iter(self._over_share))))
        if line.suspect:
            self._suspects_in_flight -= 1
            if self._suspects:
                self._turns.append(self._suspects.pop(next(iter(self._suspects))))

    def stick(self, change: int) -> None:
        """
        Count a settlement that failed (+1), or that worked after all (-1).
        """
        self.stuck += change
        self._all_in_turn()

    def limit_to(self, limit: int) -> None:
        """
        Change the limit; what is in flight stays.
        """
        self.limit = limit
        self._all_in_turn()

    def forget(self, line: Line) -> None:
        """
        End the line of a destination that has no entries.
        """
        self.by_domain.pop(line.domain, None)

    def judge(self, domain: str, accepted: bool) -> bool:
        """
        Remember whether the site took mail; tells whether it has just recovered.
        """
        was = self._troubled.get(domain)
        if was is (not accepted):
            return False
        self._troubled.pop(domain, None)
        if len(self._troubled) >= REMEMBERED_SITES:
            del self._troubled[next(iter(self._troubled))]
        self._troubled[domain] = not accepted
        self._suspect(domain, not accepted)
        return was is True and accepted

    def suppose_trouble(self, domain: str) -> None:
        """
        Take a destination for troubled of which nothing is known since the start but that an old attempt failed.
        """
        if domain not in self._troubled:
            self.judge(domain, False)

    def rebuild(self, entries: Iterable[Entry]) -> None:
        """
        Make all lines anew from the entries alone; what else was in them is dropped.
        """
        self.in_flight = self._suspects_in_flight = self.ready = 0
        self._turns.clear()
        self._over_share.clear()
        self._suspects.clear()
        self.by_domain.clear()
        for entry in entries:
            entry.line = line = self.line(entry.delivery.domain)
            line.entries += 1
            if entry.place is Place.READY:
                self.add(entry)
            elif entry.place is Place.IN_FLIGHT:
                self._hold_slot(line)

    def faults(self, entries: Iterable[Entry]) -> int:
        """
        Count what does not agree between the lines and the places that the entries say they are in.
        """
        waiting = {
            id(line) for pool in (self._turns, self._over_share.values(), self._suspects.values()) for line in pool
        }
        ready: dict[int, int] = {}
        flying: dict[int, int] = {}
        for entry in entries:
            counts = ready if entry.place is Place.READY else flying if entry.place is Place.IN_FLIGHT else None
            if counts is not None:
                counts[id(entry.line)] = counts.get(id(entry.line), 0) + 1
        lines = self.by_domain.values()
        wrong = sum(abs(len(line.ready) - ready.pop(id(line), 0)) for line in lines)
        wrong += sum(abs(line.in_flight - flying.pop(id(line), 0)) for line in lines)
        wrong += sum(bool(line.ready) is not (id(line) in waiting) for line in lines)
        wrong += sum(ready.values()) + sum(flying.values())
        return wrong + abs(self.in_flight - sum(line.in_flight for line in lines))

    def _start(self, line: Line) -> Entry:
        entry = heappop(line.ready)[2]
        self.ready -= 1
        self._hold_slot(line)
        if line.ready:
            self._turns.append(line)
        else:
            line.queued = False
        return entry

    def _hold_slot(self, line: Line) -> None:
        line.in_flight += 1
        self.in_flight += 1
        if line.suspect:
            self._suspects_in_flight += 1

    def _suspect(self, domain: str, suspect: bool) -> None:
        line = self.by_domain.get(domain)
        if line is None or line.suspect is suspect:
            return
        line.suspect = suspect
        self._suspects_in_flight += line.in_flight if suspect else -line.in_flight
        self._all_in_turn()

    def _all_in_turn(self) -> None:
        """
        Let everyone who waits for a slot be looked at again.
        """
        for pool in (self._over_share, self._suspects):
            self._turns.extend(pool.values())
            pool.clear()
