"""
TLS and login towards servers.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Delivery as Section
from empath.config.schema import DeliveryTls
from tests.deliver.fakes import CLOSE, HANG, STARTTLS, Server
from tests.deliver.world import SENT, SENT_2, World, spell


class TlsTests(SynchronousTestCase):
    """
    TLS by policy.
    """

    def world(self, policy: str, **answers: str | list[str]) -> World:
        """
        A first host that offers STARTTLS, under a default policy.
        """
        world = World(Section(tls=DeliveryTls(default_policy=policy)))  # type: ignore[arg-type]  # one of the names
        world.server(1, **{"EHLO": STARTTLS, **answers})
        return world

    def test_offered(self) -> None:
        """
        TLS is used where offered; protocol and cipher are told.
        """
        for policy in ("opportunistic", "required", "verified"):
            world = self.world(policy)
            self.assertEqual(world.deliver(), SENT)
            self.assertEqual(world.mx1.verbs(), ["EHLO", "STARTTLS", "EHLO", "MAIL", "RCPT", "DATA"])
            self.assertEqual((world.attempt.tls, world.attempt.cipher), ("TLSv1.3", "TLS_AES_256_GCM_SHA384"))

    def test_disabled(self) -> None:
        """
        The policy may forbid it.
        """
        world = self.world("disabled")
        self.assertEqual(world.deliver(), SENT)
        self.assertNotIn("STARTTLS", world.mx1.verbs())

    def test_opportunistic_falls_back(self) -> None:
        """
        Opportunistic: where STARTTLS or the handshake fails, the same host gets the mail in cleartext over a new
        connection (RFC 7435).
        """
        for answer in ("454 4.7.0 no", "502 no", CLOSE, "garbage"):
            world = self.world("opportunistic", STARTTLS=answer)
            self.assertEqual(world.deliver(), SENT, answer)
            self.assertEqual(len(world.mx1.transports), 2)
            self.assertEqual(world.attempt.tls, "")
        world = self.world("opportunistic")
        world.mx1.shakes = False
        self.assertEqual(world.deliver(), SENT)

    def test_handshake_hangs(self) -> None:
        """
        A handshake has two minutes.
        """
        world = self.world("opportunistic")
        world.mx1.handshake = lambda transport: None  # type: ignore[method-assign]  # a server that hangs
        delivery = world.start()
        world.reactor.run()
        world.reactor.advance(120)
        world.reactor.run()
        self.assertEqual(spell(self.successResultOf(delivery)), SENT)
        self.assertEqual(world.attempt.tls, "")

    def test_required(self) -> None:
        """
        Required: a host without TLS, or whose handshake fails, is passed over; nothing goes in cleartext.
        """
        for answers in ({"EHLO": "250 mx"}, {"STARTTLS": "454 4.7.0 no"}):
            world = self.world("required", **answers)
            world.server(2, EHLO=STARTTLS)
            self.assertEqual(world.deliver(), SENT_2)
            self.assertNotIn("MAIL", world.mx1.verbs())
        world = self.world("required", EHLO="250 mx")
        world.server(2, EHLO=STARTTLS)
        world.mx2.shakes = False
        self.assertEqual(world.deliver(), ["TransientFailure 454 4.7.5"])

    def test_implicit(self) -> None:
        """
        Implicit TLS begins before the greeting, on port 465 unless another is given.
        """
        world = World(mx_override=("192.0.2.1",), tls="implicit", tls_policy="required")
        world.reactor.servers["192.0.2.1:465"] = world.mx1
        self.assertEqual(world.deliver(), ["Success 250 2.0.0 192.0.2.1"])
        self.assertEqual(len(world.mx1.transports[0].tls), 1)
        self.assertNotIn("STARTTLS", world.mx1.verbs())

    def test_implicit_fails(self) -> None:
        """
        Implicit TLS never falls back to cleartext.
        """
        world = World(mx_override=("192.0.2.1:465",), tls="implicit")
        server = world.mx1
        world.reactor.servers["192.0.2.1:465"] = server
        server.shakes = False
        server.answers["GREETING"] = [HANG]
        self.assertEqual(world.deliver(), ["TransientFailure 454 4.7.5"])
        self.assertEqual(len(server.transports), 1)

    def test_login(self) -> None:
        """
        A smarthost is logged in to over TLS, and never in cleartext.
        """
        smarthost: dict[str, Any] = {"mx_override": ("192.0.2.1",), "username": "user", "password": "secret"}
        world = World(**smarthost)
        world.server(1, EHLO=["250-mx\r\n250 STARTTLS", "250-mx\r\n250 AUTH PLAIN"])
        self.assertEqual(world.deliver(), ["Success 250 2.0.0 192.0.2.1"])
        self.assertIn("AUTH PLAIN AHVzZXIAc2VjcmV0", world.mx1.commands)
        world = World(**smarthost)
        world.server(1, EHLO="250-mx\r\n250 AUTH PLAIN")
        self.assertEqual(world.deliver(), ["TransientFailure 454 4.7.0"])

    def test_wrong_password(self) -> None:
        """
        A changed password must not bounce the queue.
        """
        world = World(mx_override=("127.0.0.1:587",), username="user", password="secret")
        server = Server(world.reactor, EHLO="250-mx\r\n250 AUTH PLAIN", AUTH="535 5.7.8 wrong")
        world.reactor.servers["127.0.0.1:587"] = server
        self.assertEqual(world.deliver(), ["TransientFailure 435 4.7.8 127.0.0.1"])
