"""
SASLprep.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.smtp.saslprep import saslprep


class SaslprepTests(SynchronousTestCase):
    """
    RFC 4013.
    """

    def test_examples(self) -> None:
        """
        What RFC 4013 §3 shows.
        """
        shown = {"I\u00adX": "IX", "user": "user", "USER": "USER", "\u00aa": "a", "\u2168": "IX"}
        self.assertEqual({text: saslprep(text) for text in shown}, shown)
        for text in ("\x07", "\u0627\u0031"):
            self.assertRaises(ValueError, saslprep, text)

    def test_spaces(self) -> None:
        """
        Every space becomes the ASCII one, and nothing becomes nothing.
        """
        self.assertEqual(saslprep("a\u00a0b\u3000c d"), "a b c d")
        self.assertEqual(saslprep("\u00ad"), "")
        self.assertEqual(saslprep(""), "")

    def test_prohibited(self) -> None:
        """
        Control characters, private use, surrogates, tags and the like are refused.
        """
        for text in ("\0", "a\nb", "\x7f", "\x85", "\ue000", "\ufdd0", "\ufffd", "\u2ff0", "\u200e", "\U000e0001"):
            self.assertRaises(ValueError, saslprep, text)

    def test_right_to_left(self) -> None:
        """
        Text from right to left begins and ends so, and holds nothing from left to right (RFC 3454 §6).
        """
        self.assertEqual(saslprep("\u0627\u0031\u0628"), "\u0627\u0031\u0628")
        for text in ("\u0627a\u0628", "1\u0627", "\u06271"):
            self.assertRaises(ValueError, saslprep, text)

    @given(st.text())
    def test_once_is_enough(self, text: str) -> None:
        """
        What is prepared stays as it is.
        """
        try:
            prepared = saslprep(text)
        except ValueError:
            return
        self.assertEqual(saslprep(prepared), prepared)
