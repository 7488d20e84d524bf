"""
The life of a delivery, from its commit to its settlement.
"""

from __future__ import annotations

from typing import cast

import attrs
from twisted.internet.defer import CancelledError
from zope.interface.verify import verifyObject

from empath.config import schema
from empath.config.units import seconds
from empath.errors import MessageUnknown, QueueIdTaken, SpoolError, SpoolFull
from empath.interfaces import IAgent, IComponent, ISpool
from empath.mail.life import MessageReceived, ReportQueued
from empath.mail.message import Status, deliveries_of
from empath.mail.outcome import Outcome, Scope, TransientFailure
from empath.mail.reply import Reply
from empath.queue.entry import LONGEST_ATTEMPT
from tests.queue.bench import SECTION, START, QueueCase
from tests.queue.fakes import DOWN, GREY, REFUSED, SENT


class FreshTests(QueueCase):
    def setUp(self) -> None:
        super().setUp()
        self.queue.start()

    def test_provides_its_interfaces(self) -> None:
        """
        The queue is a component, and the fakes keep to what they stand for.
        """
        verifyObject(IComponent, self.queue)
        verifyObject(ISpool, self.spool)
        verifyObject(IAgent, self.agent)

    def test_fresh_mail_goes_out_at_once_from_memory(self) -> None:
        """
        The first attempt begins in the same turn, with the message that was committed.
        """
        message = self.accept(1, "a@x.example", "b@y.example", "c@x.example")
        self.assertEqual(self.agent.domains(), ["x.example", "y.example"])
        self.assertIs(self.agent.calls[0].message, message)
        self.assertNotIn("load", self.spool.calls)
        self.assertEqual(self.statuses(), [Status.COMPLETED] * 2)
        self.assertEqual(self.spool.deliveries, {})
        self.assertEqual((self.queue.active, self.queue.in_flight, self.queue.due_waiting), (0, 0, 0))

    def test_an_attempt_is_told_after_it_is_on_disk(self) -> None:
        """
        AttemptEnded comes once the settlement is stored, with what it did to whom.
        """
        self.spool.slow = True
        self.accept(1, "a@x.example")
        self.assertEqual(self.events, [])
        self.assertEqual(self.queue.active, 1)
        self.spool.catch_up()
        [event] = self.ended()
        self.assertEqual((event.delivery.status, event.attempt.number), (Status.COMPLETED, 1))
        self.assertEqual([state.reply for state in event.results], [SENT.reply])
        self.assertEqual((event.attempt.started, event.attempt.ended), (START, START))
        self.assertEqual(event.attempt.results, event.results)

    def test_a_doubt_is_told_of_the_attempt_that_left_it(self) -> None:
        """
        And stays with the recipient until the end, whatever later attempts say; a success after it may be a duplicate.
        """
        lost = attrs.evolve(GREY, doubtful=True)
        self.agent.script["x.example"] = [(lost, GREY), (GREY, SENT), (SENT,)]
        message = self.mail(1, "a@x.example", "b@x.example")
        self.queue.fresh(message, self.spool.keep(message))
        self.pass_time(1000)
        self.assertEqual([event.attempt.doubtful for event in self.ended()], [1, 0, 0])
        told = [[state.doubtful for state in event.results] for event in self.ended()]
        self.assertEqual(told, [[True, False], [True, False], [True]])

    def test_what_is_held_or_later_is_not_attempted(self) -> None:
        """
        A held delivery is not scheduled; one that is due later waits for its time.
        """
        message = self.mail(1, "a@x.example", "a@y.example", "a@z.example")
        held, later, never = self.spool.keep(message)
        held = attrs.evolve(held, status=Status.HELD)
        later = attrs.evolve(later, next_attempt=START + 3)
        never = attrs.evolve(never, next_attempt=None)
        self.spool.put(message, (held, later, never))
        self.queue.fresh(message, (held, later, never))
        self.assertEqual(self.agent.domains(), [])
        self.pass_time(4)
        self.assertEqual(self.agent.domains(), ["y.example"])
        self.pass_time(20)
        self.assertEqual(self.agent.domains(), ["y.example"])

    def test_mail_that_is_held_from_the_beginning(self) -> None:
        """
        Is in no line and in no window, after a restart neither, until it is released.
        """
        message = self.mail(1, "a@x.example")
        (held,) = deliveries_of(message, held="odd")
        self.spool.put(message, (held,))
        self.queue.fresh(message, (held,))
        self.pass_time(100)
        self.assertEqual((self.agent.calls, self.queue.active, self.queue.due_waiting), ([], 0, 0))
        released = attrs.evolve(held, status=Status.PENDING, next_attempt=START + 110)
        self.spool.put(message, (released,))
        self.pass_time(20)
        self.assertEqual(self.agent.domains(), ["x.example"])

    def test_the_name_of_a_route(self) -> None:
        """
        Is a destination as any: its own line, retry and recovery; recipients of several domains share the delivery.
        """
        message = self.mail(1, "a@x.example", "b@y.example", "c@x.example")
        a, b, _ = (each.address for each in message.envelope.recipients)
        deliveries = deliveries_of(message, routes={a: "archive", b: "archive"})
        self.agent.script["archive"] = [(GREY, GREY)]
        self.spool.put(message, deliveries)
        self.queue.fresh(message, deliveries)
        self.pass_time(20)
        self.assertEqual(self.agent.domains(), ["archive", "x.example", "archive"])
        self.assertEqual([len(event.results) for event in self.ended()], [2, 1, 2])
        self.assertEqual(self.spool.deliveries, {})

    def test_a_thousand_at_once_need_no_deep_stack(self) -> None:
        """
        Agents and spools that answer at once do not nest.
        """
        self.agent.hang_all = True
        for number in range(3000):
            self.accept(number, "a@x.example")
        self.agent.hang_all = False
        self.agent.hung[0].end(SENT)
        self.assertEqual(len(self.agent.calls), 3000)


