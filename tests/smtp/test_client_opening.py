"""
The client session: greeting, EHLO, STARTTLS, AUTH.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.outcome import Scope
from empath.mail.reply import Reply
from empath.smtp.client_events import Ready, StartTls, State, Terms, Trouble
from empath.smtp.client_offer import Offer, read_offer
from empath.smtp.sasl import Credentials, login
from tests.smtp.client_driver import PLAIN, TERMS, Driver

WITH_TLS = b"250-mx\r\n250 STARTTLS\r\n"
LOGIN = Credentials("user", "secret")


class OpeningTests(SynchronousTestCase):
    """
    From the greeting to the first transaction.
    """

    def test_ehlo(self) -> None:
        """
        A greeting is answered with EHLO, its reply makes the session ready.
        """
        driver = Driver().say(b"220-hello\r\n220 there\r\n", PLAIN)
        self.assertEqual(driver.written, b"EHLO client.example.net\r\n")
        self.assertEqual(driver.events, [Ready()])

    def test_helo(self) -> None:
        """
        A server that does not know EHLO is spoken to with HELO, and offers nothing.
        """
        driver = Driver().say(b"220 hello\r\n", b"500 what\r\n", b"250-mx\r\n250 PIPELINING\r\n")
        self.assertEqual(driver.written, b"EHLO client.example.net\r\nHELO client.example.net\r\n")
        self.assertEqual((driver.events, driver.session.offer), ([Ready()], Offer()))

    def test_refusals_are_the_hosts(self) -> None:
        """
        4yz and 5yz at greeting, EHLO and HELO are transient, and QUIT is said.
        """
        for turns in (
            (b"554 5.7.1 no\r\n",),
            (b"450 no\r\n",),
            (b"220 x\r\n", b"450 no\r\n"),
            (b"220 x\r\n", b"500 x\r\n", b"550 no\r\n"),
            (b"220 x\r\n", b"500 x\r\n", b"450 no\r\n"),
        ):
            driver = Driver().say(*turns)
            over = driver.over()
            self.assertEqual((over.trouble, over.failure.scope), (Trouble.REFUSED, Scope.HOST), turns)
            self.assertTrue(over.failure.reply.transient)
            self.assertTrue(driver.written.endswith(b"QUIT\r\n"))
            self.assertIs(driver.session.state, State.QUIT)

    def test_permanent_refusal_is_lowered(self) -> None:
        """
        The words of a 5yz are kept in a 4yz whose enhanced code agrees.
        """
        over = Driver().say(b"554 5.7.1 go away\r\n").over()
        self.assertEqual(over.failure.reply, Reply(454, "4.7.1", ("to greeting: 554 5.7.1 go away",)))
        self.assertEqual(over.failure.host, "mx.example.org")

    def test_shutdown_and_garbage(self) -> None:
        """
        421 and what is no SMTP end the session at once.
        """
        self.assertEqual(Driver().say(b"421 busy\r\n").over().trouble, Trouble.SHUTDOWN)
        self.assertEqual(Driver().say(b"SSH-2.0-OpenSSH\r\n").over().trouble, Trouble.GARBLED)
        self.assertEqual(Driver().say(b"354 x\r\n").over().trouble, Trouble.GARBLED)

    def test_lost(self) -> None:
        """
        A connection that ends during the opening is a failure of the session.
        """
        driver = Driver()
        driver.act(driver.session.connection_lost())
        self.assertEqual(str(driver.over().failure.reply), "421 4.4.2 lost connection at greeting")


class TlsTests(SynchronousTestCase):
    """
    STARTTLS (RFC 3207).
    """

    def test_starttls(self) -> None:
        """
        Where it is offered TLS begins, EHLO is said again, and what was offered before is forgotten.
        """
        driver = Driver().say(b"220 x\r\n", WITH_TLS, b"220 go\r\n")
        self.assertEqual(driver.events, [StartTls()])
        self.assertEqual(driver.session.offer, Offer())
        driver.say(PLAIN)
        self.assertEqual(driver.written.count(b"EHLO"), 2)
        self.assertEqual(driver.events[-1], Ready())
        self.assertTrue(driver.session.secure)

    def test_not_wanted(self) -> None:
        """
        Without the wish for TLS it is not begun.
        """
        self.assertEqual(Driver(Terms("c", "mx", starttls=False)).say(b"220 x\r\n", WITH_TLS).events, [Ready()])

    def test_needed_but_not_offered(self) -> None:
        """
        Where TLS is needed a server without it is left, politely: 4.7.4.
        """
        driver = Driver(Terms("c", "mx", tls_needed=True)).say(b"220 x\r\n", PLAIN)
        self.assertEqual((driver.over().trouble, driver.over().failure.reply.enhanced), (Trouble.UNMET, "4.7.4"))

    def test_implicit(self) -> None:
        """
        Where TLS began with the connection STARTTLS is not said.
        """
        driver = Driver(Terms("c", "mx", tls_needed=True, secured=True)).say(b"220 x\r\n", WITH_TLS)
        self.assertEqual(driver.events, [Ready()])

    def test_refused(self) -> None:
        """
        A refused STARTTLS is TLS trouble: the edge may try cleartext on a new connection.
        """
        for reply in (b"454 4.7.0 no\r\n", b"502 no\r\n", b"garbage\r\n", b"421 x\r\n"):
            driver = Driver().say(b"220 x\r\n", WITH_TLS, reply)
            self.assertEqual(driver.over().trouble, Trouble.TLS, reply)

    def test_lost_or_late(self) -> None:
        """
        So is a connection that ends, or a server that hangs, before TLS is established.
        """
        driver = Driver().say(b"220 x\r\n", WITH_TLS)
        driver.act(driver.session.timed_out())
        self.assertEqual(driver.over().trouble, Trouble.TLS)

    def test_handshake_failed(self) -> None:
        """
        A failed handshake is TLS trouble, told once, with a reason that cannot hurt the log.
        """
        driver = Driver()
        driver.say(b"220 x\r\n", WITH_TLS)
        driver.session.receive(b"220 go\r\n")
        driver.act(driver.session.handshake_failed("bad\r\ncertificate"))
        over = driver.over()
        self.assertEqual(over.trouble, Trouble.TLS)
        self.assertEqual(str(over.failure.reply), "454 4.7.5 TLS handshake failed: bad??certificate")
        self.assertEqual(driver.session.handshake_failed("again"), [])

    def test_injected_cleartext(self) -> None:
        """
        Bytes that follow the 220 before the handshake end the session, in the same piece or the next one.
        """
        driver = Driver().say(b"220 x\r\n", WITH_TLS, b"220 go\r\n250 evil\r\n")
        self.assertEqual([event for event in driver.events if isinstance(event, StartTls)], [])
        self.assertEqual(driver.over().trouble, Trouble.TLS)
        driver = Driver().say(b"220 x\r\n", WITH_TLS)
        self.assertEqual(driver.session.receive(b"220 go\r\n"), [StartTls()])
        driver.act(driver.session.receive(b"2"))
        self.assertIs(driver.session.state, State.CLOSED)


class AuthTests(SynchronousTestCase):
    """
    AUTH (RFC 4954), to smarthosts.
    """

    def auth(self, mechanisms: bytes, **changes: bool) -> Driver:
        """
        Come to AUTH, over TLS from the beginning unless said otherwise.
        """
        terms = Terms("c", "mx", credentials=LOGIN, **{"secured": True, **changes})
        return Driver(terms).say(b"220 x\r\n", b"250-mx\r\n250 AUTH %s\r\n" % mechanisms)

    def test_plain(self) -> None:
        """
        PLAIN comes first and takes one turn.
        """
        driver = self.auth(b"LOGIN PLAIN").say(b"235 2.7.0 in\r\n")
        self.assertEqual(driver.written, b"EHLO c\r\nAUTH PLAIN AHVzZXIAc2VjcmV0\r\n")
        self.assertEqual(driver.events, [Ready()])

    def test_login(self) -> None:
        """
        LOGIN answers two challenges.
        """
        driver = self.auth(b"LOGIN CRAM-MD5").say(b"334 VXNlcm5hbWU6\r\n", b"334 UGFzc3dvcmQ6\r\n", b"235 in\r\n")
        self.assertEqual(driver.written, b"EHLO c\r\nAUTH LOGIN\r\ndXNlcg==\r\nc2VjcmV0\r\n")
        self.assertEqual(driver.events, [Ready()])

    def test_one_challenge_too_many(self) -> None:
        """
        A challenge without an answer is a protocol error.
        """
        self.assertEqual(self.auth(b"PLAIN").say(b"334 more\r\n").over().trouble, Trouble.GARBLED)

    def test_refused(self) -> None:
        """
        A wrong password must not bounce the queue: it is transient, and the host's.
        """
        for reply in (b"535 5.7.8 wrong\r\n", b"454 4.7.0 later\r\n"):
            over = self.auth(b"PLAIN").say(reply).over()
            self.assertEqual((over.trouble, over.failure.scope), (Trouble.REFUSED, Scope.HOST))

    def test_what_a_server_quotes(self) -> None:
        """
        Its words go into logs and to senders: without the password.
        """
        for reply in (b"535 5.7.8 what is AHVzZXIAc2VjcmV0?\r\n", b"421 4.7.0-user:secret\r\n"):
            told = str(self.auth(b"PLAIN").say(reply).over().failure.reply)
            self.assertIn("[masked]", told)
            self.assertNotIn("ecret", told)
            self.assertNotIn("c2Vjc", told)

    def test_no_mechanism(self) -> None:
        """
        A server whose mechanisms we do not know cannot be used.
        """
        self.assertEqual(self.auth(b"GSSAPI").over().trouble, Trouble.UNMET)

    def test_never_in_cleartext(self) -> None:
        """
        The password is not said in cleartext, but to this machine.
        """
        self.assertEqual(self.auth(b"PLAIN", secured=False).over().trouble, Trouble.UNMET)
        self.assertIn(b"AUTH PLAIN", self.auth(b"PLAIN", secured=False, clear_auth=True).written)

    def test_secrets_are_not_shown(self) -> None:
        """
        No representation shows a password.
        """
        shown = repr((LOGIN, login(frozenset({"LOGIN"}), LOGIN), Terms("c", "mx", credentials=LOGIN)))
        self.assertNotIn("secret", shown)
        self.assertNotIn("c2VjcmV0", shown)

    def test_nul(self) -> None:
        """
        PLAIN cannot carry a NUL.
        """
        self.assertRaises(ValueError, Credentials, "a\0b", "c")
        self.assertRaises(ValueError, Credentials, "a", "\0")


class OfferTests(SynchronousTestCase):
    """
    The reply to EHLO.
    """

    def test_keywords(self) -> None:
        """
        Keywords are read in any case, with their parameters; what makes no sense is passed over.
        """
        reply = Reply(250, None, ("mx", "pipelining", "Size 99 x", "8bitmime", "", "AUTH=LOGIN", "auth plain", "X-Y"))
        expected = Offer(True, False, True, True, 99, frozenset({"LOGIN", "PLAIN"}), auth=True)
        self.assertEqual(read_offer(reply), expected)

    def test_extensions(self) -> None:
        """
        All other extensions, with the numbers they announce.
        """
        said = ("mx", "CHUNKING", "BINARYMIME", "SMTPUTF8", "DSN", "MT-PRIORITY MIXER", "DELIVERBY 240", "AUTH")
        limits = "LIMITS RCPTMAX=20 MAILMAX=5 RCPTDOMAINMAX=1 =7 X"
        self.assertEqual(
            read_offer(Reply(250, None, (*said, limits))),
            Offer(
                chunking=True,
                binary=True,
                utf8=True,
                dsn=True,
                auth=True,
                priorities=True,
                deliver_by=240,
                max_recipients=20,
                max_messages=5,
            ),
        )

    def test_offers_of_no_use(self) -> None:
        """
        BINARYMIME without CHUNKING is none (RFC 3030 §3), limits that are no numbers are none, a DELIVERBY without a
        number takes any time.
        """
        for limits in ("RCPTMAX=x MAILMAX", "RCPTMAX=0 MAILMAX=007", "RCPTMAX=1000000"):
            said = ("mx", "BINARYMIME", f"LIMITS {limits}", "DELIVERBY")
            self.assertEqual(read_offer(Reply(250, None, said)), Offer(deliver_by=0))

    def test_terms_default(self) -> None:
        """
        By default TLS is used where offered, and not needed.
        """
        self.assertEqual((TERMS.starttls, TERMS.tls_needed), (True, False))
