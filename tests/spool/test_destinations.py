"""
The destinations of a long queue are counted a slice at a time, each delivery once.
"""

from __future__ import annotations

import os
import sqlite3

import attrs
from twisted.internet.defer import Deferred

from empath.errors import SpoolError
from empath.mail.stored import Destinations
from empath.spool import destinations, listing
from empath.spool.destinations import PATIENCE
from tests.spool.support import HeldThread
from tests.spool.test_listing import SpoolOfNow


class CountingTests(SpoolOfNow):
    """
    Some of it is in the index of domains, and some is not.
    """

    def counted(self, limit: int = 9) -> Deferred[Destinations]:
        """
        Ask for the destinations.
        """
        return self.spool.destinations(limit)

    def test_destinations_are_counted_in_slices(self) -> None:
        """
        However large: what is in the index, what is not, and what is taken up into it meanwhile are counted once.
        """
        domains = ["a.example", "b.example", "b.example", "c.example", "a.example", "b.example", "d.example"]
        for at, domain in enumerate(domains * 2):
            self.stored(f"x@{domain}")
            if at == 6:
                self.rounds()
        wanted = {domain: domains.count(domain) * 2 for domain in domains}
        for most in (1, 2, 3, 7, 100):
            self.patch(destinations, "_WAYS", tuple(attrs.evolve(way, most=most) for way in destinations._WAYS))
            self.clock.advance(1.1)  # not long enough for a round
            found = self.successResultOf(self.counted())
            self.assertEqual({each.domain: sum(each.counts.values()) for each in found.most}, wanted)
            self.assertTrue(found.complete)
            self.assertEqual(self.listed(), 7)

    def test_taken_up_while_counted(self) -> None:
        """
        It is counted where it was at first.
        """
        for number in range(6):
            self.stored(f"x@d{number % 2}.example")
        self.patch(destinations, "_WAYS", tuple(attrs.evolve(way, most=1) for way in destinations._WAYS))
        for steps in range(12):
            reading = HeldThread()
            self.patch(self.spool._patient, "_in_reader", reading)
            asked = self.counted()
            for _ in range(steps):
                if reading.calls:
                    reading.run()
            self.clock.advance(0.1)
            with_rows = sqlite3.connect(os.path.join(self.path, "spool.sqlite"), isolation_level=None)
            listing.take_up("8", with_rows)
            with_rows.close()
            reading.release()
            told = {each.domain: sum(each.counts.values()) for each in self.successResultOf(asked).most}
            self.assertEqual(told, {"d0.example": 3, "d1.example": 3})
            self.clock.advance(1.1)

    def test_who_asks_at_the_same_time_shares_a_count(self) -> None:
        """
        And what took several slices is told again for a second; what took one is told as it is now.
        """
        reading = HeldThread()
        self.patch(self.spool._patient, "_in_reader", reading)
        self.stored("x@a.example")
        asked = [self.counted() for _ in range(3)]
        self.assertEqual(len(reading.calls), 1)
        reading.release()
        for each in asked:
            self.assertEqual(self.successResultOf(each).number, 1)
        self.stored("x@b.example")
        self.assertEqual(self.successResultOf(self.counted()).number, 2)
        self.patch(destinations, "_WAYS", tuple(attrs.evolve(way, most=1) for way in destinations._WAYS))
        self.assertEqual(self.successResultOf(self.counted()).number, 2)
        self.stored("x@c.example")
        self.assertEqual(self.successResultOf(self.counted()).number, 2)
        self.clock.advance(1.1)
        self.assertEqual(self.successResultOf(self.counted()).number, 3)

    def test_what_takes_too_long_to_count(self) -> None:
        """
        Is told as far as it was counted; who asks later gets all of it.
        """
        for number in range(4):
            self.stored(f"x@d{number}.example")
        self.patch(destinations, "_WAYS", tuple(attrs.evolve(way, most=1) for way in destinations._WAYS))
        reading = HeldThread()
        self.patch(self.spool._patient, "_in_reader", reading)
        asked = self.counted()
        for _ in range(4):
            reading.run()
        self.clock.advance(PATIENCE)
        reading.run()
        reading.run()
        found = self.successResultOf(asked)
        self.assertFalse(found.complete)
        self.assertGreater(found.number, 0)
        self.assertLess(found.number, 4)
        reading.release()
        found = self.successResultOf(self.counted())
        self.assertEqual((found.number, found.complete), (4, True))

    def test_a_count_that_fails(self) -> None:
        """
        Fails who waits for it, and nobody after that.
        """
        self.stored("x@a.example")
        reading = HeldThread()
        self.patch(self.spool._patient, "_in_reader", reading)
        asked = [self.counted() for _ in range(2)]
        _, waiting = reading.calls.pop(0)
        waiting.errback(SpoolError("the disk is away"))
        for each in asked:
            self.failureResultOf(each, SpoolError)
        reading.release()
        self.assertEqual(self.successResultOf(self.counted()).number, 1)