class OutcomeTests(QueueCase):
    def setUp(self) -> None:
        super().setUp()
        self.queue.start()

    def test_a_retry_comes_when_it_is_due(self) -> None:
        """
        A delay of 2 s is kept to the second, though the spool is searched every 10 s; the message is read again.
        """
        self.agent.script["x.example"] = [(GREY,), (GREY,)]
        self.accept(1, "a@x.example")
        self.pass_time(1.5, 0.5)
        self.assertEqual(len(self.agent.calls), 1)
        self.pass_time(1, 0.5)
        self.assertEqual([call.attempt.number for call in self.agent.calls], [1, 2])
        self.pass_time(5, 0.5)
        self.assertEqual([call.attempt.started - START for call in self.agent.calls], [0.0, 2.0, 6.0])
        self.assertEqual(self.statuses(), [Status.RETRY, Status.RETRY, Status.COMPLETED])
        self.assertEqual(self.spool.calls.count("load"), 2)

    def test_a_refused_recipient_does_not_fail_the_others(self) -> None:
        """
        Two are delivered, the third is reported, all in one settlement.
        """
        self.agent.script["x.example"] = [(SENT, REFUSED, SENT)]
        message = self.accept(1, "a@x.example", "b@x.example", "c@x.example")
        settlement = self.spool.settlements[0]
        self.assertEqual(settlement.delivery.status, Status.FAILED)
        self.assertEqual(settlement.keep_until, START + 3 * 86400)
        [(about, failed)] = self.reports
        self.assertIs(about, message)
        self.assertEqual([notice.state.address.text for notice in failed], ["b@x.example"])
        assert settlement.report is not None

    def test_the_report_goes_out_as_fresh_mail(self) -> None:
        """
        The report is told and attempted once it is on disk, from memory.
        """
        self.agent.script["x.example"] = [(REFUSED,)]
        self.accept(1, "a@x.example")
        self.assertEqual(self.agent.domains(), ["x.example", "sender.example"])
        kinds = [type(event).__name__ for event in self.events]
        self.assertEqual(kinds, ["AttemptEnded", "MessageReceived", "ReportQueued", "AttemptEnded"])
        [received] = [event for event in self.events if isinstance(event, MessageReceived)]
        [queued] = [event for event in self.events if isinstance(event, ReportQueued)]
        self.assertIsNone(received.session)
        self.assertIs(queued.report, received.message)

    def test_who_failed_earlier_is_not_reported_again(self) -> None:
        """
        Exactly one report a settlement, about those that ended badly in this attempt.
        """
        self.agent.script["x.example"] = [(REFUSED, GREY), (REFUSED,)]
        self.accept(1, "a@x.example", "b@x.example")
        self.pass_time(3)
        told = [[notice.state.address.text for notice in failed] for _, failed in self.reports]
        self.assertEqual(told, [["a@x.example"], ["b@x.example"]])
        self.assertEqual(self.spool.settlements[0].keep_until, None)

    def test_a_message_that_expires_has_its_last_attempt_then(self) -> None:
        """
        The last attempt is made at expiry; then the sender is told.
        """
        self.queue.reconfigure(attrs.evolve(SECTION, message_expiration=seconds(7), keep_failed=seconds(0)))
        self.agent.always["x.example"] = DOWN
        self.accept(1, "a@x.example")
        self.pass_time(20, 0.5)
        self.assertEqual([call.attempt.started - START for call in self.agent.calls[:3]], [0.0, 2.0, 6.0])
        self.assertEqual(self.agent.calls[3].attempt.started - START, 7.0)
        self.assertEqual(self.statuses()[3], Status.EXPIRED)
        self.assertEqual(len(self.reports), 1)
        self.assertEqual(self.spool.deliveries, {})

    def test_max_attempts_is_the_end_too(self) -> None:
        """
        No attempt follows the last one that is allowed.
        """
        self.queue.reconfigure(attrs.evolve(SECTION, max_attempts=2))
        self.agent.always["x.example"] = DOWN
        self.accept(1, "a@x.example")
        self.pass_time(60)
        self.assertEqual(self.statuses()[:2], [Status.RETRY, Status.EXPIRED])
        self.assertEqual(self.agent.domains().count("x.example"), 2)

    def test_completed_mail_is_kept_as_configured(self) -> None:
        """
        keep_completed keeps what was delivered.
        """
        self.queue.reconfigure(attrs.evolve(SECTION, keep_completed=seconds(60)))
        self.accept(1, "a@x.example")
        self.assertEqual(self.spool.settlements[0].keep_until, START + 60)

    def test_an_agent_that_raises_is_a_bug_and_loses_nothing(self) -> None:
        """
        It is logged and counts as a transient failure of ours for everyone open.
        """
        for bug in (ValueError("bug"), CancelledError()):
            self.agent.script["x.example"] = [bug]
            self.accept(1, "a@x.example", "b@x.example")
            self.assertEqual(len(self.flushLoggedErrors(type(bug))), 1)
            settlement = self.spool.settlements[-1]
            self.assertEqual(settlement.delivery.status, Status.RETRY)
            self.assertIn("451 4.3.0", settlement.delivery.last_error)
            self.spool.deliveries.clear()
        self.assertEqual(self.queue.attempts.faults, 2)

    def test_a_missing_outcome_is_a_bug_and_loses_nobody(self) -> None:
        """
        A recipient that the agent forgot is tried again.
        """
        self.agent.script["x.example"] = [(SENT,)]
        self.accept(1, "a@x.example", "b@x.example")
        delivery = self.spool.settlements[0].delivery
        self.assertEqual([state.status for state in delivery.recipients], [Status.COMPLETED, Status.RETRY])

    def test_a_reporter_that_raises_does_not_keep_the_mail_from_its_end(self) -> None:
        """
        Without its report the failure is still settled, and the bug logged.
        """

        def broken(*_: object) -> None:
            raise ValueError("bug")

        self.patch(self.queue._deciding, "_report", broken)
        self.agent.script["x.example"] = [(REFUSED,)]
        self.accept(1, "a@x.example")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(self.statuses(), [Status.FAILED])

    def test_a_listener_that_raises_stops_nothing(self) -> None:
        """
        A bug behind the events is logged; the queue goes on.
        """

        def broken(_: object) -> None:
            raise ValueError("bug")

        self.patch(self.queue, "_emit", broken)
        self.accept(1, "a@x.example")
        self.accept(2, "a@x.example")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)
        self.assertEqual(self.statuses(), [Status.COMPLETED] * 2)
        self.assertEqual((self.queue.active, self.queue.in_flight), (0, 0))


