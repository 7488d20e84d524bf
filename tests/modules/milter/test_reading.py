"""
What a milter says, and what it says wrongly.
"""

from __future__ import annotations

import contextlib
import struct

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.modules.builtin.milter.codec import MacroStage, MilterError, offer
from empath.modules.builtin.milter.reading import read_answer, read_options, read_reply
from empath.modules.builtin.milter.said import (
    AddHeader,
    AddRecipient,
    Answer,
    ChangeHeader,
    ChangeSender,
    DeleteRecipient,
    InsertHeader,
    Kind,
    Progress,
    Quarantine,
    ReplaceBody,
)
from tests.modules.milter.fakes import options


class OptionsTests(SynchronousTestCase):
    """
    The answer to our offer.
    """

    def refused(self, content: bytes, name: bytes = b"O") -> None:
        """
        It is an error.
        """
        with self.assertRaises(MilterError):
            read_options(name, content, offer(6))

    def test_versions(self) -> None:
        """
        From 2 to the one offered.
        """
        for version in (2, 3, 4, 6):
            self.assertEqual(read_options(b"O", options(version)[1:], offer(6)).version, version)
        self.refused(options(1)[1:])
        self.refused(options(7)[1:])

    def test_what_was_not_offered(self) -> None:
        """
        Less talk is granted, as the milter will not answer what it says it does not; more changes than were offered are
        an error, and that refused recipients be told is passed over.
        """
        agreed = read_options(b"O", options(6, 0x01, 0xFF000880)[1:], offer(6))
        self.assertEqual((agreed.flags, agreed.actions), (0x80, 1))
        self.assertEqual(read_options(b"O", options(2, 0x01, 0x1000C0)[1:], offer(2)).flags, 0x1000C0)
        self.refused(options(6, 0x200)[1:])

    def test_macros_by_stage(self) -> None:
        """
        Lists of names, divided by blanks or commas; those of stages that we do not know are passed over.
        """
        asked = struct.pack("!I", 0) + b"j {client_addr},_\0" + struct.pack("!I", 2) + b"\0"
        asked += struct.pack("!I", 99) + b"x\0"
        agreed = read_options(b"O", options(macros=asked)[1:], offer(6))
        self.assertEqual(agreed.macros, {MacroStage.CONNECT: ("j", "{client_addr}", "_"), MacroStage.MAIL: ()})

    def test_lists_of_macros_are_bounded(self) -> None:
        """
        Each name counts once, and there is an end to them.
        """
        names = b"i " * 100_000 + b"j\0"
        agreed = read_options(b"O", options(macros=b"\0\0\0\0" + names)[1:], offer(6))
        self.assertEqual(agreed.macros, {MacroStage.CONNECT: ("i", "j")})
        self.refused(options(macros=b"\0\0\0\0" + b" ".join(b"%d" % number for number in range(1001)) + b"\0")[1:])

    def test_no_answer_to_an_offer(self) -> None:
        """
        Another packet, a short one, a list without its end.
        """
        self.refused(options()[1:], b"c")
        self.refused(b"\0\0\0\6")
        self.refused(options(macros=b"\0\0")[1:])
        self.refused(options(macros=b"\0\0\0\0j")[1:])


class ReplyTests(SynchronousTestCase):
    """
    Replies for the client.
    """

    def said(self, content: bytes) -> str:
        """
        Give the reply as it is sent.
        """
        return read_reply(content).encode().decode()

    def test_one_line_and_more(self) -> None:
        """
        With enhanced codes in each line or none; a doubled % is one.
        """
        self.assertEqual(self.said(b"554 5.7.1 100%% spam\0"), "554 5.7.1 100% spam\r\n")
        self.assertEqual(self.said(b"450-4.2.0 one\r\n450 4.2.0 two\r\n\0"), "450-4.2.0 one\r\n450 4.2.0 two\r\n")
        self.assertEqual(self.said(b"550-one\r\n550 two"), "550-5.7.1 one\r\n550 5.7.1 two\r\n")
        self.assertEqual(self.said(b"451"), "451 4.7.1 \r\n")

    def test_an_enhanced_code_is_added_or_mended(self) -> None:
        """
        Ours agrees with the code.
        """
        self.assertEqual(self.said(b"550 no\0"), "550 5.7.1 no\r\n")
        self.assertEqual(self.said(b"450 5.1.1 no\0"), "450 4.7.1 5.1.1 no\r\n")

    def test_endless_replies(self) -> None:
        """
        They are cut.
        """
        lines = b"\r\n".join([b"550-5.7.1 " + b"x" * 100_000] * 200)
        reply = read_reply(lines)
        self.assertEqual((len(reply.lines), {len(line) for line in reply.lines}), (32, {980 - len("550-5.7.1 ")}))

    def test_what_is_no_refusal(self) -> None:
        """
        A refusal is said all the same, for good where the milter began with a 5.
        """
        for said in (b"", b"250 fine\0", b"4", b"450 a\r\n550 b\0", b"450-a\r\nb\0", b"\xff\xff", "4५५ no".encode()):
            self.assertEqual(self.said(said), "451 4.7.1 service unavailable, try again later\r\n")
        self.assertEqual(self.said(b"5xx no\0"), "550 5.7.1 command rejected\r\n")

    @settings(max_examples=150, deadline=None)
    @given(st.binary(max_size=60) | st.text(max_size=40).map(lambda text: f"550 {text}".encode()))
    def test_no_reply_breaks_the_session(self, said: bytes) -> None:
        """
        Whatever comes, each line that is sent is one of a 4yz or 5yz reply.
        """
        for line in read_reply(said).encode().split(b"\r\n")[:-1]:
            self.assertRegex(line, rb"\A[45]\d\d[ -][45]\.\d{1,3}\.\d{1,3} [^\r\n\0]*\Z")


