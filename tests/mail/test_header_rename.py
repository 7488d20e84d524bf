"""
Fields of a header block that get another name.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.header import Header


class RenamingTests(SynchronousTestCase):
    """
    Their values are not touched.
    """

    def test_all_of_a_name(self) -> None:
        """
        In any case, wherever they are, with octets and line ends as they came.
        """
        header = Header(b"X-A: 1\r\nSubject: s\r\nx-a : \xff\r\n\ttwo\r\nX-AB: 3\r\n")
        self.assertEqual(header.rename("x-A", "X-Old"), 2)
        self.assertEqual(bytes(header), b"X-Old: 1\r\nSubject: s\r\nX-Old: \xff\r\n\ttwo\r\nX-AB: 3\r\n")
        self.assertEqual((header.get("x-old"), header.get("X-A")), ("1", None))
        self.assertEqual(header.rename("X-Old", "x-old"), 2)
        self.assertEqual(header.rename("nowhere", "X-B"), 0)

    def test_what_is_no_name(self) -> None:
        """
        It is refused, and nothing has changed.
        """
        header = Header(b"X-A: 1\r\n")
        for wrong in ("", "X A", "X:", "X\r\nY", "Größe"):
            self.assertRaises(ValueError, header.rename, "X-A", wrong)
        self.assertEqual(bytes(header), b"X-A: 1\r\n")
