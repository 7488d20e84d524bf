"""
Requirements on the conversion to 7 bits, held against made-up messages and Python's own test messages.
"""

from __future__ import annotations

import importlib.util
import re
import unittest
from pathlib import Path
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.seven_bit import Converter, Encoding, NotConvertible, Survey
from tests.mail.mime_trees import MESSAGES, encoded_lines, structure

BARE: Final = re.compile(rb"(?<!\r)\n|\r(?!\n)")


def converted(*pieces: bytes, surveyed: bool = False) -> bytes:
    """
    Convert a message that comes in pieces.
    """
    plan: tuple[Encoding, ...] = ()
    if surveyed:
        survey = Survey()
        for piece in pieces:
            survey.feed(piece)
        plan = survey.finish()
    converter = Converter(plan)
    return b"".join([converter.feed(piece) for piece in pieces]) + converter.finish()


def outcome(*pieces: bytes, surveyed: bool = False) -> bytes | str:
    """
    Convert a message, or tell why it cannot be done.
    """
    try:
        return converted(*pieces, surveyed=surveyed)
    except NotConvertible as error:
        return error.reason


class TreeTests(SynchronousTestCase):
    """
    Made-up MIME messages.
    """

    def check(self, before: bytes, after: bytes) -> None:
        """
        All is 7-bit and means the same.
        """
        self.assertTrue(after.isascii())
        self.assertNotIn(b"\0", after)
        self.assertIsNone(BARE.search(after))
        self.assertLessEqual(max(map(len, after.split(b"\r\n"))), 998)
        self.assertEqual(structure(after), structure(before))

    @settings(max_examples=200, deadline=None)
    @given(MESSAGES)
    def test_the_same_in_seven_bits(self, message: bytes) -> None:
        """
        What is sent is ASCII in short lines; Python decodes the same leaves in the same structure.
        """
        after = converted(message)
        self.check(message, after)
        self.assertLessEqual(
            max(map(len, encoded_lines(after)), default=0), 76 if encoded_lines(message) == [] else 998
        )
        self.assertEqual(converted(after), after)

    @settings(max_examples=100, deadline=None)
    @given(MESSAGES, st.data())
    def test_the_division_does_not_matter(self, message: bytes, data: st.DataObject) -> None:
        """
        Whole, byte by byte, cut anywhere, surveyed before or not: the same is sent.
        """
        whole = converted(message)
        cut = data.draw(st.integers(0, len(message)))
        self.assertEqual(converted(*[message[at : at + 1] for at in range(len(message))]), whole)
        self.assertEqual(converted(message[:cut], message[cut:]), whole)
        self.assertEqual(converted(message[:cut], b"", message[cut:], surveyed=True), whole)

    @settings(max_examples=100, deadline=None)
    @given(MESSAGES)
    def test_seven_bits_stay(self, message: bytes) -> None:
        """
        A message that is 7-bit, and says so, is not changed.
        """
        plain = re.sub(rb"[^\t\r\n -~]|\r(?!\n)|(?<!\r)\n", b"?", message)
        plain = re.sub(rb"(?im)^(Content-Transfer-Encoding: *)(?:8bit.*|binary)(?=\r$)", rb"\g<1>7bit", plain)
        plain = plain.replace(b"y" * 1200, b"y")
        self.assertEqual(converted(plain), plain)
        self.assertEqual(converted(plain, surveyed=True), plain)

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(
            st.sampled_from(
                [
                    b"Content-Type: multipart/mixed; boundary=b\r\n",
                    b"Content-Type: multipart/digest; boundary=c\r\n",
                    b"Content-Type: multipart/signed; boundary=d\r\n",
                    b"Content-Type: message/rfc822\r\n",
                    b"Content-Transfer-Encoding: 8bit\r\n",
                    b"\r\n",
                    b"\r\n",
                    b"\r\n--b\r\n",
                    b"--b\r\n",
                    b"--b--\r\n",
                    b"\r\n--c\r\n",
                    b"\r\n--c--",
                    b"--d\r\n",
                    b"x: y\r\n",
                    b"\r",
                    b"\n",
                    b"-",
                    b"\xff",
                    b"x",
                ]
            ),
            max_size=25,
        )
    )
    def test_any_garbage(self, pieces: list[bytes]) -> None:
        """
        Garbage is converted, or refused with a reason; however it is divided.
        """
        message = b"".join(pieces)
        whole = outcome(message)
        self.assertEqual(outcome(*pieces), whole)
        self.assertEqual(outcome(*[message[at : at + 1] for at in range(len(message))]), whole)
        self.assertEqual(outcome(message, surveyed=True), whole)
        if isinstance(whole, bytes):
            self.assertTrue(whole.isascii())
            self.assertIsNone(BARE.search(whole))


class CorpusTests(SynchronousTestCase):
    """
    The messages with which Python tests its email package.
    """

    def test_all(self) -> None:
        """
        Each 7-bit message stays as it is, each other one is converted to the same meaning or is refused.
        """
        spec = importlib.util.find_spec("test")
        found = spec.submodule_search_locations if spec else None
        files = [file for folder in found or () for file in sorted(Path(folder).glob("test_email/data/msg_*.txt"))]
        if not files:
            raise unittest.SkipTest("this Python comes without its own tests")
        results = {}
        for file in files:
            message = BARE.sub(b"\r\n", file.read_bytes())
            results[file.name] = outcome(message)
            if message.isascii() and not re.search(rb"(?i)encoding: *(8bit|binary)", message):
                self.assertEqual(results[file.name], message, file.name)
            elif isinstance(results[file.name], bytes):
                self.assertEqual(structure(converted(message)), structure(message), file.name)
        refused = sorted(name for name, result in results.items() if isinstance(result, str))
        self.assertEqual(refused, [])
