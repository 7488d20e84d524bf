"""
The resolver as others use it, with fake sockets and a fake clock.
"""

from __future__ import annotations

import dns.flags
import dns.rcode
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import connectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from empath.config.schema import Dns
from empath.config.units import seconds
from empath.dns.cache import FAILURE_TTL
from empath.dns.exchange import MAX_STRAYS
from empath.dns.reading import MAX_CHAIN
from empath.dns.resolver import MAX_AT_ONCE
from empath.errors import ConfigError
from empath.interfaces import IComponent, IResolver
from empath.mail.answer import Answer, Found, MxRecord
from empath.mail.life import LifeEvent, LookedUp
from tests.dns.fakes import FIRST, NOW, SECOND, SOA, Bench, answer_to

MX = "example.org. 300 IN MX 10 mx.example.org."


class BenchCase(SynchronousTestCase):
    """
    A resolver with two servers and a time-out of five seconds.
    """

    def setUp(self) -> None:
        self.bench = Bench()
        self.resolver = self.bench.resolver

    def ask(self, name: str = "example.org", rdtype: str = "MX") -> Deferred[Answer]:
        """
        Ask for what is not in the cache.
        """
        asked = self.resolver.lookup(name, rdtype)
        assert isinstance(asked, Deferred)
        return asked

    def failed(self, asked: Deferred[Answer], kind: str) -> None:
        """
        Hold that this look-up failed for this kind of reason.
        """
        answer = self.successResultOf(asked)
        self.assertEqual((answer.found, answer.detail.partition(":")[0]), (Found.FAILED, kind), answer.detail)


class LookupTests(BenchCase):
    """
    Answers, from servers and from the cache.
    """

    def test_interfaces(self) -> None:
        """
        It is a resolver and a component.
        """
        verifyObject(IResolver, self.resolver)
        verifyObject(IComponent, self.resolver)

    def test_answer(self) -> None:
        """
        The first server's answer is told with its time, its socket closed, and one event emitted.
        """
        asked = self.ask()
        self.assertEqual(self.bench.socket.query.question[0].to_text(), "example.org. IN MX")
        self.bench.reactor.advance(1)
        self.bench.socket.answer(MX)
        answer = self.successResultOf(asked)
        expected = Answer("example.org", "MX", Found.RECORDS, mx=(MxRecord(10, "mx.example.org"),), expires=NOW + 301)
        self.assertEqual(answer, expected)
        self.assertTrue(self.bench.socket.closed)
        self.assertEqual(self.bench.asked, [FIRST])
        [event] = self.bench.events
        assert isinstance(event, LookedUp)
        self.assertEqual((event.answer, event.seconds, event.cached), (answer, 1.0, False))
        self.assertEqual(self.bench.reactor.getDelayedCalls(), [])

    def test_cached_answer_is_a_plain_value(self) -> None:
        """
        What is known is told at once, however the name is written, without an event, until it expires.
        """
        self.ask()
        self.bench.socket.answer(MX)
        for name in ("example.org", "Example.ORG."):
            answer = self.resolver.lookup(name, "mx" if name[0] == "E" else "MX")
            assert isinstance(answer, Answer)
            self.assertEqual(answer.name, "example.org")
        self.assertEqual((self.resolver.cache.hits, self.resolver.cache.misses), (2, 1))
        self.assertEqual(len(self.bench.events), 1)
        self.bench.reactor.advance(300)
        self.ask()
        self.assertEqual(len(self.bench.asked), 2)

    def test_negative_answers_are_cached(self) -> None:
        """
        NXDOMAIN is kept for as long as the zone's SOA says.
        """
        self.ask()
        self.bench.socket.answer(authority=(SOA,), rcode=dns.rcode.NXDOMAIN)
        answer = self.resolver.lookup("example.org", "MX")
        assert isinstance(answer, Answer)
        self.assertEqual((answer.found, answer.expires), (Found.NO_NAME, NOW + 120))

    def test_impossible_name_and_type(self) -> None:
        """
        What cannot be a name does not exist, what is no type of record fails: at once, asking nobody.
        """
        for name, rdtype, found in [
            ("a\r\nb", "MX", Found.NO_NAME),
            ("", "MX", Found.NO_NAME),
            ("example.org", "ANY", Found.FAILED),
        ]:
            answer = self.resolver.lookup(name, rdtype)
            assert isinstance(answer, Answer)
            self.assertEqual((answer.found, bool(answer.detail)), (found, True))
        self.assertEqual(self.bench.asked, [])

    def test_alias_is_asked_for(self) -> None:
        """
        Where a server stops at an alias the target is asked for; the answer is the first name's.
        """
        asked = self.ask()
        self.bench.socket.answer("example.org. 100 IN CNAME other.net.")
        self.bench.socket.answer("other.net. 200 IN MX 5 mx.other.net.")
        answer = self.successResultOf(asked)
        self.assertEqual((answer.name, answer.mx[0].host, answer.expires), ("example.org", "mx.other.net", NOW + 100))

    def test_alias_circle_over_several_queries(self) -> None:
        """
        A circle of aliases told one by one ends as FAILED after a bounded number of queries.
        """
        asked = self.ask()
        for _ in range(MAX_CHAIN):
            name = self.bench.socket.query.question[0].name.to_text()
            self.bench.socket.answer(f"{name} 100 IN CNAME {'b.org.' if name == 'a.org.' else 'a.org.'}")
        self.failed(asked, "malformed")
        self.assertEqual(len(self.bench.asked), MAX_CHAIN)


