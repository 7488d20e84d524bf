"""
Logging in, and what it is needed for.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Listener
from empath.errors import AuthenticatorUnavailable
from empath.policy.verdict import refuse
from tests.receive.support import BEGIN, World, changed
from tests.receive.tls_support import TlsWorld

CLEARTEXT = Listener(auth=True, auth_cleartext=True)
RIGHT = b"AUTH PLAIN " + b64encode(b"\0tim\0tanstaaf") + b"\r\n"
WRONG = b"AUTH PLAIN " + b64encode(b"\0tim\0secret-word") + b"\r\n"
WELCOME = b"235 2.7.0 authentication successful\r\n"
BAD = b"535 5.7.8 authentication credentials invalid\r\n"


class LoginTests(SynchronousTestCase):
    """
    The steps of a login.
    """

    def setUp(self) -> None:
        self.world = World(listener=CLEARTEXT)
        self.client = self.world.connect()
        self.client.say(b"EHLO c\r\n")

    @property
    def session(self) -> Any:
        protocol: Any = self.client.protocol
        return protocol.session

    def wrong(self) -> bytes:
        """
        Log in wrongly, tell the answer.
        """
        self.assertEqual(self.client.say(WRONG), b"")
        self.world.clock.advance(1)
        return self.client.heard()

    def test_success(self) -> None:
        """
        Who logged in may send to anyone, and Received says so.
        """
        self.assertFalse(self.session.trusted)
        self.assertEqual(self.client.say(RIGHT), WELCOME)
        self.assertEqual((self.session.login, self.session.trusted, self.session.protocol), ("tim", True, "ESMTPA"))
        self.assertEqual(self.session.mechanism, "PLAIN")
        self.assertEqual(self.world.decisions.asked[-1], ("auth", "tim"))
        self.client.say(BEGIN + b".\r\n")
        self.assertIn(b"with ESMTPA", self.world.spool.committed[0][0].header)

    def test_bare_newlines_of_who_logged_in(self) -> None:
        """
        Where trusted clients may send bare newlines, who logged in may, and nobody whom a trusted proxy presents.
        """
        smtp = changed(bare_newlines_exclude=("trusted",), xclient=("127.0.0.1/32",))
        client = World(smtp, CLEARTEXT).connect()
        self.assertIn(b"550 5.5.2", client.say(BEGIN + b"a\nb\r\n.\r\n"))
        client.say(RIGHT)
        self.assertIn(b"250 2.0.0 Ok: queued", client.say(BEGIN[BEGIN.index(b"MAIL") :] + b"a\nb\r\n.\r\n"))
        proxy = World(smtp, CLEARTEXT).connect("127.0.0.1")
        self.assertIn(b"250 2.0.0 Ok: queued", proxy.say(BEGIN + b"a\nb\r\n.\r\n"))
        proxy.say(b"XCLIENT ADDR=192.0.2.7\r\n")
        self.assertIn(b"550 5.5.2", proxy.say(BEGIN + b"a\nb\r\n.\r\n"))

    def test_it_lasts(self) -> None:
        """
        EHLO does not end a login, and there is no second one.
        """
        self.client.say(RIGHT)
        self.client.say(b"EHLO d\r\n")
        self.assertEqual((self.session.protocol, self.session.login), ("ESMTPA", "tim"))
        self.assertTrue(self.client.say(RIGHT).startswith(b"503 5.5.1"))

    def test_challenges(self) -> None:
        """
        LOGIN asks for name and password.
        """
        self.assertEqual(self.client.say(b"AUTH LOGIN\r\n"), b"334 " + b64encode(b"Username:") + b"\r\n")
        self.assertEqual(self.client.say(b64encode(b"tim") + b"\r\n"), b"334 " + b64encode(b"Password:") + b"\r\n")
        self.assertEqual(self.client.say(b64encode(b"tanstaaf") + b"\r\n"), WELCOME)

    def test_a_wrong_password(self) -> None:
        """
        It is refused after a moment, told of, and no password is in a log.
        """
        with capturedLogs() as logged:
            self.assertEqual(self.wrong(), BAD)
        self.assertEqual((self.session.login, self.session.trusted), ("", False))
        self.assertEqual(self.world.refusals(), ["AUTH 535 5.7.8 authentication credentials invalid"])
        self.assertEqual(len(logged), 1)
        self.assertNotIn("secret-word", repr(logged))
        self.assertEqual(self.client.say(RIGHT), WELCOME)

    def test_a_client_that_leaves_before_it_hears_so(self) -> None:
        """
        Nothing is left of it, but for the failure.
        """
        self.client.say(WRONG)
        self.client.lose()
        self.assertEqual(self.world.clock.getDelayedCalls(), [])

    def test_a_stop_during_the_penalty(self) -> None:
        """
        The client hears 421 at once.
        """
        self.client.say(WRONG)
        protocol: Any = self.client.protocol
        protocol.drain()
        self.assertTrue(self.client.heard().startswith(b"421 4.3.2"))
        self.world.clock.advance(31)
        self.assertEqual(self.client.heard(), b"")

    def test_who_guesses_is_held_off(self) -> None:
        """
        After too many failures even the right password has to wait, on any connection of this client and on no other.
        """
        for _ in range(3):
            self.assertEqual(self.wrong(), BAD)
        self.assertTrue(self.client.say(RIGHT).startswith(b"454 4.7.0 too many"))
        again = self.world.connect()
        again.say(b"EHLO c\r\n")
        self.assertTrue(again.say(RIGHT).startswith(b"454 4.7.0 too many"))
        other = self.world.connect("192.0.2.8")
        other.say(b"EHLO c\r\n")
        self.assertEqual(other.say(RIGHT), WELCOME)
        self.world.clock.advance(600)
        third = self.world.connect()
        third.say(b"EHLO c\r\n")
        self.assertEqual(third.say(RIGHT), WELCOME)

    def test_many_guesses_at_once_tell_no_more(self) -> None:
        """
        What is under way when a client is held off is not answered either, right or wrong.
        """
        slow = self.world.authenticator.slow = Deferred()
        clients = [self.world.connect() for _ in range(5)]
        for client, said in zip(clients, (WRONG, WRONG, WRONG, WRONG, RIGHT), strict=True):
            client.say(b"EHLO c\r\n" + said)
        slow.callback(None)
        self.world.clock.advance(1)
        heard = [client.heard() for client in clients]
        self.assertEqual(heard[:3], [BAD] * 3)
        for answer in heard[3:]:
            self.assertTrue(answer.startswith(b"454 4.7.0 too many"), answer)

    def test_who_leaves_in_the_middle_has_failed(self) -> None:
        """
        A check costs the same whether its answer is waited for or not, and a challenge may have told that all is lost.
        """
        for said in (WRONG, b"AUTH LOGIN\r\n", WRONG):
            self.world.authenticator.slow = Deferred() if said is WRONG else None
            client = self.world.connect()
            client.say(b"EHLO c\r\n" + said)
            client.lose()
        self.world.authenticator.slow = None
        self.assertTrue(self.client.say(RIGHT).startswith(b"454 4.7.0 too many"))

    def test_who_leaves_during_the_penalty_has_failed_once(self) -> None:
        """
        The failure was counted already; nor does it count to leave without any login.
        """
        for _ in range(2):
            client = self.world.connect()
            client.say(b"EHLO c\r\n" + WRONG)
            client.lose()
            self.world.connect().lose()
        self.assertEqual(self.client.say(RIGHT), WELCOME)

    def test_failures_are_errors(self) -> None:
        """
        They count among those of the session.
        """
        self.world = World(changed(max_errors=2), CLEARTEXT)
        self.client = self.world.connect()
        self.client.say(b"EHLO c\r\n")
        self.wrong()
        self.assertTrue(self.wrong().endswith(b"421 4.7.0 too many errors\r\n"))

    def test_giving_up(self) -> None:
        """
        "*" ends the exchange with 501 and counts as a failure: it may follow a challenge that told of one.
        """
        for _ in range(3):
            self.client.say(b"AUTH LOGIN\r\n")
            self.assertTrue(self.client.say(b"*\r\n").startswith(b"501 5.7.0"))
        self.assertTrue(self.client.say(RIGHT).startswith(b"454 4.7.0"))

    def test_malformed(self) -> None:
        """
        What no mechanism says is 501, at once.
        """
        said = self.client.say(b"AUTH PLAIN " + b64encode(b"tim") + b"\r\n")
        self.assertEqual(said, b"501 5.5.2 the response is malformed\r\n")

    def test_nobody_can_say(self) -> None:
        """
        An authenticator that is away, takes too long or fails answers 454; nothing else is served meanwhile.
        """
        withdrawn: list[object] = []
        for trouble in (AuthenticatorUnavailable("down"), ZeroDivisionError(), None):
            slow = self.world.authenticator.slow = Deferred(withdrawn.append)
            self.assertEqual(self.client.say(RIGHT + b"NOOP\r\n"), b"")
            if trouble is None:
                self.world.clock.advance(300)
                self.assertEqual(withdrawn, [slow])
            else:
                slow.errback(trouble)
            said = self.client.heard()
            self.assertEqual(said, b"454 4.7.0 temporary authentication failure\r\n250 2.0.0 Ok\r\n")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_client_that_leaves_while_it_is_asked(self) -> None:
        """
        The question is withdrawn.
        """
        withdrawn: list[object] = []
        slow = self.world.authenticator.slow = Deferred(withdrawn.append)
        self.client.say(RIGHT)
        self.client.lose()
        self.assertEqual(withdrawn, [slow])
        self.assertEqual(self.world.clock.getDelayedCalls(), [])

    def test_the_answer_may_take_time(self) -> None:
        """
        What waits behind AUTH is served after it.
        """
        slow = self.world.authenticator.slow = Deferred()
        self.assertEqual(self.client.say(RIGHT + b"NOOP\r\n"), b"")
        slow.callback(None)
        self.assertEqual(self.client.heard(), WELCOME + b"250 2.0.0 Ok\r\n")

    def test_a_module_refuses_the_login(self) -> None:
        """
        Its reply is given, and nobody is logged in.
        """
        self.world.decisions.answers["auth"] = refuse("535 5.7.8 blocked")
        self.assertEqual(self.client.say(RIGHT), b"535 5.7.8 blocked\r\n")
        self.assertEqual((self.session.login, self.session.trusted), ("", False))


class OfferTests(SynchronousTestCase):
    """
    What is offered to whom.
    """

    def offered(self, client: Any) -> bytes:
        """
        Tell the line of AUTH.
        """
        lines: list[bytes] = client.say(b"EHLO c\r\n").splitlines()
        return b"".join(line[4:] for line in lines if line[4:].startswith(b"AUTH"))

    def test_not_in_cleartext(self) -> None:
        """
        Without TLS nothing is offered, and AUTH is 538; under TLS it is there.
        """
        world = TlsWorld(self, listener=Listener(tls="starttls", auth=True))
        client = world.connect()
        self.assertEqual(self.offered(client), b"")
        self.assertTrue(client.say(RIGHT).startswith(b"538 5.7.11"))
        client.say(b"STARTTLS\r\n")
        client.begin()
        self.assertEqual(self.offered(client), b"AUTH PLAIN LOGIN")
        self.assertEqual(client.say(RIGHT), WELCOME)
        protocol: Any = client.protocol
        self.assertEqual(protocol.session.protocol, "ESMTPSA")

    def test_a_login_in_cleartext_ends_with_starttls(self) -> None:
        """
        The handshake forgets it (RFC 3207 §4.2).
        """
        listener = Listener(tls="starttls", auth=True, auth_cleartext=True)
        client = TlsWorld(self, listener=listener).connect()
        client.say(b"EHLO c\r\n")
        client.say(RIGHT)
        client.say(b"STARTTLS\r\n")
        client.begin()
        protocol: Any = client.protocol
        self.assertEqual((protocol.session.login, protocol.session.trusted), ("", False))
        self.assertEqual(self.offered(client), b"AUTH PLAIN LOGIN")

    def test_nobody_to_ask(self) -> None:
        """
        Where AUTH is off it is 502.
        """
        client = World().connect()
        self.assertEqual(self.offered(client), b"")
        self.assertTrue(client.say(RIGHT).startswith(b"502 5.5.1"))

    def test_scram_with_channel_binding(self) -> None:
        """
        -PLUS is offered under TLS only, and a login bound to the channel succeeds.
        """
        listener = Listener(tls="starttls", auth=True, auth_cleartext=True)
        world = TlsWorld(self, None, listener, "PLAIN", "SCRAM-SHA-256")
        client = world.connect()
        self.assertEqual(self.offered(client), b"AUTH SCRAM-SHA-256 PLAIN")
        client.say(b"STARTTLS\r\n")
        client.begin()
        self.assertEqual(self.offered(client), b"AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN")
        said = client.say(b"AUTH SCRAM-SHA-256-PLUS " + b64encode(b"p=tls-exporter,,n=tim,r=abc") + b"\r\n")
        self.assertTrue(b64decode(said[4:]).startswith(b"r=abc"))
        self.assertEqual(client.say(b64encode(b"c=biws,r=x,p=eA==") + b"\r\n"), b"")
        world.clock.advance(1)
        self.assertEqual(client.exchange(), BAD)

    def test_tokens(self) -> None:
        """
        A bearer token logs in; a wrong one is told in a challenge, then refused.
        """
        world = World(listener=CLEARTEXT, mechanisms=("XOAUTH2",))
        client = world.connect()
        self.assertEqual(self.offered(client), b"AUTH XOAUTH2")
        wrong = b64encode(b"user=tim\x01auth=Bearer nonsense\x01\x01")
        self.assertTrue(client.say(b"AUTH XOAUTH2 " + wrong + b"\r\n").startswith(b"334 "))
        client.say(b"\r\n")
        world.clock.advance(1)
        self.assertEqual(client.heard(), BAD)
        right = b64encode(b"user=tim\x01auth=Bearer tanstaaf\x01\x01")
        self.assertEqual(client.say(b"AUTH XOAUTH2 " + right + b"\r\n"), WELCOME)


class RequiredTests(SynchronousTestCase):
    """
    Where mail needs a login.
    """

    def test_mail_without_login(self) -> None:
        """
        It is 530 with auth = "required" and on submission listeners, even from a trusted network.
        """
        for listener in (
            Listener(auth="required", auth_cleartext=True),
            Listener(kind="submission", auth_cleartext=True),
        ):
            world = World(listener=listener)
            client = world.connect("127.0.0.1")
            client.say(b"EHLO c\r\n")
            self.assertEqual(client.say(b"MAIL FROM:<a@b.example>\r\n"), b"530 5.7.0 authentication required\r\n")
            self.assertEqual(client.say(RIGHT + b"MAIL FROM:<a@b.example>\r\n"), WELCOME + b"250 2.1.0 Ok\r\n")
