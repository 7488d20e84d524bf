"""
Reports of failure, read back by the parser of Python's email package.
"""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import cast

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.address import Address
from empath.mail.dsn import Reporting, delivery_report
from empath.mail.envelope import Envelope, Recipient
from empath.mail.message import Message, RecipientState, Status
from empath.mail.notice import Action, Notice
from empath.mail.reply import Reply

REPORTING = Reporting("mx.example.org", "MAILER-DAEMON@mx.example.org", 1000)
QUEUE_ID = "01JD0000000000000000000009"
NOW = 1_700_000_400.0


def address(text: str) -> Address:
    local, _, domain = text.rpartition("@")
    return Address(local, domain, text)


def original(
    header: bytes = b"Message-ID: <one@example.com>\r\nSubject: hi\r\n", body: bytes | None = b"\r\nhello\r\n"
) -> Message:
    recipients = (Recipient(address("bob@example.net")),)
    size = len(header) + len(body or b"")
    envelope = Envelope(address("ann@example.com"), recipients)
    whole = header + (body or b"")
    return Message(
        "01JD0000000000000000000001", 1_700_000_000.0, envelope, header, body, None, size, not whole.isascii()
    )


def failed(
    text: str = "bob@example.net",
    reply: Reply | None = Reply.of("550 5.1.1 no such user"),  # noqa: B008  a frozen value
    host: str = "mx.example.net",
    status: Status = Status.FAILED,
    **parameters: str,
) -> RecipientState:
    return RecipientState(Recipient(address(text), parameters), status, reply, host)


def report_bytes(message: Message, *states: RecipientState, reporting: Reporting = REPORTING) -> bytes:
    notices = tuple(Notice(state, Action.FAILED) for state in states or (failed(),))
    return told_bytes(message, *notices, reporting=reporting)


def told_bytes(message: Message, *notices: Notice, reporting: Reporting = REPORTING) -> bytes:
    header, body = delivery_report(QUEUE_ID, NOW, message, notices, reporting)
    return header + body


def parsed(raw: bytes) -> EmailMessage:
    return message_from_bytes(raw, policy=policy.default)


def parts(raw: bytes) -> list[EmailMessage]:
    return [cast(EmailMessage, part) for part in parsed(raw).iter_parts()]


def status_groups(raw: bytes) -> list[dict[str, str]]:
    groups = cast(list[EmailMessage], parts(raw)[1].get_payload())
    return [{name: " ".join(str(value).split()) for name, value in group.items()} for group in groups]


class HeaderTests(SynchronousTestCase):
    def test_says_what_it_is_and_to_whom(self) -> None:
        """
        A report comes from the mail system, goes to the reverse-path, and is marked as automatic.
        """
        report = parsed(report_bytes(original()))
        self.assertEqual(report.get_content_type(), "multipart/report")
        self.assertEqual(report.get_param("report-type"), "delivery-status")
        self.assertEqual(report["From"], "Mail Delivery System <MAILER-DAEMON@mx.example.org>")
        self.assertEqual(report["To"], "ann@example.com")
        self.assertEqual(report["Auto-Submitted"], "auto-replied")
        self.assertEqual(report["Date"], "Tue, 14 Nov 2023 22:20:00 +0000")
        self.assertEqual(report["Message-ID"], f"<{QUEUE_ID}@mx.example.org>")
        self.assertEqual(report["MIME-Version"], "1.0")
        self.assertFalse(report.defects)

    def test_belongs_to_the_original(self) -> None:
        """
        A reader's program shows the report beside the message that failed.
        """
        report = parsed(report_bytes(original(b"Subject: x\r\nmessage-id:\r\n <one@example.com>\r\n")))
        self.assertEqual(report["In-Reply-To"], "<one@example.com>")
        self.assertEqual(report["References"], "<one@example.com>")

    def test_an_original_without_a_message_id_is_not_referred_to(self) -> None:
        """
        No Message-ID, or one that is none, gives no In-Reply-To.
        """
        for header in (b"Subject: x\r\n", b"Message-ID: <a\x01b>\r\n", b"Message-ID: nothing\r\n", b""):
            self.assertNotIn("In-Reply-To", parsed(report_bytes(original(header))))

    def test_an_address_that_is_not_ascii_is_not_in_the_header(self) -> None:
        """
        The header stays 7-bit: a reverse-path beyond ASCII is told by the envelope alone.
        """
        message = original()
        message = attrs.evolve(
            message, envelope=attrs.evolve(message.envelope, reverse_path=address("jörg@example.com"))
        )
        self.assertEqual(parsed(report_bytes(message))["To"], "undisclosed-recipients:;")
        nobody = attrs.evolve(message, envelope=attrs.evolve(message.envelope, reverse_path=None))
        self.assertEqual(parsed(report_bytes(nobody))["To"], "undisclosed-recipients:;")


