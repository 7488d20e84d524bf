"""
Tests for empath.mail.incoming_report and empath.mail.report_parts.
"""

from __future__ import annotations

from base64 import b64encode

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.address import parse_address
from empath.mail.header import Header
from empath.mail.incoming_report import Bounce, Complaint, Told, read_report
from empath.mail.reply import Reply
from empath.mail.report_parts import LONGEST_PART, Part, fields_of, media_type, parts_of

US = "mx.example.net"
QUEUE_ID = "01J0000000000000000000000A"
TRACE = (
    f"Received: from client.example (client.example [192.0.2.1])\r\n\tby {US} with ESMTP id {QUEUE_ID}\r\n"
    "\tfor <bob@example.org>; Sat, 21 Nov 2026 22:00:00 +0000\r\n"
)

POSTFIX = (
    b"From: MAILER-DAEMON@mail.example.org (Mail Delivery System)\r\n"
    b"Subject: Undelivered Mail Returned to Sender\r\n"
    b"Auto-Submitted: auto-replied\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: multipart/report; report-type=delivery-status;\r\n"
    b'\tboundary="8C1E21.1795000000/mail.example.org"\r\n',
    b"\r\nThis is a MIME-encapsulated message.\r\n\r\n"
    b"--8C1E21.1795000000/mail.example.org\r\n"
    b"Content-Description: Notification\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
    b"I'm sorry to have to inform you that your message could not\r\nbe delivered.\r\n\r\n"
    b"--8C1E21.1795000000/mail.example.org\r\n"
    b"Content-Description: Delivery report\r\nContent-Type: message/delivery-status\r\n\r\n"
    b"Reporting-MTA: dns; mail.example.org\r\nX-Postfix-Queue-ID: 8C1E21\r\n"
    b"Arrival-Date: Sat, 21 Nov 2026 22:00:00 +0000 (UTC)\r\n\r\n"
    b"Final-Recipient: rfc822; robert@example.org\r\nOriginal-Recipient: rfc822;bob@example.org\r\n"
    b"Action: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; inner.example.org\r\n"
    b"Diagnostic-Code: smtp; 550 5.1.1 <robert@example.org>: Recipient address\r\n    rejected: User unknown\r\n\r\n"
    b"--8C1E21.1795000000/mail.example.org\r\n"
    b"Content-Description: Undelivered Message Headers\r\nContent-Type: text/rfc822-headers\r\n\r\n"
    b"Return-Path: <alice@example.net>\r\n" + TRACE.encode() + b"From: alice@example.net\r\nSubject: hello\r\n\r\n"
    b"--8C1E21.1795000000/mail.example.org--\r\n",
)
ARF = (
    b"From: <abusedesk@example.com>\r\nSubject: FW: Earn money\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/report; report-type=feedback-report; boundary="part1"\r\n',
    b"\r\n--part1\r\nContent-Type: text/plain; charset=US-ASCII\r\n\r\nThis is an email abuse report.\r\n\r\n"
    b"--part1\r\nContent-Type: message/feedback-report\r\n\r\n"
    b"Feedback-Type: abuse\r\nUser-Agent: SomeGenerator/1.0\r\nVersion: 1\r\n"
    b"Original-Mail-From: <alice+bob=example.org=AAAAAAAAAA@example.net>\r\n"
    b"Original-Rcpt-To: <bob@example.org>\r\nOriginal-Rcpt-To: nobody\r\n\r\n"
    b"--part1\r\nContent-Type: message/rfc822\r\nContent-Disposition: inline\r\n\r\n"
    b"Return-Path: <alice@example.net>\r\n" + TRACE.encode() + b"Subject: Earn money\r\n\r\nSpam Spam\r\n--part1--\r\n",
)
BOB = parse_address("bob@example.org")


def told(header: bytes, body: bytes) -> tuple[Told, ...]:
    """
    Read a bounce.
    """
    report = read_report(header, body, US)
    assert isinstance(report, Bounce), report
    return report.told


