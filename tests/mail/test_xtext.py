"""
Requirements on xtext (RFC 3461 §4).
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.xtext import decode_xtext, encode_xtext, is_xtext, original_recipient


class XtextTests(SynchronousTestCase):
    """
    Printable ASCII without "+" and "=", and hexadecimal pairs.
    """

    def test_what_it_is(self) -> None:
        """
        Pairs are in upper case; spaces, "=", control characters and what is not ASCII need them.
        """
        for text in ("", "abc", "!-~", "user+2Bx+40example.org", "+00", "a<b>", "+2B2b"):
            self.assertTrue(is_xtext(text), text)
        for text in ("+", "a+", "+2", "+2b", "+GG", "a b", "a=b", "a\r\nb", "a\n", "\x7f", "\0", "ü", "+2B+"):
            self.assertFalse(is_xtext(text), text)

    def test_writing(self) -> None:
        """
        Only what must be encoded is.
        """
        self.assertEqual(encode_xtext("a+b=c d@example.org\x7f"), "a+2Bb+3Dc+20d@example.org+7F")
        self.assertRaises(ValueError, encode_xtext, "ü")

    def test_reading_what_is_none(self) -> None:
        """
        It stays as it is.
        """
        self.assertEqual(decode_xtext("a+2Bb+2b+ +"), "a+b+2b+ +")
        self.assertEqual(decode_xtext("+2B2B"), "+2B")

    def test_an_original_recipient(self) -> None:
        """
        Is xtext where it is ASCII, else of the type utf-8, with what could be misread escaped (RFC 6533 §3).
        """
        self.assertEqual(original_recipient("a+b@x.example"), "rfc822;a+2Bb@x.example")
        self.assertEqual(original_recipient('"ü =\\"@x.example'), 'utf-8;"ü\\x{20}\\x{3D}\\x{5C}"@x.example')

    @settings(max_examples=100, deadline=None)
    @given(st.text(st.characters(max_codepoint=127)))
    def test_round_trip(self, text: str) -> None:
        """
        What is written is xtext and reads the same.
        """
        self.assertTrue(is_xtext(encode_xtext(text)))
        self.assertEqual(decode_xtext(encode_xtext(text)), text)

    @settings(max_examples=100, deadline=None)
    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """
        Nothing breaks on what a peer may send; nothing that is not in it comes out of xtext but ASCII and Latin-1.
        """
        decode_xtext(text)
        if is_xtext(text):
            self.assertTrue(all(ord(character) < 256 for character in decode_xtext(text)))