class StatusTests(SynchronousTestCase):
    def test_tells_the_fields_of_rfc_3464(self) -> None:
        """
        A failed recipient has all that is known of it, and the peer's reply word by word.
        """
        message, recipient = status_groups(report_bytes(original()))
        self.assertEqual(
            message,
            {
                "Reporting-MTA": "dns; mx.example.org",
                "X-Empath-Queue-ID": "01JD0000000000000000000001",
                "Arrival-Date": "Tue, 14 Nov 2023 22:13:20 +0000",
            },
        )
        self.assertEqual(
            recipient,
            {
                "Final-Recipient": "rfc822; bob@example.net",
                "Action": "failed",
                "Status": "5.1.1",
                "Remote-MTA": "dns; mx.example.net",
                "Diagnostic-Code": "smtp; 550 5.1.1 no such user",
                "Last-Attempt-Date": "Tue, 14 Nov 2023 22:20:00 +0000",
            },
        )

    def test_names_no_peer_where_none_spoke(self) -> None:
        """
        Our own finding is no smtp diagnosis and comes from no remote MTA.
        """
        state = failed(reply=Reply.of("550 5.1.10 null MX"), host="")
        recipient = status_groups(report_bytes(original(), state))[1]
        self.assertNotIn("Remote-MTA", recipient)
        self.assertEqual(recipient["Diagnostic-Code"], "X-Empath; 550 5.1.10 null MX")

    def test_a_recipient_that_expired_failed_too(self) -> None:
        """
        The action is failed; the status is that of the last attempt.
        """
        state = failed(reply=Reply.of("451 4.4.1 no answer"), host="", status=Status.EXPIRED)
        raw = report_bytes(original(), state)
        recipient = status_groups(raw)[1]
        self.assertEqual((recipient["Action"], recipient["Status"]), ("failed", "4.4.1"))
        self.assertIn("as long as is allowed", parts(raw)[0].get_content())

    def test_a_status_is_never_empty(self) -> None:
        """
        Without a reply, or with one that has no enhanced code, there is a general status.
        """
        for reply, status in ((None, "5.0.0"), (Reply.of("554 no"), "5.0.0"), (Reply.of("250 2.0.0 ok"), "5.0.0")):
            self.assertEqual(status_groups(report_bytes(original(), failed(reply=reply)))[1]["Status"], status)

    def test_each_recipient_has_its_group(self) -> None:
        """
        One report tells of several recipients.
        """
        groups = status_groups(report_bytes(original(), failed("a@example.net"), failed("b@example.net")))
        self.assertEqual(
            [group["Final-Recipient"] for group in groups[1:]], ["rfc822; a@example.net", "rfc822; b@example.net"]
        )

    def test_gives_back_what_the_sender_gave(self) -> None:
        """
        ENVID and ORCPT come back decoded from xtext (RFC 3461 §4.2, §4.4).
        """
        message = original()
        message = attrs.evolve(message, envelope=attrs.evolve(message.envelope, parameters={"ENVID": "a+2Bb"}))
        groups = status_groups(report_bytes(message, failed(ORCPT="rfc822;bob+2Bx@example.com")))
        self.assertEqual(groups[0]["Original-Envelope-Id"], "a+b")
        self.assertEqual(groups[1]["Original-Recipient"], "rfc822; bob+x@example.com")
        self.assertNotIn("Original-Recipient", status_groups(report_bytes(message, failed(ORCPT="junk")))[1])

    def test_an_address_beyond_ascii_is_escaped(self) -> None:
        """
        RFC 6533 §3: the address type utf-8 in a 7-bit report.
        """
        raw = report_bytes(original(), failed('"j=ö r"@example.net'))
        self.assertEqual(status_groups(raw)[1]["Final-Recipient"], 'utf-8; "j\\x{3D}\\x{F6}\\x{20}r"@example.net')
        self.assertIn('<"j=ö r"@example.net>', parts(raw)[0].get_content())
        self.assertTrue(raw.isascii())

    def test_a_long_reply_is_folded(self) -> None:
        """
        No line of the report is longer than 998 bytes, whatever the peer said.
        """
        for text in ("550 " + "word " * 500, "550 " + "x" * 3000):
            raw = report_bytes(original(), failed(reply=Reply.of(text)))
            self.assertLessEqual(max(map(len, raw.split(b"\r\n"))), 998)
            said = status_groups(raw)[1]["Diagnostic-Code"].replace(" ", "")
            self.assertEqual(said, "smtp;" + text.replace(" ", ""))