class TroubleTests(BenchCase):
    """
    Servers that do not answer, or badly.
    """

    def test_next_server(self) -> None:
        """
        After SERVFAIL, REFUSED, a referral, a broken answer or a barred way the next server is asked at once.
        """
        for number, bad in enumerate(("servfail", "refused", "referral", "broken", "barred")):
            asked = self.ask(f"n{number}.example.org")
            socket = self.bench.socket
            match bad:
                case "servfail":
                    socket.answer(rcode=dns.rcode.SERVFAIL)
                case "refused":
                    socket.answer(rcode=dns.rcode.REFUSED)
                case "referral":
                    socket.answer(authority=("org. 300 IN NS ns.example.net.",))
                case "broken":
                    socket.say(answer_to(socket.sent[-1], f"n{number}.example.org. 1 IN MX 1 a.")[:-3])
                case _:
                    socket.receiver.barred("Connection refused")
            self.assertEqual(self.bench.asked[-2:], [FIRST, SECOND], bad)
            self.bench.socket.answer(f"n{number}.example.org. 300 IN MX 10 mx.example.org.")
            self.assertEqual(self.successResultOf(asked).found, Found.RECORDS)

    def test_two_rounds_then_failed(self) -> None:
        """
        Silence of all servers is FAILED after two rounds, the second without EDNS; every socket is closed.
        """
        asked = self.ask()
        for _ in range(4):
            self.assertNoResult(asked)
            self.bench.reactor.advance(5)
        self.failed(asked, "timeout")
        self.assertEqual(self.bench.asked, [FIRST, SECOND, FIRST, SECOND])
        self.assertEqual([socket.query.edns for socket in self.bench.datagrams.sockets], [0, 0, -1, -1])
        self.assertTrue(all(socket.closed for socket in self.bench.datagrams.sockets))
        self.assertEqual(self.bench.reactor.getDelayedCalls(), [])
        self.assertEqual(self.resolver.last_answer, 0.0)

    def test_servers_that_refuse_are_asked_once(self) -> None:
        """
        Who said SERVFAIL is not asked again for the same look-up; the trouble is remembered for a moment only.
        """
        asked = self.ask()
        self.bench.socket.answer(rcode=dns.rcode.SERVFAIL)
        self.bench.socket.answer(rcode=dns.rcode.SERVFAIL)
        self.failed(asked, "servfail")
        self.assertEqual(len(self.bench.asked), 2)
        self.assertIsInstance(self.resolver.lookup("example.org", "MX"), Answer)
        self.bench.reactor.advance(FAILURE_TTL)
        self.ask()

    def test_silent_server_is_asked_last(self) -> None:
        """
        After one silence other look-ups begin with the other server.
        """
        self.ask()
        self.bench.reactor.advance(5)
        self.bench.socket.answer(MX)
        self.ask("example.net")
        self.assertEqual(self.bench.asked, [FIRST, SECOND, SECOND])

    def test_formerr_without_edns(self) -> None:
        """
        A server that does not understand EDNS is asked again without it; twice is enough.
        """
        asked = self.ask()
        self.bench.socket.answer(rcode=dns.rcode.FORMERR)
        self.assertEqual((self.bench.asked, self.bench.socket.query.edns), ([FIRST, FIRST], -1))
        self.bench.socket.answer(rcode=dns.rcode.FORMERR)
        self.assertEqual(self.bench.asked[-1], SECOND)
        self.bench.socket.answer(MX)
        self.assertEqual(self.successResultOf(asked).found, Found.RECORDS)

    def test_strays_are_ignored(self) -> None:
        """
        Another source, port, id or question changes nothing: the answer still counts when it comes.
        """
        asked = self.ask()
        socket = self.bench.socket
        good = answer_to(socket.sent[-1], MX)
        forged = answer_to(socket.sent[-1], MX.replace("mx.", "evil."))
        socket.say(forged, SECOND)
        socket.receiver.received(forged, FIRST.host, 5353)
        socket.say(bytes([forged[0] ^ 1]) + forged[1:])
        socket.say(forged.replace(b"\x07example", b"\x07exbmple"))
        socket.say(b"")
        self.assertNoResult(asked)
        self.assertEqual(self.resolver.last_answer, 0.0)
        socket.say(good)
        self.assertEqual(self.successResultOf(asked).mx, (MxRecord(10, "mx.example.org"),))
        socket.say(forged)

    def test_many_strays_mean_tcp(self) -> None:
        """
        Where someone guesses on and on the question goes over TCP.
        """
        self.ask()
        for _ in range(MAX_STRAYS + 1):
            self.bench.socket.say(b"guess")
        self.assertEqual(len(self.bench.reactor.tcpClients), 1)
        self.assertTrue(self.bench.socket.closed)

    def test_no_socket(self) -> None:
        """
        Without a socket to be had the look-up fails, and works again when there is one.
        """
        self.bench.datagrams.trouble = OSError(24, "Too many open files")
        answer = self.successResultOf(self.ask())
        self.assertEqual(answer.detail, "network: 192.0.2.2:5353: Too many open files")
        self.bench.datagrams.trouble = None
        self.bench.reactor.advance(FAILURE_TTL)
        self.ask()
        self.bench.socket.answer(MX)
        self.assertIsInstance(self.resolver.lookup("example.org", "MX"), Answer)

    def test_fault_of_our_own(self) -> None:
        """
        Even a bug is told as FAILED, and logged as what it is.
        """
        self.bench.datagrams.trouble = ZeroDivisionError()  # type: ignore[assignment]  # what nobody expects
        self.failed(self.ask(), "internal")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    @given(st.lists(st.binary(max_size=300), max_size=20))
    @settings(max_examples=50)
    def test_any_datagrams(self, datagrams: list[bytes]) -> None:
        """
        Whatever comes, the look-up ends within its bound with an answer of our own question.
        """
        bench = Bench()
        asked = bench.resolver.lookup("example.org", "MX")
        assert isinstance(asked, Deferred)
        ident = bench.socket.sent[-1][:2]
        for datagram in datagrams:
            bench.socket.say(datagram)
            bench.socket.say(ident + datagram)
        for _ in range(4):
            bench.reactor.advance(5)
        answer = self.successResultOf(asked)
        self.assertEqual((answer.name, answer.rdtype, answer.found), ("example.org", "MX", Found.FAILED))


