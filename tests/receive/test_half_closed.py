"""
Clients that say everything at once and close their side, as scripts do (`printf … | nc`): they are served to the end.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from empath.interfaces import MaybeVerdict
from tests.receive.support import BEGIN, Client, World, changed

MESSAGE = b"Subject: x\r\n\r\nbody\r\n.\r\n"


def finish(client: Client) -> bytes:
    """
    Close the client's side, and tell what was said then.
    """
    half: IHalfCloseableProtocol = client.protocol  # type: ignore[assignment]
    half.readConnectionLost()
    return client.heard()


class HalfClosedTests(SynchronousTestCase):
    """
    The end of what the client says is not the end of what it hears.
    """

    def setUp(self) -> None:
        self.world = World()

    def test_interface(self) -> None:
        """
        Transports ask for it; that our own side is closed first does not happen.
        """
        client = self.world.connect()
        verifyObject(IHalfCloseableProtocol, client.protocol)
        half: IHalfCloseableProtocol = client.protocol  # type: ignore[assignment]
        half.writeConnectionLost()

    def test_a_commit_under_way_goes_on(self) -> None:
        """
        The message is kept and its answer said; then comes the rest, and the connection is closed.
        """
        commit = self.world.spool.slow_commit = Deferred()
        client = self.world.begun()
        self.assertEqual(client.say(MESSAGE + b"NOOP\r\n"), b"")
        self.assertEqual(finish(client), b"")
        self.assertFalse(client.hung_up)
        commit.callback(None)
        said = client.heard()
        self.assertRegex(said, rb"\A250 2.0.0 Ok: queued as \w+\r\n250 2.0.0 Ok\r\n\Z")
        self.assertTrue(client.hung_up)
        self.assertEqual(len(self.world.stored), 1)
        client.lose()
        self.assertEqual(self.world.reasons(), ["lost"])

    def test_a_whole_session_at_once(self) -> None:
        """
        A message with QUIT behind it ends as if the client had waited.
        """
        client = self.world.connect()
        client.say(BEGIN + MESSAGE + b"QUIT\r\n")
        self.assertTrue(client.hung_up)
        finish(client)
        client.lose()
        self.assertEqual((len(self.world.stored), self.world.reasons()), (1, ["quit"]))

    def test_nothing_left_to_say(self) -> None:
        """
        A client that waits for nothing is gone: between commands, and inside the content, which is dropped.
        """
        for begin in (b"", BEGIN, BEGIN + b"Subject: half a"):
            client = self.world.connect()
            client.say(begin)
            self.assertEqual(finish(client), b"")
            self.assertTrue(client.hung_up)
            client.lose()
        self.assertEqual((self.world.stored, self.world.reasons()), ([], ["lost"] * 3))
        self.assertEqual([writer.aborted > 0 for writer in self.world.spool.writers], [True, True])

    def test_a_decision_is_awaited(self) -> None:
        """
        What waits for a check is served when it has been made.
        """
        decision: Deferred[MaybeVerdict] = Deferred()
        self.world.decisions.answers["rcpt_to"] = decision
        client = self.world.connect()
        client.say(BEGIN + MESSAGE)
        finish(client)
        decision.callback(None)
        self.assertIn(b"queued as", client.heard())
        self.assertTrue(client.hung_up)

    def test_a_slow_spool_is_awaited(self) -> None:
        """
        Reading is not taken up again where there is nothing to read, but what was read is stored.
        """
        slow = self.world.spool.slow_write = Deferred()
        client = self.world.begun()
        client.say(MESSAGE)
        self.assertEqual(client.transport.producerState, "paused")
        finish(client)
        self.world.spool.slow_write = None
        slow.callback(None)
        self.assertEqual(client.transport.producerState, "paused")
        self.assertIn(b"queued as", client.heard())
        self.assertTrue(client.hung_up)

    def test_greeting_delay(self) -> None:
        """
        Who has said nothing before the greeting and will not say more is gone; who has spoke too early.
        """
        self.world = World(changed(greeting_delay=5.0))
        silent, early = self.world.connect(), self.world.connect()
        early.say(b"EHLO x\r\n")
        self.assertEqual(finish(silent), b"")
        self.assertTrue(silent.hung_up and early.hung_up)

    def test_a_check_of_the_connection_is_awaited(self) -> None:
        """
        What was said before the greeting is answered after it.
        """
        decision: Deferred[MaybeVerdict] = Deferred()
        self.world.decisions.answers["connect"] = decision
        client = self.world.connect()
        client.say(BEGIN + MESSAGE)
        finish(client)
        self.assertFalse(client.hung_up)
        decision.callback(None)
        self.assertIn(b"queued as", client.heard())
        self.assertTrue(client.hung_up)