class BounceTests(SynchronousTestCase):
    """
    Reports about delivery.
    """

    def test_postfix(self) -> None:
        """
        A report says of each recipient what became of the mail, what the host said, and which message of ours it was.
        """
        reply = Reply(550, "5.1.1", ("<robert@example.org>: Recipient address    rejected: User unknown",))
        self.assertEqual(read_report(*POSTFIX, US), Bounce((Told("failed", "5.1.1", reply, BOB),), QUEUE_ID))

    def test_anothers_trace(self) -> None:
        """
        The id of another host is not ours.
        """
        report = read_report(*POSTFIX, "mx.example.com")
        assert isinstance(report, Bounce)
        self.assertEqual(report.queue_id, "")

    def test_encoded_and_several(self) -> None:
        """
        Parts may be encoded (RFC 6533 allows it), and tell of several recipients, with all kinds of fields amiss.
        """
        status = (
            b"Reporting-MTA: dns; x\n\n"
            b"Final-Recipient: utf-8; j\xc3\xbcrgen@example.org\nAction: delayed (will retry)\n\n"
            b"Final-Recipient: rfc822; eve+2Bx@example.org\nAction: FAILED\nDiagnostic-Code: smtp; no codes at all\n\n"
            b"Action: failed\nStatus: 5.2.2 (full)\nDiagnostic-Code: smtp; 552 Mailbox full\n\n"
            b"Final-Recipient: rfc822; x@example.org\nAction: relayed\n\n"
            b"Final-Recipient: nonsense\nAction: exploded\nStatus: 5.0.0\n\n"
        )
        body = (
            b"\r\n--b\r\n\r\ntext\r\n--b\r\nContent-Type: message/global-delivery-status\r\n"
            b"Content-Transfer-Encoding: base64\r\n\r\n" + b64encode(status) + b"\r\n--b--\r\n"
        )
        found = told(b"Content-Type: multipart/report; boundary=b\r\n", body)
        self.assertEqual([each.action for each in found], ["delayed", "failed", "failed", "relayed"])
        self.assertEqual([each.status for each in found], ["4.0.0", "5.0.0", "5.2.2", "2.0.0"])
        self.assertEqual(
            [str(each.reply) for each in found],
            ["450 4.0.0", "550 5.0.0 no codes at all", "552 Mailbox full", "250 2.0.0"],
        )
        self.assertEqual(
            [str(each.recipient) for each in found],
            ["jürgen@example.org", "eve+x@example.org", "None", "x@example.org"],
        )

    def test_quoted_printable(self) -> None:
        """
        Lines that were broken by an encoding are whole again.
        """
        body = (
            b"\r\n--b\r\nContent-Type: message/delivery-status\r\nContent-Transfer-Encoding: Quoted-Printable\r\n\r\n"
            b"Reporting-MTA: dns; x\r\n\r\nAction: fail=\r\ned\r\nStatus: 5=2E1.1\r\n\r\n--b--\r\n"
        )
        self.assertEqual(told(b"Content-Type: multipart/report; boundary=b\r\n", body)[0].status, "5.1.1")

    def test_without_recipients(self) -> None:
        """
        A report that tells of nobody is none.
        """
        body = b"\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\n--b--\r\n"
        self.assertIsNone(read_report(b"Content-Type: multipart/report; boundary=b\r\n", body, US))

    def test_exim(self) -> None:
        """
        Exim's older reports name who failed in a field, and why in the text.
        """
        header = b"X-Failed-Recipients: bob@example.org, eve@example.org\r\n"
        header += b"From: Mail Delivery System <Mailer-Daemon@x.example>\r\n"
        body = (
            b"\r\nThis message was created automatically by mail delivery software.\r\n\r\n  bob@example.org\r\n"
            b"    host mx.example.org [192.0.2.9]\r\n    SMTP error from remote mail server after RCPT TO:\r\n"
            b"    550 5.1.1 no such user\r\n"
        )
        first, second = told(header, body)
        self.assertEqual((first.action, first.status, str(first.recipient)), ("failed", "5.1.1", "bob@example.org"))
        self.assertEqual(str(first.reply), "550 5.1.1 no such user")
        self.assertEqual(str(second.recipient), "eve@example.org")

    def test_qmail(self) -> None:
        """
        qmail's reports (QSBMF) are known by how they begin.
        """
        body = (
            b"\r\nHi. This is the qmail-send program at example.org.\r\n"
            b"I'm afraid I wasn't able to deliver your message\r\nto the following addresses.\r\n\r\n"
            b"<bob@example.org>:\r\nSorry, no mailbox here by that name. (#5.1.1)\r\n"
        )
        (only,) = told(b"From: MAILER-DAEMON@example.org\r\n", body)
        self.assertEqual((only.action, only.status, only.recipient), ("failed", "5.1.1", None))
        (bare,) = told(b"From: x@example.org\r\n", b"\r\nHi. This is the mailer. It did not work.\r\n")
        self.assertEqual((bare.status, str(bare.reply)), ("5.0.0", "550 5.0.0"))

    def test_a_daemon_with_a_code(self) -> None:
        """
        What a mail system writes by hand counts if it says with a code that it failed for good.
        """
        header = b"From: <postmaster@example.org>\r\n"
        (only,) = told(header, b"\r\nYour mail failed:\r\n smtp: 554 Message refused\r\n")
        self.assertEqual(str(only.reply), "554 Message refused")
        self.assertIsNone(read_report(header, b"\r\nYour mail is late, 4.4.1 and all that.\r\n", US))

    def test_answers(self) -> None:
        """
        What people, answering machines and mail readers send is no bounce.
        """
        disposition = (
            b"From: postmaster@example.org\r\n"
            b"Content-Type: multipart/report; boundary=b; report-type=disposition-notification\r\n"
        )
        for header, body in (
            (b"From: bob@example.org\r\n", b"\r\nThanks for 5.1.1!\r\n"),
            (disposition, b"\r\n--b\r\n\r\nsmtp: 550 5.1.1 read\r\n--b--\r\n"),
            (b"From: postmaster@example.org\r\nContent-Type: multipart/mixed\r\n", b"\r\n550 5.1.1 no boundary\r\n"),
            (b"From: postmaster@example.org\r\nContent-Type: image/png\r\n", b"\r\n550 5.1.1 no text\r\n"),
        ):
            self.assertIsNone(read_report(header, body, US), header)


