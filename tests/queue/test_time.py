"""
What a sender asks of the queue: a release later than now, a time to deliver by, a word on success, priority.
"""

from __future__ import annotations

import attrs

from empath.config.units import seconds
from empath.mail.life import AttemptEnded, ReportQueued
from empath.mail.message import Message, Status, deliveries_of
from empath.mail.notice import Action
from empath.mail.outcome import Custody
from empath.policy.retry import LAST_CHANCE
from tests.queue.bench import START, QueueCase
from tests.queue.fakes import DOWN, GREY, REFUSED, SENT

DELIVERED = attrs.evolve(SENT, custody=Custody.DELIVERED)
PASSED_ON = attrs.evolve(SENT, custody=Custody.PASSED_ON)


class Started(QueueCase):
    """
    A queue that runs.
    """

    def setUp(self) -> None:
        super().setUp()
        self.queue.start()

    def told(self) -> list[tuple[Action, str]]:
        """
        Tell what the reports were about.
        """
        return [(notice.action, notice.state.address.text) for _, notices in self.reports for notice in notices]

    def times(self, domain: str = "x.example") -> list[float]:
        """
        Tell when attempts were made, in seconds since the start.
        """
        return [call.attempt.started - START for call in self.agent.calls if call.delivery.domain == domain]


class ReleaseTests(Started):
    def released(self, number: int, *recipients: str, after: float) -> Message:
        message = self.mail(number, *recipients)
        deliveries = deliveries_of(message, START + after)
        self.spool.put(message, deliveries)
        self.queue.fresh(message, deliveries)
        return message

    def test_it_is_sent_at_its_release(self) -> None:
        """
        Not before, and with no place in the window until then; it does not count as due.
        """
        self.released(1, "a@x.example", after=100.0)
        self.assertEqual((self.queue.active, self.queue.due_waiting), (0, 0))
        self.pass_time(99)
        self.assertEqual((self.times(), self.queue.due_waiting), ([], 0))
        self.pass_time(2, 0.5)
        self.assertEqual(self.times(), [100.0])

    def test_a_restart_does_not_release_it(self) -> None:
        """
        The spool knows the time.
        """
        self.released(1, "a@x.example", after=100.0)
        self.stopped()
        self.queue = self.make()
        self.queue.start()
        self.pass_time(99)
        self.assertEqual(self.times(), [])
        self.pass_time(2, 0.5)
        self.assertEqual(self.times(), [100.0])

    def test_a_site_that_recovers_does_not_release_it(self) -> None:
        """
        Only retries are hastened.
        """
        self.agent.script["x.example"] = [(DOWN,)]
        self.accept(1, "a@x.example")
        self.released(2, "b@x.example", after=1000.0)
        self.pass_time(60)
        self.assertEqual(self.queue.recovery.count, 1)
        self.assertEqual(len(self.agent.calls), 2)

    def test_its_patience_begins_with_its_release(self) -> None:
        """
        A message that is held for longer than messages live is tried all the same, and as long as any other.
        """
        self.section = attrs.evolve(self.section, message_expiration=seconds(60))
        self.queue.reconfigure(self.section)
        self.agent.always["x.example"] = GREY
        self.released(1, "a@x.example", after=1000.0)
        self.pass_time(1100)
        self.assertEqual(self.times(), [1000.0, 1002.0, 1006.0, 1014.0, 1030.0, 1060.0])
        self.assertEqual(self.told(), [(Action.FAILED, "a@x.example")])


