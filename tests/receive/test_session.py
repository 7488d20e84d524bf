"""
A session with one client, from the greeting to the end.
"""

from __future__ import annotations

import gc
import weakref

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from empath.interfaces import MaybeVerdict
from empath.mail.envelope import Recipient
from empath.mail.life import CommandAnswered, ConnectionClosed, ConnectionOpened, MessageReceived
from empath.mail.session import Transaction
from empath.policy.verdict import ACCEPTED, discard, disconnect, refuse
from tests.receive.support import BEGIN, EPOCH, World, changed

QUEUED = b"250 2.0.0 Ok: queued as "


def _text(subject: object) -> str:
    return subject.address.text if isinstance(subject, Recipient) else ""


class AcceptedTests(SynchronousTestCase):
    """
    Mail that nothing speaks against.
    """

    def test_is_not_in_memory_any_more_when_it_is_over(self) -> None:
        """
        At once, without the garbage collector: nobody hears of what a busy server leaves to that but by its pauses.
        """
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        world = World()
        client = world.connect()
        client.say(b"EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
        client.say(b"Subject: x\r\n\r\nbody\r\n.\r\nMAIL FROM:<a@b.example>\r\n")
        client.lose()
        left = weakref.ref(world.events[0].session)  # type: ignore[union-attr]
        world.events.clear()
        world.spool.committed.clear()
        world.stored.clear()
        world.decisions.asked.clear()
        del client
        self.assertIsNone(left())

    def test_whole_session(self) -> None:
        """
        A message is stored with its envelope and a Received field, then told to the queue, then to everybody.
        """
        world = World()
        client = world.connect()
        self.assertEqual(client.heard(), b"220 mx.example.org ESMTP empath\r\n")
        self.assertEqual(
            client.say(b"EHLO client.example\r\n").splitlines()[0], b"250-mx.example.org greets client.example"
        )
        self.assertEqual(client.say(b"MAIL FROM:<a@b.example> BODY=8BITMIME\r\n"), b"250 2.1.0 Ok\r\n")
        client.say(b"RCPT TO:<c@d.example>\r\nRCPT TO:<e@f.example>\r\nDATA\r\n")
        said = client.say(b"Subject: x\r\n\r\n..body \xfc\r\n.\r\n")
        message, deliveries = world.spool.committed[0]
        self.assertEqual(said, QUEUED + message.queue_id.encode() + b"\r\n")
        self.assertEqual(world.stored, [(message, deliveries)])
        self.assertEqual([delivery.domain for delivery in deliveries], ["d.example", "f.example"])
        self.assertEqual(str(message.envelope.reverse_path), "a@b.example")
        self.assertEqual(message.envelope.parameters, {"BODY": "8BITMIME"})
        self.assertTrue(
            message.header.startswith(b"Received: from client.example ([192.0.2.7]) by mx.example.org with")
        )
        self.assertTrue(message.header.endswith(b"+0000\r\nSubject: x\r\n"))
        self.assertEqual((message.body, message.eight_bit), (b"\r\n.body \xfc\r\n", True))
        self.assertEqual((message.size, message.received), (len(message.header) + 11, EPOCH))
        self.assertEqual(client.say(b"QUIT\r\n"), b"221 2.0.0 mx.example.org closing connection\r\n")
        self.assertTrue(client.hung_up)
        world.clock.advance(1)
        client.lose()
        kinds = [type(event) for event in world.events]
        self.assertEqual(kinds, [ConnectionOpened, MessageReceived, ConnectionClosed])
        self.assertEqual((world.reasons(), world.events[-1].seconds), (["quit"], 1.0))  # type: ignore[union-attr]
        self.assertEqual(world.clock.getDelayedCalls(), [])

    def test_one_write_a_turn(self) -> None:
        """
        The replies to a group of commands leave in one piece.
        """
        world = World()
        client = world.connect()
        writes: list[bytes] = []
        client.transport.write = writes.append  # type: ignore[method-assign]
        client.protocol.dataReceived(BEGIN)
        client.protocol.dataReceived(b".\r\nMAIL FROM:<>\r\nQUIT\r\n")
        self.assertTrue(writes[0].endswith(b"354 End data with <CR><LF>.<CR><LF>\r\n"))
        self.assertEqual([write.count(b"\r\n") for write in writes[1:]], [3])

    def test_many_messages_in_one_packet(self) -> None:
        """
        Thousands of pipelined messages do not exhaust the stack.
        """
        world = World(changed(max_messages=5000))
        client = world.connect()
        client.say(b"HELO c\r\n")
        one = b"MAIL FROM:<>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n\r\n.\r\n"
        self.assertEqual(client.say(one * 1500).count(QUEUED), 1500)

    def test_metadata(self) -> None:
        """
        The listener's context reaches the session, a copy each transaction, and the transaction's the message.
        """
        world = World()
        world.factory.terms.context["service"] = "smtp"
        client = world.begun()

        def mark() -> MaybeVerdict:
            transaction = next(subject for stage, subject in world.decisions.asked if stage == "mail_from")
            assert isinstance(transaction, Transaction)
            transaction.metadata["seen"] = "yes"
            return None

        world.decisions.answers["data"] = mark
        client.say(b".\r\n")
        self.assertEqual(world.spool.committed[0][0].metadata, {"service": "smtp", "seen": "yes"})
        self.assertEqual(world.factory.terms.context, {"service": "smtp"})

    def test_reset(self) -> None:
        """
        RSET and a new EHLO end a transaction; the next one has another queue id.
        """
        world = World()
        client = world.connect()
        client.say(BEGIN.replace(b"DATA\r\n", b"RSET\r\n") + BEGIN.replace(b"DATA\r\n", b"") + BEGIN + b".\r\n")
        transactions = [subject for stage, subject in world.decisions.asked if stage == "mail_from"]
        ids = {transaction.queue_id for transaction in transactions if isinstance(transaction, Transaction)}
        self.assertEqual(len(ids), 3)
        self.assertEqual(len(world.spool.committed[0][0].envelope.recipients), 1)

    def test_postmaster(self) -> None:
        """
        <Postmaster> is judged as it was said and goes to who the operator named.
        """
        world = World()
        world.connect().say(BEGIN.replace(b"c@d.example", b"PostMaster") + b".\r\n")
        self.assertIn(("rcpt_to", "PostMaster"), [(stage, _text(subject)) for stage, subject in world.decisions.asked])
        message, deliveries = world.stored[0]
        self.assertEqual(message.envelope.recipients[0].address.text, "boss@example.org")
        self.assertEqual(deliveries[0].domain, "example.org")

    def test_durations(self) -> None:
        """
        Each command's wait for its answer is told once, and that of the final dot as ".".
        """
        world = World()
        client = world.connect()
        client.say(BEGIN)
        client.say(b"Subject: x\r\n\r\nbody\r\n")
        client.say(b".\r\n")
        self.assertEqual([verb for verb, _ in world.took], ["EHLO", "MAIL", "RCPT", "DATA", "."])

    def test_helo(self) -> None:
        """
        Received says SMTP after HELO and ESMTP after EHLO.
        """
        world = World()
        world.connect().say(BEGIN.replace(b"EHLO", b"HELO") + b".\r\n")
        self.assertIn(b"with SMTP", world.spool.committed[0][0].header)


class DecisionTests(SynchronousTestCase):
    """
    What checks and modules decide is done.
    """

    def setUp(self) -> None:
        self.world = World()
        self.answers = self.world.decisions.answers

    def test_refusals(self) -> None:
        """
        A refused step leaves the session as it was, and is told with what it concerned.
        """
        self.answers["ehlo"] = refuse("550 5.7.1 bad name")
        client = self.world.connect()
        client.heard()
        self.assertEqual(client.say(b"EHLO c\r\nMAIL FROM:<>\r\n").splitlines()[1][:3], b"503")
        del self.answers["ehlo"]
        self.answers["mail_from"] = refuse("550 5.7.1 bad sender")
        self.assertEqual(client.say(b"EHLO c\r\nMAIL FROM:<>\r\n").splitlines()[-1], b"550 5.7.1 bad sender")
        del self.answers["mail_from"]
        self.answers["rcpt_to"] = refuse("450 4.2.1 busy")
        said = client.say(b"MAIL FROM:<>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
        self.assertEqual(said.splitlines()[1:], [b"450 4.2.1 busy", b"503 5.5.1 no valid recipients"])
        told = [event for event in self.world.events if isinstance(event, CommandAnswered)]
        self.assertEqual([event.verb for event in told], ["EHLO", "MAIL", "MAIL", "RCPT", "DATA"])
        self.assertEqual(str(told[3].recipient), "c@d.example")
        self.assertIsNotNone(told[2].transaction)

    def test_data_refused(self) -> None:
        """
        A refused message leaves nothing behind, and the session goes on.
        """
        self.answers["data"] = refuse("554 5.6.0 no")
        client = self.world.begun()
        self.assertEqual(client.say(b"x\r\n.\r\nNOOP\r\n"), b"554 5.6.0 no\r\n250 2.0.0 Ok\r\n")
        self.assertEqual((self.world.spool.committed, self.world.spool.writers[0].aborted), ([], 1))
        self.assertEqual(self.world.refusals(), ["DATA 554 5.6.0 no"])

    def test_waits(self) -> None:
        """
        While a decision is awaited nothing is answered; the replies keep their order.
        """
        for stage in ("ehlo", "mail_from", "rcpt_to", "data"):
            waiting: Deferred[MaybeVerdict] = Deferred()
            self.answers.clear()
            self.answers[stage] = waiting
            client = self.world.connect()
            client.heard()
            before = client.say(BEGIN + b".\r\nQUIT\r\n")
            self.assertNotIn(b"221", before)
            waiting.callback(None)
            after = client.heard()
            self.assertIn(QUEUED, after)
            self.assertIn(b"221", after)

    def test_waited_refusals(self) -> None:
        """
        A late refusal is one too.
        """
        for stage in ("ehlo", "mail_from", "rcpt_to", "data"):
            waiting: Deferred[MaybeVerdict] = Deferred()
            self.answers.clear()
            self.answers[stage] = waiting
            client = self.world.connect()
            client.say(BEGIN + b".\r\n")
            waiting.callback(refuse("550 5.7.1 late"))
            self.assertTrue(client.heard().startswith(b"550 5.7.1 late\r\n"))

    def test_at_once_though_awaitable(self) -> None:
        """
        An Awaitable that has its answer already costs no turn.
        """
        for stage in ("connect", "ehlo", "mail_from", "rcpt_to", "data"):
            self.answers[stage] = lambda: succeed(ACCEPTED)
        client = self.world.connect()
        self.assertEqual(client.heard()[:3], b"220")
        self.assertIn(QUEUED, client.say(BEGIN + b".\r\n"))

    def test_disconnects(self) -> None:
        """
        A verdict that disconnects says its reply and closes, at every stage.
        """
        for stage in ("connect", "ehlo", "mail_from", "rcpt_to", "data"):
            world = World()
            world.decisions.answers[stage] = disconnect("421 4.7.0 bye")
            client = world.connect()
            client.say(BEGIN + b".\r\n")
            self.assertTrue(client.hung_up, stage)
            client.lose()
            self.assertEqual((world.reasons(), world.refusals()[-1][-13:]), (["module"], "421 4.7.0 bye"))

    def test_not_let_in(self) -> None:
        """
        A client that is refused hears why instead of a greeting.
        """
        self.answers["connect"] = refuse("554 5.7.1 not you")
        client = self.world.connect()
        self.assertEqual(client.heard(), b"554 5.7.1 not you\r\n")
        self.assertTrue(client.hung_up)
        self.assertEqual(client.say(b"EHLO c\r\n"), b"")
        client.lose()
        self.assertEqual(self.world.reasons(), ["refused"])

    def test_not_let_in_for_now(self) -> None:
        """
        A 4yz that closes the connection is a 421, which every client takes as "later" (RFC 5321 §3.8).
        """
        self.answers["connect"] = refuse("451 4.3.0 local error, try again later")
        client = self.world.connect()
        self.assertEqual(client.heard(), b"421 4.3.0 local error, try again later\r\n")
        self.assertTrue(client.hung_up)

    def test_slow_to_let_in(self) -> None:
        """
        Nothing is said before the client was let in, and what it sent early is then answered.
        """
        waiting: Deferred[MaybeVerdict] = Deferred()
        self.answers["connect"] = waiting
        client = self.world.connect()
        self.assertEqual(client.say(b"HELO c\r\n"), b"")
        waiting.callback(None)
        self.assertEqual(client.heard(), b"220 mx.example.org ESMTP empath\r\n250 mx.example.org greets c\r\n")

    def test_discards(self) -> None:
        """
        What is discarded is answered as if it were stored, at whatever stage that was decided.
        """
        for stage in ("connect", "ehlo", "mail_from", "rcpt_to", "data"):
            world = World()
            world.decisions.answers[stage] = discard()
            client = world.begun()
            self.assertTrue(client.say(b"x\r\n.\r\n").startswith(QUEUED), stage)
            self.assertEqual((world.spool.committed, world.stored), ([], []))
            self.assertEqual(world.spool.writers[0].aborted, 1)

    def test_discards_one_transaction(self) -> None:
        """
        A sender's mail is discarded, the next sender's is not; what is discarded at EHLO holds for the session.
        """
        self.answers["mail_from"] = discard()
        client = self.world.begun()
        client.say(b".\r\n")
        self.answers.clear()
        client.say(BEGIN + b".\r\n")
        self.assertEqual(len(self.world.stored), 1)
        self.answers["ehlo"] = discard()
        client.say(BEGIN + b".\r\n")
        self.answers.clear()
        client.say(b"MAIL FROM:<>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n.\r\n")
        self.assertEqual(len(self.world.stored), 1)

    def test_failed_decision(self) -> None:
        """
        A decision that fails although it must not is logged as our bug, and the client may come back.
        """
        waiting: Deferred[MaybeVerdict] = Deferred()
        for stage, expected in (("mail_from", b"451 4.3.0"), ("data", b"451 4.3.0"), ("connect", b"421 4.3.0")):
            waiting = Deferred()
            self.answers.clear()
            self.answers[stage] = waiting
            client = self.world.connect()
            client.say(BEGIN + b".\r\n")
            waiting.errback(ZeroDivisionError())
            self.assertTrue(client.heard().startswith(expected), stage)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)

    def test_bug(self) -> None:
        """
        An exception of ours ends this session with 421 and is logged.
        """

        def broken() -> MaybeVerdict:
            raise ZeroDivisionError

        self.answers["rcpt_to"] = broken
        client = self.world.connect()
        self.assertTrue(client.say(BEGIN).endswith(b"421 4.3.0 local error, closing connection\r\n"))
        self.assertTrue(client.hung_up)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_source_routes(self) -> None:
        """
        A source route is stripped for trusted clients and refused to others.
        """
        route = b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<@a.example:c@d.example>\r\n"
        self.assertTrue(self.world.connect().say(route).endswith(b"550 5.7.1 source routes are not relayed\r\n"))
        client = self.world.connect("127.0.0.1")
        self.assertTrue(client.say(route).endswith(b"250 2.1.5 Ok\r\n"))
        client.say(b"DATA\r\n.\r\n")
        self.assertEqual(self.world.stored[0][0].envelope.recipients[0].address.text, "c@d.example")
