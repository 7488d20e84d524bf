"""
Reports whose human part somebody else wrote.
"""

from __future__ import annotations

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.dsn import delivery_report
from empath.mail.message import Message, Status
from empath.mail.notice import Action, Notice
from empath.mail.reply import Reply
from empath.mail.report_text import LONGEST_SUBJECT, LONGEST_TEXT, Draft, ReportText
from tests.mail.test_dsn import NOW, QUEUE_ID, REPORTING, address, failed, original, parsed, parts

GERMAN = ReportText("Ihre Nachricht kam nicht an.\n\nDas Postfach gibt es nicht: jörg", "Unzustellbar: schön", "de")


def written(text: ReportText | None, message: Message | None = None, local: str = "bob") -> bytes:
    """
    Make a report with these words.
    """
    notices = (Notice(failed(f"{local}@example.net"), Action.FAILED),)
    header, body = delivery_report(QUEUE_ID, NOW, message or original(), notices, REPORTING, lambda draft: text)
    return header + body


class ReportTextTests(SynchronousTestCase):
    """
    Tests for `ReportText` in a report.
    """

    def test_the_words_are_used(self) -> None:
        """
        Text, subject and language are in the report, in ASCII; the parts for programs stay.
        """
        raw = written(GERMAN)
        self.assertTrue(raw.isascii())
        self.assertEqual(parsed(raw)["Subject"], "Unzustellbar: schön")
        text, status, _ = parts(raw)
        self.assertEqual(
            text.get_content().replace("\r\n", "\n"),
            "Ihre Nachricht kam nicht an.\n\nDas Postfach gibt es nicht: jörg\n",
        )
        self.assertEqual((text["Content-Language"], text.get_content_charset()), ("de", "utf-8"))
        self.assertEqual(bytes(status), bytes(parts(written(None))[1]))

    def test_the_draft(self) -> None:
        """
        Who writes is told what the report tells, and what we would write.
        """
        drafts: list[Draft] = []
        notices = (Notice(failed(), Action.FAILED),)
        message = original()
        header, body = delivery_report(QUEUE_ID, NOW, message, notices, REPORTING, lambda draft: drafts.append(draft))
        (draft,) = drafts
        self.assertEqual(
            (draft.message, draft.notices, draft.mta, draft.whole), (message, notices, REPORTING.mta, True)
        )
        self.assertEqual(draft.subject, parsed(header + body)["Subject"])
        self.assertEqual(draft.text, parts(header + body)[0].get_content().replace("\r\n", "\n"))

    def test_ours_stands_in(self) -> None:
        """
        Without a subject ours is there; without words all of ours.
        """
        self.assertEqual(parsed(written(ReportText("Hm.")))["Subject"], "Undelivered mail returned to sender")
        self.assertNotIn("Content-Language", parts(written(ReportText("Hm.")))[0])
        self.assertEqual(written(None), written(None))

    def test_in_a_report_in_utf8(self) -> None:
        """
        The subject is as it is in the form of RFC 6533.
        """
        message = original()
        envelope = attrs.evolve(message.envelope, reverse_path=address("änn@example.com"), parameters={"SMTPUTF8": ""})
        self.assertIn(
            "Subject: Unzustellbar: schön\r\n".encode(), written(GERMAN, attrs.evolve(message, envelope=envelope))
        )

    def test_what_is_no_text(self) -> None:
        """
        Too long, empty, of another type, a tag that is none: ValueError at once, for who writes.
        """
        for wrong in (
            ("",),
            (" \n",),
            ("x" * (LONGEST_TEXT + 1),),
            (b"bytes",),
            ("x", "s" * (LONGEST_SUBJECT + 1)),
            ("x", None),
            ("x", "", "de\r\nBcc: x"),
            ("x", "", "toolongtag"),
        ):
            self.assertRaises(ValueError, ReportText, *wrong)
        ReportText("x", "", "de-AT, en")

    def test_our_own_words_have_no_limit(self) -> None:
        """
        A report on very many recipients is made, however long.
        """
        said = Reply.heard(550, ["word " * 300])
        notices = tuple(Notice(failed(f"{number}@example.net", said), Action.FAILED) for number in range(60))
        header, body = delivery_report(QUEUE_ID, NOW, original(), notices, REPORTING)
        self.assertGreater(len(parts(header + body)[0].get_content()), LONGEST_TEXT)

    def test_what_was_never_tried(self) -> None:
        """
        A delay without any attempt is told as that.
        """
        state = attrs.evolve(failed(reply=None, host=""), status=Status.PENDING)
        header, body = delivery_report(QUEUE_ID, NOW, original(), (Notice(state, Action.DELAYED, NOW + 60),), REPORTING)
        self.assertIn("It could not be tried yet.", parts(header + body)[0].get_content())

    @settings(max_examples=100, deadline=None)
    @given(st.text(max_size=300), st.text(max_size=80))
    def test_nothing_breaks_the_report(self, text: str, subject: str) -> None:
        """
        Whatever is written, the report has its three parts, no line is too long, and nothing gets into the header.
        """
        if not text.strip():
            return
        raw = written(ReportText(text, subject))
        report = parsed(raw)
        self.assertEqual([part.get_content_type() for part in parts(raw)][1], "message/delivery-status")
        self.assertEqual(len(parts(raw)), 3)
        self.assertTrue(raw.isascii())
        self.assertLessEqual(max(map(len, raw.split(b"\r\n"))), 998)
        self.assertNotIn(b"\n", raw.replace(b"\r\n", b""))
        self.assertEqual(set(report.keys()), set(parsed(written(None)).keys()))