class ReturnedTests(Started):
    """
    BY= in mode R (RFC 2852).
    """

    def test_it_goes_back_at_its_deadline(self) -> None:
        """
        With a last attempt shortly before, and none at the deadline or after it.
        """
        self.agent.always["x.example"] = DOWN
        self.accept(1, "a@x.example", by="100;R")
        self.pass_time(200, 0.5)
        self.assertEqual(self.times(), [0.0, 2.0, 6.0, 14.0, 30.0, 62.0, 100 - LAST_CHANCE])
        [ended] = [event for event in self.ended() if event.delivery.status is Status.EXPIRED]
        self.assertEqual(ended.attempt.started, START + 100)
        [state] = ended.results
        self.assertEqual(str(state.reply), "554 5.4.7 Delivery time expired; the last reply was: 451 4.4.1 no answer")
        self.assertEqual(self.told(), [(Action.FAILED, "a@x.example")])
        self.assertEqual(ended.delivery.last_error, str(state.reply))

    def test_an_attempt_that_ends_after_it_is_the_end(self) -> None:
        """
        A failure for now, told after the deadline, is one for good; a success counts.
        """
        self.agent.hanging.add("x.example")
        self.accept(1, "a@x.example", "b@x.example", by="20;R")
        self.pass_time(30)
        self.agent.hung[0].end(GREY, SENT)
        [ended] = self.ended()[:1]
        self.assertEqual([state.status for state in ended.results], [Status.EXPIRED, Status.COMPLETED])
        self.assertIn("5.4.7", ended.delivery.last_error)
        self.assertEqual(self.told(), [(Action.FAILED, "a@x.example")])

    def test_what_is_found_too_late_is_not_tried(self) -> None:
        """
        After a long stop a message expires without an attempt.
        """
        message = self.mail(1, "a@x.example", by="20;R")
        self.spool.keep(message)
        self.clock.advance(21)
        self.pass_time(11)
        self.assertEqual(self.agent.domains(), ["sender.example"])
        self.assertEqual(self.told(), [(Action.FAILED, "a@x.example")])
        [ended] = self.ended()[:1]
        self.assertEqual(ended.delivery.last_error, "554 5.4.7 Delivery time expired")

    def test_it_keeps_to_the_usual_schedule_before(self) -> None:
        """
        A deadline later than the message's expiry changes nothing.
        """
        self.section = attrs.evolve(self.section, message_expiration=seconds(10))
        self.queue.reconfigure(self.section)
        self.agent.always["x.example"] = DOWN
        self.accept(1, "a@x.example", by="1000;R")
        self.pass_time(20, 0.5)
        self.assertEqual(self.times(), [0.0, 2.0, 6.0, 10.0])
        self.assertEqual([event.delivery.last_error for event in self.ended()][3], "451 4.4.1 no answer")


class LateTests(Started):
    """
    BY= in mode N.
    """

    def test_the_sender_hears_of_it_once(self) -> None:
        """
        At the deadline, and not again, whatever comes; delivery goes on.
        """
        self.agent.always["x.example"] = GREY
        self.accept(1, "a@x.example", by="100;N")
        self.pass_time(99, 0.5)
        self.assertEqual(self.told(), [])
        self.pass_time(2, 0.5)
        self.assertEqual(self.told(), [(Action.DELAYED, "a@x.example")])
        self.assertEqual(self.reports[0][1][0].until, START + self.section.message_expiration)
        self.assertEqual(self.times()[-1], 100.0)
        [queued] = [event for event in self.events if isinstance(event, ReportQueued)]
        self.assertIs(queued.action, Action.DELAYED)
        self.agent.always["x.example"] = SENT
        self.pass_time(200, 0.5)
        self.assertEqual(len(self.told()), 1)  # no other delay, and no relay: that is told before the deadline only

    def test_also_over_restarts(self) -> None:
        """
        That it was told is in the spool.
        """
        self.agent.always["x.example"] = GREY
        self.accept(1, "a@x.example", by="10;N")
        self.pass_time(12, 0.5)
        self.assertEqual(len(self.told()), 1)
        self.stopped()
        self.queue = self.make()
        self.queue.start()
        self.pass_time(200)
        self.assertGreater(len(self.times()), 5)
        self.assertEqual(len(self.told()), 1)

    def test_a_restart_before_does_not_lose_it(self) -> None:
        """
        What was not told is told at the first attempt after the deadline.
        """
        self.agent.always["x.example"] = GREY
        self.accept(1, "a@x.example", by="10;N")
        self.stopped()
        self.clock.advance(50)
        self.queue = self.make()
        self.queue.start()
        self.assertEqual(self.told(), [(Action.DELAYED, "a@x.example")])

    def test_notify_is_respected(self) -> None:
        """
        Who asked not to hear of delays does not.
        """
        self.agent.always["x.example"] = GREY
        for number, notify in enumerate(("NEVER", "FAILURE", "SUCCESS,FAILURE")):
            self.accept(number, f"u{number}@x.example", by="10;N", notify=notify)
        self.accept(9, "told@x.example", by="10;N", notify="DELAY")
        self.pass_time(60, 0.5)
        self.assertEqual(self.told(), [(Action.DELAYED, "told@x.example")])

    def test_what_was_late_when_it_came_is_not_told(self) -> None:
        """
        Whoever passed it on has told of it.
        """
        self.agent.always["x.example"] = GREY
        self.accept(1, "a@x.example", by="-5;N")
        self.pass_time(60)
        self.assertEqual(self.told(), [])

    def test_only_who_is_open_is_late(self) -> None:
        """
        A recipient that has the mail is not.
        """
        self.agent.script["x.example"] = [(PASSED_ON, GREY), (GREY,)]
        self.accept(1, "a@x.example", "b@x.example", by="2;N")
        self.pass_time(4, 0.5)
        self.assertEqual(self.told(), [(Action.DELAYED, "b@x.example")])


