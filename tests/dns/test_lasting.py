"""
Answers beyond their time: fetched again before it is over, and used after it where no server tells.
"""

from __future__ import annotations

import dns.rcode
from twisted.internet.defer import Deferred

from empath.config.schema import Dns
from empath.config.units import seconds
from empath.dns.cache import FAILURE_TTL, STAND_IN
from empath.mail.answer import Answer, Found, MxRecord
from empath.mail.life import LookedUp
from tests.dns.fakes import FIRST, NOW, SOA, Bench
from tests.dns.test_resolver import MX, BenchCase

OTHER = "example.org. 300 IN MX 10 other.example.org."
OLD = (MxRecord(10, "mx.example.org"),)
NEW = (MxRecord(10, "other.example.org"),)


class LastingCase(BenchCase):
    """
    A resolver that knows the MX host of example.org for 300 s.
    """

    def setUp(self) -> None:
        self.bench = Bench([FIRST], Dns(timeout=seconds(5), serve_stale=seconds(600)))
        self.resolver = self.bench.resolver
        self.ask()
        self.bench.socket.answer(MX)
        self.assertEqual(len(self.bench.asked), 1)

    def known(self) -> Answer:
        """
        Look up what has to be known at once.
        """
        answer = self.resolver.lookup("example.org", "MX")
        assert isinstance(answer, Answer)
        return answer


class RefreshTests(LastingCase):
    """
    Before it is over.
    """

    def test_asked_for_at_the_end(self) -> None:
        """
        Who asks in the last tenth gets the old answer at once, and it is fetched again: one query for all who ask.
        """
        self.bench.reactor.advance(269)
        self.known()
        self.assertEqual(len(self.bench.asked), 1)
        self.bench.reactor.advance(1)
        for _ in range(3):
            self.assertEqual(self.known().mx, OLD)
        self.assertEqual((len(self.bench.asked), self.resolver.refreshes), (2, 1))
        self.bench.socket.answer(OTHER)
        answer = self.known()
        self.assertEqual((answer.mx, answer.expires), (NEW, NOW + 570))
        self.assertEqual(self.resolver.cache.misses, 1)
        self.assertEqual(len(self.bench.events), 2)

    def test_asked_for_otherwise_written(self) -> None:
        """
        The name may be written in any way.
        """
        self.bench.reactor.advance(270)
        answer = self.resolver.lookup("Example.ORG.", "MX")
        assert isinstance(answer, Answer)
        self.assertEqual(len(self.bench.asked), 2)

    def test_not_asked_for(self) -> None:
        """
        What nobody asks for at the end is not fetched.
        """
        self.bench.reactor.advance(299)
        self.assertEqual(len(self.bench.asked), 1)

    def test_fails(self) -> None:
        """
        The old answer is used until its time is over; nobody asks for it twice before.
        """
        self.bench.reactor.advance(270)
        self.known()
        self.bench.socket.answer(rcode=dns.rcode.SERVFAIL)
        self.bench.reactor.advance(29)
        answer = self.known()
        self.assertEqual((answer.mx, answer.stale, len(self.bench.asked)), (OLD, False, 2))

    def test_stopped(self) -> None:
        """
        A resolver that was stopped fetches nothing.
        """
        self.bench.reactor.advance(270)
        self.resolver.stop()
        self.assertEqual(self.known().mx, OLD)
        self.assertEqual(len(self.bench.asked), 1)

    def test_on_command(self) -> None:
        """
        All that is known of a domain and of what lies below it, and its MX hosts in any case, are fetched now.
        """
        self.ask("mx.example.org", "A")
        self.bench.socket.answer("mx.example.org. 300 IN A 192.0.2.1")
        self.ask("example.net", "A")
        self.bench.socket.answer("example.net. 300 IN A 192.0.2.1")
        asked = Deferred.fromCoroutine(self.resolver.refresh("EXAMPLE.org."))
        self.assertEqual(len(self.bench.asked), 5)
        self.bench.datagrams.sockets[3].answer(OTHER)
        self.bench.datagrams.sockets[4].answer("mx.example.org. 300 IN A 192.0.2.2")
        told = self.successResultOf(asked)
        self.assertEqual([(answer.mx, answer.addresses) for answer in told], [(NEW, ()), ((), ("192.0.2.2",))])
        self.assertEqual((self.known().mx, self.resolver.refreshes), (NEW, 2))
        Deferred.fromCoroutine(self.resolver.refresh("example.com"))
        self.assertEqual(self.bench.socket.query.question[0].to_text(), "example.com. IN MX")

    def test_no_domain(self) -> None:
        """
        What cannot be a domain is refused, for forgetting as well.
        """
        self.failureResultOf(Deferred.fromCoroutine(self.resolver.refresh("..")), ValueError)
        self.assertRaises(ValueError, self.resolver.clear, "..")

    def test_forget(self) -> None:
        """
        A domain is forgotten however it is written; so is all.
        """
        self.assertEqual(self.resolver.clear("Example.ORG."), 1)
        self.ask()
        self.bench.socket.answer(MX)
        self.assertEqual((self.resolver.clear(), len(self.resolver.cache)), (1, 0))


