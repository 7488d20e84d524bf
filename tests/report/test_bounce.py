"""
Bounces: who is told of a failure, and who is not.
"""

from __future__ import annotations

import random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.config import schema
from empath.config.units import Size
from empath.mail.address import Address
from empath.mail.envelope import Envelope, Recipient
from empath.mail.life import LifeEvent, ReportDropped
from empath.mail.message import Message, RecipientState, Status
from empath.mail.queue_id import is_queue_id
from empath.mail.reply import Reply
from empath.report.bounce import Reporter

ANN = Address("ann", "example.com", "ann@example.com")
BOB = Address("bob", "example.net", "bob@example.net")


def message(sender: Address | None = ANN, body: bytes = b"\r\nhello\r\n") -> Message:
    envelope = Envelope(sender, (Recipient(BOB),))
    header = b"Subject: x\r\n"
    return Message(
        "01JD0000000000000000000001", 1.0, envelope, header, body, None, len(header + body), not body.isascii()
    )


def failure(**parameters: str) -> tuple[RecipientState, ...]:
    reply = Reply.of("550 5.1.1 no such user")
    return (RecipientState(Recipient(BOB, parameters), Status.FAILED, reply, "mx.example.net"),)


class ReporterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.events: list[LifeEvent] = []
        self.clock = Clock()
        self.clock.advance(1_700_000_000.0)

    def reporter(self, section: schema.Dsn | None = None) -> Reporter:
        return Reporter(section or schema.Dsn(), "mx.example.org", self.clock, random.Random(1), self.events.append)

    def test_a_report_goes_to_the_sender_from_nobody(self) -> None:
        """
        The report has a null reverse-path, a queue id of its own, and is due at once at the sender's domain.
        """
        made = self.reporter().report_for(message(), failure())
        assert made is not None
        report, deliveries = made
        self.assertIsNone(report.envelope.reverse_path)
        self.assertEqual([r.address for r in report.envelope.recipients], [ANN])
        self.assertTrue(is_queue_id(report.queue_id))
        self.assertEqual(report.size, len(report.header) + len(report.body or b""))
        self.assertFalse(report.eight_bit)
        self.assertEqual(report.envelope.parameters, {})
        [delivery] = deliveries
        self.assertEqual((delivery.domain, delivery.next_attempt), ("example.com", 1_700_000_000.0))
        self.assertIn(b"From: Mail Delivery System <MAILER-DAEMON@mx.example.org>\r\n", report.header)
        self.assertEqual(self.events, [])

    def test_a_null_reverse_path_is_never_answered(self) -> None:
        """
        RFC 5321 §4.5.5: mail that came from nobody, our own reports too, ends with an event.
        """
        dead = message(sender=None)
        self.assertIsNone(self.reporter().report_for(dead, failure()))
        [event] = self.events
        assert isinstance(event, ReportDropped)
        self.assertIs(event.message, dead)

    def test_none_where_reports_are_disabled(self) -> None:
        """
        enabled = false makes no reports.
        """
        self.assertIsNone(self.reporter(schema.Dsn(enabled=False)).report_for(message(), failure()))
        self.assertEqual(self.events, [])

    def test_notify_is_honoured(self) -> None:
        """
        A recipient with NOTIFY that does not name FAILURE is not reported (RFC 3461 §4.1).
        """
        reporter = self.reporter()
        for notify, told in (("NEVER", False), ("SUCCESS,DELAY", False), ("success,failure", True)):
            self.assertIs(reporter.report_for(message(), failure(NOTIFY=notify)) is not None, told)
        made = reporter.report_for(message(), failure(NOTIFY="NEVER") + failure())
        assert made is not None
        assert made[0].body is not None
        self.assertEqual(made[0].body.count(b"Final-Recipient"), 1)

    def test_an_eight_bit_original_makes_an_eight_bit_report(self) -> None:
        """
        The next hop is asked for BODY=8BITMIME only then.
        """
        made = self.reporter().report_for(message(body="\r\njörg\r\n".encode()), failure())
        assert made is not None
        self.assertTrue(made[0].eight_bit)
        self.assertEqual(made[0].envelope.parameters, {"BODY": "8BITMIME"})

    def test_the_section_names_who_reports(self) -> None:
        """
        reporting_mta and postmaster replace what the hostname gives, also while running.
        """
        reporter = self.reporter()
        section = schema.Dsn(reporting_mta="out.example.org", postmaster="postmaster@example.org", max_returned=Size(5))
        reporter.reconfigure(section)
        made = reporter.report_for(message(), failure())
        assert made is not None
        assert made[0].body is not None
        self.assertIn(b"<postmaster@example.org>", made[0].header)
        self.assertIn(b"Reporting-MTA: dns; out.example.org\r\n", made[0].body)
        self.assertIn(b"text/rfc822-headers", made[0].body)
