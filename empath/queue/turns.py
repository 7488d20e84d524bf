"""
Whose turn it is. Plain data: no clock, no spool, no waiting.

Lines take turns, one attempt each; who starts more than its share (many recipients, much content) misses turns for it
(deficit round robin). Slots are shared by what is left over, not by fixed quotas: a site gets one more only while it
holds less than a quarter of those that are still free: alone it gets a fifth of all slots (20 of 100), n busy ones get
1/(n+4) each, and some always stay free for a site that has none, however many others hang. Sites that failed last time
(`troubled`) share half of all slots, so that any number of dead ones leaves the other half to those that work.

A line that may not start for its site's sake is parked at the site's gate, and all that come after it; a gate sends
one of them at a time to try, when something of the site ends, the time of its hold is over, or a slot gets free. So
nobody is asked again and again, however many wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Final

from empath.policy.hold import Hold, Why
from empath.policy.rate import Bucket
from empath.policy.site import Change
from empath.queue.line import Gate, Line
from empath.queue.timers import Timers

if TYPE_CHECKING:
    from empath.queue.entry import Entry

SHARE: Final = 4
UNIT: Final = 256 * 1024  # bytes that cost as much as a transaction
TRANSACTION: Final = 100  # recipients that fit in one
SMALL: Final = 16 * 1024  # bytes that cost nothing
MOST_DEBT: Final = 32.0  # turns
AT_LEAST: Final = 1.0  # seconds until who waits for nothing that could end is looked at again

Changed = Callable[[Gate, str, tuple[Change, ...]], None]
"""
Hear that a site changed as an attempt for this destination began.
"""


class Turns:
    """
    Lines in turn, and the `limit` of attempts at a time; `stuck` settlements take up slots too. `total` is the bucket
    that all attempts take from, None for no limit. While `frozen` nobody may ask for a turn.
    """

    def __init__(self, limit: int, changed: Changed) -> None:
        self.limit = limit
        self.frozen = False
        self.in_flight = 0
        self.stuck = 0
        self.ready = 0
        self.total: Bucket | None = None
        self.timers = Timers()
        self.turns: deque[Line] = deque()
        self.over_share: dict[Gate, None] = {}
        self.suspects: dict[Gate, None] = {}
        self.suspects_in_flight = 0
        self._changed = changed
        self._short_since = 0.0

    def take(self, now: float) -> Entry | None:
        """
        Give the entry whose turn it is a slot, or tell that none may start now.
        """
        if self.timers.heap and (come := self.timers.come(now)) is not None:
            self._wake(come)
        turns = self.turns
        while (turns or (self.suspects and self._call_suspect())) and self.in_flight + self.stuck < self.limit:
            if self.total is not None and (wait := self.total.wait(now)):
                self._short(now, wait)
                return None
            line = turns.popleft()
            gate = line.gate
            first = gate.called is line
            if first:
                gate.called = None
            if not line.waiting:
                line.queued = False
                self.call(gate)
            elif gate.parked and not first:
                gate.parked.append(line)
                self._mark(line, gate.why, now)
            elif line.debt >= 1.0 and (turns or gate.parked):
                self._pay(line, gate)
            elif not self._kept(line, gate, now):
                return self._start(line, gate, now)
        return None

    def ended(self, gate: Gate) -> None:
        """
        Take back a slot, once the site knows that the attempt ended; whoever waited for it gets a turn.
        """
        self.in_flight -= 1
        if gate.troubled:
            self.suspects_in_flight -= 1
            self._call_one(self.suspects)
        if gate in self.over_share:
            del self.over_share[gate]
        elif self.over_share:
            self._call_one(self.over_share)
        if gate.parked:
            self.call(gate)

    def call(self, gate: Gate) -> None:
        """
        Let the first line that waits at a gate try, unless one does already.
        """
        parked = gate.parked
        while parked and gate.called is None:
            line = parked.popleft()
            if line.waiting:
                gate.called = line
                self.turns.append(line)
            else:
                line.queued = False

    def charge(self, line: Line, recipients: int, size: int) -> None:
        """
        Have a line pay for what one attempt is beyond a small message.
        """
        if size > SMALL or recipients > TRANSACTION:
            line.debt = min(MOST_DEBT, line.debt + (recipients - 1) // TRANSACTION + size / UNIT)

    def stick(self, change: int) -> None:
        """
        Count a settlement that failed (+1), or that worked after all (-1).
        """
        self.stuck += change
        self.all_in_turn()

    def limit_to(self, limit: int) -> None:
        """
        Change the limit; what is in flight stays.
        """
        self.limit = limit
        self.all_in_turn()

    def look_again(self) -> None:
        """
        Let everyone who waits for a time be looked at now, as limits have changed.
        """
        self._wake(inf)

    def hold_slot(self, gate: Gate) -> None:
        self.in_flight += 1
        if gate.troubled:
            self.suspects_in_flight += 1

    def all_in_turn(self) -> None:
        """
        Let everyone who waits for a slot be looked at again.
        """
        for pool in (self.over_share, self.suspects):
            gates = list(pool)
            pool.clear()
            for gate in gates:
                self.call(gate)

    def _call_suspect(self) -> bool:
        """
        Let a site that failed try if those may have another slot: one that was called before may have had no use for
        it. Tells whether any tries.
        """
        if self.suspects_in_flight < max(1, self.limit // 2):
            self._call_one(self.suspects)
        return bool(self.turns)

    def _pay(self, line: Line, gate: Gate) -> None:
        """
        Have a line miss a turn, that which others of its site wait for if there are any.
        """
        line.debt -= 1.0
        (gate.parked or self.turns).append(line)
        self.call(gate)

    def _kept(self, line: Line, gate: Gate, now: float) -> bool:
        """
        Tell whether anything keeps a line from starting; then it waits where that ends.
        """
        site = gate.site
        if gate.troubled and self.suspects_in_flight >= max(1, self.limit // 2):
            self.suspects[gate] = None
            self._park(line, gate, None, now)
        elif site.in_flight * SHARE >= self.limit - self.in_flight - self.stuck:
            self.over_share[gate] = None
            self._park(line, gate, None, now)
        elif (hold := site.hold(now)) is not None:
            self._park(line, gate, hold.why, now)
            self._time_gate(gate, hold, now)
        elif line.bucket is not None and (wait := line.bucket.wait(now)):
            self._mark(line, Why.RATE, now)
            line.until = now + wait
            self.timers.add(line.until, line)
            self.call(gate)
        else:
            return False
        return True

    def _park(self, line: Line, gate: Gate, why: Why | None, now: float) -> None:
        gate.why = why
        gate.parked.appendleft(line)
        self._mark(line, why, now)

    def _time_gate(self, gate: Gate, hold: Hold, now: float) -> None:
        """
        Have a gate looked at when its hold is over; one that waits for another event is called by `ended`.
        """
        until = hold.until
        if until is None:
            if gate.site.in_flight:
                return
            until = now + AT_LEAST
        if not now < gate.until <= until:
            gate.until = until
            self.timers.add(until, gate)

    def _wake(self, now: float) -> None:
        """
        Let those look again whose time has come.
        """
        for when, what in self.timers.take(now):
            if isinstance(what, Line):
                what.until = 0.0
                self.turns.append(what)
            elif isinstance(what, Gate) and what.until == when:
                what.until = 0.0
                self.call(what)

    def _short(self, now: float, wait: float) -> None:
        """
        Wait for the bucket of all attempts.
        """
        if not self._short_since:
            self._short_since = now
        head = self.turns[0]
        if head.why is None:
            head.since = head.since or self._short_since
            head.why = Why.GLOBAL_RATE
        self.timers.add_total(now + wait)

    def _mark(self, line: Line, why: Why | None, now: float) -> None:
        """
        Remember what limit holds a line, and since when: the wait for slots is no limit's.
        """
        if why is not None:
            line.why = why
            line.since = line.since or now

    def _start(self, line: Line, gate: Gate, now: float) -> Entry:
        waiting = line.waiting
        entry = waiting.popleft()
        self.ready -= 1
        if changes := gate.site.begin(now):
            self._changed(gate, line.domain, changes)
        if line.bucket is not None:
            line.bucket.take(now)
        if self.total is not None:
            self.total.take(now)
        entry.gate = gate
        self.in_flight += 1
        if gate.troubled:
            self.suspects_in_flight += 1
        if line.why is None:
            line.since = self._short_since = 0.0
        else:
            entry.why, line.why = line.why, None
            entry.late = max(0.0, now - max(entry.since, line.since))
        if waiting:
            self.turns.append(line)
        else:
            line.queued = False
        if gate.parked:
            self.call(gate)
        return entry

    def _call_one(self, pool: dict[Gate, None]) -> None:
        """
        Let the first gate that has somebody waiting try.
        """
        while pool:
            gate = next(iter(pool))
            del pool[gate]
            if gate.parked:
                self.call(gate)
                return