class StandInTests(LastingCase):
    """
    After it is over.
    """

    def expire(self) -> Answer:
        """
        Let the answer expire, and a look-up fail.
        """
        self.bench.reactor.advance(301)
        asked = self.ask()
        self.bench.socket.answer(rcode=dns.rcode.SERVFAIL)
        return self.successResultOf(asked)

    def test_server_is_down(self) -> None:
        """
        The old answer stands in, says so and why, and the event has it.
        """
        answer = self.expire()
        self.assertEqual((answer.mx, answer.stale, answer.expires), (OLD, True, NOW + 900))
        self.assertTrue(answer.detail.startswith("servfail: "), answer.detail)
        event = self.bench.events[-1]
        assert isinstance(event, LookedUp)
        self.assertIs(event.answer, answer)
        self.assertIs(self.known(), answer)
        self.assertEqual(len(self.bench.asked), 2)

    def test_asked_again(self) -> None:
        """
        Every half minute somebody's look-up asks the servers, and nobody waits for it.
        """
        self.expire()
        for turn in range(3):
            self.bench.reactor.advance(STAND_IN)
            self.assertTrue(self.known().stale)
            self.assertEqual(len(self.bench.asked), 3 + turn)
            self.bench.socket.answer(rcode=dns.rcode.SERVFAIL)
        self.bench.reactor.advance(STAND_IN)
        self.known()
        self.bench.socket.answer(OTHER)
        self.assertEqual((self.known().mx, self.known().stale), (NEW, False))

    def test_server_denies(self) -> None:
        """
        A server that says that there is nothing is believed.
        """
        self.bench.reactor.advance(301)
        asked = self.ask()
        self.bench.socket.answer(authority=(SOA,), rcode=dns.rcode.NXDOMAIN)
        self.assertIs(self.successResultOf(asked).found, Found.NO_NAME)

    def test_too_old(self) -> None:
        """
        Nothing stands in for longer than serve_stale.
        """
        self.expire()
        self.bench.reactor.advance(599)
        asked = self.ask()
        self.bench.socket.answer(rcode=dns.rcode.SERVFAIL)
        self.failed(asked, "servfail")
        self.bench.reactor.advance(FAILURE_TTL)
        self.assertEqual(self.resolver.cache.evict(self.bench.reactor.seconds()), 1)

    def test_other_judgement(self) -> None:
        """
        An answer that was asked for under other settings is told to who waits for it, and not kept.
        """
        asked = self.ask("example.net")
        self.resolver.reconfigure(Dns(timeout=seconds(5), dnssec="trust-ad", trust_remote_ad=True))
        self.bench.socket.answer("example.net. 300 IN MX 10 mx.example.org.")
        self.assertEqual(self.successResultOf(asked).mx, OLD)
        self.ask("example.net")
