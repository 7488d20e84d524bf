"""
Requirements on the spans that become of life events.
"""

from __future__ import annotations

from random import Random

import attrs
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.mail import life
from empath.mail.arrival import arrival_of
from empath.mail.envelope import Recipient
from empath.mail.message import Message, Status
from empath.mail.notice import Action
from empath.mail.origin import OWN, TRUSTED
from empath.mail.queue_id import new_queue_id
from empath.mail.reply import Reply
from empath.mail.session import Transaction
from empath.mail.step import Said, Step, Steps
from empath.mail.trace_context import TraceContext, span_id_of, trace_id_of
from empath.observe.life import LifeEvents
from empath.observe.tracing.following import Following
from empath.observe.tracing.showing import Showing
from empath.observe.tracing.span import Make, Span
from tests.observe import made

NOW = 2000.0


class FollowingCase(SynchronousTestCase):
    """
    Who listens to life events, and what was handed on.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.makes: list[Make] = []
        self.events = LifeEvents()
        self.following = Following(self.clock, self.keep)
        self.following.use(True, Showing())
        self.ends = self.following.listen(self.events.subscribe)

    def keep(self, make: Make, octets: int) -> None:
        self.makes.append(make)
        self.octets = octets

    def told(self, event: life.LifeEvent) -> list[Span]:
        """
        Tell an event, and make the spans.
        """
        self.events.emit(event)
        return self.made()

    def made(self) -> list[Span]:
        """
        Make what was handed on.
        """
        spans = [span for make in self.makes for span in make()]
        self.makes.clear()
        return spans

    def message(self, sampled: bool = True) -> Message:
        """
        A message that came in a session.
        """
        came = arrival_of(made.session(tls="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384"))
        return attrs.evolve(made.message(), trace=trace(made.QUEUE_ID, sampled), arrival=came)

    def transaction(self, steps: Steps | None) -> Transaction:
        """
        A transaction that is under way.
        """
        begun = Transaction(made.QUEUE_ID, 1990.0, made.address("ann@src.test"), {}, steps=steps)
        begun.recipients.append(Recipient(made.address("bob@dst.test")))
        return begun


class MemoryTests(FollowingCase):
    """
    What takes memory until its spans are made tells how much, about.
    """

    def octets_of(self, event: life.LifeEvent) -> int:
        self.events.emit(event)
        return self.octets

    def test_more_was_said(self) -> None:
        few, many = dialogue(), dialogue()
        for _ in range(100):
            many.say(many.steps[0], Said(1991.0, True, "x" * 500))
        self.assertGreater(few.octets, 2000)
        small, large = (
            self.octets_of(life.MessageReceived(self.message(), made.session(), 10.0, steps=steps))
            for steps in (few, many)
        )
        self.assertEqual(large - small, many.octets - few.octets)
        self.assertGreater(large - small, 100 * 500)
        reply = Reply.of("550 5.7.1 no")
        small, large = (
            self.octets_of(life.TransactionEnded(made.session(), self.transaction(steps), reply, steps=steps))
            for steps in (few, many)
        )
        self.assertGreater(large - small, 100 * 500)

    def test_more_recipients(self) -> None:
        message = self.message()
        recipient = Recipient(made.address("bob@dst.test"))
        large = attrs.evolve(message, envelope=attrs.evolve(message.envelope, recipients=(recipient,) * 1000))
        self.assertGreater(self.octets_of(life.MessageReceived(large, made.session(), 10.0)), 500_000)


class ReceptionTests(FollowingCase):
    """
    How a message came to us.
    """

    def test_begins_no_later_than_its_first_step(self) -> None:
        steps = dialogue()
        steps.steps[0].started = 1989.5
        root, mail, _ = self.told(life.MessageReceived(self.message(), made.session(), 10.0, steps=steps))
        self.assertEqual((root.started, mail.started), (1989.5, 1989.5))
        event = life.TransactionEnded(made.session(), self.transaction(steps), Reply.of("550 5.7.1 no"), steps=steps)
        self.assertEqual(self.told(event)[0].started, 1989.5)

    def test_is_a_span_with_a_child_for_each_step(self) -> None:
        steps = dialogue()
        event = life.MessageReceived(self.message(), made.session(), 10.0, steps=steps)
        root, mail, rcpt = self.told(event)
        self.assertEqual(root.context, root_context())
        self.assertEqual((root.parent, root.name, root.kind), ("", "receive", "server"))
        self.assertEqual((root.started, root.ended, root.trouble), (1990.0, NOW, ""))
        expected = {
            "empath.queue_id": made.QUEUE_ID,
            "client.address": "192.0.2.9",
            "client.port": 40123,
            "empath.message.priority": 0,
            "empath.message.size": 4096,
            "empath.sender.domain": "src.test",
            "empath.recipients": 1,
            "empath.recipients.domains": "dst.test",
            "empath.origin": "outside",
            "empath.protocol": "ESMTP",
            "network.protocol.name": "smtp",
            "empath.session": "s1",
            "empath.listener": "tcp:25",
            "empath.client.name": "client.test",
            "tls.protocol.name": "tls",
            "tls.protocol.version": "1.3",
            "tls.cipher": "TLS_AES_256_GCM_SHA384",
        }
        self.assertEqual(root.attributes, expected)
        self.assertEqual([each.name for each in (mail, rcpt)], ["mail", "rcpt"])
        for child in (mail, rcpt):
            self.assertEqual((child.parent, child.context.trace_id), (root.context.span_id, root.context.trace_id))
            self.assertEqual(child.attributes["client.address"], "192.0.2.9")
        self.assertEqual(
            [(e.name, e.attributes["text"]) for e in rcpt.events],
            [("command", "RCPT TO:<…@dst.test>"), ("reply", "550 5.1.1 <…@dst.test>: nobody\\x07")],
        )
        self.assertEqual(rcpt.trouble, "550 5.1.1 <…@dst.test>: nobody\\x07")
        self.assertEqual(len({each.context.span_id for each in (root, mail, rcpt)}), 3)

    def test_shows_whole_addresses_only_if_that_is_wanted(self) -> None:
        self.following.use(True, Showing(addresses=True))
        event = life.MessageReceived(self.message(), made.session(), 10.0, steps=dialogue())
        self.assertEqual(self.told(event)[2].events[0].attributes["text"], "RCPT TO:<bob@dst.test>")

    def test_of_what_is_not_recorded_is_told_nothing(self) -> None:
        for message in (self.message(sampled=False), made.message()):
            self.assertEqual(self.told(life.MessageReceived(message, made.session(), 1.0)), [])
            self.assertEqual(self.told(life.MessageDiscarded(message, made.session(), "m")), [])

    def test_goes_on_under_the_span_that_a_trusted_client_named(self) -> None:
        parent = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", True)
        root = TraceContext(parent.trace_id, span_id_of(made.QUEUE_ID), True)
        header = f"Received: by us\r\ntraceparent: {parent}\r\n".encode()
        message = attrs.evolve(self.message(), origin=TRUSTED, header=header, trace=str(root))
        (span,) = self.told(life.MessageReceived(message, made.session(), 1.0))
        self.assertEqual((span.context, span.parent), (root, parent.span_id))

    def test_what_a_module_discards_is_told(self) -> None:
        event = life.MessageDiscarded(self.message(), made.session(), "spam", "a worm", dialogue())
        root, *rest = self.told(event)
        self.assertEqual((root.attributes["empath.discarded"], root.attributes["empath.module"]), ("a worm", "spam"))
        self.assertEqual((len(rest), root.started, root.ended), (2, 1000.0, NOW))

    def test_why_one_is_held_is_told(self) -> None:
        (root,) = self.told(life.MessageReceived(self.message(), made.session(), 1.0, held="odd"))
        self.assertEqual(root.attributes["empath.held"], "odd")

    def test_no_content_is_kept_for_it(self) -> None:
        """
        Nothing grows with the mail while no collector takes spans.
        """
        message = attrs.evolve(self.message(), header=b"x" * 9, body=b"y" * 9)
        self.events.emit(life.MessageReceived(message, made.session(), 1.0))
        self.assertNotIn("yyy", repr(self.makes[0]))
        self.assertNotIn("xxx", repr(self.makes[0]))


class RefusalTests(FollowingCase):
    """
    Transactions without a message.
    """

    def test_one_that_is_refused_is_an_error(self) -> None:
        steps = dialogue()
        steps.left_out = 3
        transaction = self.transaction(steps)
        event = life.TransactionEnded(made.session(), transaction, Reply.of("554 5.6.0 for ann@src.test: no"), steps)
        root, mail, _rcpt = self.told(event)
        self.assertEqual((root.context, root.started, root.ended), (root_context(), 1990.0, NOW))
        self.assertEqual(root.trouble, "554 5.6.0 for …@src.test: no")
        self.assertEqual(root.attributes["empath.left_out"], 3)
        self.assertEqual(mail.parent, root.context.span_id)
        self.assertIsNone(transaction.steps)

    def test_one_that_is_given_up_is_an_error(self) -> None:
        steps = Steps()
        (root,) = self.told(life.TransactionEnded(made.session(), self.transaction(steps), None, steps))
        self.assertEqual(root.trouble, "the client gave it up")

    def test_a_copy_is_none(self) -> None:
        steps, copy = Steps(), Reply.of("250 2.0.0 as a copy")
        (root,) = self.told(life.TransactionEnded(made.session(), self.transaction(steps), copy, steps))
        self.assertEqual(root.trouble, "")

    def test_a_refused_mail_is_told_and_other_commands_are_not(self) -> None:
        transaction = self.transaction(dialogue())
        self.assertEqual(self.told(made.refused("550 5.1.1 no", transaction)), [])
        self.assertEqual(self.told(made.refused("550 5.1.1 no", None, verb="MAIL")), [])
        self.assertEqual(len(self.told(made.refused("550 5.7.1 no", transaction, verb="MAIL"))), 3)
        self.assertEqual(self.told(made.refused("550 5.7.1 no", transaction, verb="MAIL")), [])


class ReportTests(FollowingCase):
    """
    What we write ourselves.
    """

    def test_is_linked_to_what_it_is_about(self) -> None:
        """
        Also where that came in while nothing was traced.
        """
        for trace_of_cause in (trace(made.QUEUE_ID, True), ""):
            cause = attrs.evolve(self.message(), trace=trace_of_cause)
            report = attrs.evolve(made.message(None), queue_id=made.REPORT_ID, trace=trace(made.REPORT_ID), origin=OWN)
            self.events.emit(life.MessageReceived(report, None, 0.0))
            self.events.emit(life.ReportQueued(cause, report, Action.FAILED))
            (root,) = self.made()
            self.assertEqual(
                (root.name, root.kind, root.context.trace_id), ("report", "internal", trace_id_of(made.REPORT_ID))
            )
            ((link),) = root.links
            self.assertEqual((link.trace_id, link.span_id), (trace_id_of(made.QUEUE_ID), span_id_of(made.QUEUE_ID)))
            self.assertEqual(root.attributes["empath.report.action"], "failed")
            self.assertEqual(root.attributes["empath.report.about"], made.QUEUE_ID)
            self.assertEqual((root.started, root.ended), (1000.0, NOW))

    def test_of_another_kind_is_linked_to_nothing(self) -> None:
        report = attrs.evolve(made.message(None), queue_id=made.REPORT_ID, trace=trace(made.REPORT_ID), origin=OWN)
        self.events.emit(life.MessageReceived(report, None, 0.0))
        other = attrs.evolve(report, queue_id="01ARZ3NDEKTSV4RRFFQ69G5FAX", trace="")
        self.events.emit(life.ReportQueued(self.message(), other, Action.FAILED))
        (root,) = self.made()
        self.assertEqual(root.links, ())


class AttemptTests(FollowingCase):
    """
    What became of a message.
    """

    def ended(self, message: Message, status: Status = Status.COMPLETED, **changes: object) -> life.AttemptEnded:
        """
        An attempt that is over.
        """
        said = "250 2.0.0 ok" if status is Status.COMPLETED else "450 4.2.1 bob@dst.test is full"
        event = made.attempt_ended(made.state(status=status, said=said), status=status, timing=made.attempt(**changes))
        event.message = message
        event.delivery = attrs.evolve(event.delivery, next_attempt=4000.0)
        return event

    def test_is_a_span_under_the_message_with_a_child_for_each_step(self) -> None:
        steps = Steps()
        dns = steps.begin("dns", 1001.0)
        dns.ended = 1001.25
        steps.begin("connect", 1001.25, **{"server.port": 25})
        attempt, *children = self.told(self.ended(self.message(), steps=steps, number=3, tls="TLSv1.2", cipher="C"))
        self.assertEqual(attempt.context.span_id, span_id_of(made.QUEUE_ID, "dst.test", 3))
        self.assertEqual(
            (attempt.context.trace_id, attempt.parent), (trace_id_of(made.QUEUE_ID), root_context().span_id)
        )
        self.assertEqual((attempt.name, attempt.kind, attempt.trouble), ("deliver", "client", ""))
        told = attempt.attributes
        self.assertEqual((told["empath.destination"], told["empath.attempt"]), ("dst.test", 3))
        self.assertEqual((told["server.address"], told["network.peer.address"]), ("mx.dst.test", "192.0.2.1"))
        self.assertEqual((told["tls.protocol.version"], told["empath.status"]), ("1.2", "completed"))
        self.assertEqual((told["empath.reply.code"], told["empath.reply.enhanced"]), (250, "2.0.0"))
        self.assertEqual(
            [(e.name, e.ended, e.parent) for e in children],
            [("dns", 1001.25, attempt.context.span_id), ("connect", 1003.5, attempt.context.span_id)],
        )
        self.assertEqual(children[1].attributes["server.port"], 25)

    def test_that_fails_is_an_error(self) -> None:
        (attempt,) = self.told(self.ended(self.message(), Status.RETRY, steps=Steps()))
        self.assertEqual(attempt.trouble, "450 4.2.1 …@dst.test is full")
        self.assertEqual(attempt.attributes["empath.next_attempt"], "1970-01-01T01:06:40Z")
        self.assertEqual(attempt.attributes["empath.recipients.retry"], 1)
        self.assertNotIn("empath.sampled", attempt.attributes)

    def test_that_fails_is_told_of_messages_that_are_not_recorded(self) -> None:
        """
        From its times, with the message's root span before the first of them.
        """
        message = self.message(sampled=False)
        root, attempt, *phases = self.told(self.ended(message, Status.RETRY))
        self.assertEqual((root.context, root.attributes["empath.sampled"]), (root_context(), "error"))
        self.assertEqual(attempt.attributes["empath.sampled"], "error")
        self.assertEqual(
            [(each.name, each.started, each.ended) for each in phases],
            [("dns", 1001.0, 1001.25), ("connect", 1001.25, 1002.0), ("transaction", 1002.0, 1003.5)],
        )
        again = self.told(self.ended(message, Status.FAILED))
        self.assertEqual([each.name for each in again], ["deliver", "dns", "connect", "transaction"])
        later = self.told(
            self.ended(message, Status.EXPIRED, number=2, resolved=0.0, connected=0.0, host="", address="")
        )
        self.assertEqual([each.name for each in later], ["deliver"])
        for span in (root, attempt, *phases, *again, *later):
            self.assertTrue(span.context.sampled)

    def test_a_root_made_again_lasts_from_mail_to_the_store(self) -> None:
        """
        As the queue id and the message know it; made again after a restart it is the same.
        """
        message = attrs.evolve(self.message(sampled=False), queue_id=new_queue_id(990.5, Random(1)))
        root, *_ = self.told(self.ended(message, Status.RETRY))
        self.assertEqual((root.name, root.started, root.ended), ("receive", 990.5, 1000.0))
        self.setUp()
        again, *_ = self.told(self.ended(message, Status.RETRY, number=2))
        self.assertEqual(again, root)

    def test_no_attempt_is_told_without_a_root(self) -> None:
        """
        Nor where earlier ones failed before anybody wanted to know.
        """
        self.following.use(False, Showing())
        message = attrs.evolve(self.message(sampled=False), received=NOW - 1.0)
        self.assertEqual(self.told(self.ended(message, Status.RETRY)), [])
        self.following.use(True, Showing())
        later = attrs.evolve(message, received=NOW, queue_id=made.REPORT_ID)
        for about, names in ((message, ["receive", "deliver"]), (message, ["deliver"]), (later, ["deliver"])):
            spans = self.told(self.ended(about, Status.RETRY, number=2))
            self.assertEqual([each.name for each in spans if each.name in ("receive", "deliver")], names)

    def test_a_report_that_fails_is_linked_to_its_cause(self) -> None:
        report = attrs.evolve(
            made.message(None), queue_id=made.REPORT_ID, trace=trace(made.REPORT_ID, False), origin=OWN
        )
        self.events.emit(life.MessageReceived(report, None, 0.0))
        self.events.emit(life.ReportQueued(self.message(sampled=False), report, Action.FAILED))
        root, *_ = self.told(self.ended(report, Status.RETRY))
        [link] = root.links
        self.assertEqual((root.name, link.span_id), ("report", span_id_of(made.QUEUE_ID)))
        self.assertEqual(root.attributes["empath.report.about"], made.QUEUE_ID)

    def test_that_fails_is_not_told_if_that_is_not_wanted(self) -> None:
        self.following.use(False, Showing())
        self.assertEqual(self.told(self.ended(self.message(sampled=False), Status.RETRY)), [])

    def test_that_succeeds_is_not_told_of_messages_that_are_not_recorded(self) -> None:
        self.assertEqual(self.told(self.ended(self.message(sampled=False))), [])

    def test_without_a_reply_says_how_it_ended(self) -> None:
        event = self.ended(self.message(), Status.EXPIRED)
        event.results = (made.state(status=Status.EXPIRED),)
        self.assertEqual(self.told(event)[0].trouble, "expired")

    def test_a_step_may_end_later(self) -> None:
        """
        The answer to QUIT has its own span, and an id of its own.
        """
        steps = Steps()
        steps.begin("dns", 1001.0).ended = 1001.25
        event = self.ended(self.message(), steps=steps)
        before = self.told(event)
        step = Step("quit", 1005.0, 1006.0)
        (late,) = self.told(life.StepEnded(event.message, event.delivery, event.attempt, step))
        self.assertEqual((late.name, late.started, late.ended), ("quit", 1005.0, 1006.0))
        self.assertEqual(late.parent, before[0].context.span_id)
        self.assertNotIn(late.context.span_id, {each.context.span_id for each in before})
        other = attrs.evolve(event.message, trace="")
        self.assertEqual(self.told(life.StepEnded(other, event.delivery, event.attempt, step)), [])


class EndTests(FollowingCase):
    """
    When nothing is traced any more.
    """

    def test_nothing_is_heard(self) -> None:
        for end in self.ends:
            end()
        self.assertEqual(self.told(life.MessageReceived(self.message(), made.session(), 1.0)), [])


class ShowingTests(SynchronousTestCase):
    """
    What spans show of texts.
    """

    def test_no_local_parts(self) -> None:
        for text, shown in {
            "RCPT TO:<a.b+c@d.test> ORCPT=rfc822;a@d.test": "RCPT TO:<…@d.test> ORCPT=rfc822;…@d.test",
            '550 <"a b"@d.test> no': "550 <…@d.test> no",
            "MAIL FROM:<bounce+ann=one.test@srs.test>": "MAIL FROM:<…@srs.test>",
            "550 see https://one.test/?u=ann%40one.test": "550 see https:…%40one.test",
            "250 ok": "250 ok",
            "é@d.test": "…@d.test",
            f'RCPT TO:<"{"x" * 300}"@d.test>': "RCPT TO:<…@d.test>",
            'RCPT TO:<"anna smith @ home> or so"@d.test> NOTIFY=NEVER': "RCPT TO:<…@d.test> NOTIFY=NEVER",
            "RCPT TO:<@relay.test:anna@d.test>": "RCPT TO:<…@d.test>",
            "rcpt to: <anna%one.test@d.test>": "rcpt to: <…@d.test>",
            "RCPT TO:<anna>": "RCPT TO:<…>",
            'RCPT TO:<"anna smith… [700 characters]': "RCPT TO:<…",
            "MAIL FROM:<> SIZE=4096 AUTH=<>": "MAIL FROM:<> SIZE=4096 AUTH=<>",
            "MAIL FROM:<a@d.test> SIZE=40 AUTH=anna ENVID=ann": "MAIL FROM:<…@d.test> SIZE=40 AUTH=… ENVID=…",
            "RCPT TO:<a@d.test> ORCPT=utf-8;ann\\x{40}d.test": "RCPT TO:<…@d.test> ORCPT=utf-8;…x{40}d.test",
            "RCPT TO:<a@d.test> ORCPT=x400;/C=DE/S=Smith/": "RCPT TO:<…@d.test> ORCPT=x400;…",
            "VRFY anna smith": "VRFY …",
            '550 "anna smith" or "a b" @d.test': "550 … @d.test",
            "550 no anna&#64;d.test, anna%2540d.test or (anna)@d.test": "550 no …&#64;d.test, …%2540d.test or …@d.test",
        }.items():
            self.assertEqual(Showing().text(text), shown)
            self.assertEqual(Showing(addresses=True).text(text), text)

    def test_texts_are_printable_and_bounded(self) -> None:
        self.assertEqual(Showing().text("a\r\n\x1b[1m"), "a\\r\\n\\x1b[1m")
        self.assertEqual(len(Showing().text("x" * 5000)), 1001)

    def test_takes_no_time(self) -> None:
        """
        However a line is made up, a bounded one is shown at once.
        """
        for text in (
            '"' * 500,
            "@" * 500,
            '"' + '\\"' * 240 + "@",
            'RCPT TO:<"' + '\\"' * 240,
            "a" * 500 + "@",
            '"\\' * 250,
            "=40" * 160,
        ):
            Showing().text(text)


def trace(queue_id: str, sampled: bool = True) -> str:
    """
    The traceparent of a message whose trace began with it.
    """
    return str(TraceContext(trace_id_of(queue_id), span_id_of(queue_id), sampled))


def root_context() -> TraceContext:
    """
    The root span of the message in these tests.
    """
    return TraceContext(trace_id_of(made.QUEUE_ID), span_id_of(made.QUEUE_ID), True)


def dialogue() -> Steps:
    """
    What was said in a transaction.
    """
    steps = Steps()
    steps.begin("mail", 1990.0).ended = 1991.0
    rcpt = steps.begin("rcpt", 1991.0, **{"empath.reply.code": 550})
    rcpt.ended, rcpt.trouble = 1992.0, "550 5.1.1 <bob@dst.test>: nobody\x07"
    steps.say(rcpt, Said(1991.0, False, "RCPT TO:<bob@dst.test>"))
    steps.say(rcpt, Said(1992.0, True, "550 5.1.1 <bob@dst.test>: nobody\x07"))
    return steps
