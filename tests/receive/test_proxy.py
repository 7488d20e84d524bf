"""
Requirements on listeners behind proxies: whose header counts, and for what.
"""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IProtocolFactory
from twisted.internet.protocol import Protocol
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from empath.config.schema import Smtp
from empath.mail.reply import Reply
from empath.receive.listeners import Reception
from empath.receive.protocol import SmtpProtocol
from empath.receive.proxy import PATIENCE, ProxyFactory
from tests.receive.support import Client, World, changed
from tests.receive.test_proxy_header import TCP4, V2_TCP4, block, inet

PROXY = "198.51.100.9"
HELLO = b"EHLO client.example\r\n"
CUT = st.lists(st.integers(0, 60), max_size=6)


class ProxyCase(SynchronousTestCase):
    """
    A listener with one proxy, 198.51.100.9, that relays for 192.0.2.7 and for the proxy itself.
    """

    smtp = changed(proxies=(f"{PROXY}/32",))

    def setUp(self) -> None:
        self.make(self.smtp)

    def make(self, smtp: Smtp) -> None:
        """
        Put the listener together as reception does.
        """
        self.world = World(smtp)
        self.world.trusted = {"192.0.2.7", PROXY}
        self.reception = Reception(object(), smtp, self.world.around, 1.0)
        self.factory: IProtocolFactory = self.reception._gates[0].factory

    def connect(self, host: str = PROXY) -> Client:
        """
        Connect somebody.
        """
        return Client(self.factory, IPv4Address("TCP", host, 4321))

    def session(self, client: Client) -> SmtpProtocol:
        """
        Give the session that has taken its place at the transport.
        """
        protocol = getattr(client.transport, "protocol", client.protocol)
        assert isinstance(protocol, SmtpProtocol), protocol
        return protocol

    def peer(self, client: Client) -> tuple[str, int, bool]:
        """
        Tell whom the session is with, and whether it is trusted.
        """
        session = self.session(client).session
        return session.peer, session.port, session.trusted


class HeaderTests(ProxyCase):
    """
    What a listed proxy says.
    """

    def test_provides(self) -> None:
        """
        A port can listen for it.
        """
        self.assertTrue(verifyObject(IProtocolFactory, self.factory))

    def test_the_client_of_the_header_is_the_client(self) -> None:
        """
        By either version, and not before the header is whole: no greeting, no session, no event.
        """
        for header, peer in (
            (TCP4, ("192.0.2.7", 56324, True)),
            (V2_TCP4, ("192.0.2.7", 56324, True)),
            (inet("203.0.113.5", 9), ("203.0.113.5", 9, False)),
            (inet("2001:db8::7", 9), ("2001:db8::7", 9, False)),
            (inet("::ffff:192.0.2.7", 9), ("192.0.2.7", 9, True)),
        ):
            client = self.connect()
            self.assertEqual(client.say(header[:-1]), b"")
            self.assertEqual(self.world.events, [])
            self.assertEqual(client.say(header[-1:])[:4], b"220 ")
            self.assertEqual(self.peer(client), peer)
            self.session(client).dataReceived(b"QUIT\r\n")
            self.world.events.clear()

    def test_what_comes_behind_the_header_is_the_clients(self) -> None:
        """
        In the same read, too.
        """
        client = self.connect()
        heard = client.say(TCP4 + HELLO)
        self.assertEqual(heard[:4], b"220 ")
        self.assertIn(b"greets client.example", heard)

    def test_whom_a_proxy_cannot_name_is_not_trusted(self) -> None:
        """
        The session has the proxy's address, and none of its rights: no relay, no XCLIENT, no bare newlines.
        """
        self.make(changed(proxies=(f"{PROXY}/32",), xclient=(f"{PROXY}/32",), bare_newlines_exclude=(f"{PROXY}/32",)))
        unix = block(1, 0x31, b"/run/x".ljust(108, b"\0") * 2)
        for header in (b"PROXY UNKNOWN\r\n", block(0, 0, b""), block(1, 0, b""), unix):
            client = self.connect()
            self.assertEqual(client.say(header)[:4], b"220 ")
            self.assertEqual(self.peer(client), (PROXY, 4321, False))
            protocol = self.session(client)
            terms = protocol._terms
            self.assertFalse(terms.xclient(PROXY) or terms.normalizes(protocol.session))
            protocol.dataReceived(HELLO)
            self.assertNotIn(b"XCLIENT", client.heard())
        self.assertTrue(self.reception._gates[0].clients.terms.xclient(PROXY))

    @settings(max_examples=100, deadline=None)
    @given(st.sampled_from([TCP4, V2_TCP4, b"PROXY UNKNOWN\r\n", b"EHLO no.proxy\r\n"]), CUT)
    def test_the_division_of_the_bytes_changes_nothing(self, header: bytes, cuts: list[int]) -> None:
        """
        What is heard and who the client is are the same as for one piece.
        """
        self.make(self.smtp)
        whole = self.connect()
        whole.transport.protocol = whole.protocol  # type: ignore[attr-defined]  # as a real one has it
        heard = whole.say(header + HELLO)
        stream, client = header + HELLO, self.connect()
        client.transport.protocol = client.protocol  # type: ignore[attr-defined]
        at = [0, *sorted(cuts), len(stream)]
        for begin, end in pairwise(at):
            client.transport.protocol.dataReceived(stream[begin:end])  # type: ignore[attr-defined]
        self.assertEqual(client.heard(), heard)
        self.assertEqual(client.hung_up, whole.hung_up)
        if not whole.hung_up:
            self.assertEqual(self.peer(client), self.peer(whole))


