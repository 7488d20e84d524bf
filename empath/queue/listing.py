"""
What an operator sees of the queue, page by page: found in the spool, but for what is being attempted, which only the
window knows.

Raised: SpoolError. Fatal, retried: nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
from twisted.internet.interfaces import IReactorTime

from empath.interfaces import ISites, ISpool
from empath.mail.message import Delivery, Status
from empath.policy.selection import Key, Page, Selection
from empath.queue.entry import Entry, Place
from empath.queue.site_names import learn_sites
from empath.queue.slices import START
from empath.queue.window import Window

MOST: Final = 1000  # deliveries of one page
BY_SITE: Final = 200  # are read at a time where their sites have to be looked up, which may take long
BUDGET: Final = 0.25  # seconds after which a page is given as it is
PATIENCE: Final = 5.0  # seconds for which it is counted

_SCHEDULED: Final = frozenset({Status.PENDING, Status.RETRY})


class Listing:
    """
    Gives pages of what is selected, and counts it.

    `Selection.status` means here what people see: what is being attempted is in progress, and neither pending nor in
    retry.
    """

    def __init__(self, spool: ISpool, sites: ISites, window: Window, clock: IReactorTime) -> None:
        self._spool = spool
        self._sites = sites
        self._window = window
        self._clock = clock

    async def page(self, selection: Selection, after: Key = START, limit: int = 50) -> Page:
        """
        Give up to `limit` deliveries behind a key; fewer, or none, before the end where they are hard to find.
        """
        if selection.status is Status.IN_PROGRESS:
            return await self._in_progress(selection, after, limit)
        begun, found = self._clock.seconds(), list[Delivery]()
        where: Key | None = after
        while where is not None and len(found) < limit and self._clock.seconds() - begun < BUDGET:
            page = await self._look(selection, where, limit - len(found))
            found += page.deliveries
            where = page.after
        return Page(tuple(found), where)

    async def count(self, selection: Selection, most: int) -> tuple[int, bool]:
        """
        Count what is selected; True with it: there may be more.
        """
        if selection.status is Status.IN_PROGRESS:
            found = len((await self._in_progress(selection, START, most)).deliveries)
            return found, found >= most
        begun, count = self._clock.seconds(), 0
        where: Key | None = START
        while where is not None and count < most and self._clock.seconds() - begun < PATIENCE:
            page = await self._look(selection, where, min(MOST, most - count))
            count += len(page.deliveries)
            where = page.after
        return count, where is not None

    def in_progress(self) -> list[Entry]:
        """
        Tell what is being attempted, or was and is not settled yet, in the order of the keys.
        """
        return in_progress(self._window)

    def is_in_progress(self, key: Key) -> bool:
        """
        Tell whether a delivery is.
        """
        entry = self._window.active.get(key)
        return entry is not None and entry.place is not Place.READY

    async def _look(self, selection: Selection, after: Key, limit: int) -> Page:
        """
        Read one page of the spool, and leave out what it cannot know not to fit.
        """
        page = await self._spool.select(selection, after, limit if selection.site is None else min(limit, BY_SITE))
        found: Sequence[Delivery] = page.deliveries
        if selection.status in _SCHEDULED:
            found = [each for each in found if not self.is_in_progress((each.queue_id, each.domain))]
        if selection.site is not None:
            names: dict[str, str] = {}
            await learn_sites(self._sites, [each.domain for each in found], names)
            found = [each for each in found if names[each.domain] == selection.site]
        return Page(tuple(found), page.after)

    async def _in_progress(self, selection: Selection, after: Key, limit: int) -> Page:
        """
        Ask the spool about each that is being attempted: there are few, and their keys are known.
        """
        selection = attrs.evolve(selection, status=None, everything=True)
        found: list[Delivery] = []
        for entry in in_progress(self._window):
            key, site = entry.key, None if entry.gate is None else entry.gate.site.name
            if key <= after or (selection.site is not None and site != selection.site):
                continue
            if len(found) >= limit:
                return Page(tuple(found), (found[-1].queue_id, found[-1].domain))
            found += await self._still(selection, key)
        return Page(tuple(found), None)

    async def _still(self, selection: Selection, key: Key) -> tuple[Delivery, ...]:
        if selection.queue_id not in (None, key[0]) or selection.domain not in (None, key[1]):
            return ()
        one = attrs.evolve(selection, queue_id=key[0], domain=key[1])
        return (await self._spool.select(one, START, 1)).deliveries


def in_progress(window: Window) -> list[Entry]:
    """
    Tell what is being attempted, or was and is not settled yet, in the order of the keys.
    """
    found = [entry for entry in window.active.values() if entry.place is not Place.READY]
    return sorted(found, key=lambda entry: entry.key)
