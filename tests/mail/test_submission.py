"""
Requirements on what submission mends in a header block.
"""

from __future__ import annotations

from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.submission import fix_header

DATE: Final = "Sat, 21 Nov 2026 10:40:00 +0000"
MESSAGE_ID: Final = "<01ARZ3NDEKTSV4RRFFQ69G5FAV@mx.example.org>"
ADDED_DATE: Final = f"Date: {DATE}\r\n".encode()
ADDED_ID: Final = f"Message-ID: {MESSAGE_ID}\r\n".encode()
WHOLE: Final = b"From: a@example.org\r\nDate: now\r\nMessage-ID: <1@example.org>\r\nSubject: x\r\n\tand y\r\n"


def fixed(header: bytes) -> bytes:
    """
    Mend a header block.
    """
    return fix_header(header, date=DATE, message_id=MESSAGE_ID)


class FixTests(SynchronousTestCase):
    """
    Whole header blocks.
    """

    def test_what_is_whole_stays(self) -> None:
        """
        Nothing is done where nothing is to be done; not even a copy is made.
        """
        self.assertIs(fixed(WHOLE), WHOLE)

    def test_missing_fields_are_added(self) -> None:
        """
        Date, Message-ID or both, at the end.
        """
        self.assertEqual(fixed(b"Subject: x\r\n"), b"Subject: x\r\n" + ADDED_DATE + ADDED_ID)
        self.assertEqual(fixed(b"Date: x\r\n"), b"Date: x\r\n" + ADDED_ID)
        self.assertEqual(fixed(b"To: x\r\nMESSAGE-id: x\r\n"), b"To: x\r\nMESSAGE-id: x\r\n" + ADDED_DATE)

    def test_names_are_read_as_the_obsolete_syntax_has_them(self) -> None:
        """
        In any case and with spaces before the colon; an empty field is one, too.
        """
        header = b"dATE \t: x\r\nmessage-ID :\r\n"
        self.assertEqual(fixed(header), header)
        self.assertEqual(fixed(WHOLE + b"BCC\t : x@example.net\r\nbcc:\r\nreturn-Path  :<>\r\n"), WHOLE)

    def test_fields_of_like_names_count_for_nothing(self) -> None:
        """
        Resent-Date is no Date, X-Bcc no Bcc, and what stands in a value or a continuation line is no field.
        """
        header = b"Resent-Date: x\r\nX-Date: x\r\nSubject: Date: x\r\n Message-ID: x\r\nDates: x\r\n"
        self.assertEqual(fixed(header), header + ADDED_DATE + ADDED_ID)
        header = WHOLE + b"X-Bcc: x\r\nBccx: x\r\nBcc x\r\nSubject: x\r\n Bcc: x\r\nX-Return-Path: x\r\n"
        self.assertEqual(fixed(header), header)

    def test_private_fields_are_dropped(self) -> None:
        """
        All of them, first, between and last, with their continuation lines.
        """
        bcc = b"Bcc: a@example.net,\r\n b@example.net,\r\n\t\r\n\tc@example.net\r\n"
        for name in (b"Bcc", b"Resent-Bcc", b"Return-Path"):
            private = bcc.replace(b"Bcc", name)
            self.assertEqual(fixed(private + WHOLE + private + b"To: x\r\n" + private), WHOLE + b"To: x\r\n")

    def test_what_a_bare_line_feed_begins(self) -> None:
        """
        A Bcc that only some readers would see is dropped for all.
        """
        self.assertEqual(fixed(WHOLE + b"Subject: x\nBcc: y\r\nTo: z\r\n"), WHOLE + b"Subject: x\nTo: z\r\n")

    def test_no_final_line_end(self) -> None:
        """
        It is made up where something follows, and only there.
        """
        self.assertEqual(fixed(b"Subject: x"), b"Subject: x\r\n" + ADDED_DATE + ADDED_ID)
        self.assertEqual(fixed(WHOLE[:-2]), WHOLE[:-2])
        self.assertEqual(fixed(WHOLE + b"Bcc: x"), WHOLE)
        self.assertEqual(fixed(b"Bcc: x"), ADDED_DATE + ADDED_ID)

    def test_empty_block(self) -> None:
        """
        A message without any field gets these two.
        """
        self.assertEqual(fixed(b""), ADDED_DATE + ADDED_ID)

    def test_garbage_stays(self) -> None:
        """
        What is no field is not ours to mend.
        """
        for garbage in (b" continues nothing\r\n", b"no field\r\n", b":\r\n", b"\xff\x00\r\n", b"From me today\r\n"):
            self.assertEqual(fixed(garbage), garbage + ADDED_DATE + ADDED_ID)


NAMES: Final = (b"Date", b"Message-ID", b"Bcc", b"Resent-Bcc", b"Return-Path", b"Subject", b"X-Bcc", b"bCC", b"DATE")
FIELDS: Final = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.sampled_from([b":", b" :", b"\t \t:"]),
        st.lists(st.binary(max_size=20).map(lambda text: text.translate(None, b"\r\n")), min_size=1, max_size=3),
    ),
    max_size=8,
)


class AnyHeaderTests(SynchronousTestCase):
    """
    Made-up header blocks.
    """

    @settings(max_examples=200, deadline=None)
    @given(FIELDS)
    def test_fields(self, fields: list[tuple[bytes, bytes, list[bytes]]]) -> None:
        """
        Each private field is dropped, each other stays in its place, each missing one is added once.
        """
        written = [(name.lower(), name + colon + b"\r\n ".join(lines) + b"\r\n") for name, colon, lines in fields]
        kept = [(name, text) for name, text in written if name not in (b"bcc", b"resent-bcc", b"return-path")]
        names = [name for name, _ in kept]
        expected = b"".join(text for _, text in kept)
        expected += b"" if b"date" in names else ADDED_DATE
        expected += b"" if b"message-id" in names else ADDED_ID
        self.assertEqual(fixed(b"".join(text for _, text in written)), expected)

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.sampled_from([b"Bcc", b"Date", b":", b" ", b"\r", b"\n", b"\r\n", b"x", b"\xff"]), max_size=30))
    def test_mended_once_is_mended(self, pieces: list[bytes]) -> None:
        """
        Nothing breaks on garbage, and there is nothing left to do.
        """
        once = fixed(b"".join(pieces))
        self.assertEqual(fixed(once), once)