class ReturnedTests(SynchronousTestCase):
    def test_a_small_original_is_returned_whole(self) -> None:
        """
        The third part is the message byte by byte.
        """
        raw = report_bytes(original())
        self.assertEqual(parts(raw)[2].get_content_type(), "message/rfc822")
        self.assertIn(b"\r\n\r\nMessage-ID: <one@example.com>\r\nSubject: hi\r\n\r\nhello\r\n\r\n--", raw)

    def test_a_large_original_is_returned_as_headers(self) -> None:
        """
        Over max_returned, or with the body in a file, or with RET=HDRS, only the header block comes back.
        """
        asked = original()
        asked = attrs.evolve(asked, envelope=attrs.evolve(asked.envelope, parameters={"RET": "HDRS"}))
        for message in (original(body=b"\r\n" + b"x" * 1000), original(body=None), asked):
            part = parts(report_bytes(message))[2]
            self.assertEqual(part.get_content_type(), "text/rfc822-headers")
            self.assertEqual(part.get_payload(), "Message-ID: <one@example.com>\r\nSubject: hi\r\n")

    def test_a_large_header_block_is_cut_at_a_line(self) -> None:
        """
        No more than max_returned bytes of the original come back.
        """
        header = b"X-Long: 0123456789\r\n" * 100
        part = parts(report_bytes(original(header, None)))[2]
        self.assertEqual(part.get_payload(), "X-Long: 0123456789\r\n" * 50)
        small = attrs.evolve(REPORTING, max_returned=10)
        self.assertEqual(parts(report_bytes(original(header, None), reporting=small))[2].get_payload(), "")

    def test_is_eight_bit_only_with_an_eight_bit_original(self) -> None:
        """
        A whole message cannot be encoded again, so the report says 8bit; a header block is encoded.
        """
        whole = report_bytes(original(body="\r\njörg\r\n".encode()))
        self.assertEqual(parsed(whole)["Content-Transfer-Encoding"], "8bit")
        self.assertEqual(parts(whole)[2]["Content-Transfer-Encoding"], "8bit")
        headers = report_bytes(original("Subject: jörg\r\n".encode(), None))
        self.assertTrue(headers.isascii())
        self.assertNotIn("Content-Transfer-Encoding", parsed(headers))
        payload = parts(headers)[2].get_payload(decode=True)
        self.assertEqual(payload, "Subject: jörg\r\n".encode())

    def test_what_cannot_become_seven_bit_is_not_returned_whole(self) -> None:
        """
        A host without 8BITMIME would get no report at all: what was signed must not be encoded.
        """
        header = b'MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary="b"\r\n'
        body = "\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\njörg\r\n--b--\r\n".encode()
        report = report_bytes(original(header, body))
        self.assertTrue(report.isascii())
        self.assertEqual(parts(report)[2].get_content_type(), "text/rfc822-headers")

    def test_the_boundary_occurs_in_no_part(self) -> None:
        """
        Not even where the original foresaw it.
        """
        first = parsed(report_bytes(original())).get_boundary()
        assert first is not None
        raw = report_bytes(original(body=f"\r\n--{first}--\r\n".encode()))
        self.assertNotEqual(parsed(raw).get_boundary(), first)
        self.assertEqual(len(parts(raw)), 3)


