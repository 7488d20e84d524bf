"""
One slice of what an operator selected: read, and changed in one commit; nothing else touches it meanwhile.

What is attempted is marked, in the storage beside the spool too. Raised: SpoolError and StorageError. Fatal, retried:
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import attrs
from twisted.internet.defer import DeferredList
from twisted.internet.interfaces import IReactorTime

from empath.interfaces import ISites, ISpool
from empath.mail.life import Emit
from empath.mail.life_safety import DeliveryManaged
from empath.mail.message import Delivery
from empath.mail.settlement import Change
from empath.policy.selection import Key, Selection
from empath.policy.verbs import BOUNCED, Verb, change
from empath.queue.attempts import Attempts
from empath.queue.entry import Entry, Order, Place
from empath.queue.freezing import Freezing
from empath.queue.notes import Notes
from empath.queue.site_names import learn_sites
from empath.queue.window import Window

SLICE: Final = 100  # deliveries: commits of others, and the reactor, wait no longer for one than some milliseconds
BOUNCES: Final = 20  # each takes a slot of those that wait for the disk
ORDER: Final = "order/"
START: Final[Key] = ("", "")


@attrs.frozen(slots=True)
class Tally:
    """
    How far a verb came: how many deliveries it `changed`, how many are being attempted (`in_flight`): it is done with
    those when their attempts end, and how many it leaves as they are.
    """

    changed: int = 0
    in_flight: int = 0
    unchanged: int = 0


Progress = Callable[[Tally], None]
"""
Hear how far a verb came, slice by slice.
"""


@attrs.define(slots=True, eq=False)
class Errand:
    """
    One verb on its way; `sites` are the names of those that were looked up for it.
    """

    order: Order
    selection: Selection
    tally: Tally = attrs.field(factory=Tally)
    moved: list[Key] = attrs.field(factory=list)
    sites: dict[str, str] = attrs.field(factory=dict)


class Slices:
    """
    Finds slices and does verbs to them. `wake` is called when mail in the spool became due, `forced` with the
    destinations of what has to be tried in any case. `bouncing` are the deliveries that are being bounced, and why;
    `reports` tell of what was bounced, and are not bounced in their turn.
    """

    def __init__(
        self,
        spool: ISpool,
        sites: ISites,
        window: Window,
        attempts: Attempts,
        freezing: Freezing,
        notes: Notes,
        clock: IReactorTime,
        emit: Emit,
        wake: Callable[[], None],
        forced: Callable[[set[str]], None],
    ) -> None:
        self.bouncing: dict[Key, str] = {}
        self.reports: set[str] = set()
        self._spool = spool
        self._sites = sites
        self._window = window
        self._attempts = attempts
        self._freezing = freezing
        self._notes = notes
        self._clock = clock
        self._emit = emit
        self.wake = wake
        self._forced = forced

    async def find(self, errand: Errand, selection: Selection, after: Key) -> tuple[list[Delivery], Key | None]:
        """
        Read a slice. What left the window meanwhile may be other than it was read, and is read again later.
        """
        window, is_bounce = self._window, errand.order.verb is Verb.BOUNCE
        while True:
            managed, left = frozenset(window.managed), window.watch()
            try:
                page = await self._spool.select(selection, after, BOUNCES if is_bounce else SLICE)
            finally:
                window.unwatch(left)
            if selection.site is None or not await self._learn(errand, page.deliveries):
                break
        found = []
        for each in page.deliveries:
            if is_bounce and each.queue_id in self.reports:
                continue
            if selection.site is not None and errand.sites[each.domain] != selection.site:
                continue
            key = (each.queue_id, each.domain)
            if key in left and key not in managed:
                errand.moved.append(key)
            else:
                found.append(each)
        return found, page.after

    async def _learn(self, errand: Errand, deliveries: Sequence[Delivery]) -> bool:
        """
        Learn the sites of these; tells whether that took time, so that they have to be read again.
        """
        return await learn_sites(self._sites, [each.domain for each in deliveries], errand.sites)

    async def apply(self, errand: Errand, found: list[Delivery]) -> None:
        """
        Do it to what is not being attempted, and mark what is.
        """
        order, now = errand.order, self._clock.seconds()
        busy: list[Entry] = []
        changes: list[Change] = []
        for each in found:
            entry = self._window.active.get((each.queue_id, each.domain))
            if entry is not None and entry.place is not Place.READY:
                busy.append(entry)
                continue
            made = change(order.verb, each, now, self._freezing.intervals(each.domain))
            if made is not None:
                changes.append(made)
        marked = self._mark(order, busy)
        done = await self._bounce(order, changes) if order.verb is Verb.BOUNCE else await self._change(errand, changes)
        if order.verb is Verb.FORCE:
            self._forced({each.domain for each in found})
        if marked:
            await self._notes.flush()
        tally = errand.tally
        rest = len(found) - len(busy) - len(changes)
        errand.tally = Tally(tally.changed + done, tally.in_flight + len(busy), tally.unchanged + rest)

    def _mark(self, order: Order, busy: list[Entry]) -> bool:
        """
        Note what is to be done after attempts; a retry needs nothing more, as it is being done.
        """
        for entry in busy:
            if order.verb is Verb.RELEASE:
                if entry.order is None or entry.order.verb is not Verb.HOLD:
                    continue
                entry.order = None
            elif order.verb in (Verb.RETRY, Verb.FORCE):
                continue
            else:
                entry.order = order
            self._notes.keep(note_of(entry.key), str(entry.order) if entry.order else None, forever=True)
        return bool(busy)

    async def _change(self, errand: Errand, changes: list[Change]) -> int:
        """
        Write a slice; tells how many deliveries it changed.
        """
        if not changes:
            return 0
        keys = [(each.before.queue_id, each.before.domain) for each in changes]
        self._window.take_out(keys)
        try:
            done = await self._spool.manage(changes)
        finally:
            self._window.let_go(keys)
            self.wake()
        order = errand.order
        for key, was_done in zip(keys, done, strict=True):
            if was_done:
                self._emit(DeliveryManaged(*key, order.word, order.why))
            else:
                errand.moved.append(key)
        return sum(done)

    async def _bounce(self, order: Order, changes: list[Change]) -> int:
        """
        End deliveries with a report to their senders; tells how many.
        """
        window, now = self._window, self._clock.seconds()
        keys = [(each.before.queue_id, each.before.domain) for each in changes]
        window.take_out(keys)
        window.let_go(keys)  # they come back at once, to be settled
        self.bouncing.update(dict.fromkeys(keys, order.why))
        ends = []
        for each in changes:
            entry = window.enter(each.before, None, window.lines.line(each.before.domain), now)
            ends.append(self._attempts.give_up(entry, BOUNCED))
        await DeferredList(ends, consumeErrors=True)
        failed = sum(self.bouncing.pop(key, None) is not None for key in keys)
        self.wake()
        return len(changes) - failed


def note_of(key: Key) -> str:
    """
    Name the note of what is to be done after an attempt.
    """
    return f"{ORDER}{key[0]} {key[1]}"