class RefusalTests(ProxyCase):
    """
    What a listed proxy must not do.
    """

    def refused(self, *said: bytes) -> str:
        """
        Say something as the proxy; tell the log line of its end.
        """
        with capturedLogs() as events:
            client = self.connect()
            for data in said:
                self.assertEqual(client.say(data), b"")
            self.assertTrue(client.hung_up)
            client.say(TCP4)
            client.lose()
        self.assertEqual((self.world.events, self.reception.sessions.count), ([], 0))
        (event,) = events
        return formatEvent(event)

    def test_no_header_no_session(self) -> None:
        """
        A listed proxy that begins with anything else is closed, with a line that says so.
        """
        self.assertIn(f"proxy {PROXY} closed: no PROXY header", self.refused(b"EHLO x\r\n"))
        self.assertIn("not as in version 1", self.refused(b"PROXY TCP4 a b c d\r\n"))
        self.assertIn("version and command", self.refused(block(1, 0x11, b"\0" * 12, version=3)))

    def test_a_header_comes_in_five_seconds(self) -> None:
        """
        As a whole: octets that trickle buy no time.
        """
        with capturedLogs() as events:
            client = self.connect()
            for octet in TCP4[:4]:
                self.assertEqual(client.say(bytes([octet])), b"")
                self.world.clock.advance(PATIENCE / 4)
            self.assertTrue(client.hung_up)
        self.assertIn("no whole PROXY header within 5 s", formatEvent(events[0]))

    def test_a_health_check_is_no_trouble(self) -> None:
        """
        A connection without a word leaves no line; one that ends within a header does.
        """
        with capturedLogs() as events:
            self.connect().lose()
        self.assertEqual(events, [])
        with capturedLogs() as events:
            client = self.connect()
            client.say(TCP4[:9])
            client.lose()
        self.assertEqual(len(events), 1)
        self.assertEqual(self.world.clock.getDelayedCalls(), [])


class ForgeryTests(ProxyCase):
    """
    Headers of those who are not listed.
    """

    def test_a_forged_header_gains_nothing(self) -> None:
        """
        It is a bad command of a session with the real client.
        """
        for header in (TCP4, b"PROXY UNKNOWN\r\n"):
            client = self.connect("203.0.113.66")
            self.assertEqual(client.heard()[:4], b"220 ")
            self.assertEqual(client.say(header)[:3], b"500")
            self.assertEqual(self.peer(client), ("203.0.113.66", 4321, False))
        client = self.connect("203.0.113.66")
        client.heard()
        self.assertNotIn(b"220 ", client.say(V2_TCP4 + b"\r\n"))
        self.assertEqual(self.peer(client), ("203.0.113.66", 4321, False))

    def test_a_second_header_is_a_bad_command(self) -> None:
        """
        A client behind the proxy cannot send one of its own.
        """
        client = self.connect()
        heard = client.say(inet("203.0.113.66", 1) + TCP4)
        self.assertIn(b"\r\n500 ", heard)
        self.assertEqual(self.peer(client), ("203.0.113.66", 1, False))

    def test_peers_of_unix_sockets_have_to_be_listed_as_well(self) -> None:
        """
        As "unix".
        """
        for proxies, heard in (((), b"220"), (("unix",), b"")):
            self.make(changed(proxies=proxies))
            self.assertEqual(Client(self.factory, UNIXAddress("")).heard()[:3], heard)


class LimitTests(ProxyCase):
    """
    Limits count clients, not their proxy.
    """

    smtp = changed(proxies=(f"{PROXY}/32",), max_connections_per_client=1, max_connections=3)

    def test_each_client_has_its_own_limit(self) -> None:
        """
        The proxy may bring as many as it likes.
        """
        first, second, third = self.connect(), self.connect(), self.connect()
        self.assertEqual(first.say(inet("192.0.2.7", 1))[:3], b"220")
        self.assertEqual(second.say(inet("192.0.2.7", 2))[:3], b"421")
        self.assertTrue(second.hung_up)
        self.assertEqual(third.say(inet("192.0.2.8", 2))[:3], b"220")

    def test_connections_without_their_header_count(self) -> None:
        """
        One too many is told so and closed at once, and it is no secret: it is counted and logged as any other.
        """
        waiting = [self.connect() for _ in range(3)]
        late = self.connect()
        self.assertTrue(late.hung_up)
        self.assertEqual(late.heard(), b"421 4.7.0 too many connections\r\n")
        self.assertEqual(self.world.refusals(), [" 421 4.7.0 too many connections"])
        for client in waiting:
            client.lose()
        self.assertEqual(self.world_count(), 0)

    def test_a_stop_ends_them(self) -> None:
        """
        They are not waited for.
        """
        client = self.connect()
        stopped = Deferred.fromCoroutine(self.reception.sessions.drain(Reply.of("421 4.3.2 bye"), 10.0))
        self.assertTrue(client.hung_up)
        client.lose()
        self.successResultOf(stopped)
        self.assertTrue(self.connect().hung_up)

    def world_count(self) -> int:
        """
        Tell how many sessions there are.
        """
        return self.reception.sessions.count


class UnknownFactoryTests(SynchronousTestCase):
    """
    A factory that makes nothing.
    """

    def test_no_session_no_connection(self) -> None:
        """
        As Twisted has it: the connection is closed.
        """

        class Nobody:
            def buildProtocol(self, addr: IAddress) -> Protocol | None:
                return None

        world = World()
        nobody: IProtocolFactory = Nobody()  # type: ignore[assignment]  # all of it that is used
        factory = ProxyFactory(nobody, nobody, lambda peer: True, world.sessions, world.clock)
        client = Client(factory, IPv4Address("TCP", PROXY, 1))
        client.say(TCP4)
        self.assertTrue(client.hung_up)
