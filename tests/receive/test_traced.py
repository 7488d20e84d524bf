"""
Receptions that are traced: what is recorded of them, and who is told at which end.
"""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Listener
from empath.mail.life import CommandAnswered, MessageDiscarded, MessageReceived, TransactionEnded
from empath.mail.reply import Reply
from empath.mail.step import Steps
from empath.mail.trace_context import TraceContext, span_id_of, trace_id_of
from empath.mail.traces import Traces
from empath.net.dialogues import Dialogues, Interest
from empath.policy.verdict import Action, Verdict
from tests.receive.support import BEGIN, EPOCH, Client, World

MAIL = b"EHLO client.example\r\nMAIL FROM:<a@b.example>\r\n"
CONTENT = b"Subject: x\r\n\r\nhello\r\n.\r\n"
PARENT = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", True)


class TracedCase(SynchronousTestCase):
    """
    A listener whose receptions are all recorded.
    """

    def setUp(self) -> None:
        self.use(World(), 1.0)

    def use(self, world: World, ratio: float) -> None:
        """
        Trace what this listener receives.
        """
        self.world = world
        self.dialogues = Dialogues(world.clock)
        world.around = attrs.evolve(world.around, traces=Traces(True, ratio), dialogues=self.dialogues)
        world.factory.around = world.around
        self.dialogues.join(world.sessions.shown.overhear)

    def received(self) -> MessageReceived:
        """
        Give what was told of the one message.
        """
        [event] = [each for each in self.world.events if isinstance(each, MessageReceived)]
        return event

    def ended(self) -> list[TransactionEnded]:
        """
        Give what was told of transactions without a message.
        """
        return [each for each in self.world.events if isinstance(each, TransactionEnded)]

    def told(self, steps: Steps | None) -> list[str]:
        """
        Tell steps: each by name and trouble, with its lines.
        """
        assert steps is not None
        told: list[str] = []
        for step in steps.steps:
            told.append(f"{step.name} {step.trouble}".strip())
            told += [f"  {'>' if each.from_us else '<'} {each.text}" for each in step.said]
        return told

    def read(self, client: Client, *parts: bytes) -> bytes:
        """
        Say one after the other.
        """
        return b"".join(client.say(each) for each in parts)


