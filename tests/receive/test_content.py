"""
Content on its way into the spool, and what can go wrong there.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.errors import QueueIdTaken, SpoolError, SpoolFull
from empath.policy.verdict import refuse
from tests.receive.support import BEGIN, World, changed

ROOMLESS = b"452 4.3.1 not enough room to store the message\r\n"
TROUBLE = b"451 4.3.0 the message could not be stored, try again later\r\n"
QUEUED = b"250 2.0.0 Ok: queued as "


class LimitTests(SynchronousTestCase):
    """
    What is too much is read to its end and refused.
    """

    def test_size(self) -> None:
        """
        A message that grows too large is dropped at once, and refused at the dot.
        """
        world = World(changed(max_message_size=100))
        client = world.begun()
        self.assertEqual(client.say(b"Subject: x\r\n\r\n" + b"x" * 90), b"")
        self.assertEqual(world.spool.writers[0].aborted, 1)
        self.assertEqual(client.say(b"y" * 70000), b"")
        self.assertEqual(world.spool.writers[0].content, b"")
        self.assertEqual(client.say(b"\r\n.\r\n"), b"552 5.3.4 message too large\r\n")
        self.assertTrue(client.say(BEGIN + b"x\r\n.\r\n").splitlines()[-1].startswith(QUEUED))

    def test_header_counts(self) -> None:
        """
        The header block counts as the body does; exactly the limit passes.
        """
        world = World(changed(max_message_size=10))
        client = world.begun()
        self.assertTrue(client.say(b"A: 1\r\n\r\nx\r\n.\r\n").startswith(b"552"))
        client.say(BEGIN)
        self.assertTrue(client.say(b"A: 1\r\n\r\n\r\n.\r\n").startswith(QUEUED))
        client.say(BEGIN)
        self.assertTrue(client.say(b"A: 1234567\r\n.\r\n").startswith(b"552"))

    def test_hops(self) -> None:
        """
        A message that has gone round too often is refused (RFC 5321 §6.3).
        """
        world = World(changed(max_hops=2))
        client = world.begun()
        self.assertTrue(client.say(b"Received: x\r\n" * 2 + b"\r\n.\r\n").startswith(QUEUED))
        client.say(BEGIN)
        looped = client.say(b"Received: x\r\n" * 3 + b"\r\nbody\r\n.\r\n")
        self.assertEqual(looped, b"554 5.4.6 too many hops, this message loops\r\n")

    def test_a_header_block_that_begins_as_a_continuation(self) -> None:
        """
        It would continue our Received field, and is body instead, behind an empty line.
        """
        for blank in (b" ", b"\t"):
            world = World()
            client = world.begun()
            said = blank + b"; Thu, 1 Jan 1970 00:00:00 +0000\r\nSubject: x\r\n\r\nbody\r\n"
            self.assertTrue(client.say(said + b".\r\n").startswith(QUEUED))
            message, _ = world.spool.committed[0]
            self.assertTrue(message.header.startswith(b"Received: "))
            self.assertTrue(message.header.endswith(b" +0000\r\n"))
            self.assertNotIn(b"1970 00:00:00 +0000\r\nSubject", message.header)
            self.assertEqual(world.spool.writers[0].content, b"\r\n" + said)

    def test_bare_newlines(self) -> None:
        """
        A bare newline is refused at CRLF.CRLF, and the session goes on.
        """
        world = World()
        client = world.begun()
        smuggled = b"x\r\n\r\nhello\n.\nMAIL FROM:<evil@x.example>\nRCPT TO:<c@d.example>\nDATA\n"
        self.assertEqual(client.say(smuggled), b"")
        self.assertEqual(
            client.say(b"\r\n.\r\nNOOP\r\n"), b"550 5.5.2 bare CR or LF in the message\r\n250 2.0.0 Ok\r\n"
        )
        self.assertEqual(world.stored, [])

    def test_normalized(self) -> None:
        """
        By option, or for trusted clients or those of some networks only, bare newlines become CRLF instead.
        """
        content = b"Subject: x\n\nline\r\n.\r\n"
        world = World(changed(bare_newlines="normalize"))
        world.begun().say(content)
        self.assertTrue(world.stored[0][0].header.endswith(b"Subject: x\r\n"))
        self.assertEqual(world.stored[0][0].body, b"\r\nline\r\n")
        world = World(changed(bare_newlines_exclude=("trusted",)))
        self.assertTrue(world.begun("127.0.0.1").say(content).startswith(QUEUED))
        self.assertTrue(world.begun("192.0.2.7").say(content).startswith(b"550 5.5.2"))
        world = World(changed(bare_newlines_exclude=("192.0.2.0/28",)))
        self.assertTrue(world.begun("192.0.2.7").say(content).startswith(QUEUED))
        for other in ("127.0.0.1", "192.0.2.16"):
            self.assertTrue(world.begun(other).say(content).startswith(b"550 5.5.2"))


class SpoolTests(SynchronousTestCase):
    """
    The spool is slow, full or broken.
    """

    def setUp(self) -> None:
        self.world = World()
        self.spool = self.world.spool

    def test_only_after_the_commit(self) -> None:
        """
        250 is said when the message is stored, not before.
        """
        self.spool.slow_commit = Deferred()
        client = self.world.begun()
        self.assertEqual(client.say(b"x\r\n.\r\nNOOP\r\n"), b"")
        self.assertEqual(self.world.stored, [])
        self.spool.slow_commit.callback(None)
        self.assertTrue(client.heard().startswith(QUEUED))
        self.assertEqual(len(self.world.stored), 1)

    def test_commit_fails(self) -> None:
        """
        Each failure of a commit has its reply, and leaves nothing behind.
        """
        for error, reply in ((SpoolFull("full"), ROOMLESS), (SpoolError("x"), TROUBLE), (QueueIdTaken("x"), TROUBLE)):
            self.spool.slow_commit = Deferred()
            client = self.world.begun()
            client.say(b"x\r\n.\r\n")
            self.spool.slow_commit.errback(error)
            self.assertEqual(client.heard(), reply)
            self.assertTrue(self.spool.writers[-1].aborted)
        self.assertEqual(self.world.stored, [])

    def test_commit_breaks(self) -> None:
        """
        An exception that the spool does not name is our bug; the client may come back.
        """
        self.spool.slow_commit = Deferred()
        client = self.world.begun()
        client.say(b"x\r\n.\r\n")
        self.spool.slow_commit.errback(ZeroDivisionError())
        self.assertEqual(client.heard(), b"451 4.3.0 local error, try again later\r\n")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_cannot_begin(self) -> None:
        """
        DATA is refused when no writer can be had.
        """
        for error, reply in ((SpoolFull("full"), ROOMLESS), (SpoolError("x"), TROUBLE)):
            self.spool.begin_error = error
            self.assertTrue(self.world.connect().say(BEGIN).endswith(reply))

    def test_cannot_write(self) -> None:
        """
        A write that fails, at once or later, is told at the dot.
        """
        self.spool.write_error = SpoolFull("full")
        self.assertEqual(self.world.begun().say(b"A: b\r\n\r\nx\r\n.\r\n"), ROOMLESS)
        self.spool.write_error = None
        self.spool.slow_write = Deferred()
        client = self.world.begun()
        self.assertEqual(client.say(b"A: b\r\n\r\nx\r\n.\r\n"), b"")
        self.spool.slow_write.errback(SpoolError("x"))
        self.assertEqual(client.heard(), TROUBLE)

    def test_write_breaks(self) -> None:
        """
        A write that fails in no known way ends the session.
        """
        self.spool.slow_write = Deferred()
        client = self.world.begun()
        client.say(b"A: b\r\n\r\nx\r\n.\r\n")
        self.spool.slow_write.errback(ZeroDivisionError())
        self.assertEqual(client.heard(), b"421 4.3.0 local error, closing connection\r\n")
        self.assertTrue(client.hung_up)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_back_pressure(self) -> None:
        """
        While the spool is busy nothing is read from the client, and then all of it is.
        """
        self.spool.slow_write = busy = Deferred[None]()
        client = self.world.begun()
        client.say(b"A: b\r\n\r\none\r\n")
        self.assertEqual(client.transport.producerState, "paused")
        client.say(b"two\r\n.\r\n")
        self.assertEqual(self.spool.writers[0].content, b"\r\none")
        self.spool.slow_write = None
        busy.callback(None)
        self.assertEqual(client.transport.producerState, "producing")
        self.assertTrue(client.heard().startswith(QUEUED))
        self.assertEqual(self.world.stored[0][0].body, b"\r\none\r\ntwo\r\n")

    def test_flood_while_waiting(self) -> None:
        """
        A client that sends on and on while its message is stored is made to wait.
        """
        world = World(changed(max_commands=20000))
        world.spool.slow_commit = Deferred()
        client = world.begun()
        client.say(b"x\r\n.\r\n" + b"NOOP\r\n" * 19000)
        self.assertEqual(client.transport.producerState, "paused")
        world.spool.slow_commit.callback(None)
        self.assertEqual(client.transport.producerState, "producing")
        self.assertEqual(client.heard().count(b"250 2.0.0 Ok\r\n"), 19000)


class GoneTests(SynchronousTestCase):
    """
    The client goes away before it has its answer.
    """

    def setUp(self) -> None:
        self.world = World()
        self.spool = self.world.spool

    def test_before_the_dot(self) -> None:
        """
        An unfinished message is dropped.
        """
        client = self.world.begun()
        client.say(b"A: b\r\n\r\nx\r\n")
        client.lose()
        self.assertTrue(self.spool.writers[0].aborted)
        self.assertEqual((self.world.reasons(), self.spool.committed), (["lost"], []))

    def test_during_the_commit(self) -> None:
        """
        A commit under way is withdrawn; the message is not ours.
        """
        self.spool.slow_commit = commit = Deferred[None]()
        client = self.world.begun()
        client.say(b"x\r\n.\r\n")
        client.lose()
        self.assertTrue(commit.called)
        self.assertEqual(self.world.stored, [])
        self.assertEqual(client.heard(), b"")

    def test_during_a_decision(self) -> None:
        """
        What is being decided is let go of, at every stage.
        """
        for stage in ("connect", "ehlo", "mail_from", "rcpt_to", "data"):
            world = World()
            waiting = Deferred()  # type: ignore[var-annotated]
            world.decisions.answers[stage] = waiting
            client = world.connect()
            client.say(BEGIN + b".\r\n")
            client.lose()
            self.assertTrue(waiting.called, stage)
            self.assertEqual((world.stored, world.refusals()), ([], []))
            self.assertEqual(world.clock.getDelayedCalls(), [])

    def test_during_a_write(self) -> None:
        """
        A busy writer is aborted.
        """
        self.spool.slow_write = Deferred()
        client = self.world.begun()
        client.say(b"A: b\r\n\r\nx\r\n")
        client.lose()
        self.assertTrue(self.spool.writers[0].aborted)

    def test_after_the_commit(self) -> None:
        """
        A message that is stored is ours though the client never hears of it; so is one whose data check waited.
        """
        waiting = Deferred()  # type: ignore[var-annotated]
        self.world.decisions.answers["data"] = waiting
        self.spool.slow_commit = commit = Deferred[None]()
        client = self.world.begun()
        client.say(b"x\r\n.\r\n")
        waiting.callback(None)
        commit.callback(None)
        client.lose()
        self.assertEqual(len(self.world.stored), 1)

    def test_withdrawn_after_waiting_check(self) -> None:
        """
        The commit that follows a check that waited can be withdrawn as any other.
        """
        for answered_before in (True, False):
            waiting = Deferred()  # type: ignore[var-annotated]
            if answered_before:
                waiting.callback(None)
            self.world.decisions.answers["data"] = waiting
            self.spool.slow_commit = commit = Deferred[None]()
            client = self.world.begun()
            client.say(b"x\r\n.\r\n")
            if not answered_before:
                waiting.callback(None)
            client.lose()
            self.assertTrue(commit.called)
        self.assertEqual(self.world.stored, [])

    def test_refused_and_gone(self) -> None:
        """
        A verdict that comes for nobody is not told.
        """
        self.world.decisions.answers["data"] = refuse("550 5.7.1 no")
        client = self.world.begun()
        client.lose()
        client.protocol.dataReceived(b".\r\n")
        self.assertEqual(self.world.refusals(), [])
