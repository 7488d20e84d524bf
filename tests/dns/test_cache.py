"""
What is remembered, and for how long.
"""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Dns
from empath.config.units import seconds
from empath.dns.cache import BOGUS_TTL, FAILURE_TTL, STAND_IN, Cache, Listed
from empath.mail.answer import Answer, Found, Security


def answer(name: str, expires: float, rdtype: str = "MX") -> Answer:
    """
    Make an answer that matters only by its name and time.
    """
    return Answer(name, rdtype, Found.RECORDS, expires=expires)


class CacheTests(SynchronousTestCase):
    """
    A bounded cache.
    """

    def fill(self, size: int, *names: str, expires: float = 100.0) -> Cache:
        cache = Cache(Dns(cache_size=size))
        for name in names:
            cache.keep((name, "MX"), answer(name, expires), 0.0)
        return cache

    def names(self, cache: Cache) -> list[str]:
        return [listed.answer.name for listed in cache.listing(0.0)]

    def test_hit_until_it_expires(self) -> None:
        """
        An answer is told until the last tenth of its time; in that it is told once more to one who shall ask for it
        again, and then to all until it expires. Hits are counted.
        """
        cache = self.fill(10, "a")
        self.assertEqual(cache.find(("a", "MX"), 89.9), answer("a", 100.0))
        self.assertIsNone(cache.find(("a", "A"), 0.0))
        self.assertIsNone(cache.find(("a", "MX"), 90.0))
        self.assertEqual(cache.find_late(("a", "MX"), 90.0), answer("a", 100.0))
        self.assertEqual(cache.find(("a", "MX"), 99.9), answer("a", 100.0))
        self.assertIsNone(cache.find(("a", "MX"), 100.0))
        self.assertIsNone(cache.find_late(("a", "MX"), 100.0))
        self.assertIsNone(cache.find_late(("a", "A"), 0.0))
        self.assertEqual((cache.hits, cache.evictions, len(cache)), (3, 0, 1))

    def test_failures_keep_their_whole_time(self) -> None:
        """
        Trouble is not asked for again before its time.
        """
        cache = Cache(Dns())
        failed = Answer("a", "MX", Found.FAILED, expires=FAILURE_TTL)
        cache.keep(("a", "MX"), failed, 0.0)
        self.assertIs(cache.find(("a", "MX"), FAILURE_TTL - 0.1), failed)

    def test_stands_in(self) -> None:
        """
        Records that expired up to serve_stale ago can be used where a look-up failed; they say so, why, and until when,
        and every half minute it is time to ask again.
        """
        cache = Cache(Dns(serve_stale=seconds(100)))
        cache.keep(("a", "MX"), answer("a", 100.0), 0.0)
        standing = attrs.evolve(answer("a", 200.0), stale=True, detail="timeout: nobody")
        self.assertEqual(cache.stand_in(("a", "MX"), 150.0, "timeout: nobody"), standing)
        self.assertEqual(cache.find(("a", "MX"), 150.0 + STAND_IN - 0.1), standing)
        self.assertIsNone(cache.find(("a", "MX"), 150.0 + STAND_IN))
        self.assertEqual(cache.find_late(("a", "MX"), 150.0 + STAND_IN), standing)
        self.assertEqual(cache.find(("a", "MX"), 199.9), standing)
        self.assertEqual(cache.listing(190.0), [Listed(standing, 190.0)])
        self.assertIsNone(cache.find_late(("a", "MX"), 200.0))
        self.assertIsNone(cache.stand_in(("a", "MX"), 200.0, "timeout: nobody"))
        self.assertEqual((cache.stand_ins, cache.evict(199.9), cache.evict(200.0)), (1, 0, 1))

    def test_stands_in_while_it_is_good(self) -> None:
        """
        What has not expired needs no excuse.
        """
        cache = self.fill(10, "a")
        self.assertEqual(cache.stand_in(("a", "MX"), 99.0, "timeout: nobody"), answer("a", 100.0))
        self.assertEqual(cache.stand_ins, 0)

    def test_does_not_stand_in(self) -> None:
        """
        Denials would bounce mail, TLSA records may be withdrawn keys, what is bogus was never good, failures are none.
        """
        cache = Cache(Dns())
        for kept in (
            Answer("a", "MX", Found.NO_NAME, expires=100.0),
            Answer("b", "MX", Found.NO_DATA, expires=100.0),
            Answer("c", "TLSA", Found.RECORDS, expires=100.0),
            Answer("d", "MX", Found.RECORDS, expires=100.0, security=Security.BOGUS),
            Answer("e", "MX", Found.FAILED, expires=100.0),
        ):
            cache.keep((kept.name, kept.rdtype), kept, 0.0)
            self.assertIsNone(cache.stand_in((kept.name, kept.rdtype), 100.0, "timeout: nobody"))
        self.assertIsNone(cache.stand_in(("f", "MX"), 0.0, "timeout: nobody"))
        self.assertEqual((cache.evict(100.0), cache.stand_ins), (5, 0))

    def test_least_recently_used_makes_room(self) -> None:
        """
        A full cache forgets what was not asked for the longest.
        """
        cache = self.fill(2, "a", "b")
        cache.find(("a", "MX"), 0.0)
        cache.keep(("c", "MX"), answer("c", 100.0), 0.0)
        self.assertEqual(self.names(cache), ["a", "c"])
        self.assertEqual(cache.evictions, 1)

    def test_smaller_at_once(self) -> None:
        """
        A reload with a smaller size shrinks it; size 0 keeps nothing.
        """
        cache = self.fill(10, "a", "b", "c")
        cache.reconfigure(Dns(cache_size=1))
        self.assertEqual(self.names(cache), ["c"])
        self.assertEqual(len(self.fill(0, "a")), 0)

    def test_evict(self) -> None:
        """
        All that is over goes, whether anyone asks for it or not; the listing has only what is not, and its age.
        """
        cache = Cache(Dns(serve_stale=seconds(0)))
        cache.keep(("a", "MX"), answer("a", 100.0), 0.0)
        cache.keep(("b", "MX"), answer("b", 100.0), 0.0)
        cache.keep(("c", "MX"), answer("c", 200.0), 0.0)
        self.assertEqual(cache.listing(100.0), [Listed(answer("c", 200.0), 100.0)])
        self.assertEqual((cache.evict(100.0), len(cache), cache.evictions), (2, 1, 2))

    def test_clear(self) -> None:
        """
        A domain is forgotten with all types and the names below it, and not with those that only end alike.
        """
        cache = self.fill(10, "example.org", "mx.example.org", "badexample.org")
        cache.keep(("example.org", "A"), answer("example.org", 100.0, "A"), 0.0)
        self.assertEqual(cache.clear("example.org"), 3)
        self.assertEqual(self.names(cache), ["badexample.org"])
        self.assertEqual((cache.clear(), len(cache), cache.evictions), (1, 0, 0))

    def test_lifetime(self) -> None:
        """
        The record's own time counts within floor and ceiling; trouble is remembered for a moment only.
        """
        cache = Cache(Dns(min_cache_ttl=seconds(60), max_cache_ttl=seconds(3600)))
        for ttl, kept in [(0, 60.0), (61, 61), (86400, 3600.0)]:
            self.assertEqual(cache.lifetime(Found.RECORDS, ttl), kept)
            self.assertEqual(cache.lifetime(Found.NO_NAME, ttl), kept)
        self.assertEqual(cache.lifetime(Found.FAILED, 1000), FAILURE_TTL)
        self.assertEqual(cache.lifetime(Found.FAILED, 0, Security.BOGUS), BOGUS_TTL)
        self.assertEqual(cache.lifetime(Found.RECORDS, 1000, Security.BOGUS), BOGUS_TTL)
