"""
Sessions under TLS, by STARTTLS and from the beginning.
"""

from __future__ import annotations

import attrs
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHandshakeListener
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from empath.config.schema import Listener
from empath.config.units import File
from empath.interfaces import MaybeVerdict
from empath.mail.wish import Wish, wishes
from empath.policy.verdict import refuse
from tests.receive.support import BEGIN, changed
from tests.receive.tls_support import TlsClient, TlsWorld


class StartTlsTests(SynchronousTestCase):
    """
    STARTTLS.
    """

    def setUp(self) -> None:
        self.world = TlsWorld(self)

    def test_a_message_under_tls(self) -> None:
        """
        What is said under TLS is served; session, metadata and Received tell of it.
        """
        client = self.world.connect()
        verifyObject(IHandshakeListener, client.protocol)
        self.assertIn(b"250-STARTTLS\r\n", client.say(b"EHLO c\r\n"))
        self.assertEqual(client.say(b"STARTTLS\r\n"), b"220 ready to start TLS\r\n")
        self.assertEqual(client.begin(), b"")
        self.assertNotIn(b"STARTTLS", client.say(BEGIN))
        self.assertTrue(client.say(b"Subject: x\r\n\r\n.\r\n").startswith(b"250 2.0.0 Ok: queued"))
        message = self.world.spool.committed[0][0]
        self.assertIn(b"with ESMTPS", message.header)
        self.assertIn(b"(TLSv1.3 with cipher TLS_", message.header)
        self.assertEqual(message.metadata["tls"], "true")
        self.assertEqual(message.metadata["protocol"], "TLSv1.3")
        self.assertIn("TLS_", message.metadata["cipher"])
        session = client.protocol.session  # type: ignore[attr-defined]
        self.assertEqual((session.tls, session.tls_client_subject, session.trusted), ("TLSv1.3", "", False))
        self.assertEqual(
            [stage for stage, _ in self.world.decisions.asked[:4]], ["connect", "ehlo", "starttls", "ehlo"]
        )
        client.say(b"QUIT\r\n")
        client.lose()
        self.assertEqual(self.world.reasons(), ["quit"])
        self.assertEqual(self.world.clock.getDelayedCalls(), [])

    def test_mail_that_requires_tls(self) -> None:
        """
        REQUIRETLS is known under TLS only; it goes with the message, and what the header says counts for nothing beside
        it (RFC 8689 §4.1).
        """
        client = self.world.connect()
        self.assertNotIn(b"REQUIRETLS", client.say(b"EHLO c\r\n"))
        self.assertTrue(client.say(b"MAIL FROM:<a@b.example> REQUIRETLS\r\n").startswith(b"555 5.5.4"))
        client = self.world.secured()
        self.assertIn(b"250-REQUIRETLS\r\n", client.say(b"EHLO c\r\n"))
        client.say(b"MAIL FROM:<a@b.example> REQUIRETLS\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
        self.assertTrue(client.say(b"TLS-Required: No\r\n\r\n.\r\n").startswith(b"250 2.0.0 Ok: queued"))
        [(message, _)] = self.world.spool.committed
        self.assertEqual(message.envelope.parameters, {"REQUIRETLS": ""})
        self.assertIs(wishes(message), Wish.REQUIRE)

    def test_all_said_before_is_forgotten(self) -> None:
        """
        EHLO has to be said again, STARTTLS cannot.
        """
        client = self.world.secured()
        self.assertTrue(client.say(b"MAIL FROM:<>\r\n").startswith(b"503 5.5.1"))
        client.say(b"EHLO c\r\n")
        self.assertTrue(client.say(b"STARTTLS\r\n").startswith(b"503 5.5.1"))

    def test_cleartext_behind_starttls_ends_the_connection(self) -> None:
        """
        Nobody can put commands before the handshake (CVE-2011-0411).
        """
        client = self.world.connect()
        said = client.say(b"EHLO c\r\nSTARTTLS\r\nMAIL FROM:<evil@b.example>\r\n")
        self.assertNotIn(b"220 ready", said)
        self.assertTrue(client.hung_up)
        client.lose()
        self.assertEqual(self.world.reasons(), ["tls"])

    def test_no_handshake(self) -> None:
        """
        Who speaks on in cleartext, or no TLS that we know, is cut off, and the event says why.
        """
        old = SSL.Context(SSL.TLS_CLIENT_METHOD)
        old.set_max_proto_version(SSL.TLS1_1_VERSION)
        old.set_cipher_list(b"ALL:@SECLEVEL=0")
        for context in (None, old):
            world = TlsWorld(self)
            client = world.connect()
            client.say(b"EHLO c\r\nSTARTTLS\r\n")
            if context is None:
                client.transport.receiver.dataReceived(b"MAIL FROM:<>\r\n")
            else:
                with self.assertRaises(SSL.Error):
                    client.begin(context)
            self.assertTrue(client.hung_up)
            client.end(ConnectionDone())
            self.assertEqual(world.reasons(), ["tls"])
            self.assertEqual(world.clock.getDelayedCalls(), [])

    def test_a_client_that_leaves_during_the_handshake(self) -> None:
        """
        It is lost like any other.
        """
        client = self.world.connect()
        client.say(b"EHLO c\r\nSTARTTLS\r\n")
        client.end(ConnectionDone())
        self.assertEqual(self.world.reasons(), ["lost"])
        self.assertEqual(self.world.sessions.count, 0)

    def test_a_handshake_has_bounded_time(self) -> None:
        """
        Who does not shake hands in the time of a command is cut off.
        """
        client = self.world.connect()
        client.say(b"EHLO c\r\nSTARTTLS\r\n")
        self.world.clock.advance(299)
        self.assertFalse(client.transport.aborted)
        self.world.clock.advance(1)
        self.assertTrue(client.transport.aborted)
        client.end(ConnectionDone())
        self.assertEqual(self.world.reasons(), ["tls"])

    def test_time_after_the_handshake(self) -> None:
        """
        The first command under TLS has a command's time.
        """
        client = self.world.secured()
        self.world.clock.advance(299)
        self.assertEqual(client.exchange(), b"")
        self.world.clock.advance(1)
        self.assertTrue(client.exchange().startswith(b"421 4.4.2"))

    def test_a_close_without_notice_is_no_trouble(self) -> None:
        """
        A client that just goes is lost, whatever it had to say about TLS.
        """
        client = self.world.secured()
        client.say(BEGIN)
        client.lose()
        self.assertEqual(self.world.reasons(), ["lost"])
        self.assertEqual(self.world.spool.writers[0].aborted, 1)

    def test_a_stop_does_not_wait_for_a_handshake(self) -> None:
        """
        The connection is cut.
        """
        client = self.world.connect()
        client.say(b"EHLO c\r\nSTARTTLS\r\n")
        client.protocol.drain()  # type: ignore[attr-defined]
        self.assertTrue(client.transport.aborted)

    def test_decision(self) -> None:
        """
        A refusal disconnects with its reply; before the decision is made nothing is served.
        """
        self.world.decisions.answers["starttls"] = refuse("550 5.7.1 not you")
        client = self.world.connect()
        client.say(b"EHLO c\r\nSTARTTLS\r\n")
        self.assertEqual(client.begin(), b"550 5.7.1 not you\r\n")
        waiting: Deferred[MaybeVerdict] = Deferred()
        self.world.decisions.answers["starttls"] = waiting
        client = self.world.secured()
        self.assertEqual(client.say(b"EHLO c\r\n"), b"")
        waiting.callback(None)
        said = client.exchange()
        self.assertTrue(said.startswith(b"250-mx.example.org"), said)

    def test_a_bug_in_a_decision(self) -> None:
        """
        An exception of ours ends the session with 421 and is logged.
        """

        def broken() -> MaybeVerdict:
            raise ZeroDivisionError

        self.world.decisions.answers["starttls"] = broken
        client = self.world.connect()
        client.say(b"EHLO c\r\nSTARTTLS\r\n")
        self.assertTrue(client.begin().startswith(b"421 4.3.0"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_client_certificate(self) -> None:
        """
        The subject of a verified client certificate is known to the session and its messages.
        """
        world = self.world
        listener = attrs.evolve(world.listener, client_ca=File(world.authorities))
        world.serve(listener, changed())
        issued = world.authority.issue_cert(common_name="Tim", organization_name="Example")
        client_context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        issued.configure_cert(client_context)
        client = world.connect()
        client.say(b"EHLO c\r\nSTARTTLS\r\n")
        client.begin(client_context)
        client.say(BEGIN + b".\r\n")
        subject = client.protocol.session.tls_client_subject  # type: ignore[attr-defined]
        self.assertIn("CN=Tim", subject)
        self.assertEqual(world.spool.committed[0][0].metadata["tls_client_subject"], subject)


class ImplicitTlsTests(SynchronousTestCase):
    """
    TLS from the beginning.
    """

    def world(self, **changes: object) -> TlsWorld:
        return TlsWorld(self, changed(**changes), Listener(tls="implicit"))

    def test_the_greeting_comes_after_the_handshake(self) -> None:
        """
        Nothing is said before it, nobody but the event of the connection knows of the client.
        """
        world = self.world()
        client = world.connect()
        self.assertEqual(client.heard(), b"")
        self.assertEqual(world.decisions.asked, [])
        self.assertEqual(client.begin(), b"220 mx.example.org ESMTP empath\r\n")
        self.assertEqual([stage for stage, _ in world.decisions.asked], ["connect", "starttls"])
        self.assertNotIn(b"STARTTLS", client.say(BEGIN))
        client.say(b".\r\n")
        self.assertIn(b"with ESMTPS", world.spool.committed[0][0].header)

    def test_refused_clients(self) -> None:
        """
        A client that is not to connect hears so under TLS.
        """
        for stage in ("connect", "starttls"):
            world = self.world()
            world.decisions.answers[stage] = refuse("554 5.7.1 not you")
            client = world.connect()
            self.assertEqual(client.begin(), b"554 5.7.1 not you\r\n")
            client.lose()
            self.assertEqual(world.reasons(), ["refused"])

    def test_over_a_limit(self) -> None:
        """
        Nothing is said, since nothing is encrypted: the connection is closed.
        """
        world = self.world(max_connections=1)
        world.connect()
        client = world.connect()
        self.assertEqual(client.heard(), b"")
        self.assertTrue(client.hung_up)
        self.assertEqual(world.reasons(), ["limit"])

    def test_early_talkers(self) -> None:
        """
        The greeting's delay begins after the handshake, and who speaks in it is sent away.
        """
        world = self.world(greeting_delay=5.0)
        patient, hasty = world.connect(), world.connect()
        self.assertEqual((patient.begin(), hasty.begin()), (b"", b""))
        self.assertTrue(hasty.say(b"EHLO c\r\n").startswith(b"421 4.7.0"))
        world.clock.advance(5)
        self.assertTrue(patient.exchange().startswith(b"220 "))

    def test_whole_equals_byte_by_byte(self) -> None:
        """
        However the wire divides it, the same is said.
        """
        world = self.world()
        client = world.connect()
        client.begin()
        client.say(BEGIN)
        for byte in b"Subject: x\r\n\r\nbody\r\n.\r\n":
            client.say(bytes([byte]))
        self.assertEqual(world.spool.committed[0][0].body, b"\r\nbody\r\n")

    def test_no_certificate(self) -> None:
        """
        Without one, nobody is served in cleartext instead.
        """
        world = self.world()
        world.factory.terms = attrs.evolve(world.factory.terms, tls=None)
        client = TlsClient.__new__(TlsClient)
        with self.assertRaises(RuntimeError):
            client.__init__(world.factory, "192.0.2.7")  # type: ignore[misc]
