"""
A message's whole life and its next step, in one answer.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from twisted.internet.defer import succeed

from empath.audit.finding import Found
from empath.control.terms.explaining import Explain, Explanation
from empath.control.terms.managing import Freeze, Hold, Release
from empath.control.terms.queue import Filter, ViewMessage
from empath.service.control.paging import at, span
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
        self.assertIn("attempt 1 has been under way for 5 s, getting a connection", step.summary)
        queue_id = self.send("a@silent.example")
        self.asked.advance(7)
        [step] = self.explain(queue_id).steps
        self.assertIn("attempt 1 has been under way for 7 s, in a session with mx.silent.example [", step.summary)

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


class GoneTests(AskingCase):
    """
    What is told once it is gone.
    """

    GONE = "01ARZ3NDEKTSV4RRFFQ69G5FAV"

    def trail(self, *records: dict[str, Any]) -> None:
        """
        Have an audit trail with these records.
        """
        self.asked.service.auditing.find = lambda queue_id: succeed(Found(records))  # type: ignore[method-assign,assignment,return-value]  # as told

    def test_the_audit_trail(self) -> None:
        """
        Its records are the answer.
        """
        records = ({"event": "received", "time": "t1"}, {"event": "delivered", "time": "t2"}, {"event": "control"})
        self.trail(*records)
        told = self.ask(Explain(self.GONE.lower()))
        self.assertEqual((told.message, told.steps, told.audit), (None, (), records))
        self.assertIn('its last record is "delivered" at t2', self.missing(ViewMessage(self.GONE)))

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

    def test_spans(self) -> None:
        """
        Two units at the most.
        """
        short = ((0, "0s"), (-5, "0s"), (59.6, "1m"), (61, "1m 1s"), (3600, "1h"), (3601, "1h"))
        for seconds, wanted in (*short, (90_061, "1d 1h"), (432_000, "5d")):
            self.assertEqual(span(seconds), wanted)

    def test_times_of_any_year(self) -> None:
        """
        What no clock can show is bounded.
        """
        self.assertEqual(at(1e300).year, 9999)
        self.assertEqual(at(-1e300).year, 1970)
