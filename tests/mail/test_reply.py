"""
Replies, ours and the peer's.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.reply import Reply


class OwnReplyTests(SynchronousTestCase):
    """
    A reply of our own making is right or is not made.
    """

    def test_spelled_and_read(self) -> None:
        """
        `of` reads what `str` and `encode` spell.
        """
        for text in ("250 2.0.0 Ok: queued", "354 go on", "550 5.7.1 not here", "421 4.3.2", "220 mx ESMTP"):
            reply = Reply.of(text)
            self.assertEqual(str(reply), text)
            self.assertEqual(reply.encode().rstrip(), text.encode())

    def test_many_lines(self) -> None:
        """
        Every line carries code and enhanced code, the last one a space (RFC 2034 §4).
        """
        reply = Reply(550, "5.7.1", ("one", "two"))
        self.assertEqual(reply.encode(), b"550-5.7.1 one\r\n550 5.7.1 two\r\n")
        self.assertEqual(Reply(250, None, ("a", "b")).encode(), b"250-a\r\n250 b\r\n")
        self.assertEqual(str(reply), "550 5.7.1 one two")

    def test_a_line_that_is_too_long_goes_on_in_the_next(self) -> None:
        """
        At 512 octets with its end (RFC 5321 §4.5.3.1.5), between words if there are any, never within a character.
        """
        for text in ("x" * 2000, "word " * 300 + "end", "ä" * 1000, "x" + "ä" * 1000, "x " + "y" * 600):
            reply = Reply.of(f"550 5.7.1 {text}")
            *first, last = reply.encode().decode().removesuffix("\r\n").split("\r\n")
            lines = [line.removeprefix("550-5.7.1 ") for line in first] + [last.removeprefix("550 5.7.1 ")]
            self.assertEqual("".join(lines).replace(" ", ""), text.replace(" ", ""))
            self.assertTrue(all(len(line.encode()) + 2 <= 512 for line in [*first, last]))
            self.assertFalse(any("word" in line and not line.strip().endswith("word") for line in first))
        two = Reply(550, None, ("short", "x" * 600)).encode().split(b"\r\n")
        self.assertEqual([line[:5] for line in two], [b"550-s", b"550-x", b"550 x", b""])
        exact = Reply.of("550 " + "x" * 506).encode()
        self.assertEqual((len(exact), exact.count(b"\r\n")), (512, 1))

    def test_disagreeing_codes(self) -> None:
        """
        A class of the enhanced code that contradicts the code is refused.
        """
        for code, enhanced in ((250, "5.0.0"), (354, "2.0.0"), (550, "5.7"), (199, None), (600, None)):
            with self.assertRaises(ValueError):
                Reply(code, enhanced, ("x",))

    def test_unsafe_text(self) -> None:
        """
        Text that could forge another reply line is refused, and so is none at all.
        """
        for lines in (("a\r\nb",), ("\x00",), ()):
            with self.assertRaises(ValueError):
                Reply(250, None, lines)

    def test_no_reply(self) -> None:
        """
        What does not begin with three digits is no reply.
        """
        for text in ("", "25", "abc x", "２５０ x", "2500 x"):
            with self.assertRaises(ValueError):
                Reply.of(text)

    def test_what_is_no_text_is_no_reply(self) -> None:
        """
        The error shows how a reply is written.
        """
        for given_ in (550, b"550 no", None):
            with self.assertRaisesRegex(TypeError, "550 5.7.1 not here"):
                Reply.of(given_)  # type: ignore[arg-type]

    def test_class(self) -> None:
        """
        The class of the code tells what to do next.
        """
        self.assertTrue(Reply.of("354 go").positive)
        self.assertFalse(Reply.of("450 4.0.0 no").positive)
        self.assertTrue(Reply.of("450 4.0.0 no").transient)
        self.assertFalse(Reply.of("550 5.0.0 no").transient)
        self.assertFalse(Reply.of("250 2.0.0 ok").transient)

    def test_status_never_empty(self) -> None:
        """
        Where no enhanced code was given the general one of the class stands in.
        """
        given_and_shown = {
            "250 ok": "2.0.0",
            "354 go": "2.0.0",
            "450 x": "4.0.0",
            "550 x": "5.0.0",
            "550 5.1.1 x": "5.1.1",
        }
        for text, status in given_and_shown.items():
            self.assertEqual(Reply.of(text).status, status)


class HeardReplyTests(SynchronousTestCase):
    """
    What a peer says is taken as it is, made harmless.
    """

    def test_enhanced_code(self) -> None:
        """
        An enhanced code that agrees is taken out of every line.
        """
        reply = Reply.heard(550, ["5.1.1 no such", "5.1.1 user", "here"])
        self.assertEqual((reply.enhanced, reply.lines), ("5.1.1", ("no such", "user", "here")))

    def test_contradicting_code(self) -> None:
        """
        One that contradicts is text.
        """
        reply = Reply.heard(450, ["5.1.1 no"])
        self.assertEqual((reply.enhanced, reply.lines), (None, ("5.1.1 no",)))

    def test_nothing_said(self) -> None:
        """
        A bare code has one empty line.
        """
        self.assertEqual(Reply.heard(250, []).lines, ("",))

    @given(st.integers(200, 599), st.lists(st.text(max_size=40), max_size=4))
    def test_never_raises(self, code: int, lines: list[str]) -> None:
        """
        No text of a peer makes an exception, or a reply that could not be sent on.
        """
        self.assertTrue(Reply.heard(code, lines).encode().endswith(b"\r\n"))
