"""
Requirements on listeners that only real sockets show: TLS behind a proxy, certificates, limits, what cannot start.
"""

from __future__ import annotations

import os
import socket
import ssl
from functools import partial
from pathlib import Path

import attrs
import trustme
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Listener, Smtp
from empath.config.units import EndpointText, File, Rate
from empath.errors import ConfigError
from empath.receive.listeners import Reception
from empath.receive.sessions import Sessions
from tests.receive.certificates import write_pair
from tests.receive.real_sockets import RealSockets
from tests.receive.support import World, changed
from tests.receive.test_proxy_header import TCP4, inet

LOOPBACK = EndpointText("tcp:0:interface=127.0.0.1")


class SecureListenerTests(RealSockets):
    """
    A listener with TLS from the first byte, on a real port.
    """

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(os.path.abspath(self.mktemp()))
        self.folder.mkdir()
        self.ca = trustme.CA()
        self.pair = write_pair(self.folder, "mx", self.ca, "mx.example.org")
        self.listener = Listener(
            endpoint=LOOPBACK,
            tls="implicit",
            certificate=self.pair.certificate,
            private_key=self.pair.private_key,
        )
        self.world = World()

    def test_clients_wait_until_all_is_known_that_was_before(self) -> None:
        """
        Between the binding of a port and the start nobody is greeted, and nobody refused.
        """
        accepting = self.reactor.getReaders()
        reception = Reception(self.reactor, Smtp(listeners=(self.listener,)), self.world.around, 1.0)
        reception.bind()
        self.addCleanup(lambda: Deferred.fromCoroutine(reception.stop()))
        self.assertEqual(self.reactor.getReaders(), accepting)
        reception.start()
        self.assertEqual(len(self.reactor.getReaders()), len(accepting) + 1)

    def begin(self, smtp: Smtp) -> int:
        """
        Bind the listener; tell its port.
        """
        reception = Reception(self.reactor, attrs.evolve(smtp, listeners=(self.listener,)), self.world.around, 1.0)
        reception.bind()
        reception.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(reception.stop()))
        self.assertEqual(list(reception.certificates_expire), [LOOPBACK])
        address = reception.ports[0].getHost()
        assert isinstance(address, IPv4Address)
        return int(address.port)

    def talk(self, port: int, *before: bytes) -> bytes:
        """
        Connect, send some pieces in the clear, then handshake and say EHLO; tell what is heard.
        """
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            for piece in before:
                plain.sendall(piece)
            with context.wrap_socket(plain, server_hostname="mx.example.org") as secure:
                heard = secure.recv(1000)
                secure.sendall(b"EHLO client.example\r\n")
                return heard + secure.recv(1000)

    async def test_tls_comes_before_the_greeting(self) -> None:
        """
        And the certificate is the one of the file.
        """
        port = self.begin(Smtp())
        heard = await self.serve(lambda: self.talk(port))
        self.assertEqual(heard[:4], b"220 ")
        self.assertNotIn(b"STARTTLS", heard)

    async def test_the_header_of_a_proxy_comes_before_tls(self) -> None:
        """
        The client's handshake is what stands behind it, in one piece with it or not.
        """
        port = self.begin(changed(proxies=("127.0.0.1/32",)))
        for pieces in ((TCP4,), (TCP4[:20], TCP4[20:]), (inet("2001:db8::7", 1),)):
            heard = await self.serve(partial(self.talk, port, *pieces))
            self.assertIn(b"greets client.example", heard)
        peers = [session.peer for stage, session in self.world.decisions.asked if stage == "connect"]  # type: ignore[attr-defined]
        self.assertEqual(peers, ["192.0.2.7", "192.0.2.7", "2001:db8::7"])

    async def test_a_handshake_right_behind_the_header(self) -> None:
        """
        In one segment.
        """
        port = self.begin(changed(proxies=("127.0.0.1/32",)))
        self.assertIn(b"greets client.example", await self.serve(lambda: self._one_segment(port)))

    def _one_segment(self, port: int) -> bytes:
        """
        Send the header and the ClientHello at once.
        """
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        secure = context.wrap_bio(incoming, outgoing, server_hostname="mx.example.org")
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            steps = [secure.do_handshake, lambda: secure.read(1000), lambda: secure.write(b"EHLO client.example\r\n")]
            steps.append(lambda: secure.read(1000))
            first, result = TCP4, b""
            for step in steps:
                while True:
                    try:
                        result = step()  # type: ignore[assignment]  # only the last one counts
                        break
                    except ssl.SSLWantReadError:
                        plain.sendall(first + outgoing.read())
                        first = b""
                        received = plain.recv(65536)
                        assert received, "the server has closed the connection"
                        incoming.write(received)
                plain.sendall(outgoing.read())
        return result


