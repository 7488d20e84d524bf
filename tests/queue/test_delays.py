"""
Mail that takes long: who is told of that, when, and how often.
"""

from __future__ import annotations

import attrs
from twisted.internet.defer import fail, succeed

from empath.config import schema
from empath.config.units import seconds
from empath.errors import MessageUnknown, SpoolError
from empath.mail.life import MessageReceived, ReportQueued
from empath.mail.message import Message, Status, deliveries_of
from empath.mail.notice import Action
from empath.mail.queue_id import queue_id_at
from tests.queue.bench import SECTION, START, QueueCase
from tests.queue.fakes import DOWN, GREY, SENT

HOUR = 3600.0


class DelayTests(QueueCase):
    """
    Tests for `Delays`, in a queue that runs, with rounds every minute.
    """

    section = attrs.evolve(SECTION, base_retry_delay=seconds(7 * HOUR), dsn=schema.Dsn(delay_after=seconds(HOUR)))

    def setUp(self) -> None:
        super().setUp()
        self.queue.start()

    def sent(self, *recipients: str, notify: str = "", by: str = "", release: float = 0.0) -> Message:
        """
        Accept a message now, with a queue id of now.
        """
        message = self.mail(0, *recipients, notify=notify, by=by)
        message = attrs.evolve(message, queue_id=queue_id_at(self.clock.seconds() - 5))
        deliveries = deliveries_of(message, release)
        self.spool.put(message, deliveries)
        self.queue.fresh(message, deliveries)
        return message

    def down(self, domain: str = "x.example") -> None:
        self.agent.script[domain] = [(DOWN,)] * 100

    def told(self) -> list[tuple[Action, str]]:
        return [(notice.action, notice.state.address.text) for _, notices in self.reports for notice in notices]

    def test_the_sender_is_told_once(self) -> None:
        """
        After the time that is set, with the reply of the last attempt and until when it is tried, and never again.
        """
        self.down()
        message = self.sent("a@x.example")
        self.pass_time(HOUR - 1, 1.0)
        self.assertEqual(self.reports, [])
        self.pass_time(62, 1.0)
        ((about, (notice,)),) = self.reports
        self.assertEqual((about, notice.action, notice.state.reply), (message, Action.DELAYED, DOWN.reply))
        self.assertEqual(notice.until, START + self.section.message_expiration)
        (queued,) = [event for event in self.events if isinstance(event, ReportQueued)]
        self.assertEqual((queued.message, queued.action), (message, Action.DELAYED))
        self.assertIn(queued.report, [each.message for each in self.events if isinstance(each, MessageReceived)])
        self.assertIn(queued.report.queue_id, [call.message.queue_id for call in self.agent.calls])
        self.pass_time(20 * HOUR, 30.0)
        self.assertEqual(len(self.reports), 1)

    def test_no_attempt_is_needed(self) -> None:
        """
        Mail that has waited all the time, for a site that is left alone, say, counts as any other; it keeps its place
        and its attempts.
        """
        self.queue.attempts.open = False
        self.hold(0, "a@x.example")
        self.pass_time(HOUR + 901, 60.0)
        self.assertEqual(self.told(), [(Action.DELAYED, "a@x.example")])
        self.assertEqual((self.spool.settlements, self.agent.calls), ([], []))

    def test_notify_is_heard(self) -> None:
        """
        Who asked for words on other things only hears nothing of delays (RFC 3461 §4.1), and no message is read for it.
        """
        self.down()
        for notify in ("NEVER", "FAILURE", "SUCCESS,FAILURE", "DELAY", "success,delay"):
            self.sent(f"{notify.lower()}@x.example", notify=notify)
            self.pass_time(10)
        loads = self.spool.calls.count("load")
        self.pass_time(HOUR + 61, 1.0)
        self.assertEqual([address for _, address in self.told()], ["delay@x.example", "success,delay@x.example"])
        self.assertEqual(self.spool.calls.count("load") - loads, 2)
        self.assertEqual(len(self.spool.warned), 5)

    def test_who_is_still_open_is_told(self) -> None:
        """
        Recipients that got the mail, or failed, are not late.
        """
        self.agent.script["x.example"] = [(SENT, GREY)]
        self.sent("a@x.example", "b@x.example")
        self.pass_time(HOUR + 61, 1.0)
        self.assertEqual(self.told(), [(Action.DELAYED, "b@x.example")])

    def test_without_a_report_it_is_noted_all_the_same(self) -> None:
        """
        A null sender, or a report that cannot be made: it is asked for once.
        """
        self.down()
        message = self.sent("a@x.example")
        self.spool.messages[message.queue_id] = attrs.evolve(
            message, envelope=attrs.evolve(message.envelope, reverse_path=None)
        )
        self.pass_time(3 * HOUR, 10.0)
        self.assertEqual(len(self.reports), 1)
        self.assertFalse([event for event in self.events if isinstance(event, ReportQueued)])

    def test_a_report_that_cannot_be_made(self) -> None:
        """
        It is logged as our fault, once, and the mail goes on.
        """
        self.down()
        self.queue.delays._report = lambda message, notices: 1 / 0  # type: ignore[assignment, return-value]
        self.sent("a@x.example")
        self.pass_time(3 * HOUR, 10.0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(self.spool.warned), 1)

    def test_released_late(self) -> None:
        """
        The clock of mail that was to be released later begins then (RFC 4865).
        """
        self.down()
        self.sent("a@x.example", release=START + 5 * HOUR)
        self.pass_time(6 * HOUR - 60, 30.0)
        self.assertEqual(self.reports, [])
        self.pass_time(1000, 10.0)
        self.assertEqual(len(self.reports), 1)

    def test_held_mail_is_not_late(self) -> None:
        """
        Nor is what is frozen, as long as it is; afterwards its clock goes on.
        """
        self.hold(0, "a@x.example", status=Status.HELD, next_attempt=None)
        self.successResultOf(self.queue.freezing.freeze("y.example"))
        self.hold(1, "b@y.example")
        self.pass_time(10 * HOUR, 60.0)
        self.assertEqual(self.reports, [])
        self.down("y.example")
        self.successResultOf(self.queue.freezing.unfreeze("y.example"))
        self.pass_time(HOUR - 60, 30.0)
        self.assertEqual(self.reports, [])
        self.pass_time(1000, 30.0)
        self.assertEqual(self.told(), [(Action.DELAYED, "b@y.example")])

    def test_trouble_with_the_spool(self) -> None:
        """
        What cannot be read or stored now is told in a later round; what is gone is not told of.
        """
        self.down()
        self.spool.faults["delayed"] = [SpoolError("away")]
        self.spool.faults["warn"] = [SpoolError("away"), SpoolError("away")]
        for name in "abc":
            self.sent(f"{name}@x.example")
            self.pass_time(10)
        self.pass_time(HOUR + 30, 1.0)
        self.pass_time(1000, 10.0)
        self.assertEqual(len([event for event in self.events if isinstance(event, ReportQueued)]), 3)
        gone = self.sent("d@x.example")
        del self.spool.messages[gone.queue_id]
        before = len(self.reports)
        self.pass_time(HOUR + 100, 10.0)
        self.assertEqual(len(self.reports), before)
        self.flushLoggedErrors(MessageUnknown)

    def test_a_message_that_cannot_be_told_of(self) -> None:
        """
        One that cannot be read, ever, is logged, and keeps no later one from being told; it is looked at again.
        """
        self.down()
        bad = self.sent("a@x.example")
        self.pass_time(10)
        self.sent("b@x.example")
        load, damaged = self.spool.load, [bad.queue_id]
        self.spool.load = lambda queue_id: (  # type: ignore[method-assign]
            fail(SpoolError("damaged")) if queue_id in damaged else load(queue_id)
        )
        self.pass_time(HOUR + 61, 1.0)
        self.assertEqual(self.told(), [(Action.DELAYED, "b@x.example")])
        damaged.clear()
        self.pass_time(1000, 10.0)
        self.assertEqual(self.told()[1:], [(Action.DELAYED, "a@x.example")])

    def test_a_spool_that_fails_is_not_asked_on_and_on(self) -> None:
        """
        Where many cannot be noted it is not the messages: the round ends, and the next one begins there.
        """
        self.queue.attempts.open = False
        for number in range(200):
            self.hold(number, f"{number}@x.example")
        self.spool.faults["warn"] = [SpoolError("away")] * 60
        self.pass_time(HOUR + 901, 60.0)
        self.assertEqual(len({address for _, address in self.told()}), 200)
        self.assertEqual(self.spool.faults["warn"], [])

    def test_one_report_for_a_message(self) -> None:
        """
        Who wrote to people at many destinations is told of all that are late at once; where one of them has just
        changed, of each by itself, and of none twice.
        """
        self.down("x.example")
        self.down("y.example")
        self.sent("a@x.example", "b@y.example", "c@y.example")
        self.pass_time(HOUR + 61, 1.0)
        ((_, notices),) = self.reports
        self.assertEqual({notice.state.address.local for notice in notices}, set("abc"))
        self.sent("d@x.example", "e@y.example")
        warn = self.spool.warn
        self.spool.warn = lambda late, *report: (  # type: ignore[method-assign]
            succeed(False) if len(late) > 1 else warn(late, *report)
        )
        self.pass_time(HOUR + 61, 1.0)
        queued = [event for event in self.events if isinstance(event, ReportQueued)]
        self.assertEqual(len(queued), 3)
        self.assertEqual(len(self.spool.warned), 4)

    def test_a_clock_that_was_put_back(self) -> None:
        """
        What comes after a clock was put right is told in its time, whatever the clock had said before.
        """
        self.down()
        self.pass_time(2 * HOUR, 60.0)
        self.queue.delays._whole = START + 400 * HOUR
        self.queue.delays._after = (queue_id_at(START + 400 * HOUR), "")
        self.sent("a@x.example")
        self.pass_time(HOUR + 61, 1.0)
        self.assertEqual(self.told(), [(Action.DELAYED, "a@x.example")])

    def test_many_at_once(self) -> None:
        """
        All are told, page by page.
        """
        self.spool.page = 7
        self.queue.attempts.open = False
        for number in range(150):
            self.hold(number, f"{number}@x.example")
        self.pass_time(HOUR + 901, 60.0)
        self.assertEqual(len({address for _, address in self.told()}), 150)

    def test_switched_off(self) -> None:
        """
        Without reports, or with a time of 0, nobody is told and the spool is not asked; a reload turns it on.
        """
        self.down()
        off = attrs.evolve(self.section, dsn=schema.Dsn(delay_after=seconds(0)))
        disabled = attrs.evolve(self.section, dsn=schema.Dsn(enabled=False, delay_after=seconds(HOUR)))
        self.sent("a@x.example")
        for section in (off, disabled):
            self.queue.reconfigure(section)
            self.pass_time(2 * HOUR, 60.0)
        self.assertNotIn("delayed", self.spool.calls)
        self.queue.reconfigure(self.section)
        self.pass_time(61)
        self.assertEqual(len(self.reports), 1)

    def test_a_time_to_deliver_by(self) -> None:
        """
        Mail that goes back at a time (RFC 2852) is tried until then; of what is late by its own time the sender knows.
        """
        self.down()
        self.sent("a@x.example", by=f"{2 * HOUR:.0f};R")
        self.pass_time(10)
        self.sent("b@x.example", by="60;N")
        self.pass_time(HOUR + 100, 1.0)
        untils = [
            notice.until for _, notices in self.reports for notice in notices if notice.state.address.local == "a"
        ]
        self.assertEqual(untils, [START + 2 * HOUR])
        self.assertEqual(self.told().count((Action.DELAYED, "b@x.example")), 1)

    def test_a_restart_tells_nobody_again(self) -> None:
        """
        That the sender was told is stored with the report.
        """
        self.down()
        self.sent("a@x.example")
        self.pass_time(HOUR + 61, 1.0)
        self.stopped()
        self.queue = self.make()
        self.queue.start()
        self.pass_time(HOUR, 10.0)
        self.assertEqual(len(self.reports), 1)
