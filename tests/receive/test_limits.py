"""
How many sessions there may be, and how they end when the service stops.
"""

from __future__ import annotations

from twisted.internet.address import IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyClass, verifyObject

from empath.config.schema import Listener, Smtp
from empath.config.units import EndpointText, seconds
from empath.interfaces import IComponent
from empath.mail.life import ConnectionClosed
from empath.mail.reply import Reply
from empath.receive.listeners import Reception
from empath.receive.ports import listen
from empath.receive.protocol import SmtpProtocol
from empath.receive.sessions import peer_of
from tests.receive.support import Client, World, changed

FAREWELL = Reply.of("421 4.3.2 mx.example.org shutting down")


class PeerTests(SynchronousTestCase):
    """
    By what clients are counted.
    """

    def test_peers(self) -> None:
        """
        IPv4 by address, mapped or not; IPv6 by /64.
        """
        self.assertEqual(peer_of("192.0.2.1"), ("192.0.2.1", "192.0.2.1"))
        self.assertEqual(peer_of("::ffff:192.0.2.1"), ("192.0.2.1", "192.0.2.1"))
        self.assertEqual(peer_of("2001:DB8::1")[0], "2001:db8::1")
        self.assertEqual(peer_of("2001:db8::1")[1], peer_of("2001:db8::ffff:1:2:3")[1])
        self.assertNotEqual(peer_of("2001:db8::1")[1], peer_of("2001:db8:0:1::1")[1])


class ConnectionLimitTests(SynchronousTestCase):
    """
    Connections in all and per client.
    """

    def test_interfaces(self) -> None:
        """
        Twisted gets what it asks for.
        """
        world = World()
        verifyObject(IProtocolFactory, world.factory)
        self.assertTrue(verifyClass(IProtocol, SmtpProtocol))

    def test_in_all(self) -> None:
        """
        One connection too many hears 421 and is closed; when another ends there is room again.
        """
        world = World(changed(max_connections=2))
        first, _, third = (world.connect(f"192.0.2.{number}") for number in range(3))
        self.assertEqual(third.heard(), b"421 4.7.0 too many connections\r\n")
        self.assertTrue(third.hung_up)
        self.assertEqual(world.refusals(), [" 421 4.7.0 too many connections"])
        ends = [event.reason for event in world.events if isinstance(event, ConnectionClosed)]
        self.assertEqual(ends, ["limit"])
        first.lose()
        self.assertEqual(world.connect("192.0.2.9").heard()[:3], b"220")

    def test_per_client(self) -> None:
        """
        One client cannot take all; an IPv6 client is its /64.
        """
        world = World(changed(max_connections_per_client=1))
        for pair in (("2001:db8::1", "2001:db8::2"), ("::ffff:192.0.2.1", "::ffff:192.0.2.1")):
            first, second = (Client(world.factory, IPv6Address("TCP", host, 1)) for host in pair)
            self.assertEqual(first.heard()[:3], b"220")
            self.assertEqual(second.heard(), b"421 4.7.0 too many connections from your network\r\n")
            first.lose()
            self.assertEqual(Client(world.factory, IPv6Address("TCP", pair[1], 1)).heard()[:3], b"220")

    def test_unix(self) -> None:
        """
        A client over a UNIX socket is "unix", trusted if that is listed.
        """
        world = World()
        world.trusted = {"unix"}
        client = Client(world.factory, UNIXAddress(b"/x"))
        assert isinstance(client.protocol, SmtpProtocol)
        session = client.protocol.session
        self.assertEqual((session.peer, session.port, session.trusted), ("unix", 0, True))

    def test_mapped_is_unmapped(self) -> None:
        """
        A mapped address is trusted, and written, as the IPv4 address it is.
        """
        world = World()
        client = Client(world.factory, IPv6Address("TCP", "::ffff:127.0.0.1", 1))
        assert isinstance(client.protocol, SmtpProtocol)
        self.assertEqual((client.protocol.session.peer, client.protocol.session.trusted), ("127.0.0.1", True))


class DrainTests(SynchronousTestCase):
    """
    The service stops.
    """

    def setUp(self) -> None:
        self.world = World()

    def drain(self, bound: float = 30) -> Deferred[None]:
        """
        Begin to drain.
        """
        return Deferred.fromCoroutine(self.world.sessions.drain(FAREWELL, bound))

    def test_nobody_there(self) -> None:
        """
        Without sessions it is done at once; nobody comes in any more.
        """
        self.successResultOf(self.drain())
        self.assertEqual(self.world.connect().heard(), b"421 4.3.2 mx.example.org shutting down\r\n")

    def test_idle(self) -> None:
        """
        Sessions outside DATA are told at once.
        """
        client = self.world.connect()
        client.say(b"HELO c\r\nMAIL FROM:<>\r\n")
        drained = self.drain()
        self.assertEqual(client.heard(), b"421 4.3.2 mx.example.org shutting down\r\n")
        self.assertNoResult(drained)
        client.lose()
        self.successResultOf(drained)
        self.assertEqual(self.world.reasons(), ["shutdown"])
        self.assertEqual(self.world.clock.getDelayedCalls(), [])

    def test_inside_data(self) -> None:
        """
        Sessions inside DATA finish their message first.
        """
        self.world.spool.slow_commit = Deferred()
        client = self.world.begun()
        drained = self.drain()
        self.assertEqual(client.say(b"x\r\n.\r\nMAIL FROM:<>\r\n"), b"")
        self.world.spool.slow_commit.callback(None)
        said = client.heard().splitlines()
        self.assertEqual((said[0][:6], said[1:]), (b"250 2.", [b"421 4.3.2 mx.example.org shutting down"]))
        client.lose()
        self.successResultOf(drained)

    def test_not_in_time(self) -> None:
        """
        After the bound an unfinished message is dropped with 421; who does not go then is cut off.
        """
        client = self.world.begun()
        client.say(b"x\r\n")
        drained = self.drain(5)
        self.world.clock.advance(5)
        self.assertEqual(client.heard(), b"421 4.3.2 mx.example.org shutting down\r\n")
        self.assertTrue(self.world.spool.writers[0].aborted)
        self.assertNoResult(drained)
        self.world.clock.advance(2)
        self.assertTrue(client.transport.aborted)
        self.world.clock.advance(2)
        self.successResultOf(drained)

    def test_already_leaving(self) -> None:
        """
        A session that is being closed hears nothing more.
        """
        client = self.world.connect()
        client.say(b"QUIT\r\n")
        drained = self.drain(5)
        self.world.clock.advance(5)
        self.assertEqual(client.heard(), b"")
        client.lose()
        self.successResultOf(drained)


