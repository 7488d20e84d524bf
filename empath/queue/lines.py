"""
Ready lines: one for each destination, that begins with its first entry in the window and ends with the last. Plain
data: no clock, no spool, no waiting.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from empath.queue.entry import Place
from empath.queue.line import Gate, Line
from empath.queue.reckoning import faults, recount
from empath.queue.turns import Changed, Turns
from empath.queue.waiting import Classes

if TYPE_CHECKING:
    from empath.queue.entry import Entry

Begin = Callable[[str], Line]
"""
Make the line of a destination, at its gate.
"""


class Lines(Turns):
    """
    All lines by their destinations, those that are in turn and those that are not.
    """

    def __init__(self, limit: int, begin: Begin, changed: Changed) -> None:
        super().__init__(limit, changed)
        self.by_domain: dict[str, Line] = {}
        self._begin = begin

    def line(self, domain: str) -> Line:
        """
        Find or begin the line of a destination.
        """
        line = self.by_domain.get(domain)
        if line is None:
            line = self.by_domain[domain] = self._begin(domain)
            line.gate.lines[domain] = line
        return line

    def add(self, entry: Entry) -> None:
        """
        Put an entry into its line.
        """
        line = entry.line
        if entry.delivery.priority and type(line.waiting) is deque:
            line.waiting = Classes(line.waiting)
        line.waiting.append(entry)
        self.ready += 1
        if not line.queued and line.gate.known:
            line.queued = True
            self.turns.append(line)

    def remove(self, entry: Entry) -> None:
        """
        Take an entry out of its line.
        """
        entry.line.waiting.remove(entry)
        self.ready -= 1

    def remove_all(self, entries: Iterable[Entry]) -> None:
        """
        Take many entries out of their lines at once.
        """
        leaving: dict[Line, set[Entry]] = {}
        for entry in entries:
            leaving.setdefault(entry.line, set()).add(entry)
        for line, those in leaving.items():
            waiting = [entry for entry in line.waiting if entry not in those]
            self.ready -= len(line.waiting) - len(waiting)
            line.waiting = deque(waiting) if type(line.waiting) is deque else Classes(waiting)

    def forget(self, line: Line) -> None:
        """
        End the line of a destination that has no entries.
        """
        self.by_domain.pop(line.domain, None)
        line.gate.lines.pop(line.domain, None)

    def move(self, line: Line, gate: Gate) -> None:
        """
        Have a line lead to another gate from now on; it keeps its turn.
        """
        old = line.gate
        if old is gate:
            return
        old.lines.pop(line.domain, None)
        old.domains.pop(line.domain, None)
        old.entries -= line.entries
        if line in old.parked:
            old.parked.remove(line)
            self.turns.append(line)
        line.gate = gate
        gate.lines[line.domain] = line
        gate.entries += line.entries
        if old.called is line:
            old.called = None
            self.call(old)
        if old.troubled and not old.known and gate.troubled is None:
            self.judge(gate, False)
        if line.waiting and not line.queued:
            line.queued = True
            self.turns.append(line)

    def judge(self, gate: Gate, accepted: bool) -> bool:
        """
        Remember whether a site took mail; tells whether it has just recovered.
        """
        was = gate.troubled
        if was is (not accepted):
            return False
        gate.troubled = not accepted
        if not accepted:
            self.suspects_in_flight += gate.site.in_flight
        elif was:
            self.suspects_in_flight -= gate.site.in_flight
            if gate in self.suspects:
                del self.suspects[gate]
                self.call(gate)
        return was is True and accepted

    def suppose_trouble(self, domain: str) -> None:
        """
        Take a destination's site for troubled of which nothing is known since the start but that an old attempt failed.
        """
        line = self.by_domain.get(domain)
        if line is not None and line.gate.troubled is None:
            self.judge(line.gate, False)

    def rebuild(self, entries: Iterable[Entry]) -> None:
        """
        Make all lines anew from the entries alone; what else was in them is dropped.
        """
        kept = list(entries)
        recount(self, kept)
        for entry in kept:
            entry.line = line = self.line(entry.delivery.domain)
            line.entries += 1
            line.gate.entries += 1
            if entry.place is Place.READY:
                self.add(entry)
            elif entry.place is Place.IN_FLIGHT:
                gate = entry.gate = entry.gate or line.gate
                gate.site.in_flight += 1
                self.hold_slot(gate)

    def faults(self, entries: Iterable[Entry]) -> int:
        """
        Count what does not agree between the lines and the places that the entries say they are in.
        """
        return faults(self, entries)