class TextTests(SynchronousTestCase):
    def test_tells_a_person_what_happened(self) -> None:
        """
        The first part names the recipient, quotes the peer and says what to do.
        """
        text = parts(report_bytes(original()))[0].get_content()
        self.assertIn("<bob@example.net>\r\n    mx.example.net said: 550 5.1.1 no such user\r\n", text)
        self.assertIn("What to do: Check the address", text)
        self.assertIn("01JD0000000000000000000001", text)

    def test_advice_falls_back_from_detail_to_subject_to_none(self) -> None:
        """
        Every status has some advice, and what has no reply is not spoken about.
        """
        for reply, words in (
            (Reply.of("550 5.4.6 loop"), "could not be reached"),
            (Reply.of("550 5.9.9 odd"), "another way"),
            (None, "no reply is known"),
        ):
            self.assertIn(
                words, " ".join(parts(report_bytes(original(), failed(reply=reply, host="")))[0].get_content().split())
            )


def told(
    action: Action, text: str = "bob@example.net", said: str = "250 2.1.5 ok", host: str = "mx.example.net"
) -> Notice:
    status = Status.RETRY if action is Action.DELAYED else Status.COMPLETED
    until = NOW + 3600 if action is Action.DELAYED else None
    return Notice(RecipientState(Recipient(address(text)), status, Reply.of(said), host), action, until)


