"""
A message's whole life and its next step, in one answer.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from twisted.internet.defer import succeed

from empath.audit.finding import Found
from empath.config.schema import Audit
from empath.control.terms.explaining import Explain, Explanation
from empath.control.terms.managing import Freeze, Hold, Release
from empath.control.terms.queue import Filter, ViewMessage
from empath.control.terms.safety import ReleaseSender, StopSender
from empath.mail.life import AttemptEnded
from empath.service.control.paging import at
from empath.service.control.ways import PATIENCE
from empath.testing import MockSmtpServer
from tests.service.control.asking import CONFIG, AskingCase
from tests.service.control.test_queue import GREYLISTING, REFUSING

DAYS = timedelta(days=5)


class ExplainingTests(AskingCase):
    """
    What is told while the message is here.
    """

    config = CONFIG + '[delivery.domains."given.example"]\nmx_override = "mx.late.example:2525"\nrequire_tls = true\n'

    def setUp(self) -> None:
        super().setUp()
        self.asked.peer("sender.example")
        self.asked.peer("late.example", GREYLISTING)
        self.asked.peer("refused.example", REFUSING)
        self.asked.peer("slow.example", MockSmtpServer().with_silence("EHLO"))
        self.asked.peer("silent.example", MockSmtpServer().with_silence("RCPT"))

    def explain(self, queue_id: str) -> Explanation:
        told = self.ask(Explain(queue_id))
        assert isinstance(told, Explanation)
        return told

    def step(self, *recipients: str) -> Any:
        [step] = self.explain(self.send(*recipients)).steps
        return step

    def test_what_waits_for_its_time(self) -> None:
        """
        When it is attempted, where it goes then, and when it expires.
        """
        told = self.explain(self.send("a@late.example"))
        [step] = told.steps
        self.assertEqual((step.state, step.site, step.strategy), ("waiting", "mx.late.example", "smtp"))
        self.assertIn("attempt 2 of at most 25 follows", step.summary)
        assert step.hold is not None
        self.assertEqual((step.hold.why, step.hold.until), ("time", step.next_attempt))
        [host] = step.hosts
        self.assertEqual(
            (host.host, host.preference, host.tls, host.demanded_by), ("mx.late.example", 10, "opportunistic", "")
        )
        self.assertEqual(len(host.addresses), 1)
        assert told.message is not None
        self.assertEqual(step.expires, told.message.received + DAYS)
        self.assertEqual(told.message.deliveries[0].history[0].reply, "450 4.2.0 come back later")

    def test_what_is_attempted(self) -> None:
        """
        How far the attempt is.
        """
        queue_id = self.send("a@slow.example")
        self.asked.advance(5)
        [step] = self.explain(queue_id).steps
        self.assertEqual(step.state, "in-flight")
        self.assertIn("attempt 1 has been under way for 5s, getting a connection", step.summary)
        queue_id = self.send("a@silent.example")
        self.asked.advance(7)
        [step] = self.explain(queue_id).steps
        self.assertIn("attempt 1 has been under way for 7s, in a session with mx.silent.example [", step.summary)

    def test_what_is_held(self) -> None:
        """
        Since when, and how much of its time is left.
        """
        queue_id = self.send("a@late.example")
        self.ask(Hold(Filter(queue_id=queue_id)))
        [step] = self.explain(queue_id).steps
        self.assertEqual((step.state, step.expires), ("held", None))
        self.assertIn("its clock stands still, with 5d left", step.summary)
        self.ask(Release(Filter(queue_id=queue_id)))
        self.assertIsNotNone(self.explain(queue_id).steps[0].expires)

    def test_what_is_frozen(self) -> None:
        """
        Since when.
        """
        self.ask(Freeze())
        step = self.step("a@late.example")
        assert step.hold is not None
        self.assertEqual(step.hold.why, "frozen")
        self.assertIsNone(step.expires)

    def test_what_would_hold_it_then(self) -> None:
        """
        An open circuit is told though it waits for its next attempt.
        """
        self.asked.peer("down.example")
        self.asked.down("down.example")
        for number in range(6):
            self.send(f"{number}@down.example")
        step = self.step("a@down.example")
        self.assertIn("down.example", step.summary)
        assert step.hold is not None
        self.assertEqual(step.hold.why, "breaker")
        self.assertIsNotNone(step.hold.until)

    def test_what_has_ended(self) -> None:
        """
        What became of it, and what can be done.
        """
        step = self.step("a@refused.example")
        self.assertEqual((step.state, step.hosts, step.next_attempt), ("ended", (), None))
        self.assertIn("queue retry", step.summary)

    def test_hosts_that_the_operator_gave(self) -> None:
        """
        With what he demands of them.
        """
        [host] = self.step("a@given.example").hosts
        self.assertEqual((host.host, host.port, host.preference), ("mx.late.example", 2525, None))
        self.assertEqual((host.tls, host.demanded_by), ("required", "config"))

    def test_hosts_that_cannot_be_found(self) -> None:
        """
        The trouble is told in place of them, without waiting for ever.
        """
        queue_id = self.send("a@late.example")
        looking = self.asked.service.outgoing.looking
        sites = looking._sites

        class Never:
            def site_of(self, domain: str) -> Any:
                from twisted.internet.defer import Deferred

                return Deferred()

        looking._sites = Never()  # type: ignore[assignment]  # a look-up that does not end
        begin = self.asked.seconds()
        [step] = self.explain(queue_id).steps
        looking._sites = sites
        self.assertIn("take longer than 8 s", step.summary)
        self.assertEqual(self.asked.seconds() - begin, PATIENCE)

    def test_many_destinations(self) -> None:
        """
        The hosts of some are looked up.
        """
        told = self.explain(self.send(*[f"a@{number}.late.example" for number in range(30)], "a@late.example"))
        self.assertEqual(len(told.steps), 31)

    def test_what_modules_said(self) -> None:
        """
        Verdict and reason.
        """

        class Odd:
            name = "odd"

            def rcpt_to(self, session: Any, transaction: Any, recipient: Any) -> Any:
                from empath.modules import Action, Verdict

                return Verdict(Action.ACCEPT, why="it is a fine day")

        from zope.interface import classImplements

        from empath.modules import IModule

        classImplements(Odd, IModule)
        self.asked = self.mta([Odd()], config=self.config)
        self.asked.peer("late.example", GREYLISTING)
        told = self.explain(self.send("a@late.example"))
        self.assertEqual(
            [(each.module, each.stage, each.action, each.why) for each in told.decisions][:1],
            [("odd", "rcpt_to", "accept", "it is a fine day")],
        )


class TruthTests(AskingCase):
    """
    What is told is what happens then.
    """

    config = (
        CONFIG
        + """