class ComplaintTests(SynchronousTestCase):
    """
    Reports about abuse.
    """

    def test_arf(self) -> None:
        """
        A complaint tells its kind, who made it, and what it claims of the message.
        """
        paths = tuple(map(parse_address, ("alice+bob=example.org=AAAAAAAAAA@example.net", "alice@example.net")))
        self.assertEqual(read_report(*ARF, US), Complaint("abuse", "SomeGenerator/1.0", paths, (BOB,), QUEUE_ID))

    def test_less(self) -> None:
        """
        Without the message, and what may be left out, it is one all the same; without what must be there it is none.
        """
        header = b"Content-Type: Multipart/Report; boundary=b\r\n"
        part = b"\r\n--b\r\nContent-Type: message/feedback-report\r\n\r\n"
        self.assertEqual(
            read_report(header, part + b"Feedback-Type: Fraud\r\nVersion: 1\r\n--b--\r\n", US), Complaint("fraud", "")
        )
        for fields in (b"", b"Feedback-Type: abuse\r\n", b"Version: 1\r\n"):
            self.assertIsNone(read_report(header, part + fields + b"\r\n--b--\r\n", US))


class PartTests(SynchronousTestCase):
    """
    The parts of a report.
    """

    def test_types(self) -> None:
        """
        Content-Type is read with quoted values, comments are passed over, and what cannot be read is text.
        """
        media = media_type(Header(b'Content-Type: Text/HTML ; Charset="a\\"b" (x); format=flowed\r\n'))
        self.assertEqual((media.kind, media.parameters), ("text/html", {"charset": 'a"b', "format": "flowed"}))
        self.assertEqual(media_type(Header(b"Content-Type: ;\r\n")).kind, "text/plain")
        self.assertEqual(media_type(Header(b"")).kind, "text/plain")

    def test_a_body_that_is_cut_off(self) -> None:
        """
        Of a message that is longer than what is looked at, the last part is as far as it goes.
        """
        parts = parts_of(
            Header(b"Content-Type: multipart/mixed; boundary=b\r\n"), b"\r\n--b\r\n\r\none\r\n--b\r\nX: y\r\n\r\ntw"
        )
        self.assertEqual(parts, (Part("text/plain", b"one"), Part("text/plain", b"tw")))

    def test_bounds(self) -> None:
        """
        No more than ten parts are read, and none beyond its bound.
        """
        header = Header(b"Content-Type: multipart/mixed; boundary=b\r\n")
        self.assertEqual(len(parts_of(header, b"\n--b\n\nx" * 50)), 10)
        (only,) = parts_of(Header(b""), b"\r\n" + b"x" * (2 * LONGEST_PART))
        self.assertEqual(len(only.content), LONGEST_PART)

    def test_encodings_that_are_none(self) -> None:
        """
        What is no base64 is nothing, and a group of fields that is empty is none.
        """
        header = Header(b"Content-Transfer-Encoding: base64\r\n")
        self.assertEqual(parts_of(header, b"\r\nQUJ\xffD\r\nRA\r\n")[0].content, b"ABCD")
        self.assertEqual(parts_of(header, b"\r\nA===\r\n")[0].content, b"")
        self.assertEqual([bytes(each) for each in fields_of(b"\n\nA: b\n\n\nC: d\n\n  \n")], [b"A: b\n", b"C: d\n"])

    @given(st.binary(max_size=300), st.binary(max_size=600))
    @settings(max_examples=200)
    def test_anything(self, header: bytes, body: bytes) -> None:
        """
        Whatever comes is a report or none, and never trouble.
        """
        read_report(header, body, US)
        read_report(POSTFIX[0] + header, body + POSTFIX[1], US)
        read_report(ARF[0], ARF[1].replace(b"abuse", body), US)
