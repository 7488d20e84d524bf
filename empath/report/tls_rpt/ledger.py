"""
The counts of all domains, today's and those of days that are over and still to be reported, kept across restarts.

Fatal: nothing. Retried: what could not be stored, with the next round; it stays in memory. Lost: what was counted since
the last round when the machine fails.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final
from zlib import crc32

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

from empath.errors import StorageError
from empath.interfaces import IStorage
from empath.mail.life import TlsTried
from empath.report.tls_rpt.counting import DomainDay
from empath.report.tls_rpt.writing import DAY

SPREAD: Final = 4 * 3600  # seconds after midnight (UTC) in which the reports of a day begin to go out
PERSISTENCE: Final = DAY  # for which a report is tried, from the first try on (RFC 8460 §5.5)
FIRST_PAUSE: Final = 900.0  # seconds between two tries, twice as many each time
LONGEST_PAUSE: Final = 4 * 3600.0
KEPT: Final = 3 * DAY  # after a day's end; then its counts are of no use
MOST_DAYS: Final = 10_000  # of domains, in memory
MOST_OCTETS: Final = 32 * 1024 * 1024
BATCH: Final = 200  # of what is stored at once

log = Logger()


@attrs.define(slots=True, eq=False)
class Page:
    """
    A domain's counts of one day, which began at `began` (seconds since the epoch), and how far its report is: `done`
    are the endpoints that have it, `tries` how often it was tried, since `first`, and `next_try` when it will be.
    """

    domain: str
    began: float
    counts: DomainDay
    done: set[str] = attrs.field(factory=set)
    tries: int = 0
    first: float = 0.0
    next_try: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.next_try = self.due

    @property
    def due(self) -> float:
        """
        When the report goes out first; of all domains not at once, and always the same.
        """
        return self.began + DAY + crc32(f"{self.domain} {self.began:.0f}".encode()) % SPREAD

    @property
    def key(self) -> str:
        """
        What it is stored under.
        """
        return f"{self.began:.0f} {self.domain}"

    def postpone(self, now: float) -> bool:
        """
        Set the time of the next try; False if there is none.
        """
        if not self.tries:
            self.first = now
        self.next_try = now + min(FIRST_PAUSE * 2**self.tries, LONGEST_PAUSE)
        self.tries += 1
        return self.next_try <= self.first + PERSISTENCE

    def write(self) -> str:
        """
        Write it down.
        """
        return json.dumps([self.counts.dump(), sorted(self.done), self.tries, self.first, self.next_try])


def read_page(key: str, text: str) -> Page:
    """
    Read what was stored; ValueError for anything else.
    """
    began, _, domain = key.partition(" ")
    try:
        counts, done, tries, first, next_try = json.loads(text)
        page = Page(domain, float(began), DomainDay.restore(counts), set(map(str, done)), int(tries), float(first))
        page.next_try = float(next_try)
    except TypeError as error:
        raise ValueError(str(error)) from error
    return page


class Ledger:
    """
    Counts sessions, and gives the pages whose report is due.
    """

    def __init__(self, storage: IStorage) -> None:
        self._storage = storage
        self._today: dict[str, Page] = {}
        self._began = 0.0
        self._past: dict[str, Page] = {}
        self._dirty: dict[str, Page] = {}
        self._octets = 0
        self._full = False

    def count(self, tried: TlsTried, now: float) -> None:
        """
        Count a session. Where there are too many domains already it is not, and the log says so once a day.
        """
        if not self._began <= now < self._began + DAY:
            self.turn(now)
        page = self._today.get(tried.domain)
        if page is None:
            if len(self._today) + len(self._past) >= MOST_DAYS or self._octets >= MOST_OCTETS:
                self._tell_full()
                return
            page = self._today[tried.domain] = Page(tried.domain, self._began, DomainDay())
        before = page.counts.size
        page.counts.count(tried)
        self._octets += page.counts.size - before
        self._dirty[page.key] = page

    def turn(self, now: float) -> None:
        """
        Begin the day that `now` is in, if it is another one.
        """
        began = now // DAY * DAY
        if began != self._began:
            self._past.update((page.key, page) for page in self._today.values())
            self._today, self._began, self._full = {}, began, False
            for page in [page for page in self._past.values() if page.began == began]:  # the clock was set back
                self._today[page.domain] = self._past.pop(page.key)

    def due(self, now: float) -> Iterator[Page]:
        """
        Give the pages of past days whose time has come; each may be forgotten or stored meanwhile.
        """
        return iter([page for page in self._past.values() if page.next_try <= now])

    async def restore(self, now: float) -> None:
        """
        Take up what was stored; StorageError if that cannot be read.
        """
        self.turn(now)
        after = ""
        while items := await self._storage.items(after):
            for key, text in items:
                self._take_up(key, text)
            after = items[-1][0]

    async def flush(self) -> None:
        """
        Store what has changed; what cannot be stored now will be with the next one.
        """
        while self._dirty:
            batch = [self._dirty.pop(key) for key in list(self._dirty)[:BATCH]]
            troubles = await gatherResults([Deferred.fromCoroutine(self._store(page)) for page in batch])
            if any(troubles):
                log.warn("counts of TLS sessions are not stored: {error}", error=next(filter(None, troubles)))
                return

    def changed(self, page: Page) -> None:
        """
        Have a page stored with the next flush.
        """
        self._dirty[page.key] = page

    async def forget(self, page: Page) -> None:
        """
        Drop a page of a past day: there is nothing more to do.
        """
        self._past.pop(page.key, None)
        self._dirty.pop(page.key, None)
        self._octets -= page.counts.size
        try:
            await self._storage.delete(page.key)
        except StorageError as error:
            log.warn("counts of TLS sessions that were reported stay stored: {error}", error=error)

    async def _store(self, page: Page) -> str:
        """
        Store a page; tells what went wrong, "" for nothing.
        """
        try:
            await self._storage.put(page.key, page.write(), page.began + DAY + KEPT)
        except StorageError as error:
            if page.key in self._past or self._today.get(page.domain) is page:
                self._dirty.setdefault(page.key, page)
            return str(error) or type(error).__name__
        return ""

    def _take_up(self, key: str, text: str) -> None:
        try:
            page = read_page(key, text)
        except ValueError as error:
            log.warn("stored counts of TLS sessions cannot be read: {error}", error=error)
            return
        self._octets += page.counts.size
        if page.began == self._began:
            self._today[page.domain] = page
        else:
            self._past[page.key] = page

    def _tell_full(self) -> None:
        if not self._full:
            self._full = True
            log.warn("too many domains: of some, TLS sessions are not counted today")