class SettlementTests(QueueCase):
    def setUp(self) -> None:
        super().setUp()
        self.queue.start()

    def test_a_settlement_is_written_until_it_is_on_disk(self) -> None:
        """
        While the spool fails the delivery is not attempted again, and what was found is not forgotten.
        """
        self.spool.faults["settle"] = [SpoolFull("full"), SpoolError("broken"), ValueError("bug")]
        self.accept(1, "a@x.example")
        self.assertEqual(self.queue.attempts.settling.failures, 1)
        self.pass_time(30)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(len(self.agent.calls), 1)
        self.assertEqual(self.statuses(), [Status.COMPLETED])
        self.assertEqual(len(self.ended()), 1)
        self.assertEqual(self.queue.active, 0)

    def test_the_same_report_is_offered_each_time(self) -> None:
        """
        However often the settlement fails, one report is made.
        """
        self.agent.script["x.example"] = [(REFUSED,)]
        self.spool.faults["settle"] = [SpoolFull("full")] * 3
        self.accept(1, "a@x.example")
        self.pass_time(30)
        self.assertEqual(len(self.reports), 1)
        self.assertEqual(self.agent.domains(), ["x.example", "sender.example"])

    def test_a_report_whose_queue_id_is_taken_is_made_anew(self) -> None:
        """
        A collision of ids is no reason to lose the report or the settlement.
        """
        self.agent.script["x.example"] = [(REFUSED,)]
        self.spool.faults["settle"] = [QueueIdTaken("id"), SpoolFull("full"), QueueIdTaken("id")]
        self.accept(1, "a@x.example")
        self.pass_time(5)
        self.assertEqual(len(self.reports), 3)
        report = self.spool.settlements[0].report
        assert report is not None
        self.assertEqual(report.queue_id, f"{902:026}")

    def test_mail_that_was_deleted_meanwhile_is_let_go(self) -> None:
        """
        MessageUnknown at settling is the end: there is nothing to record.
        """
        self.spool.faults["settle"] = [MessageUnknown("gone")]
        self.accept(1, "a@x.example")
        self.assertEqual((self.queue.active, self.events, self.queue.attempts.running), (0, [], 0))

    def test_a_broken_spool_stops_new_attempts(self) -> None:
        """
        What cannot be settled takes up slots: at most max_parallel_deliveries are in doubt.
        """
        self.queue.reconfigure(attrs.evolve(SECTION, max_parallel_deliveries=5))
        self.spool.faults["settle"] = [SpoolFull("full")] * 1000
        for number in range(50):
            self.accept(number, f"a@d{number}.example")
        self.pass_time(10)
        self.assertEqual(len(self.agent.calls), 5)
        self.spool.faults.clear()
        self.pass_time(60)
        self.assertEqual(self.statuses(), [Status.COMPLETED] * 50)

    def test_settling_frees_the_slot(self) -> None:
        """
        While the spool writes, the next attempt is under way.
        """
        self.queue.reconfigure(attrs.evolve(SECTION, max_parallel_deliveries=1))
        self.spool.slow = True
        self.accept(1, "a@x.example")
        self.accept(2, "a@x.example")
        self.assertEqual(len(self.agent.calls), 2)
        self.assertEqual(len(self.spool.pending), 2)