class ActionTests(SynchronousTestCase):
    def test_what_was_released_later(self) -> None:
        """
        The report repeats the request (RFC 4865 §5.1.2).
        """
        for keyword, value, said in (
            ("HOLDFOR", "300", "for;300"),
            ("HOLDUNTIL", "2026-01-01T00:00:00Z", "until;2026-01-01T00:00:00Z"),
        ):
            message = original()
            message = attrs.evolve(message, envelope=attrs.evolve(message.envelope, parameters={keyword: value}))
            whole = status_groups(report_bytes(message, failed()))[0]
            self.assertEqual((whole["Future-Release-Request"], "Arrival-Date" in whole), (said, True))

    def test_what_is_late(self) -> None:
        """
        Action delayed, status 4.4.7 by the time that its sender had set, and until when it is tried (RFC 3464 §2.3.9,
        RFC 2852 §5).
        """
        message = original()
        message = attrs.evolve(message, envelope=attrs.evolve(message.envelope, parameters={"BY": "120;N"}))
        notice = told(Action.DELAYED, said="450 4.7.1 greylisted")
        notice = attrs.evolve(notice, state=attrs.evolve(notice.state, late=True))
        raw = told_bytes(message, notice)
        whole, group = status_groups(raw)
        self.assertEqual(whole["Deliver-By-Date"], "Tue, 14 Nov 2023 22:15:20 +0000")
        self.assertEqual((group["Action"], group["Status"]), ("delayed", "4.4.7"))
        self.assertEqual(group["Will-Retry-Until"], "Tue, 14 Nov 2023 23:20:00 +0000")
        self.assertEqual(group["Diagnostic-Code"], "smtp; 450 4.7.1 greylisted")
        text = " ".join(parts(raw)[0].get_content().split())
        self.assertIn("it is tried until Tue, 14 Nov 2023 23:20:00 +0000", text)
        self.assertIn("At the last attempt, mx.example.net said: 450 4.7.1 greylisted", text)
        self.assertEqual(parsed(raw)["Subject"], "Delayed mail, still being retried")

    def test_what_went_well(self) -> None:
        """
        A status of class 2 whatever was said, a subject and words of its own, and no advice.
        """
        for action, said, status, subject, words in (
            (Action.RELAYED, "250 2.1.5 ok", "2.1.5", "Mail relayed", "passed on"),
            (Action.DELIVERED, "250 ok", "2.0.0", "Mail delivered", "delivered to the mailboxes"),
            (Action.DELIVERED, "450 odd", "2.0.0", "Mail delivered", "delivered to the mailboxes"),
        ):
            raw = told_bytes(original(), told(action, said=said))
            group = status_groups(raw)[1]
            self.assertEqual((group["Action"], group["Status"]), (action.value, status))
            self.assertEqual(parsed(raw)["Subject"], subject)
            text = " ".join(parts(raw)[0].get_content().split())
            self.assertIn(words, text)
            self.assertNotIn("What to do", text)
        local = parts(told_bytes(original(), told(Action.DELIVERED, host="")))[0].get_content()
        self.assertIn("    The reply: 250 2.1.5 ok", local)

    def test_content_is_returned_with_failures_only(self) -> None:
        """
        RFC 3461 §6.2: else the header block, whatever RET says.
        """
        message = original()
        message = attrs.evolve(message, envelope=attrs.evolve(message.envelope, parameters={"RET": "FULL"}))
        for action in (Action.DELAYED, Action.RELAYED, Action.DELIVERED):
            raw = told_bytes(message, told(action))
            self.assertEqual(parts(raw)[2].get_content_type(), "text/rfc822-headers")
            self.assertIn("and then the header of your message", " ".join(parts(raw)[0].get_content().split()))
        raw = told_bytes(message, told(Action.RELAYED), Notice(failed(), Action.FAILED))
        self.assertEqual(parts(raw)[2].get_content_type(), "message/rfc822")

    def test_several_in_one_report(self) -> None:
        """
        Each recipient has its group, the worst come first in words, and a failure is in the subject.
        """
        mixed = (told(Action.DELIVERED, "a@example.net"), told(Action.DELAYED, "b@example.net", "450 later"))
        raw = told_bytes(original(), *mixed)
        self.assertEqual(parsed(raw)["Subject"], "Delivery status of your mail")
        self.assertEqual([group["Action"] for group in status_groups(raw)[1:]], ["delivered", "delayed"])
        text = parts(raw)[0].get_content()
        self.assertLess(text.index("b@example.net"), text.index("a@example.net"))
        raw = told_bytes(original(), *mixed, Notice(failed(), Action.FAILED))
        self.assertEqual(parsed(raw)["Subject"], "Undelivered mail returned to sender")

    def test_a_crowd_of_recipients(self) -> None:
        """
        Programs hear of each, but of all replies together no more than is bearable; people of so many that they can
        read it. A receiver that is verbose to a thousand makes no report that nobody takes, or that holds up all else.
        """
        said = Reply.heard(550, ["5.1.1 " + "word " * 190 + "end"])
        states = tuple(failed(f"n{number}@example.net", said) for number in range(1000))
        notices = tuple(Notice(state, Action.FAILED) for state in states)
        content = b"".join(delivery_report(QUEUE_ID, NOW, original(), notices, REPORTING))
        words = parts(content)[0].get_content()
        self.assertIn("<n49@example.net>", words)
        self.assertNotIn("<n50@example.net>", words)
        self.assertIn("And 950 more", words)
        groups = status_groups(content)
        self.assertEqual(len(groups), 1001)
        self.assertIn("550 5.1.1 word word", groups[1000]["Diagnostic-Code"])
        self.assertLess(len(content), 700_000)
        one = b"".join(delivery_report(QUEUE_ID, NOW, original(), notices[:1], REPORTING))
        self.assertIn(b"word end\r\n", one)

    def test_when_it_was_tried(self) -> None:
        """
        That what only waits was tried when it was reported of is not claimed.
        """
        for late in (False, True):
            state = attrs.evolve(failed(status=Status.RETRY), late=late)
            notices = (Notice(state, Action.DELAYED, NOW + 60),)
            content = b"".join(delivery_report(QUEUE_ID, NOW, original(), notices, REPORTING))
            self.assertEqual(b"Last-Attempt-Date:" in content, late)
            self.assertIn(b"Will-Retry-Until:", content)

    def test_binary_content_is_not_returned(self) -> None:
        """
        No report can carry it; of its header block neither a CR that stands alone comes back.
        """
        message = original(b"Subject: a\rb\r\nX: y\r\n", b"\r\n\0\n")
        message = attrs.evolve(message, envelope=attrs.evolve(message.envelope, parameters={"BODY": "BINARYMIME"}))
        raw = report_bytes(message)
        self.assertEqual(parts(raw)[2].get_content_type(), "text/rfc822-headers")
        self.assertEqual(parts(raw)[2].get_payload(decode=True), b"Subject: a?b\r\nX: y\r\n")
        self.assertNotIn(b"\0", raw)


