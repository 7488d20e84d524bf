"""
What is remembered, and for how long.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Dns
from empath.config.units import seconds
from empath.dns.cache import FAILURE_TTL, Cache
from empath.mail.answer import Answer, Found


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
            cache.keep((name, "MX"), answer(name, expires))
        return cache

    def names(self, cache: Cache) -> list[str]:
        return [kept.name for kept in cache.listing(0.0)]

    def test_hit_until_it_expires(self) -> None:
        """
        An answer is told before its last second is over and dropped from then on; hits and evictions are counted.
        """
        cache = self.fill(10, "a")
        self.assertEqual(cache.find(("a", "MX"), 99.9), answer("a", 100.0))
        self.assertIsNone(cache.find(("a", "A"), 0.0))
        self.assertIsNone(cache.find(("a", "MX"), 100.0))
        self.assertEqual((cache.hits, cache.evictions, len(cache)), (1, 1, 0))

    def test_least_recently_used_makes_room(self) -> None:
        """
        A full cache forgets what was not asked for the longest.
        """
        cache = self.fill(2, "a", "b")
        cache.find(("a", "MX"), 0.0)
        cache.keep(("c", "MX"), answer("c", 100.0))
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
        All that is over goes, whether anyone asks for it or not.
        """
        cache = self.fill(10, "a", "b")
        cache.keep(("c", "MX"), answer("c", 200.0))
        self.assertEqual(cache.listing(100.0), [answer("c", 200.0)])
        self.assertEqual((cache.evict(100.0), len(cache), cache.evictions), (2, 1, 2))

    def test_clear(self) -> None:
        """
        A domain is forgotten with all types and the names below it, and not with those that only end alike.
        """
        cache = self.fill(10, "example.org", "mx.example.org", "badexample.org")
        cache.keep(("example.org", "A"), answer("example.org", 100.0, "A"))
        self.assertEqual(cache.clear("Example.org."), 3)
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