class AnswerTests(SynchronousTestCase):
    """
    Answers and changes.
    """

    def test_answers_without_data(self) -> None:
        """
        Each is its letter; data behind it is an error.
        """
        for kind in set(Kind) - {Kind.REPLY}:
            self.assertEqual(read_answer(kind.value, b""), Answer(kind))
            with self.assertRaises(MilterError):
                read_answer(kind.value, b"x")
        self.assertIsInstance(read_answer(b"p", b""), Progress)
        reply = read_answer(b"y", b"550 5.1.1 no\0")
        assert isinstance(reply, Answer)
        self.assertEqual((reply.kind, str(reply.reply)), (Kind.REPLY, "550 5.1.1 no"))

    def test_changes(self) -> None:
        """
        Each of them; the index 0 of a field that is to change is the first one's, as for Sendmail.
        """
        one = struct.pack("!I", 1)
        for name, content, change in (
            (b"h", b"X-A\0b\0", AddHeader(b"X-A", b"b")),
            (b"i", one + b"X-A\0 b\0", InsertHeader(1, b"X-A", b" b")),
            (b"m", one + b"X-A\0\0", ChangeHeader(1, b"X-A", b"")),
            (b"m", b"\0\0\0\0X-A\0b\0", ChangeHeader(1, b"X-A", b"b")),
            (b"+", b"<a@b.test>\0", AddRecipient(b"<a@b.test>")),
            (b"2", b"<a@b.test>\0NOTIFY=NEVER\0", AddRecipient(b"<a@b.test>", b"NOTIFY=NEVER")),
            (b"2", b"<a@b.test>\0", AddRecipient(b"<a@b.test>")),
            (b"-", b"<a@b.test>\0", DeleteRecipient(b"<a@b.test>")),
            (b"e", b"<>\0", ChangeSender(b"<>")),
            (b"e", b"<>\0SIZE=1\0", ChangeSender(b"<>", b"SIZE=1")),
            (b"b", b"a\0b", ReplaceBody(b"a\0b")),
            (b"q", b"why\0", Quarantine(b"why")),
        ):
            self.assertEqual(read_answer(name, content), change)

    def test_malformed_changes(self) -> None:
        """
        Texts without an end or too many of them, numbers that are short or negative, names that nobody knows.
        """
        for name, content in (
            (b"h", b"X-A\0"),
            (b"h", b"X-A\0b"),
            (b"h", b"X-A\0b\0c\0"),
            (b"i", b"\0\0"),
            (b"m", b"\xff\xff\xff\xffX\0\0"),
            (b"+", b"<a@b>"),
            (b"2", b""),
            (b"2", b"a\0b\0c\0"),
            (b"-", b""),
            (b"e", b"a"),
            (b"l", b""),
            (b"Z", b""),
            (b"O", b""),
        ):
            with self.assertRaises(MilterError):
                read_answer(name, content)

    @settings(max_examples=150, deadline=None)
    @given(st.sampled_from(b"+-24abcdefhiklmpqrstyOZ"), st.binary(max_size=30))
    def test_anything_is_read_or_an_error(self, name: int, content: bytes) -> None:
        """
        No bytes raise anything but MilterError.
        """
        with contextlib.suppress(MilterError):
            read_answer(bytes([name]), content)