class ReceptionTests(SynchronousTestCase):
    """
    The listening ports.
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.world = World()

    def reception(self, *endpoints: str, **changes: object) -> Reception:
        """
        Make one with listeners at these endpoints.
        """
        listeners = tuple(Listener(endpoint=EndpointText(endpoint)) for endpoint in endpoints)
        return Reception(self.reactor, changed(listeners=listeners, **changes), self.world.around, 30)

    def test_binds(self) -> None:
        """
        Every listener is bound, with a backlog unless the operator gave one; each takes mail.
        """
        reception = self.reception("tcp:2525:interface=127.0.0.1", "tcp:2526:backlog=7")
        verifyObject(IComponent, reception)
        reception.bind()
        reception.start()
        servers = self.reactor.tcpServers
        self.assertEqual([server[0] for server in servers], [2525, 2526])
        self.assertEqual([server[2] for server in servers], [1024, 7])
        self.assertEqual(len(reception.ports), 2)
        client = Client(servers[0][1], IPv6Address("TCP", "::1", 1))
        self.assertEqual(client.heard(), b"220 mx.example.org ESMTP empath\r\n")

    def test_busy_port(self) -> None:
        """
        A port that cannot be had is an exception at once, and the others are given back.
        """
        reception = self.reception("tcp:2525", "tcp:2526")
        listen_tcp = self.reactor.listenTCP
        stopped: list[int] = []

        def busy(port: int, factory: Factory, backlog: int, interface: str) -> object:
            if port == 2526:
                raise CannotListenError(interface, port, OSError("in use"))
            listening = listen_tcp(port, factory, backlog, interface)
            listening.stopListening = lambda: stopped.append(port)
            return listening

        self.reactor.listenTCP = busy  # type: ignore[method-assign,assignment]  # one port is busy
        self.assertRaises(CannotListenError, reception.bind)
        self.assertEqual((stopped, reception.ports), ([2525], []))

    def test_bad_endpoint(self) -> None:
        """
        An endpoint that is none is an exception too.
        """
        self.assertRaises(ValueError, listen, self.reactor, "nothing:25", self.world.factory)

    def test_stop(self) -> None:
        """
        Stopping closes the ports, then the sessions.
        """
        reception = self.reception("tcp:2525")
        reception.bind()
        client = Client(self.reactor.tcpServers[0][1], IPv6Address("TCP", "::1", 1))
        client.heard()
        self.successResultOf(Deferred.fromCoroutine(_awaited(reception.stop_listening())))
        stopped = Deferred.fromCoroutine(reception.stop())
        self.assertEqual(client.heard(), b"421 4.3.2 mx.example.org shutting down\r\n")
        client.lose()
        self.successResultOf(stopped)

    def test_reconfigure(self) -> None:
        """
        New limits and banners hold for new sessions.
        """
        reception = self.reception("tcp:2525", "tcp:2526")
        reception.bind()
        factory = self.reactor.tcpServers[0][1]
        new = changed(
            banner="new",
            max_connections=1,
            greeting_delay=seconds(0),
            listeners=(Listener(endpoint=EndpointText("tcp:2525"), context={"a": "b"}),),
        )
        reception.reconfigure(new)
        client = Client(factory, IPv6Address("TCP", "::1", 1))
        self.assertEqual(client.heard(), b"220 new\r\n")
        assert isinstance(client.protocol, SmtpProtocol)
        self.assertEqual(client.protocol.session.metadata, {"a": "b"})
        self.assertEqual(Client(factory, IPv6Address("TCP", "::1", 1)).heard()[:3], b"421")
        self.assertRaises(TypeError, reception.reconfigure, object())


async def _awaited(waiting: object) -> None:
    await waiting  # type: ignore[misc]  # an Awaitable


class DefaultTests(SynchronousTestCase):
    """
    What is said without configuration.
    """

    def test_session_ids(self) -> None:
        """
        Sessions are named apart.
        """
        world = World(Smtp())
        names = set()
        for _ in range(3):
            protocol = world.factory.buildProtocol(IPv6Address("TCP", "::1", 1))
            protocol.makeConnection(StringTransport())
            assert isinstance(protocol, SmtpProtocol)
            names.add(protocol.session.session_id)
        self.assertEqual(len(names), 3)