class Utf8Tests(SynchronousTestCase):
    """
    RFC 6533.
    """

    def message(
        self, header: bytes = b"Subject: x\r\n", sender: str = "jörg@example.com", **parameters: str
    ) -> Message:
        made = original(header)
        envelope = attrs.evolve(made.envelope, reverse_path=address(sender), parameters={"SMTPUTF8": "", **parameters})
        return attrs.evolve(made, envelope=envelope)

    def test_its_form(self) -> None:
        """
        Types and addresses are those of UTF-8, and Python's parser reads them.
        """
        raw = report_bytes(self.message("Subject: grüße\r\n".encode()), failed("bücher@example.net"))
        report = parsed(raw)
        self.assertEqual(report.get_param("report-type"), "global-delivery-status")
        self.assertEqual(report["To"], "jörg@example.com")
        self.assertEqual(report["Content-Transfer-Encoding"], "8bit")
        self.assertFalse(report.defects)
        kinds = [part.get_content_type() for part in parts(raw)]
        self.assertEqual(kinds, ["text/plain", "message/global-delivery-status", "message/global"])
        self.assertIn("\r\nFinal-Recipient: utf-8; bücher@example.net\r\n".encode(), raw)
        self.assertIn("\r\n\r\nSubject: grüße\r\n\r\nhello\r\n".encode(), raw)
        self.assertIn("<bücher@example.net>", parts(raw)[0].get_content())

    def test_headers_alone_are_returned_as_they_are(self) -> None:
        """
        As message/global-headers.
        """
        raw = report_bytes(self.message("Subject: grüße\r\n".encode(), RET="HDRS"))
        self.assertEqual(parts(raw)[2].get_content_type(), "message/global-headers")
        self.assertIn("\r\n\r\nSubject: grüße\r\n".encode(), raw)

    def test_what_is_ascii_is_reported_in_ascii(self) -> None:
        """
        Though the sender asked for SMTPUTF8; one cause is enough for the other form.
        """
        self.assertNotIn(b"global", report_bytes(self.message(sender="ann@example.com")))
        for message, state in (
            (self.message(), failed()),
            (self.message(sender="ann@example.com"), failed("bücher@example.net")),
            (self.message("Subject: ü\r\n".encode(), "ann@example.com"), failed()),
        ):
            self.assertIn(b"report-type=global-delivery-status", report_bytes(message, state))

    def test_the_original_recipient(self) -> None:
        """
        Is read from its escaped form, and written so where the report is in ASCII.
        """
        state = failed(ORCPT="utf-8;b\\x{FC}cher\\x{110000}@example.net")
        self.assertIn(
            "\r\nOriginal-Recipient: utf-8; bücher?@example.net\r\n".encode(), report_bytes(self.message(), state)
        )
        group = status_groups(report_bytes(original(), state))[1]
        self.assertEqual(group["Original-Recipient"], "utf-8; b\\x{FC}cher?@example.net")

    def test_no_line_is_too_long(self) -> None:
        """
        Octets count, not characters.
        """
        state = failed("ü" * 2000 + "@example.net", Reply.heard(550, ["ü" * 3000 + " word"]))
        raw = report_bytes(self.message(), state)
        self.assertLessEqual(max(map(len, raw.split(b"\r\n"))), 998)
        said = raw.decode().partition("Diagnostic-Code:")[2].partition("Last-Attempt-Date")[0]
        self.assertEqual((said.count("ü"), "?" in said), (3000, False))


