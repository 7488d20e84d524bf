"""
The index of deliveries by domain: what stays is taken up into it, and whatever is in it or not, all that fits is found.
"""

from __future__ import annotations

import os
import sqlite3
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Spool
from empath.config.units import Folder
from empath.errors import SpoolError
from empath.mail.message import Delivery, Status, deliveries_of
from empath.mail.queue_id import queue_id_at
from empath.mail.settlement import Settlement
from empath.policy.selection import Selection
from empath.spool import listing, selecting
from empath.spool.listing import INTERVAL, LAG
from empath.spool.sqlite import SqliteSpool
from tests.spool.support import HeldThread, Post, at_once

START = 1_000_000.0


class SpoolOfNow(SynchronousTestCase):
    """
    Mail whose ids are of the time at which it comes.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(START)
        self.post = Post()
        self.path = os.path.abspath(self.mktemp())
        self.broken: list[Exception] = []
        self.thread = HeldThread()
        self.thread.held = False
        self.spool = self.opened()
        self.number = 0

    def in_writer(self, call: Any) -> Deferred[Any]:
        if self.broken:
            raise_it = self.broken.pop()
            return at_once(lambda: (_ for _ in ()).throw(raise_it))
        return self.thread(call)

    def opened(self) -> SqliteSpool:
        spool = SqliteSpool(
            Spool(path=Folder(self.path)),
            clock=self.clock,
            in_writer=self.in_writer,
            in_reader=at_once,
            in_thread=at_once,
            emit=lambda event: None,
            ballast=4096,
        )
        spool.open()
        self.addCleanup(lambda: self.successResultOf(Deferred.fromCoroutine(spool.close())))
        return spool

    def stored(self, *recipients: str, begun: float | None = None) -> tuple[Delivery, ...]:
        """
        Store a message whose transaction began now, or then.
        """
        self.number += 1
        queue_id = queue_id_at(self.clock.seconds() if begun is None else begun)[:-4] + f"{self.number:04}"
        message = self.post.message(*recipients, queue_id=queue_id)
        deliveries = deliveries_of(message)
        self.successResultOf(self.spool.store(message, deliveries))
        return deliveries

    def found(self, limit: int = 100, **wanted: Any) -> list[tuple[str, str]]:
        """
        Page through all that fits.
        """
        keys: list[tuple[str, str]] = []
        after: tuple[str, str] | None = ("", "")
        while after is not None:
            page = self.successResultOf(self.spool.select(Selection(**wanted), after, limit))
            keys += [(each.queue_id, each.domain) for each in page.deliveries]
            self.assertTrue(page.after is None or page.after > after)
            after = page.after
        return keys

    def listed(self) -> int:
        """
        Count what is in the index.
        """
        connection = sqlite3.connect(os.path.join(self.path, "spool.sqlite"))
        try:
            number: int = connection.execute("SELECT count(*) FROM delivery WHERE listed IS NOT NULL").fetchone()[0]
        finally:
            connection.close()
        return number

    def rounds(self) -> None:
        """
        Let all rounds be over.
        """
        for _ in range(3):
            self.clock.advance(INTERVAL)


class ListingTests(SpoolOfNow):
    """
    What is in the index, and what is found.
    """

    def test_what_goes_on_at_once_is_not_in_it(self) -> None:
        """
        It pays for nothing; and once nothing new comes, no timer runs.
        """
        (gone,) = self.stored("a@a.example")
        self.successResultOf(self.spool.settle(Settlement(attrs.evolve(gone, status=Status.COMPLETED))))
        self.stored("a@a.example")
        self.assertEqual(self.listed(), 0)
        self.rounds()
        self.assertEqual(self.listed(), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_young_are_taken_up_later(self) -> None:
        """
        What came just before a round gets another one, and then there are no more.
        """
        old = self.stored("a@a.example")
        self.clock.advance(INTERVAL - LAG / 2)
        young = self.stored("a@a.example")
        self.clock.advance(LAG / 2)
        self.assertEqual(self.listed(), 1)
        self.assertEqual(self.found(domain="a.example"), [(each.queue_id, each.domain) for each in (*old, *young)])
        self.rounds()
        self.assertEqual(self.listed(), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_all_is_found_whether_it_is_in_it_or_not(self) -> None:
        """
        By domain, by domain and more, in pages of any size, in the order of the keys; and counted.
        """
        self.patch(listing, "SLICE", 2)
        self.patch(selecting, "SCANNED", 3)
        self.patch(selecting, "PLAIN", 4)
        keys: list[tuple[str, str]] = []
        for number in range(24):
            keys += [(each.queue_id, each.domain) for each in self.stored("x@a.example", f"y@b{number % 3}.example")]
            self.clock.advance(3)
        for _ in range(2):
            for domain in ("a.example", "b0.example", "b2.example", "c.example"):
                wanted = [key for key in keys if key[1] == domain]
                for limit in (1, 3, 100):
                    self.assertEqual(self.found(limit, domain=domain), wanted)
                    self.assertEqual(self.found(limit, domain=domain, status=Status.PENDING), wanted)
                    self.assertEqual(self.found(limit, domain=domain, sender="alice@example.org"), wanted)
                    self.assertEqual(self.found(limit, domain=domain, status=Status.HELD), [])
            found = self.successResultOf(self.spool.destinations(2))
            most = found.most[0]
            self.assertEqual((most.domain, most.counts, found.number), ("a.example", {Status.PENDING: 24}, 4))
            self.assertGreater(self.listed(), 0)
            self.successResultOf(Deferred.fromCoroutine(self.spool.close()))
            self.spool = self.opened()
        self.rounds()
        self.assertEqual(self.listed(), 48)

    def test_what_took_long_to_come(self) -> None:
        """
        Has an id that is behind it by then: it is in the index from the first.
        """
        self.stored("b@b.example")
        self.rounds()
        for begun in (START + INTERVAL, START - 1000):
            (late,) = self.stored("a@a.example", begun=begun)
            self.assertIn((late.queue_id, "a.example"), self.found(domain="a.example"))
        self.rounds()
        self.assertEqual(len(self.found(domain="a.example")), 2)
        self.assertEqual(self.successResultOf(self.spool.destinations(1)).most[0].counts, {Status.PENDING: 2})

    def test_what_is_settled_keeps_its_place(self) -> None:
        """
        With its new status.
        """
        (delivery,) = self.stored("a@a.example")
        self.rounds()
        again = attrs.evolve(delivery, status=Status.RETRY, attempts=1, next_attempt=START + 99)
        self.successResultOf(self.spool.settle(Settlement(again)))
        self.assertEqual(len(self.found(domain="a.example", status=Status.RETRY)), 1)
        self.assertEqual(self.found(domain="a.example", status=Status.PENDING), [])
        self.assertEqual(self.successResultOf(self.spool.destinations(1)).most[0].counts, {Status.RETRY: 1})

    def test_trouble(self) -> None:
        """
        Is told, and the next round tries again; meanwhile everything is found.
        """
        self.stored("a@a.example")
        self.broken.append(SpoolError("no disk"))
        self.clock.advance(INTERVAL)
        self.assertEqual((self.listed(), len(self.found(domain="a.example"))), (0, 1))
        self.rounds()
        self.assertEqual(self.listed(), 1)

    def test_rest_of_the_last_run(self) -> None:
        """
        What was not taken up before a stop is taken up after it, though nothing new comes.
        """
        self.stored("a@a.example")
        self.successResultOf(Deferred.fromCoroutine(self.spool.close()))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.spool = self.opened()
        self.rounds()
        self.assertEqual(self.listed(), 1)

    def test_a_stop_while_it_is_taken_up(self) -> None:
        """
        Waits for the slice that is being written, and for no other: a long queue must not hold up the stop.
        """
        self.patch(listing, "SLICE", 2)
        for _ in range(9):
            self.stored("a@a.example")
        self.clock.advance(INTERVAL - 1)
        self.thread.held = True
        self.clock.advance(1)
        closed = Deferred.fromCoroutine(self.spool.close())
        self.thread.release()
        self.successResultOf(closed)
        self.assertEqual((self.listed(), self.clock.getDelayedCalls()), (2, []))
        self.spool = self.opened()
        self.rounds()
        self.assertEqual(self.listed(), 9)

    def test_resting_mail_is_found_by_its_status(self) -> None:
        """
        By the index of what is not scheduled, page by page.
        """
        self.patch(selecting, "PLAIN", 2)
        deliveries = [self.stored("a@a.example")[0] for _ in range(6)]
        for each in deliveries[1::2]:
            held = attrs.evolve(each, status=Status.HELD, next_attempt=None, last_error="why")
            self.successResultOf(self.spool.settle(Settlement(held)))
        wanted = [(each.queue_id, each.domain) for each in deliveries[1::2]]
        for limit in (1, 2, 9):
            self.assertEqual(self.found(limit, status=Status.HELD), wanted)
            self.assertEqual(self.found(limit, status=Status.HELD, held_for="why"), wanted)
            self.assertEqual(self.found(limit, status=Status.FAILED), [])
