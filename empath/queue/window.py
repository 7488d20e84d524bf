"""
The active window: the deliveries in memory, bounded whatever the spool holds. Plain data: no clock, no waiting.

A destination gets one more entry only while it has fewer than there is room left: alone it fills half of the window,
with n others 1/(n+1), so that mail for another one always finds a place, and memory is never spent on one dead
destination's backlog. Messages are kept in memory up to `MAX_HELD` bytes in all; beyond it an entry has none, and the
message is read from the spool when its turn comes.
"""

from __future__ import annotations

from typing import Final

from empath.mail.message import Delivery, Message
from empath.queue.entry import Copy, Entry, Key, Place
from empath.queue.lines import Lines

MAX_HELD: Final = 32 * 1024 * 1024


class Window:
    """
    At most `max_active` entries, by their keys; `held` is what their copies of messages take in bytes.
    """

    def __init__(self, max_active: int, lines: Lines, max_held: int = MAX_HELD) -> None:
        self.max_active = max_active
        self.lines = lines
        self.active: dict[Key, Entry] = {}
        self.held = 0
        self.crowded = False
        self._max_held = max_held
        self._left: set[Key] | None = None

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

    def admit(self, delivery: Delivery, copy: Copy | None) -> bool:
        """
        Take a delivery into its line; tells whether it is (or already was) in the window.

        Where there is no room, that is remembered: `drained` then tells when it is time to look into the spool.
        """
        key = (delivery.queue_id, delivery.domain)
        active = self.active
        if key in active:
            return True
        room = self.max_active - len(active)
        if room <= 0:
            self.crowded = True
            return False
        lines = self.lines
        line = lines.line(delivery.domain)
        if line.entries >= room:
            line.overflow = line.entries
            return False
        entry = active[key] = Entry(key, delivery, line, copy)
        line.entries += 1
        if copy is not None:
            if not copy.users:
                self.held += copy.size
            copy.users += 1
        lines.add(entry)
        return True

    def release(self, entry: Entry) -> bool:
        """
        Let go of an entry that is in no line; tells whether mail that was left in the spool should be looked for now.
        """
        del self.active[entry.key]
        if self._left is not None:
            self._left.add(entry.key)
        entry.place = Place.GONE
        copy, entry.copy = entry.copy, None
        if copy is not None:
            copy.users -= 1
            if not copy.users:
                self.held -= copy.size
        line = entry.line
        line.entries -= 1
        drained = 0 < line.overflow >= line.entries * 2
        if drained:
            line.overflow = 0
        if not line.entries:
            self.lines.forget(line)
        if self.crowded and len(self.active) * 2 <= self.max_active:
            self.crowded = False
            return True
        return drained

    def full(self) -> tuple[set[str], int]:
        """
        Tell which destinations have no room for more, and how many entries the others have.
        """
        room = self.room
        skip = set()
        others = 0
        for line in self.lines.by_domain.values():
            if line.entries >= room:
                skip.add(line.domain)
                line.overflow = line.entries
            else:
                others += line.entries
        return skip, others

    def watch(self) -> None:
        """
        Begin to note the keys that leave: what the spool was asked for from now on may be older than their settlement.
        """
        self._left = set()

    def unwatch(self) -> set[Key]:
        """
        Give the keys that left since `watch`.
        """
        left, self._left = self._left or set(), None
        return left
