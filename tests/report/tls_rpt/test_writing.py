"""
Reports as they go out.
"""

from __future__ import annotations

import gzip
import json
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.address import Address
from empath.mail.wish import Wish, wishes
from empath.report.tls_rpt.writing import Report, make_mail, make_report
from tests.report.tls_rpt.support import MIDNIGHT, SENDER, SUBMITTER

QUEUE_ID = "01JD0000000000000000000001"
TO = [Address("a", "one.test", "a@one.test"), Address("b", "two.test", "b@two.test")]


def report(domain: str = "one.test") -> Report:
    return make_report(domain, MIDNIGHT, [{"policy": {}}], SUBMITTER)


class ReportTests(SynchronousTestCase):
    def test_content(self) -> None:
        """
        RFC 8460 §4.4, in gzip.
        """
        self.assertEqual(
            json.loads(gzip.decompress(report().content)),
            {
                "organization-name": "Origin Inc.",
                "date-range": {"start-datetime": "2026-11-21T00:00:00Z", "end-datetime": "2026-11-21T23:59:59Z"},
                "contact-info": "postmaster@origin.test",
                "report-id": "1795219200.one.test@origin.test",
                "policies": [{"policy": {}}],
            },
        )

    def test_name(self) -> None:
        """
        RFC 8460 §5.1; the same report is the same, whenever it is made.
        """
        self.assertEqual(report().file_name, "origin.test!one.test!1795219200!1795305599.json.gz")
        self.assertEqual(report().content, report().content)


class MailTests(SynchronousTestCase):
    def parsed(self, domain: str = "one.test") -> EmailMessage:
        """
        Read the mail as Python does.
        """
        made = make_mail(report(domain), TO, QUEUE_ID, MIDNIGHT + 90000)
        whole = made.header + (made.body or b"")
        self.assertEqual(made.size, len(whole))
        self.assertTrue(whole.isascii() and not made.eight_bit)
        self.assertNotIn(b"\n", whole.replace(b"\r\n", b""))
        self.assertLessEqual(max(map(len, whole.split(b"\r\n"))), 998)
        return cast(EmailMessage, message_from_bytes(whole, policy=cast(Any, policy.default)))

    def test_fields(self) -> None:
        """
        RFC 8460 §5.3: what programs look for.
        """
        mail = self.parsed()
        self.assertEqual(mail["From"], "tls-reports@origin.test")
        self.assertEqual(mail["To"], "a@one.test, b@two.test")
        subject = "Report Domain: one.test Submitter: origin.test Report-ID: <1795219200.one.test@origin.test>"
        self.assertEqual(mail["Subject"], subject)
        self.assertEqual((mail["TLS-Report-Domain"], mail["TLS-Report-Submitter"]), ("one.test", "origin.test"))
        self.assertEqual((mail["TLS-Required"], mail["Auto-Submitted"]), ("No", "auto-generated"))
        self.assertEqual(mail["Message-ID"], f"<{QUEUE_ID}@origin.test>")
        self.assertEqual((mail["Date"] or "")[:16], "Sun, 22 Nov 2026")

    def test_parts(self) -> None:
        """
        A line for people, and the report.
        """
        mail = self.parsed()
        self.assertEqual(mail.get_content_type(), "multipart/report")
        self.assertEqual(mail.get_param("report-type"), "tlsrpt")
        text, file = cast("list[EmailMessage]", list(mail.iter_parts()))
        self.assertEqual(text.get_content_type(), "text/plain")
        self.assertIn("one.test on 2026-11-21", text.get_content())
        self.assertEqual(file.get_content_type(), "application/tlsrpt+gzip")
        self.assertEqual(file.get_filename(), report().file_name)
        self.assertEqual(file.get_payload(decode=True), report().content)
        self.assertFalse(mail.defects or text.defects or file.defects)

    def test_long_names(self) -> None:
        """
        The longest domain there is breaks no line.
        """
        domain = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])
        self.assertEqual(self.parsed(domain)["TLS-Report-Domain"], domain)

    def test_envelope(self) -> None:
        """
        From whom the configuration says, to all in one message, and whatever their domains ask of TLS (RFC 8460 §3).
        """
        made = make_mail(report(), TO, QUEUE_ID, MIDNIGHT)
        self.assertEqual(made.envelope.reverse_path, SENDER)
        self.assertEqual([each.address for each in made.envelope.recipients], TO)
        self.assertIs(wishes(made), Wish.OPTIONAL)