class FairnessTests(QueueCase):
    def setUp(self) -> None:
        super().setUp()
        self.queue.start()

    def test_a_hanging_destination_delays_no_other(self) -> None:
        """
        A hundred messages hang at one destination; mail for another one goes out in the same turn.
        """
        self.agent.hanging.add("hangs.example")
        for number in range(100):
            self.accept(number, "a@hangs.example")
        self.assertEqual(self.queue.in_flight, 20)
        self.accept(200, "a@live.example")
        self.assertEqual(self.agent.domains()[-1], "live.example")
        self.assertEqual(self.statuses(), [Status.COMPLETED])
        self.assertEqual(self.queue.due_waiting, 80)

    def test_a_backlog_for_a_dead_destination_leaves_room(self) -> None:
        """
        More due mail for one destination than the window holds: another's, due last of all, is found at once.
        """
        self.queue.reconfigure(attrs.evolve(SECTION, max_active=50))
        self.agent.hanging.add("dead.example")
        for number in range(300):
            self.hold(number, "a@dead.example")
        self.hold(999, "a@live.example")
        self.pass_time(10)
        self.assertIn("live.example", self.agent.domains())
        self.assertLessEqual(self.queue.active, 50)
        self.assertGreater(self.queue.due_waiting, 250)

    def test_a_backlog_is_worked_off(self) -> None:
        """
        More due mail than the window holds is delivered to the last, each message once, and without pauses.
        """
        self.queue.reconfigure(attrs.evolve(SECTION, max_active=10))
        for number in range(200):
            self.hold(number, f"a@d{number % 7}.example")
        self.agent.hang_all = True
        self.pass_time(10)
        self.agent.hang_all = False
        for _ in range(60):
            for call in self.agent.hung:
                call.end(SENT)
            self.pass_time(0.1, 0.1)
        self.assertEqual(self.statuses(), [Status.COMPLETED] * 200)
        self.assertEqual(len({call.message.queue_id for call in self.agent.calls}), 200)
        self.assertEqual(len(self.agent.calls), 200)

    def test_fresh_mail_beyond_the_window_is_found_later(self) -> None:
        """
        What reception brings faster than it goes out waits in the spool and is not lost.
        """
        self.queue.reconfigure(attrs.evolve(SECTION, max_active=4))
        self.agent.hang_all = True
        for number in range(9):
            self.accept(number, "a@x.example")
        self.assertEqual(self.queue.active, 2)
        self.agent.hang_all = False
        for call in self.agent.hung:
            call.end(SENT)
        self.pass_time(1, 0.1)
        self.assertEqual(self.statuses(), [Status.COMPLETED] * 9)

    def test_mail_waiting_for_a_site_goes_when_the_site_works(self) -> None:
        """
        One acceptance after trouble hastens all that waits for the destination, once.
        """
        self.agent.script["x.example"] = [(DOWN,)] * 3
        self.queue.reconfigure(attrs.evolve(SECTION, base_retry_delay=seconds(600)))
        for number in range(3):
            self.accept(number, "a@x.example")
        self.accept(4, "a@x.example")
        self.pass_time(1)
        self.assertEqual(len(self.agent.calls), 7)
        self.assertEqual(self.spool.calls.count("hasten"), 1)
        self.assertEqual(self.queue.recovery.count, 1)

    def test_greylisting_is_no_trouble_of_the_site(self) -> None:
        """
        A site that postpones single recipients is not hastened by another's success.
        """
        self.agent.script["x.example"] = [(GREY,)]
        self.accept(1, "a@x.example")
        self.accept(2, "a@x.example")
        self.assertNotIn("hasten", self.spool.calls)

    def test_a_site_that_asks_for_less_was_in_no_trouble(self) -> None:
        """
        What it refused for now keeps its time; nor is what a domain wants of TLS any trouble of its hosts.
        """
        slow = TransientFailure(Reply.of("421 4.7.0 you are sending too fast"), Scope.HOST, "mx")
        unmet = TransientFailure(Reply.of("454 4.7.5 TLS handshake failed"), Scope.HOST)
        self.agent.script["x.example"] = [(slow,), (SENT,), (unmet,)]
        self.queue.reconfigure(attrs.evolve(SECTION, base_retry_delay=seconds(600)))
        for number in range(4):
            self.accept(number, "a@x.example")
            self.pass_time(3)
        self.assertEqual(len(self.agent.calls), 4)
        self.assertNotIn("hasten", self.spool.calls)

    def test_a_spool_that_cannot_hasten_is_no_trouble(self) -> None:
        """
        Then the mail waits for its own time.
        """
        self.spool.faults["hasten"] = [SpoolError("disk")]
        self.agent.script["x.example"] = [(DOWN,)]
        self.accept(1, "a@x.example")
        self.accept(2, "a@x.example")
        self.pass_time(3)
        self.assertEqual(self.queue.active, 0)
        self.assertEqual(self.spool.deliveries, {})