class StartTests(SynchronousTestCase):
    """
    What keeps reception from starting.
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.world = World()

    def reception(self, *listeners: Listener) -> Reception:
        """
        Make reception with these listeners.
        """
        return Reception(self.reactor, changed(listeners=listeners), self.world.around, 1.0)

    def test_a_listener_that_cannot_have_its_tls_does_not_start(self) -> None:
        """
        Nor do the others: no port is bound, and one line says why.
        """
        broken = Listener(tls="starttls", certificate=File("/nonexistent/a"), private_key=File("/nonexistent/b"))
        with self.assertRaises(ConfigError) as caught:
            self.reception(Listener(), broken).bind()
        self.assertEqual(
            caught.exception.problems,
            ['smtp.listeners[1].certificate: found "/nonexistent/a": No such file or directory'],
        )
        self.assertEqual(self.reactor.tcpServers, [])

    def test_lmtp_does_not_start_on_port_25(self) -> None:
        """
        Whoever bound it (RFC 2033 §5).
        """
        reception = self.reception(Listener(endpoint=EndpointText("tcp:25"), kind="lmtp"))
        self.assertRaises(ConfigError, reception.bind)
        self.assertEqual(reception.ports, [])
        self.reception(Listener(endpoint=EndpointText("tcp:24"), kind="lmtp")).bind()

    def test_new_certificates_by_reconfiguration(self) -> None:
        """
        What cannot be had changes nothing; TLS that stays the same stays loaded.
        """
        folder = Path(os.path.abspath(self.mktemp()))
        folder.mkdir()
        pair = write_pair(folder, "mx", trustme.CA(), "mx.example.org")
        plain = Listener()
        secure = Listener(tls="starttls", certificate=pair.certificate, private_key=pair.private_key)
        reception = self.reception(plain)
        reception.bind()
        factory = reception._gates[0].clients
        with self.assertRaises(ConfigError):
            broken = attrs.evolve(secure, private_key=File("/nonexistent/b"))
            reception.reconfigure(changed(listeners=(broken,), banner="changed"))
        self.assertIsNone(factory.terms.tls)
        self.assertNotIn("changed", factory.terms.rules.banner)
        reception.reconfigure(changed(listeners=(secure,)))
        tls = factory.terms.tls
        self.assertIsNotNone(tls)
        reception.reconfigure(changed(listeners=(attrs.evolve(secure, context={"a": "b"}),), proxies=("10.0.0.0/8",)))
        self.assertIs(factory.terms.tls, tls)
        self.assertEqual(factory.terms.context, {"a": "b"})
        self.assertTrue(reception._gates[0].factory.listed("10.1.2.3"))


class RateTests(SynchronousTestCase):
    """
    How often one client may come.
    """

    def test_a_client_that_comes_too_often_hears_421(self) -> None:
        """
        Only it, and only for a while.
        """
        world = World()
        sessions = Sessions(world.clock, 100, 100, Rate(2, 60.0))
        refusals = [str(sessions.refusal("192.0.2.7")) for _ in range(3)]
        self.assertEqual(refusals[:2], ["None", "None"])
        self.assertEqual(refusals[2][:10], "421 4.7.0 ")
        self.assertIsNone(sessions.refusal("192.0.2.8"))
        world.clock.advance(30)
        self.assertIsNone(sessions.refusal("192.0.2.7"))
        self.assertIsNotNone(sessions.refusal("192.0.2.7"))

    def test_a_new_rate_starts_anew_and_the_same_does_not(self) -> None:
        """
        A reload forgives nothing by itself.
        """
        world = World()
        sessions = Sessions(world.clock, 100, 100, Rate(1, 60.0))
        self.assertIsNone(sessions.refusal(7))
        sessions.reconfigure(100, 100, Rate(1, 60.0))
        self.assertIsNotNone(sessions.refusal(7))
        sessions.reconfigure(100, 100)
        self.assertIsNone(sessions.refusal(7))