class RecordedTests(TracedCase):
    """
    What is recorded.
    """

    WHOLE = (
        *("mail", "  < MAIL FROM:<a@b.example>", "  > 250 2.1.0 Ok"),
        *("rcpt", "  < RCPT TO:<c@d.example>", "  > 250 2.1.5 Ok"),
        *("data", "  < DATA", "  > 354 End data with <CR><LF>.<CR><LF>"),
    )

    def test_from_mail_to_the_reply_to_the_final_dot(self) -> None:
        """
        However the commands come, and nothing of what is said before or behind.
        """
        whole = BEGIN + CONTENT + b"NOOP\r\nQUIT\r\n"
        for parts in ([whole], [bytes([octet]) for octet in whole], [BEGIN, CONTENT, b"NOOP\r\n"]):
            self.use(World(), 1.0)
            self.read(self.world.connect(), *parts)
            event = self.received()
            queue_id = event.message.queue_id
            self.assertEqual(self.told(event.steps), [*self.WHOLE, f"  > 250 2.0.0 Ok: queued as {queue_id}", "store"])
            self.assertEqual(event.message.trace, str(TraceContext(trace_id_of(queue_id), span_id_of(queue_id), True)))
            self.assertEqual(self.ended(), [])

    def test_how_long_each_step_took(self) -> None:
        client, clock = self.world.begun(), self.world.clock
        clock.advance(2)
        self.world.spool.slow_commit = stored = Deferred[None]()
        client.say(CONTENT)
        clock.advance(3)
        stored.callback(None)
        event = self.received()
        assert event.steps is not None
        times = {each.name: (each.started - EPOCH, each.ended - EPOCH) for each in event.steps.steps}
        self.assertEqual(times, {"mail": (0, 0), "rcpt": (0, 0), "data": (0, 5), "store": (2, 5)})
        self.assertEqual(event.seconds, 5)

    def test_each_transaction_of_a_session_by_itself(self) -> None:
        client = self.world.begun()
        client.say(CONTENT)
        client.say(BEGIN + CONTENT)
        first, second = [each for each in self.world.events if isinstance(each, MessageReceived)]
        self.assertEqual(self.told(first.steps)[:6], list(self.WHOLE[:6]))
        self.assertEqual(self.told(second.steps)[:6], list(self.WHOLE[:6]))
        self.assertEqual(len(self.told(first.steps)), len(self.told(second.steps)))

    def test_beside_those_who_watch(self) -> None:
        """
        Each hears all, whoever comes first, and goes on when the other one is gone.
        """
        before = self.dialogues.watch(Interest(peer="192.0.2.7"))
        client = self.world.connect()
        client.say(MAIL)
        before.end()
        after = self.dialogues.watch(Interest(peer="192.0.2.7"))
        client.say(b"RCPT TO:<c@d.example>\r\nDATA\r\n")
        client.say(CONTENT)
        self.assertEqual(self.told(self.received().steps)[: len(self.WHOLE)], list(self.WHOLE))
        heard = [each.text for each in self.successResultOf(Deferred.fromCoroutine(after.take()))]
        self.assertIn("RCPT TO:<c@d.example>", heard)
        self.assertIn("354 End data with <CR><LF>.<CR><LF>", heard)
        early = [each.text for each in self.successResultOf(Deferred.fromCoroutine(before.take()))]
        self.assertIn("MAIL FROM:<a@b.example>", early)

    def test_over_lmtp(self) -> None:
        """
        All replies to the content are of its step.
        """
        self.use(World(listener=Listener(kind="lmtp")), 1.0)
        begin = BEGIN.replace(b"EHLO", b"LHLO").replace(b"DATA", b"RCPT TO:<e@d.example>\r\nDATA")
        self.read(self.world.connect(), begin, CONTENT)
        replies = [line for line in self.told(self.received().steps) if "queued as" in line]
        self.assertEqual(len(replies), 2)

    def test_nothing_of_what_is_not_chosen(self) -> None:
        self.use(World(), 0.0)
        self.world.begun().say(CONTENT)
        event = self.received()
        self.assertIsNone(event.steps)
        self.assertTrue(event.message.trace.endswith("-00"))

    def test_nothing_while_it_is_off(self) -> None:
        self.world.around.traces.use(False, 1.0)
        self.world.begun().say(CONTENT)
        self.assertEqual((self.received().steps, self.received().message.trace), (None, ""))

    def test_no_passwords(self) -> None:
        client = self.world.connect("127.0.0.1")
        client.say(MAIL + b"AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\ndGFuc3RhYWY=\r\nRCPT TO:<c@d.example>\r\nRSET\r\n")
        [event] = self.ended()
        self.assertNotIn("AHRpbQB0YW5zdGFhZg", str(self.told(event.steps)))
        self.assertNotIn("dGFuc3RhYWY", str(self.told(event.steps)))
        told = self.told(event.steps)
        self.assertEqual(told[told.index("rcpt") : -2], ["rcpt", "  < RCPT TO:<c@d.example>", "  < RSET"])