class RestartTests(QueueCase):
    def test_pending_mail_is_found_at_start(self) -> None:
        """
        What was pending or due when the process died is attempted at once, what is due later at its time.
        """
        self.hold(1, "a@x.example")
        self.hold(2, "a@y.example", status=Status.RETRY, attempts=3, next_attempt=START + 3.5)
        self.hold(3, "a@z.example", status=Status.HELD)
        self.queue.start()
        self.assertEqual(self.agent.domains(), ["x.example"])
        self.pass_time(4, 0.5)
        self.assertEqual(self.agent.domains(), ["x.example", "y.example"])
        self.assertEqual(self.agent.calls[1].attempt.number, 4)

    def test_a_site_that_was_down_before_the_restart_is_hastened(self) -> None:
        """
        The stored failure of an old attempt is enough to know that the first acceptance is a recovery.
        """
        self.agent.script["x.example"] = [(DOWN,), (DOWN,)]
        self.queue.start()
        self.accept(1, "a@x.example")
        self.accept(2, "a@x.example")
        self.successResultOf(self.stopped())
        _, second = self.spool.deliveries.values()
        self.spool.deliveries[second.queue_id, second.domain] = attrs.evolve(second, next_attempt=START + 5000)
        self.queue = self.make()
        self.clock.advance(3)
        self.queue.start()
        self.pass_time(1, 0.5)
        self.assertEqual(self.spool.deliveries, {})
        self.assertEqual(self.queue.recovery.count, 1)

    def test_a_message_that_is_gone_is_dropped(self) -> None:
        """
        A delivery without its message is logged and no reason to fail.
        """
        message = self.hold(1, "a@x.example")
        del self.spool.messages[message.queue_id]
        self.queue.start()
        self.assertEqual((self.agent.calls, self.queue.active, self.queue.in_flight), ([], 0, 0))

    def test_a_spool_that_cannot_be_read_is_read_again(self) -> None:
        """
        Neither a search nor a load that fails loses anything.
        """
        self.hold(1, "a@x.example")
        self.spool.faults = {"due": [SpoolError("disk"), ValueError("bug")], "load": [SpoolError("disk")]}
        self.queue.start()
        self.pass_time(40)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(self.statuses(), [Status.COMPLETED])

    def test_an_answer_older_than_a_settlement_is_not_believed(self) -> None:
        """
        A delivery that was settled while the spool was searched is not attempted again from the old answer.
        """
        self.agent.hang_all = True
        self.queue.start()
        self.accept(1, "a@x.example")
        self.spool.slow_due = True
        self.pass_time(10)
        [answer] = self.spool.answers
        self.agent.hung[0].end(SENT)
        answer()
        self.pass_time(5)
        self.assertEqual(len(self.agent.calls), 1)
        self.assertEqual(self.queue.active, 0)

    def test_a_search_reaches_beyond_what_is_active(self) -> None:
        """
        What is active stands first among what is due, so the search asks for that many more.
        """
        self.agent.hang_all = True
        for number in range(1200):
            self.hold(number, f"a@d{number}.example")
        self.queue.start()
        self.assertEqual(self.queue.active, 1200)
        self.assertEqual(self.spool.limits, [500, 1000, 2000])