TEXT = st.text(min_size=1, max_size=60)
LOCAL = st.one_of(TEXT, st.text(st.characters(codec="ascii"), min_size=1, max_size=400))


class AnyInputTests(SynchronousTestCase):
    @settings(max_examples=150, deadline=None)
    @given(
        LOCAL,
        LOCAL,
        TEXT,
        st.integers(200, 599),
        st.lists(TEXT, max_size=4),
        st.binary(max_size=200),
        st.sampled_from(Action),
        st.booleans(),
    )
    def test_odd_addresses_and_replies_make_a_sound_report(
        self, sender: str, local: str, host: str, code: int, lines: list[str], junk: bytes, action: Action, asked: bool
    ) -> None:
        """
        Whatever peers say, a report has three parts, a 7-bit header unless the sender asked for SMTPUTF8, and lines
        ended by CRLF that are not too long.
        """
        junk = junk.replace(b"\r", b"").replace(b"\n", b"\r\n")
        message = original(b"Subject: x\r\n", b"\r\n" + junk)
        parameters = {"SMTPUTF8": ""} if asked else {}
        envelope = attrs.evolve(message.envelope, reverse_path=address(f"{sender}@example.com"), parameters=parameters)
        message = attrs.evolve(message, envelope=envelope)
        state = failed(f"{local}@example.net", Reply.heard(code, lines), host, ORCPT=f"utf-8;{local}")
        header, body = delivery_report(QUEUE_ID, NOW, message, (Notice(state, action),), REPORTING)
        utf8 = asked and not (sender.isascii() and local.isascii())
        raw = header + body
        whole = action is Action.FAILED
        if not utf8:
            self.assertTrue(header.isascii())
            self.assertTrue(raw.isascii() or (whole and not junk.isascii()))
        self.assertEqual(raw.count(b"\n"), raw.count(b"\r\n"))
        self.assertEqual(raw.count(b"\r"), raw.count(b"\r\n"))
        self.assertLessEqual(max(map(len, raw.split(b"\r\n"))), 998)
        payload = cast(list[EmailMessage], message_from_bytes(raw).get_payload())
        kinds = ("message/global", "message/global-headers") if utf8 else ("message/rfc822", "text/rfc822-headers")
        status = f"message/{'global-' if utf8 else ''}delivery-status"
        self.assertEqual(
            [part.get_content_type() for part in payload], ["text/plain", status, kinds[0] if whole else kinds[1]]
        )
        if not utf8:
            self.assertEqual(len(payload[1].get_payload()), 2)

    def test_no_chance_is_needed(self) -> None:
        """
        The same report is the same bytes.
        """
        self.assertEqual(report_bytes(original()), report_bytes(original()))