class StreamTests(BenchCase):
    """
    TCP where a datagram is too small.
    """

    def cut(self) -> Deferred[Answer]:
        """
        Ask, and let the first server say that it does not fit.
        """
        asked = self.ask()
        self.bench.socket.say(answer_to(self.bench.socket.sent[-1], flags=dns.flags.TC))
        return asked

    def connect(self) -> tuple[object, StringTransport]:
        """
        Let the connection succeed.
        """
        factory = self.bench.reactor.tcpClients[-1][2]
        address: IAddress | None = None
        self.protocol = factory.buildProtocol(address)
        assert self.protocol is not None
        transport = StringTransport()
        self.protocol.makeConnection(transport)
        return self.protocol, transport

    def test_whole_answer_by_tcp(self) -> None:
        """
        The same server is asked by TCP, and its answer is read in whatever pieces it comes.
        """
        asked = self.cut()
        self.assertEqual(self.bench.reactor.tcpClients[0][:2], (FIRST.host, FIRST.port))
        _, transport = self.connect()
        sent = transport.value()
        self.assertEqual(int.from_bytes(sent[:2], "big"), len(sent) - 2)
        wire = answer_to(sent[2:], *(f"example.org. 300 IN MX {n} mx{n}.example.org." for n in range(100)))
        assert self.protocol is not None
        for octet in len(wire).to_bytes(2, "big") + wire + b"more":
            self.protocol.dataReceived(bytes([octet]))
        self.assertEqual(len(self.successResultOf(asked).mx), 100)
        self.assertTrue(transport.disconnected)

    def test_stream_trouble(self) -> None:
        """
        A refused or lost connection, another's answer or a cut one: the next server is asked.
        """
        for number, trouble in enumerate(("refused", "lost", "other", "cut")):
            self.bench = Bench()
            self.resolver = self.bench.resolver
            self.cut()
            if trouble == "refused":
                factory = self.bench.reactor.tcpClients[-1][2]
                factory.clientConnectionFailed(self.bench.reactor.connectors[-1], Failure(ConnectionRefusedError()))
            else:
                _, transport = self.connect()
                assert self.protocol is not None
                wire = answer_to(transport.value()[2:], flags=dns.flags.TC)
                if trouble == "lost":
                    self.protocol.connectionLost(connectionDone)
                elif trouble == "cut":
                    self.protocol.dataReceived(len(wire).to_bytes(2, "big") + wire)
                else:
                    self.protocol.dataReceived(b"\x00\x03abc")
            self.assertEqual(self.bench.asked, [FIRST, SECOND], (number, trouble))

    def test_stream_time_counts(self) -> None:
        """
        UDP and TCP share one time-out, and a connection that is late is closed.
        """
        self.cut()
        self.bench.reactor.advance(3)
        _, transport = self.connect()
        self.bench.reactor.advance(2)
        self.assertTrue(transport.disconnected)
        self.assertEqual(self.bench.asked, [FIRST, SECOND])

    def test_connecting_is_given_up(self) -> None:
        """
        An attempt to connect does not outlive the time-out.
        """
        self.cut()
        self.bench.reactor.advance(5)
        self.assertTrue(self.bench.reactor.connectors[0].stoppedConnecting)