class SearchTests(QueueCase):
    def setUp(self) -> None:
        super().setUp()
        self.queue.start()
        self.pass_time(1)

    def later(self, number: int, domain: str, wait: float) -> None:
        message = self.mail(number, f"a@{domain}")
        [delivery] = self.spool.keep(message)
        delivery = attrs.evolve(delivery, next_attempt=self.clock.seconds() + wait)
        self.spool.put(message, (delivery,))
        self.queue.fresh(message, (delivery,))

    def test_the_earliest_time_counts(self) -> None:
        """
        What is due earlier than what was known moves the timer, what is due later does not.
        """
        for number, wait in enumerate((5.0, 2.0, 7.0)):
            self.later(number, f"w{wait:.0f}.example", wait)
        seen = []
        for _ in range(8):
            seen.append(len(self.agent.calls))
            self.clock.advance(1.0)
        self.assertEqual(seen, [0, 0, 1, 1, 1, 2, 2, 3])

    def test_what_comes_up_during_a_search_is_looked_for_after_it(self) -> None:
        """
        A search that takes long is not repeated beside itself; a time told meanwhile is kept.
        """
        self.spool.slow_due = True
        self.pass_time(9)
        self.assertEqual(len(self.spool.answers), 1)
        self.later(1, "x.example", 2.0)
        self.later(2, "y.example", 3.0)
        self.pass_time(20)
        self.assertEqual(len(self.spool.answers), 1)
        self.spool.slow_due = False
        self.spool.answers[0]()
        self.pass_time(0.2, 0.1)
        self.assertEqual(self.agent.domains(), ["x.example", "y.example"])

    def test_a_window_without_room_is_not_filled(self) -> None:
        """
        The spool is not asked for what could not be taken, and asked again when there is room.
        """
        self.queue.reconfigure(attrs.evolve(SECTION, max_active=1))
        self.agent.hang_all = True
        self.accept(1, "a@x.example")
        self.hold(2, "a@y.example")
        asked = len(self.spool.limits)
        self.pass_time(20)
        self.assertEqual(len(self.spool.limits), asked)
        self.agent.hung[0].end(SENT)
        self.pass_time(1, 0.1)
        self.assertEqual(self.agent.domains(), ["x.example", "y.example"])

    def test_an_idle_queue_asks_seldom(self) -> None:
        """
        With nothing to do the spool is searched once an interval.
        """
        asked = len(self.spool.limits)
        self.pass_time(100)
        self.assertEqual(len(self.spool.limits) - asked, 10)


