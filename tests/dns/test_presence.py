from __future__ import annotations

import dns.rcode
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Dns
from empath.config.units import seconds
from empath.dns.presence import FRESH, PATIENCE, TRIES, Presence
from tests.dns.fakes import FIRST, SECOND, Bench


class PresenceTests(SynchronousTestCase):
    """
    Two name servers, and whoever wants to know whether they are there.
    """

    def setUp(self) -> None:
        self.bench = Bench()

    @property
    def presence(self) -> Presence:
        return self.bench.resolver.presence

    def look(self) -> Deferred[bool]:
        looking = self.presence.look()
        assert isinstance(looking, Deferred)
        return looking

    def assert_nothing_stays(self) -> None:
        """
        Neither socket nor timer is left, and nothing is known or counted that was not before.
        """
        self.bench.reactor.advance(PATIENCE)
        self.assertTrue(all(socket.closed for socket in self.bench.datagrams.sockets))
        self.assertEqual(self.bench.reactor.getDelayedCalls(), [])
        cache = self.bench.resolver.cache
        self.assertEqual((self.bench.events, len(cache), cache.misses), ([], 0, 0))

    def test_all_servers_are_asked_at_once_and_any_answer_is_a_sign_of_life(self) -> None:
        for rcode in (dns.rcode.NOERROR, dns.rcode.SERVFAIL, dns.rcode.REFUSED):
            self.bench.reactor.advance(FRESH)
            looking = self.look()
            self.assertEqual(self.bench.asked[-2:], [FIRST, SECOND])
            self.assertEqual(self.bench.socket.query.question[0].to_text(), ". IN NS")
            self.bench.reactor.advance(0.01)
            self.bench.socket.answer(rcode=rcode)
            self.assertTrue(self.successResultOf(looking))
            assert self.presence.seconds is not None
            self.assertAlmostEqual(self.presence.seconds, 0.01, 6)
        self.assert_nothing_stays()

    def test_who_answered_just_now_is_not_asked(self) -> None:
        self.look()
        self.bench.socket.answer()
        asked = len(self.bench.asked)
        self.bench.reactor.advance(FRESH * 0.9)
        self.assertIs(self.presence.look(), True)
        self.assertEqual(len(self.bench.asked), asked)
        self.bench.reactor.advance(FRESH)
        self.look()

    def test_an_answer_of_a_while_ago_says_nothing_of_now(self) -> None:
        self.look()
        self.bench.socket.answer()
        self.bench.reactor.advance(FRESH)
        looking = self.look()
        for _ in range(TRIES):
            self.assertNoResult(looking)
            self.bench.reactor.advance(PATIENCE)
        self.assertFalse(self.successResultOf(looking))
        self.assert_nothing_stays()

    def test_a_lost_datagram_is_asked_again(self) -> None:
        looking = self.look()
        self.bench.reactor.advance(PATIENCE)
        self.bench.socket.answer()
        self.assertTrue(self.successResultOf(looking))
        self.assert_nothing_stays()

    def test_a_way_that_is_barred_is_told_at_once(self) -> None:
        self.bench.datagrams.trouble = OSError(101, "Network is unreachable")
        self.assertFalse(self.successResultOf(self.look()))
        self.assert_nothing_stays()

    def test_other_servers_are_asked_after_a_reload(self) -> None:
        self.bench.resolver.reconfigure(Dns(servers=("192.0.2.9",), timeout=seconds(1)))
        self.look()
        self.assertEqual([str(server) for server in self.bench.asked], ["192.0.2.9:53"])

    def test_whoever_waits_no_longer_leaves_nothing_behind(self) -> None:
        looking = self.look()
        looking.addErrback(lambda failure: None)
        looking.cancel()
        self.assert_nothing_stays()