class SharingTests(BenchCase):
    """
    Many who ask the same.
    """

    def test_one_query_for_all(self) -> None:
        """
        Who asks what is under way joins it; one who leaves, even at the last moment, disturbs nobody.
        """
        one, two, three = self.ask(), self.ask("EXAMPLE.org."), self.ask()

        def leave(answer: Answer) -> Answer:
            three.cancel()
            return answer

        one.addCallback(leave)
        two.cancel()
        self.failureResultOf(two, CancelledError)
        self.bench.socket.answer(MX)
        self.assertEqual(self.successResultOf(one).found, Found.RECORDS)
        self.failureResultOf(three, CancelledError)
        self.assertEqual((len(self.bench.asked), len(self.bench.events)), (1, 1))

    def test_all_leave(self) -> None:
        """
        A query that nobody waits for any more still fills the cache.
        """
        asked = self.ask()
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.bench.socket.answer(MX)
        self.assertIsInstance(self.resolver.lookup("example.org", "MX"), Answer)

    def test_types_are_apart(self) -> None:
        """
        Another type is another question.
        """
        self.ask()
        self.ask(rdtype="A")
        self.assertEqual(len(self.bench.asked), 2)

    def test_bounded_sockets(self) -> None:
        """
        Only so many look-ups hold a socket; the next begins as one ends, and waiting counts against its time.
        """
        asked = [self.ask(f"n{number}.example.org") for number in range(MAX_AT_ONCE + 1)]
        self.assertEqual(len(self.bench.asked), MAX_AT_ONCE)
        self.bench.datagrams.sockets[0].answer(authority=(SOA,))
        self.assertEqual(len(self.bench.asked), MAX_AT_ONCE + 1)
        for _ in range(4):
            self.bench.reactor.advance(5)
        self.assertTrue(all(one.called for one in asked))

    def test_listener_that_fails(self) -> None:
        """
        A listener that raises is logged and hurts no look-up.
        """

        def emit(event: LifeEvent) -> None:
            raise ZeroDivisionError

        bench = Bench(emit=emit)
        asked = bench.resolver.lookup("example.org", "MX")
        assert isinstance(asked, Deferred)
        bench.socket.answer(MX)
        self.assertEqual(self.successResultOf(asked).found, Found.RECORDS)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class LifeTests(BenchCase):
    """
    Start, reload, stop.
    """

    def test_stop(self) -> None:
        """
        Stopping answers all who wait, closes every socket, leaves no timer, and later look-ups fail at once.
        """
        asked = self.ask()
        self.resolver.stop()
        self.failed(asked, "stopped")
        self.failed(self.ask("example.net"), "stopped")
        self.assertTrue(all(socket.closed for socket in self.bench.datagrams.sockets))
        self.assertEqual((self.bench.reactor.getDelayedCalls(), self.bench.events), ([], []))

    def test_configured_servers(self) -> None:
        """
        Configured servers replace the system's, from the next look-up on; what is under way goes on.
        """
        asked = self.ask()
        self.resolver.reconfigure(Dns(servers=("[2001:db8::1]:5353",), cache_size=0, timeout=seconds(1)))
        self.bench.socket.answer(MX)
        self.assertEqual(self.successResultOf(asked).found, Found.RECORDS)
        self.ask()
        self.assertEqual(str(self.bench.asked[-1]), "[2001:db8::1]:5353")

    def test_bad_servers(self) -> None:
        """
        Servers that are none stop the start, and a reload with them changes nothing.
        """
        bad = Dns(servers=("ns.example.org", "192.0.2.1", "x:y:z"))
        with self.assertRaises(ConfigError) as caught:
            Bench(section=bad)
        self.assertEqual(len(caught.exception.problems), 2)
        self.assertIn("delivery.dns.servers", caught.exception.problems[0])
        self.assertRaises(ConfigError, self.resolver.reconfigure, bad)
        self.ask()
        self.assertEqual(self.bench.asked, [FIRST])

    def test_ids_come_from_chance(self) -> None:
        """
        Each query has an id of its own.
        """
        for number in range(20):
            self.ask(f"n{number}.example.org")
        self.assertGreater(len({socket.query.id for socket in self.bench.datagrams.sockets}), 15)