class EndTests(TracedCase):
    """
    Transactions that end without a message: each is told once.
    """

    def assert_ended(self, reply: str | None, steps: int) -> None:
        """
        One was told, with its reply and so many steps.
        """
        [event] = self.ended()
        self.assertEqual(event.reply, None if reply is None else Reply.of(reply))
        self.assertEqual(len(event.steps.steps), steps)
        self.assertIsNone(event.transaction.steps)

    def test_given_up_by_rset_ehlo_or_quit(self) -> None:
        for command in (b"RSET\r\n", b"EHLO again.example\r\n", b"QUIT\r\n"):
            self.use(World(), 1.0)
            self.read(self.world.connect(), MAIL, command)
            self.assert_ended(None, 1)

    def test_given_up_by_a_connection_that_is_lost(self) -> None:
        for said in (MAIL, BEGIN, BEGIN + b"Subject: x\r\n"):
            self.use(World(), 1.0)
            client = self.world.connect()
            client.say(said)
            client.lose()
            self.assert_ended(None, 1 if said == MAIL else 3)

    def test_refused_at_its_end(self) -> None:
        self.world.decisions.answers["data"] = Verdict(Action.REFUSE, Reply.of("554 5.7.1 no"))
        self.world.begun().say(CONTENT)
        self.assert_ended("554 5.7.1 no", 3)

    def test_that_ends_the_session(self) -> None:
        self.world.decisions.answers["data"] = Verdict(Action.DISCONNECT, Reply.of("421 4.7.1 go"))
        self.world.begun().say(CONTENT)
        [event] = self.ended()
        self.assertEqual(len(event.steps.steps), 3)

    def test_refused_at_mail(self) -> None:
        """
        There it has not begun: whoever hears of the refusal finds its steps.
        """
        self.world.decisions.answers["mail_from"] = Verdict(Action.REFUSE, Reply.of("550 5.7.1 no"))
        self.world.connect().say(MAIL)
        [event] = [each for each in self.world.events if isinstance(each, CommandAnswered)]
        assert event.transaction is not None
        self.assertEqual(event.verb, "MAIL")
        told = self.told(event.transaction.steps)
        self.assertEqual(told, ["mail 550 5.7.1 no", "  < MAIL FROM:<a@b.example>", "  > 550 5.7.1 no"])
        self.assertEqual(self.ended(), [])

    def test_mail_that_nobody_decides_upon_in_time(self) -> None:
        self.world.decisions.answers["mail_from"] = Deferred()
        client = self.world.connect()
        client.say(MAIL)
        self.world.clock.advance(301.0)
        [event] = [each for each in self.world.events if isinstance(each, CommandAnswered)]
        assert event.transaction is not None
        self.assertEqual((event.verb, event.reply.code), ("MAIL", 451))
        self.assertEqual(self.told(event.transaction.steps)[0][:8], "mail 451")

    def test_mail_that_ends_the_session(self) -> None:
        for answer in (Deferred[Verdict](), Verdict(Action.DISCONNECT, Reply.of("421 4.7.1 go"))):
            self.use(World(), 1.0)
            self.world.decisions.answers["mail_from"] = answer
            client = self.world.connect()
            client.say(MAIL)
            client.lose()
            [event] = self.ended()
            self.assertEqual([each.name for each in event.steps.steps], ["mail"])

    def test_discarded(self) -> None:
        self.world.decisions.answers["data"] = Verdict(Action.DISCARD, why="a worm")
        self.world.begun().say(CONTENT)
        [event] = [each for each in self.world.events if isinstance(each, MessageDiscarded)]
        self.assertEqual([line for line in self.told(event.steps) if line[0] != " "], ["mail", "rcpt", "data"])
        self.assertEqual(self.ended(), [])


class ContinuedTests(TracedCase):
    """
    Traces that others began.
    """

    def trace(self, host: str, field: bytes) -> str:
        """
        Tell the traceparent of a message that comes from this host with this field.
        """
        self.use(World(), 0.0)
        client = self.world.begun(host)
        client.say(field + CONTENT)
        message = self.received().message
        self.assertIn(field, message.header)
        return message.trace

    def test_only_that_of_a_trusted_client_goes_on(self) -> None:
        field = f"traceparent: {PARENT}\r\n".encode()
        self.assertTrue(self.trace("127.0.0.1", field).startswith(f"00-{PARENT.trace_id}-"))
        self.assertTrue(self.trace("127.0.0.1", field).endswith("-01"))
        self.assertNotIn(PARENT.trace_id, self.trace("192.0.2.7", field))
        self.assertNotIn(PARENT.trace_id, self.trace("127.0.0.1", b"Received: from x\r\n" + field))
        self.assertNotIn(PARENT.trace_id, self.trace("127.0.0.1", b"traceparent: nonsense\r\n" + field))
