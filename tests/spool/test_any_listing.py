"""
Whatever happens to mail, in whatever order, all lists and counts tell of all of it, each once.
"""

from __future__ import annotations

import os
import random
from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Spool
from empath.config.units import Folder
from empath.interfaces import ISpool
from empath.mail.message import Delivery, Status, deliveries_of
from empath.mail.queue_id import new_queue_id
from empath.mail.settlement import Change, Settlement
from empath.policy.selection import Key, Selection
from empath.spool import listing, selecting
from empath.spool.listing import INTERVAL
from empath.spool.memory import MemorySpool
from empath.spool.sqlite import SqliteSpool
from tests.spool.support import Post, at_once

START = 1_000_000.0
DOMAINS = ("a.example", "b.example", "c.example")
STANDING = (Status.PENDING, Status.RETRY, Status.HELD, Status.FAILED, Status.EXPIRED, Status.COMPLETED)
WANTED: tuple[dict[str, Any], ...] = (
    {"everything": True},
    *({"domain": domain} for domain in (*DOMAINS, "none.example")),
    *({"status": status} for status in STANDING),
    *({"domain": "a.example", "status": status} for status in STANDING),
    {"domain": "b.example", "sender": "alice@example.org"},
    {"domain": "b.example", "received_before": START + 40},
    {"received_before": START + 40},
    {"recipient": "x@a.example"},
)


class AnyListing:
    """
    A spool, what is in it, and what happens by chance.
    """

    def __init__(self, spool: ISpool, clock: Clock, seed: int) -> None:
        self.spool = spool
        self.clock = clock
        self.chance = random.Random(seed)
        self.post = Post()
        self.there: dict[Key, Delivery] = {}

    def store(self) -> None:
        """
        Let a message come; some took long to do so.
        """
        begun = self.clock.seconds() - self.chance.choice((0.0, 0.0, 0.0, 8.0, 30.0))
        domains = self.chance.sample(DOMAINS, self.chance.randint(1, 3))
        message = self.post.message(
            *[f"x@{domain}" for domain in domains],
            queue_id=new_queue_id(begun, self.chance),
            received=self.clock.seconds(),
        )
        for delivery in deliveries_of(message):
            self.there[(delivery.queue_id, delivery.domain)] = delivery
        self.spool.store(message, deliveries_of(message))

    def change(self) -> None:
        """
        Settle one, manage one, or delete one.
        """
        if not self.there:
            return
        key = self.chance.choice(list(self.there))
        before, status = self.there[key], self.chance.choice((*STANDING, None))
        if status is None:
            del self.there[key]
            self.spool.manage([Change(before, None)])
            return
        at = self.clock.seconds() + 50 if status in (Status.PENDING, Status.RETRY) else None
        after = attrs.evolve(before, status=status, attempts=before.attempts + 1, next_attempt=at)
        self.there[key] = after
        if self.chance.random() < 0.5:
            self.spool.manage([Change(before, after)])
        else:
            self.spool.settle(Settlement(after, keep_until=9e9 if at is None else None))

    def step(self) -> None:
        """
        Let something happen.
        """
        self.chance.choice((self.store, self.store, self.change, self.wait))()

    def wait(self) -> None:
        """
        Let time pass.
        """
        self.clock.advance(self.chance.choice((0.5, 3.0, INTERVAL)))


class AnyListingTests(SynchronousTestCase):
    """
    Both backends.
    """

    def setUp(self) -> None:
        for module, name, number in ((selecting, "SCANNED", 3), (selecting, "PLAIN", 4), (listing, "SLICE", 3)):
            self.patch(module, name, number)

    def spools(self, seed: int) -> list[AnyListing]:
        clocks = Clock(), Clock()
        for clock in clocks:
            clock.advance(START)
        section = Spool(path=Folder(os.path.abspath(self.mktemp())))
        sqlite = SqliteSpool(
            section,
            clock=clocks[0],
            in_writer=at_once,
            in_reader=at_once,
            in_thread=at_once,
            emit=lambda event: None,
            ballast=4096,
        )
        memory = MemorySpool(section, emit=lambda event: None)
        spools: tuple[ISpool, ...] = (sqlite, memory)
        for spool in spools:
            spool.open()
            self.addCleanup(partial(self.closed, spool))
        return [AnyListing(sqlite, clocks[0], seed), AnyListing(memory, clocks[1], seed)]

    def closed(self, spool: ISpool) -> None:
        self.successResultOf(Deferred.fromCoroutine(_close(spool)))

    def check(self, any_listing: AnyListing) -> None:
        """
        Compare all that is told with what there is.
        """
        spool, there = any_listing.spool, any_listing.there
        for wanted in WANTED:
            selection = Selection(**wanted)
            found: list[Key] = []
            after: Key | None = ("", "")
            limit = any_listing.chance.choice((1, 2, 50))
            while after is not None:
                page = self.successResultOf(spool.select(selection, after, limit))
                found += [(each.queue_id, each.domain) for each in page.deliveries]
                after = page.after
            fits = [key for key, each in there.items() if selection.fits(each)]
            if selection.received_before is not None:
                fits = [key for key in fits if there[key].received < selection.received_before]
            self.assertEqual(found, sorted(fits), wanted)
        statuses = [each.status for each in there.values()]
        counts = self.successResultOf(spool.counts())
        self.assertEqual({each: counts[each] for each in STANDING}, {each: statuses.count(each) for each in STANDING})
        for each in self.successResultOf(spool.destinations(9)).most:
            told = [delivery.status for delivery in there.values() if delivery.domain == each.domain]
            self.assertEqual(each.counts, {status: told.count(status) for status in STANDING if status in told})

    def test_all_is_told(self) -> None:
        """
        By all filters, in pages of all sizes, and counted.
        """
        for seed in range(5):
            for any_listing in self.spools(seed):
                for number in range(90):
                    any_listing.step()
                    if number % 15 == 14:
                        self.check(any_listing)

    def test_changes_between_two_pages(self) -> None:
        """
        What is there all the time, and fits all the time, is told once; nothing is told twice.
        """
        for seed in range(15):
            for any_listing in self.spools(seed):
                for _ in range(40):
                    any_listing.step()
                selection = Selection(**any_listing.chance.choice(WANTED[:8]))
                stays = {key for key, each in any_listing.there.items() if selection.fits(each)}
                found: list[Key] = []
                after: Key | None = ("", "")
                while after is not None:
                    page = self.successResultOf(any_listing.spool.select(selection, after, 2))
                    found += [(each.queue_id, each.domain) for each in page.deliveries]
                    after = page.after
                    any_listing.step()
                    stays &= {key for key, each in any_listing.there.items() if selection.fits(each)}
                self.assertEqual(len(found), len(set(found)))
                self.assertLessEqual(stays, set(found))


async def _close(spool: ISpool) -> None:
    await spool.close()