class StopTests(QueueCase):
    def setUp(self) -> None:
        super().setUp()
        self.queue.start()

    def test_idle_stops_at_once_and_leaves_nothing_behind(self) -> None:
        """
        No timer is left.
        """
        self.agent.script["x.example"] = [(GREY,)]
        self.accept(1, "a@x.example")
        self.successResultOf(self.stopped())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_waits_for_what_is_in_flight(self) -> None:
        """
        An attempt under way is settled; nothing new is begun, and fresh mail stays in the spool.
        """
        self.agent.hang_all = True
        self.accept(1, "a@x.example")
        done = self.stopped()
        self.accept(2, "a@y.example")
        self.assertNoResult(done)
        self.agent.calls[0].end(SENT)
        self.successResultOf(done)
        self.assertEqual(self.agent.domains(), ["x.example"])
        self.assertEqual(self.statuses(), [Status.COMPLETED])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cuts_short_what_takes_too_long(self) -> None:
        """
        After shutdown_timeout attempts are cancelled; their deliveries are pending in the spool, as before.
        """
        self.agent.hang_all = True
        self.accept(1, "a@x.example")
        done = self.stopped()
        self.pass_time(29)
        self.assertNoResult(done)
        self.pass_time(1)
        self.successResultOf(done)
        self.assertTrue(self.agent.calls[0].waiting.called)
        self.assertEqual(self.spool.settlements, [])
        [delivery] = self.spool.deliveries.values()
        self.assertEqual((delivery.status, delivery.attempts), (Status.PENDING, 0))

    def test_settles_what_is_known_of_an_attempt_cut_short(self) -> None:
        """
        An agent that is cancelled may tell who has the mail already: that is stored.
        """
        self.agent.parting = (SENT, DOWN)
        self.agent.hang_all = True
        self.accept(1, "a@x.example", "b@x.example")
        done = self.stopped(1)
        self.clock.advance(1)
        self.successResultOf(done)
        [delivery] = self.spool.deliveries.values()
        self.assertEqual([state.status for state in delivery.recipients], [Status.COMPLETED, Status.RETRY])

    def test_leaves_to_the_spool_what_it_is_writing(self) -> None:
        """
        A settlement on its way to the disk is not cancelled.
        """
        self.spool.slow = True
        self.accept(2, "a@x.example")
        done = self.stopped(0.5)
        self.clock.advance(0.5)
        self.successResultOf(done)
        self.spool.catch_up()
        self.assertEqual([s.delivery.queue_id for s in self.spool.settlements], [f"{2:026}"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_tries_for_a_last_time_to_write_a_settlement(self) -> None:
        """
        Who has the mail is not to get it again after the restart, if the spool works by now; else it is left.
        """
        for faults, left in ((1, 0), (100, 1)):
            self.setUp()
            self.spool.faults["settle"] = [SpoolError("disk")] * faults
            self.accept(1, "a@x.example")
            done = self.stopped(0.5)
            self.clock.advance(0.5)
            self.successResultOf(done)
            self.assertEqual(len(self.spool.deliveries), left)
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_search_under_way_is_cancelled(self) -> None:
        """
        What a late answer would bring is not attempted.
        """
        self.spool.slow_due = True
        self.hold(1, "a@x.example")
        self.pass_time(10)
        self.successResultOf(self.stopped())
        self.spool.answers[0]()
        self.assertEqual(self.agent.calls, [])


class UpkeepTests(QueueCase):
    def setUp(self) -> None:
        super().setUp()
        self.queue.start()

    def test_kept_mail_expires_and_failed_deletions_are_repeated(self) -> None:
        """
        Both are asked of the spool at their intervals, whatever happened the last time.
        """
        self.spool.faults = {"expire_kept": [SpoolError("disk")], "retry_cleanup": [SpoolError("disk")]}
        self.pass_time(120, 10.0)
        self.assertEqual((self.spool.calls.count("expire_kept"), self.spool.calls.count("retry_cleanup")), (2, 2))

    def test_an_attempt_has_a_deadline(self) -> None:
        """
        An agent that hangs for ever is cancelled; its delivery is tried again.
        """
        self.agent.hanging.add("x.example")
        self.accept(1, "a@x.example")
        self.pass_time(LONGEST_ATTEMPT + 180, 30.0)
        self.assertEqual(self.queue.watchdog.overdue, 1)
        self.assertEqual(len(self.flushLoggedErrors(CancelledError)), 1)
        self.assertEqual(self.statuses(), [Status.RETRY])
        self.assertEqual(self.queue.watchdog.strays, 0)

    def test_a_recipient_without_an_outcome_fails_nobody_else(self) -> None:
        """
        An agent that forgets somebody has a bug: who has the mail never gets it again, the other is tried again.
        """
        self.agent.script["x.example"] = [cast("tuple[Outcome, ...]", (SENT, None))]
        self.accept(1, "a@x.example", "b@x.example")
        [delivery] = self.spool.deliveries.values()
        self.assertEqual([state.status for state in delivery.recipients], [Status.COMPLETED, Status.RETRY])
        self.assertEqual(self.queue.attempts.faults, 1)

    def test_a_large_message_has_the_time_it_needs(self) -> None:
        """
        The deadline is for what hangs: content of 10 MiB at 2 KiB/s, or 200 recipients at 30 s each, are let go on.
        """
        self.agent.hang_all = True
        self.accept(1, "a@x.example", body=b"x" * (10 * 1024 * 1024))
        self.accept(2, *(f"a{number}@y.example" for number in range(200)))
        self.pass_time(6000, 60.0)
        self.assertEqual(self.queue.watchdog.overdue, 0)
        self.agent.calls[0].end(SENT)
        self.agent.calls[1].end(*[SENT] * 200)
        self.assertEqual(self.statuses(), [Status.COMPLETED] * 2)

    def test_strays_are_counted_and_repaired(self) -> None:
        """
        An entry that nothing works on is left to the spool; one in no line gets back into it.
        """
        self.agent.hang_all = True
        for number in range(40):
            self.accept(number, "a@x.example")
        lost = next(entry for entry in self.queue.window.active.values() if entry.running is not None)
        lost.running = None
        self.queue.window.lines.by_domain["x.example"].waiting.pop()
        self.pass_time(60, 10.0)
        self.assertGreaterEqual(self.queue.watchdog.strays, 2)
        counted = self.queue.watchdog.strays
        self.pass_time(60, 10.0)
        self.assertEqual(self.queue.watchdog.strays, counted)
        self.agent.hang_all = False
        for call in self.agent.hung:
            call.end(SENT)
        self.pass_time(10)
        self.assertEqual(self.spool.deliveries, {})

    def test_memory_is_bounded(self) -> None:
        """
        Beyond 32 MiB of bodies an entry has none and reads it when its turn comes.
        """
        self.agent.hang_all = True
        body = b"x" * (1024 * 1024)
        for number in range(40):
            self.accept(number, "a@x.example", body=body)
        self.assertLessEqual(self.queue.window.held, 32 * 1024 * 1024)
        self.agent.hang_all = False
        for call in self.agent.hung:
            call.end(SENT)
        self.assertEqual(len(self.spool.settlements), 40)
        self.assertEqual(self.spool.calls.count("load"), 9)
        self.assertEqual(self.queue.window.held, 0)

    def test_reconfigures_its_intervals(self) -> None:
        """
        A new section holds from then on.
        """
        self.queue.reconfigure(schema.Delivery(cleanup_interval=seconds(5)))
        self.pass_time(70, 5.0)
        self.assertGreater(self.spool.calls.count("retry_cleanup"), 1)
