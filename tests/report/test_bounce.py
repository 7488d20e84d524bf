"""
Bounces: who is told of a failure, and who is not.
"""

from __future__ import annotations

import random

import attrs
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.config import schema
from empath.config.units import Size
from empath.mail.address import Address
from empath.mail.envelope import Envelope, Recipient
from empath.mail.life import LifeEvent, ReportDropped
from empath.mail.message import Message, RecipientState, Status
from empath.mail.notice import Action, Notice
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


def failure(to: Address = BOB) -> tuple[Notice, ...]:
    reply = Reply.of("550 5.1.1 no such user")
    return (Notice(RecipientState(Recipient(to), Status.FAILED, reply, "mx.example.net"), Action.FAILED),)


def success() -> tuple[Notice, ...]:
    reply = Reply.of("250 2.1.5 ok")
    return (Notice(RecipientState(Recipient(BOB), Status.COMPLETED, reply, "mx.example.net"), Action.RELAYED),)


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
        self.assertIn(b"From: Mail Delivery System <postmaster@mx.example.org>\r\n", report.header)
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

    def test_there_is_one_report_for_all(self) -> None:
        """
        Whatever became of the recipients; without any there is none.
        """
        made = self.reporter().report_for(message(), success() + failure())
        assert made is not None
        assert made[0].body is not None
        self.assertEqual(made[0].body.count(b"\r\nFinal-Recipient"), 2)
        self.assertIsNone(self.reporter().report_for(message(), ()))

    def test_nobody_misses_what_went_well(self) -> None:
        """
        Mail from a null reverse-path that arrived is no event.
        """
        self.assertIsNone(self.reporter().report_for(message(sender=None), success()))
        self.assertEqual(self.events, [])

    def test_a_report_is_as_urgent_as_its_subject(self) -> None:
        """
        RFC 6710: also to the next hop.
        """
        made = self.reporter().report_for(attrs.evolve(message(), priority=-3), failure())
        assert made is not None
        report, [delivery] = made
        self.assertEqual((report.priority, delivery.priority), (-3, -3))
        self.assertEqual(report.envelope.parameters, {"MT-PRIORITY": "-3"})

    def test_what_requires_tls_is_reported_so(self) -> None:
        """
        RFC 8689 §5: with REQUIRETLS, and without the body, whatever RET says.
        """
        envelope = Envelope(ANN, (Recipient(BOB),), {"REQUIRETLS": "", "RET": "FULL"})
        made = self.reporter().report_for(attrs.evolve(message(), envelope=envelope), failure())
        assert made is not None
        report, _ = made
        self.assertEqual(report.envelope.parameters, {"REQUIRETLS": ""})
        assert report.body is not None
        self.assertIn(b"Subject: x", report.body)
        self.assertNotIn(b"hello", report.body)

    def test_what_does_without_tls_is_reported_as_any(self) -> None:
        """
        TLS-Required: No was said of that message, not of the report.
        """
        envelope = Envelope(ANN, (Recipient(BOB),), {"TLS-REQUIRED": "No"})
        made = self.reporter().report_for(attrs.evolve(message(), envelope=envelope), failure())
        assert made is not None
        self.assertEqual(made[0].envelope.parameters, {})

    def test_what_needed_smtputf8_is_reported_with_it(self) -> None:
        """
        RFC 6533: about UTF-8 addresses only, and only where the sender asked for SMTPUTF8.
        """
        joerg = Address("jörg", "example.com", "jörg@example.com")
        envelope = Envelope(joerg, (Recipient(BOB),), {"SMTPUTF8": ""})
        made = self.reporter().report_for(attrs.evolve(message(), envelope=envelope), failure())
        assert made is not None
        report, [delivery] = made
        self.assertEqual(report.envelope.parameters, {"BODY": "8BITMIME", "SMTPUTF8": ""})
        self.assertEqual([r.address for r in report.envelope.recipients], [joerg])
        self.assertIn("To: <jörg@example.com>\r\n".encode(), report.header)
        self.assertEqual(delivery.domain, "example.com")
        plain = attrs.evolve(message(), envelope=attrs.evolve(envelope, reverse_path=ANN))
        made = self.reporter().report_for(plain, failure())
        assert made is not None
        self.assertEqual(made[0].envelope.parameters, {})
        made = self.reporter().report_for(plain, failure(joerg))
        assert made is not None
        self.assertIn("SMTPUTF8", made[0].envelope.parameters)

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