message_expiration = "1h"
max_attempts = 3
[delivery.rate_limits]
default = "2/min"
burst = 1
[delivery.domains."own.example"]
rate_limit = "1/min"
[delivery.domains."fast.example"]
rate_limit = "1000/s"
"""
    )

    def setUp(self) -> None:
        super().setUp()
        self.asked.peer("sender.example")
        self.asked.peer("late.example", GREYLISTING)

    def step(self, queue_id: str) -> Any:
        [step] = self.ask(Explain(queue_id)).steps
        return step

    def test_rates(self) -> None:
        """
        A limit tells its number, and the earliest time for whoever has others before it: then it goes.
        """
        for domain, rate in (("a.example", "2/min"), ("own.example", "1/min")):
            self.asked.peer(domain)
            ids = [self.send(f"{number}@{domain}") for number in range(4)][1:]
            steps = [self.step(queue_id) for queue_id in ids]
            for number, (queue_id, step) in enumerate(zip(ids, steps, strict=True)):
                self.assertIn(f", {rate}, is used up", step.hold.detail)
                self.assertEqual("before it" in step.hold.detail, number > 0)
                self.asked.advance(step.hold.until.timestamp() - self.asked.seconds() - 0.1)
                self.assertEqual(self.step(queue_id).state, "waiting")
                self.asked.advance(0.2)
                self.assertIn(queue_id, [each.queue_id for each in self.delivered()])

    def delivered(self) -> list[Any]:
        return [each.message for each in self.asked.events if isinstance(each, AttemptEnded)]

    def test_the_last_attempt(self) -> None:
        """
        Is told to be the last one.
        """
        queue_id = self.send("a@late.example")
        self.asked.advance(61)
        self.assertIn("attempt 3 follows, the last one", self.step(queue_id).summary)

    def test_an_open_circuit_that_outlasts_the_wait(self) -> None:
        """
        Is what holds the mail, though it waits for its time now.
        """
        self.asked.peer("fast.example")
        self.asked.down("fast.example")
        first, *_ = [self.send(f"{number}@fast.example") for number in range(6)]
        self.asked.advance(1)
        step = self.step(first)
        self.assertEqual(step.hold.why, "breaker")
        self.assertGreater(step.hold.until, step.next_attempt)
        self.assertIn("then a few are tried, and when one works, attempt 2 follows", step.summary)

    def test_orders_after_the_attempt(self) -> None:
        """
        What an operator wants done is told while the attempt goes on.
        """
        self.asked.peer("silent.example", MockSmtpServer().with_silence("RCPT"))
        queue_id = self.send("a@silent.example")
        self.ask(Hold(Filter(queue_id=queue_id)))
        self.assertIn("what is left of it then is to be held", self.step(queue_id).summary)
        self.asked.advance(minutes=6)
        self.assertEqual(self.step(queue_id).state, "held")

    def test_a_stopped_sender(self) -> None:
        """
        Is named, with what lets the mail go on.
        """
        queue_id = self.send("a@late.example")
        self.ask(StopSender("ann@sender.example", "too much"))
        summary = self.step(queue_id).summary
        self.assertIn("it was held 0s ago; ann@sender.example is stopped (too much", summary)
        self.assertIn("senders release", summary)
        self.ask(ReleaseSender("ann@sender.example"))
        self.assertNotIn("held", self.step(queue_id).summary)

    def test_deadlines(self) -> None:
        """
        The time in which a sender wants mail delivered (RFC 2852) goes on while it is held.
        """
        behaviour = MockSmtpServer().with_ehlo_response(250, "mx.by.example", "DELIVERBY")
        self.asked.peer("by.example", behaviour.with_rcpt_to_response(450, "4.2.0 later"))
        queue_id = self.send_by("a@by.example", "BY=600;R")
        self.assertEqual(self.step(queue_id).expires.timestamp(), self.asked.seconds() + 600)
        self.ask(Hold(Filter(queue_id=queue_id)))
        step = self.step(queue_id)
        self.assertIsNone(step.expires)
        self.assertIn("its sender wants it back if it is not delivered in 10m", step.summary)
        self.asked.advance(601)
        self.assertIn("let go, it goes back to him", self.step(queue_id).summary)
        self.ask(Release(Filter(queue_id=queue_id)))
        self.assertIn("it expired", self.step(queue_id).summary)

    def send_by(self, recipient: str, parameter: str) -> str:
        client = self.asked.client()
        client.connect()
        client.ehlo()
        client.command(f"MAIL FROM:<ann@sender.example> {parameter}")
        client.command(f"RCPT TO:<{recipient}>")
        client.command("DATA")
        client.write(b"Subject: x\r\n\r\nhi\r\n.\r\n")
        reply = client.reply()
        self.asked.settle()
        return reply.split()[-1]


class GoneTests(AskingCase):
    """
    What is told once it is gone.
    """

    GONE = "01ARZ3NDEKTSV4RRFFQ69G5FAV"

    def trail(self, *records: dict[str, Any]) -> None:
        """
        Have an audit trail with these records.
        """
        auditing = self.asked.service.auditing
        auditing.section, auditing.file.path = Audit(), Path("audit.jsonl")
        auditing.find = lambda queue_id: succeed(Found(records))  # type: ignore[method-assign,assignment,return-value]  # as told

    def test_the_audit_trail(self) -> None:
        """
        Its records are the answer.
        """
        records = ({"event": "received", "time": "t1"}, {"event": "delivered", "time": "t2"}, {"event": "control"})
        self.trail(*records)
        told = self.ask(Explain(self.GONE.lower()))
        self.assertEqual((told.message, told.steps, told.audit), (None, (), records))
        self.assertIn('its last record is "delivered" at t2', self.missing(ViewMessage(self.GONE)))

    def test_no_trail(self) -> None:
        """
        Where there is none, none is said to have been read.
        """
        self.assertIn("there is no audit trail", self.missing(Explain(self.GONE)))

    def test_nobody_knows(self) -> None:
        """
        It is not found; that somebody asked about it before tells nothing of it.
        """
        for records in ((), ({"event": "control", "time": "t1"},)):
            self.trail(*records)
            self.assertIn("the audit trail does not tell of it", self.missing(Explain(self.GONE)))
            self.assertNotIn("the audit trail knows", self.missing(ViewMessage(self.GONE)))
        self.assertIn("no queue id", self.missing(Explain("../../etc/passwd")))


class WordTests(AskingCase):
    """
    Words of times.
    """

    def test_times_of_any_year(self) -> None:
        """
        What no clock can show is bounded.
        """
        self.assertEqual(at(1e300).year, 9999)
        self.assertEqual(at(-1e300).year, 1970)
