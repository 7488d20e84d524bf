"""
The active window: the deliveries in memory, bounded whatever the spool holds. Plain data: no clock, no waiting.

A site gets one more entry only while it has fewer than there is room left: alone it fills half of the window, with n
others 1/(n+1), so that mail for another one always finds a place, and memory is never spent on one dead site's backlog.
Of a site whose gate is shut a few are kept, to try it with. Urgent mail finds a place where there is any. Messages are
kept in memory up to `MAX_HELD` bytes in all; beyond it an entry has none, and the message is read from the spool when
its turn comes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from empath.mail.message import Delivery, Message
from empath.queue.entry import Copy, Entry, Key, Order, Place
from empath.queue.line import Gate, Line
from empath.queue.lines import Lines

MAX_HELD: Final = 32 * 1024 * 1024
KEPT: Final = 50  # entries of a site that is left alone


class Window:
    """
    At most `max_active` entries, by their keys; `held` is what their copies of messages take in bytes. Mail to the
    destinations in `frozen` is left to the spool. The deliveries in `managed` are being changed there, and nothing else
    may begin with them. `ordered` hears of an entry that leaves with an order.
    """

    def __init__(self, max_active: int, lines: Lines, max_held: int = MAX_HELD) -> None:
        self.max_active = max_active
        self.lines = lines
        self.active: dict[Key, Entry] = {}
        self.held = 0
        self.crowded = False
        self.frozen: set[str] = set()
        self.managed: set[Key] = set()
        self.ordered: Callable[[Key, Order], None] | None = None
        self._max_held = max_held
        self._watching: list[set[Key]] = []

    @property
    def idle(self) -> int:
        """
        How many entries are ready and wait for sites that are left alone.
        """
        return sum(len(line.waiting) for line in self.lines.by_domain.values() if line.gate.shut)

    @property
    def room(self) -> int:
        """
        How many entries the window can still take.
        """
        return max(0, self.max_active - len(self.active))

    def copy_of(self, message: Message) -> Copy | None:
        """
        Keep a message in memory if there is room for it.
        """
        size = len(message.header) + len(message.body or b"")
        return None if self.held + size > self._max_held else Copy(message, size)

    def admit(self, delivery: Delivery, copy: Copy | None, now: float) -> bool:
        """
        Take a delivery into its line; tells whether it is (or already was) in the window.

        Where there is no room, that is remembered: `release` then tells when it is time to look into the spool.
        """
        key = (delivery.queue_id, delivery.domain)
        active = self.active
        if key in active:
            return True
        if self.frozen and delivery.domain in self.frozen:
            return False
        if self.managed and key in self.managed:
            return False
        room = self.max_active - len(active)
        if room <= 0:
            self.crowded = True
            return False
        lines = self.lines
        line = lines.line(delivery.domain)
        gate = line.gate
        full = gate.entries >= min(room, KEPT) if gate.shut else gate.entries >= room and delivery.priority <= 0
        if full:
            gate.overflow = gate.entries
            if not line.entries:
                lines.forget(line)
            return False
        lines.add(self.enter(delivery, copy, line, now))
        return True

    def enter(self, delivery: Delivery, copy: Copy | None, line: Line, now: float) -> Entry:
        """
        Take a delivery in, whether there is room or not; it has no turn yet.
        """
        key = (delivery.queue_id, delivery.domain)
        entry = self.active[key] = Entry(key, delivery, line, copy, now)
        line.entries += 1
        line.gate.entries += 1
        if copy is not None:
            if not copy.users:
                self.held += copy.size
            copy.users += 1
        return entry

    def release(self, entry: Entry) -> bool:
        """
        Let go of an entry that is in no line; tells whether mail that was left in the spool should be looked for now.
        """
        del self.active[entry.key]
        for left in self._watching:
            left.add(entry.key)
        entry.place = Place.GONE
        copy, entry.copy = entry.copy, None
        if copy is not None:
            copy.users -= 1
            if not copy.users:
                self.held -= copy.size
        if entry.order is not None and self.ordered is not None:
            self.ordered(entry.key, entry.order)
        line = entry.line
        gate = line.gate
        line.entries -= 1
        gate.entries -= 1
        drained = 0 < gate.overflow >= gate.entries * 2
        if drained:
            gate.overflow = 0
        if not line.entries:
            self.lines.forget(line)
        if self.crowded and len(self.active) * 2 <= self.max_active:
            self.crowded = False
            return True
        return drained

    def shed(self, gate: Gate) -> bool:
        """
        Leave to the spool what a gate that is shut has beyond the few to try it with; tells whether mail that was left
        there should be looked for now.
        """
        wanted = False
        spare = gate.entries - KEPT
        for line in list(gate.lines.values()):
            while spare > 0 and line.waiting:
                spare -= 1
                self.lines.ready -= 1
                wanted |= self.release(line.waiting.pop())
        gate.overflow = gate.entries
        return wanted or self.crowded

    def shed_line(self, line: Line) -> bool:
        """
        Leave to the spool what a line that came to another gate has beyond what there is room for; otherwise as `shed`.
        """
        gate = line.gate
        spare = gate.entries - KEPT if gate.shut else (gate.entries - self.room) // 2
        wanted = False
        while spare > 0 and line.waiting:
            spare -= 1
            self.lines.ready -= 1
            wanted |= self.release(line.waiting.pop())
            gate.overflow = gate.entries
        return wanted

    def freeze(self, domain: str) -> None:
        """
        Leave to the spool all that waits for a destination, from now on.
        """
        self.frozen.add(domain)
        line = self.lines.by_domain.get(domain)
        while line is not None and line.waiting:
            self.lines.ready -= 1
            self.release(line.waiting.pop())

    def take_out(self, keys: Collection[Key]) -> None:
        """
        Have deliveries that are not being attempted neither in the window nor let into it, until `let_go`.
        """
        entries = [entry for key in keys if (entry := self.active.get(key)) is not None]
        self.lines.remove_all(entries)
        for entry in entries:
            self.release(entry)
        self.keep_out(keys)

    def keep_out(self, keys: Collection[Key]) -> None:
        """
        The same of deliveries that are not in the window.
        """
        self.managed.update(keys)
        for left in self._watching:
            left.update(keys)

    def let_go(self, keys: Collection[Key]) -> None:
        """
        End what `take_out` or `keep_out` began.
        """
        self.managed.difference_update(keys)

    def full(self) -> tuple[set[str], int]:
        """
        Tell which destinations have no room for more, and how many entries the others have.
        """
        room = self.room
        skip: set[str] = set()
        others = 0
        for gate in {line.gate: None for line in self.lines.by_domain.values()}:
            if gate.entries >= (min(room, KEPT // 2) if gate.shut else room):
                gate.overflow = gate.entries
                skip.update(gate.lines)
                skip.update(gate.domains)
            else:
                others += gate.entries
        return skip | self.frozen, others

    def held_back(self) -> tuple[set[str], int]:
        """
        Tell the destinations that are frozen, or whose gates are shut, as far as is known, and how many entries these
        have.
        """
        gates = {line.gate: None for line in self.lines.by_domain.values() if line.gate.shut}
        shut = {domain for gate in gates for domain in (*gate.domains, *gate.lines)}
        return shut | self.frozen, sum(gate.entries for gate in gates)

    def watch(self) -> set[Key]:
        """
        Begin to note the keys that leave, or are managed: what the spool was asked for from now on may be older than
        their settlement.
        """
        left = set(self.managed)
        self._watching.append(left)
        return left

    def unwatch(self, left: set[Key]) -> None:
        """
        Note no more in what `watch` gave.
        """
        self._watching = [each for each in self._watching if each is not left]
