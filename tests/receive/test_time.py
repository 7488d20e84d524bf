"""
The time-outs of a session.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Listener, ListenerTimeouts, SmtpTimeouts
from empath.config.units import seconds
from tests.receive.support import BEGIN, Client, World, changed

TIMEOUT = b"421 4.4.2 mx.example.org timeout, closing connection\r\n"
TIMES = SmtpTimeouts(
    command=seconds(300),
    data_init=seconds(120),
    data_block=seconds(180),
    data_termination=seconds(600),
    connection=seconds(1800),
)


class TimeoutTests(SynchronousTestCase):
    """
    Who does not go on is sent away.
    """

    def setUp(self) -> None:
        self.world = World(changed(timeouts=TIMES))

    def lasts(self, client: Client, time: float) -> None:
        """
        Check that a client is sent away after `time` seconds and not before.
        """
        client.heard()
        self.world.clock.advance(time - 0.5)
        self.assertEqual(client.heard(), b"")
        self.world.clock.advance(1)
        self.assertEqual(client.heard(), TIMEOUT)
        self.assertTrue(client.hung_up)
        client.lose()
        self.assertEqual(self.world.reasons()[-1], "timeout")

    def test_command(self) -> None:
        """
        Between commands `command` passes, from each reply anew.
        """
        self.lasts(self.world.connect(), 300)
        client = self.world.connect()
        self.world.clock.advance(200)
        client.say(b"EHLO c\r\n")
        self.lasts(client, 300)

    def test_slow_command(self) -> None:
        """
        Bytes that make no command do not buy time.
        """
        client = self.world.connect()
        client.heard()
        for _ in range(29):
            self.world.clock.advance(10)
            self.assertEqual(client.say(b"N"), b"")
        self.lasts(client, 10)

    def test_content(self) -> None:
        """
        `data_init` until the first bytes of content, `data_block` between further ones.
        """
        self.lasts(self.world.begun(), 120)
        client = self.world.begun()
        client.say(b"x")
        for _ in range(5):
            self.world.clock.advance(170)
            self.assertEqual(client.say(b"x"), b"")
        self.lasts(client, 180)
        self.assertTrue(self.world.spool.writers[-1].aborted)

    def test_connection_when_idle(self) -> None:
        """
        The whole session's time ends it while it is between transactions.
        """
        client = self.world.connect()
        for _ in range(8):
            self.world.clock.advance(200)
            client.say(b"NOOP\r\n")
        self.lasts(client, 200)

    def test_connection_in_a_transaction(self) -> None:
        """
        A transaction that has begun is finished first, however long it takes.
        """
        client = self.world.begun()
        client.say(b"x")
        for _ in range(15):
            self.world.clock.advance(170)
            client.say(b"x\r\n")
        self.assertIn(b"250 2.0.0 Ok: queued as", client.say(b".\r\n"))
        self.world.clock.advance(0)
        self.assertEqual(client.heard(), TIMEOUT)

    def test_connection_at_mail(self) -> None:
        """
        No new transaction begins after the session's time.
        """
        world = World(changed(timeouts=SmtpTimeouts(connection=seconds(0))))
        client = world.connect()
        self.assertTrue(client.say(b"HELO c\r\nMAIL FROM:<>\r\n").endswith(TIMEOUT))

    def test_overrides(self) -> None:
        """
        A listener's own times beat those of [smtp].
        """
        self.world = World(
            changed(timeouts=TIMES), Listener(timeouts=ListenerTimeouts(command=seconds(60), data_block=seconds(0)))
        )
        self.lasts(self.world.connect(), 60)

    def test_commit_too_slow(self) -> None:
        """
        What has not committed a minute before the time ends is withdrawn with 451, and the session goes on.
        """
        self.world.spool.slow_commit = commit = Deferred[None]()
        client = self.world.begun()
        client.say(b"x\r\n.\r\n")
        self.world.clock.advance(539)
        self.assertEqual((client.heard(), commit.called), (b"", False))
        self.world.clock.advance(2)
        self.assertTrue(commit.called)
        self.assertEqual(client.heard(), b"451 4.3.0 the message could not be stored, try again later\r\n")
        self.assertEqual((client.say(b"NOOP\r\n"), self.world.stored), (b"250 2.0.0 Ok\r\n", []))

    def test_short_termination(self) -> None:
        """
        A time of less than two minutes leaves half of it for the answer.
        """
        self.world = World(changed(timeouts=SmtpTimeouts(data_termination=seconds(20))))
        self.world.spool.slow_commit = Deferred()
        client = self.world.begun()
        client.say(b"x\r\n.\r\n")
        self.world.clock.advance(10.5)
        self.assertEqual(client.heard()[:9], b"451 4.3.0")

    def test_check_too_slow(self) -> None:
        """
        A data check that never answers is given up in the same time.
        """
        self.world.decisions.answers["data"] = waiting = Deferred()  # type: ignore[var-annotated]
        client = self.world.begun()
        client.say(b"x\r\n.\r\n")
        self.world.clock.advance(541)
        self.assertTrue(waiting.called)
        self.assertEqual(client.heard()[:9], b"451 4.3.0")

    def test_decision_too_slow(self) -> None:
        """
        A step that is never decided upon answers 451 after `command`, and the session goes on.
        """
        for stage in ("ehlo", "mail_from", "rcpt_to"):
            self.world = World(changed(timeouts=TIMES))
            self.world.decisions.answers[stage] = Deferred()
            client = self.world.connect()
            client.say(BEGIN.removesuffix(b"DATA\r\n"))
            self.world.clock.advance(301)
            self.assertTrue(client.heard().startswith(b"451 4.3.0 local error, try again later\r\n"), stage)
            self.assertFalse(client.hung_up)

    def test_never_let_in(self) -> None:
        """
        A client that nobody decides upon is sent away.
        """
        self.world.decisions.answers["connect"] = Deferred()
        client = self.world.connect()
        self.world.clock.advance(301)
        self.assertEqual(client.heard(), b"421 4.3.0 local error, closing connection\r\n")
        self.assertTrue(client.hung_up)

    def test_spool_stuck(self) -> None:
        """
        A spool that never takes what it was given ends the session.
        """
        self.world.spool.slow_write = Deferred()
        client = self.world.begun()
        client.say(b"A: b\r\n\r\nx\r\n")
        self.world.clock.advance(601)
        self.assertEqual(client.heard(), b"421 4.3.0 local error, closing connection\r\n")
        self.assertTrue(self.world.spool.writers[0].aborted)

    def test_does_not_read(self) -> None:
        """
        A client that never reads our last reply is cut off.
        """
        client = self.world.connect()
        client.say(b"QUIT\r\n")
        self.assertFalse(client.transport.aborted)
        self.world.clock.advance(31)
        self.assertTrue(client.transport.aborted)


class GreetingDelayTests(SynchronousTestCase):
    """
    A delay before the greeting shows who cannot wait.
    """

    def setUp(self) -> None:
        self.world = World(changed(greeting_delay=seconds(5)))

    def test_patient(self) -> None:
        """
        Who waits is greeted.
        """
        client = self.world.connect()
        self.assertEqual(client.heard(), b"")
        self.world.clock.advance(5)
        self.assertEqual(client.heard()[:3], b"220")
        self.assertEqual(client.say(b"HELO c\r\n")[:3], b"250")

    def test_impatient(self) -> None:
        """
        Who speaks first is sent away.
        """
        client = self.world.connect()
        self.assertEqual(client.say(b"HELO c\r\n"), b"421 4.7.0 you spoke before the greeting\r\n")
        self.assertTrue(client.hung_up)
        self.world.clock.advance(5)
        self.assertEqual(client.heard(), b"")
