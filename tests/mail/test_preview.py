"""
What people see of a message is text, whatever it is made of.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.encoded import encode_words
from empath.mail.preview import BINARY, LONGEST, MOST_FIELDS, SHOWN, decode_words, fields_of, text_of

PLAIN = b"Subject: x\r\n"


def of_charset(charset: str) -> bytes:
    return f'Content-Type: text/plain;\r\n charset="{charset}"\r\n'.encode()


class FieldTests(SynchronousTestCase):
    """
    The header.
    """

    def test_encoded_words(self) -> None:
        """
        They are read, with no blank between two; what is none stays.
        """
        for value, wanted in (
            ("plain", "plain"),
            ("=?utf-8?q?Gr=C3=BC=C3=9Fe?= an alle", "Grüße an alle"),
            ("=?ISO-8859-1?Q?a_b?= =?utf-8*de?B?w7w=?=", "a bü"),
            ("=?utf-8?B?w7w?=", "ü"),
            ("=?utf-8?b?!?=", "=?utf-8?b?!?="),
            ("=?utf-8?q?=FF?=", "=?utf-8?q?=FF?="),
            ("=?rot13?q?abc?=", "=?rot13?q?abc?="),
            ("=?cp9999?q?abc?=", "=?cp9999?q?abc?="),
            ("=?iso-2022-jp?b?GyRCGyhC?= x", " x"),
        ):
            self.assertEqual(decode_words(value), wanted, value)

    @given(st.text(max_size=80))
    @settings(max_examples=100)
    def test_what_we_write_is_read(self, text: str) -> None:
        """
        Whatever can be written in encoded-words comes back.
        """
        text = text.encode("utf-8", "replace").decode()
        self.assertEqual(decode_words(encode_words(text)) if text else "", text)

    @given(st.binary(max_size=200))
    @settings(max_examples=100)
    def test_anything(self, block: bytes) -> None:
        """
        Nothing is raised, and what is given can be written as UTF-8.
        """
        for each in fields_of(block):
            "".join(each).encode()
        text_of(block, block, False).encode()

    def test_it_is_bounded(self) -> None:
        """
        A header of any size gives no more than so much.
        """
        found = fields_of(b"".join(b"X-%d: %s\r\n" % (number, b"y" * 9000) for number in range(MOST_FIELDS + 50)))
        self.assertEqual(len(found), MOST_FIELDS)
        self.assertEqual(found[0], ("X-0", "y" * LONGEST))


class TextTests(SynchronousTestCase):
    """
    The body.
    """

    def test_the_beginning(self) -> None:
        """
        So many characters, without the empty line, line ends as text has them.
        """
        self.assertEqual(text_of(PLAIN, b"\r\nhello\r\nyou\r\n", True), "hello\nyou\n")
        self.assertEqual(text_of(PLAIN, b"\r\n" + b"x" * 5000, False), "x" * SHOWN)
        self.assertEqual(text_of(PLAIN, b"", True), "")

    def test_charsets(self) -> None:
        """
        The declared one, where it fits, else UTF-8.
        """
        self.assertEqual(text_of(PLAIN, "\r\nGrüße".encode(), True), "Grüße")
        self.assertEqual(text_of(of_charset("iso-8859-1"), "\r\nGrüße".encode("latin-1"), True), "Grüße")
        self.assertEqual(text_of(of_charset("us-ascii"), "\r\nGrüße".encode(), True), "Grüße")
        self.assertEqual(text_of(of_charset("unheard-of"), b"\r\nhello", True), "hello")

    def test_binary(self) -> None:
        """
        What is no text is told to be binary.
        """
        self.assertEqual(text_of(PLAIN, b"\r\na\0b", True), BINARY)
        self.assertEqual(text_of(PLAIN, b"\r\n\xff\xfe\xfd", True), BINARY)
        self.assertEqual(text_of(PLAIN, b"\r\n\xff" + b"x" * 100, False), BINARY)

    def test_half_a_character(self) -> None:
        """
        Where it was cut is no matter.
        """
        body = b"\r\n" + "ü".encode() * 20
        self.assertEqual(text_of(PLAIN, body[:-1], False), "ü" * 19)
        self.assertEqual(text_of(PLAIN, body[:-1], True), BINARY)