class SuccessTests(Started):
    def test_who_asked_is_told(self) -> None:
        """
        Of what was relayed and delivered, with one report for each settlement that is stored with it.
        """
        self.agent.script["x.example"] = [(SENT, DELIVERED, PASSED_ON, REFUSED)]
        self.accept(1, "a@x.example", "b@x.example", "c@x.example", "d@x.example", notify="SUCCESS,FAILURE")
        self.assertEqual(
            self.told(),
            [
                (Action.RELAYED, "a@x.example"),
                (Action.DELIVERED, "b@x.example"),
                (Action.FAILED, "d@x.example"),
            ],
        )
        self.assertEqual(len(self.reports), 1)
        self.assertIsNotNone(self.spool.settlements[0].report)

    def test_nobody_is_asked_where_nobody_asked(self) -> None:
        """
        Success without NOTIFY makes no report, nor does NEVER.
        """
        self.accept(1, "a@x.example")
        self.accept(2, "a@x.example", notify="NEVER")
        self.accept(3, "a@x.example", notify="FAILURE")
        self.assertEqual(self.reports, [])
        self.assertEqual(len([event for event in self.events if isinstance(event, AttemptEnded)]), 3)

    def test_a_trace_is_told_of_each_relay(self) -> None:
        """
        RFC 2852 §4.1.4: though the next hop reports, too, but not to whom NOTIFY says NEVER.
        """
        self.agent.always["x.example"] = PASSED_ON
        self.accept(1, "a@x.example", by="100;RT")
        self.accept(2, "b@x.example", by="100;RT", notify="NEVER")
        self.accept(3, "c@x.example", by="100;R", notify="SUCCESS")
        self.assertEqual(self.told(), [(Action.RELAYED, "a@x.example")])


class PriorityTests(Started):
    def urgent(self, number: int, domain: str, priority: int) -> None:
        message = attrs.evolve(self.mail(number, f"u{number}@{domain}"), priority=priority)
        deliveries = deliveries_of(message)
        self.spool.put(message, deliveries)
        self.queue.fresh(message, deliveries)

    def test_the_more_urgent_go_first_within_a_destination(self) -> None:
        """
        RFC 6710: and those of one priority in the order in which they came; other destinations keep their turn.
        """
        self.section = attrs.evolve(self.section, max_parallel_deliveries=1)
        self.queue.reconfigure(self.section)
        self.agent.hang_all = True
        self.urgent(1, "x.example", 0)
        for number, priority in ((2, -9), (3, 0), (4, 9), (5, 0)):
            self.urgent(number, "x.example", priority)
        self.urgent(6, "y.example", -9)
        while self.agent.hung:
            self.agent.hung[0].end(SENT)
        sent = [call.delivery.recipients[0].address.text for call in self.agent.calls]
        self.assertEqual(
            sent, ["u1@x.example", "u4@x.example", "u6@y.example", "u3@x.example", "u5@x.example", "u2@x.example"]
        )

    def test_of_what_is_due_the_more_urgent_get_the_room(self) -> None:
        """
        Within what one search of the spool finds.
        """
        self.stopped()
        self.section = attrs.evolve(self.section, max_active=3, max_parallel_deliveries=1)
        for number, priority in ((1, 0), (2, 0), (3, 5)):
            message = attrs.evolve(self.mail(number, f"u@d{number}.example"), priority=priority)
            self.spool.put(message, deliveries_of(message))
        self.agent.hang_all = True
        self.queue = self.make()
        self.queue.start()
        self.assertEqual(self.agent.domains(), ["d3.example"])
