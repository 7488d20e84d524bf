"""
Requirements on fields, and on which of them are signed.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.dkim.fields import Choice, fields_of

BLOCK = b"Received: one\r\nSubject: a\r\n b\r\nFROM \t:  x@example.org \r\nreceived: two\r\nX: \r\n"


class FieldsTests(SynchronousTestCase):
    """
    A header block, divided.
    """

    def test_a_field_keeps_its_lines_and_its_name_is_in_lower_case(self) -> None:
        """
        All of the block is in the fields.
        """
        fields = fields_of(BLOCK) or ()
        self.assertEqual([field.name for field in fields], [b"received", b"subject", b"from", b"received", b"x"])
        self.assertEqual(b"".join(field.raw for field in fields), BLOCK)
        self.assertEqual(fields[1].value, b"a b")

    def test_an_empty_block_has_no_fields(self) -> None:
        """
        It is divided all the same.
        """
        self.assertEqual(fields_of(b""), ())

    def test_the_relaxed_form_is_that_of_the_rfc(self) -> None:
        """
        RFC 6376 §3.4.5.
        """
        fields = fields_of(b"A: X\r\nB : Y\t\r\n\tZ  \r\n") or ()
        self.assertEqual([field.relaxed for field in fields], [b"a:X\r\n", b"b:Y Z\r\n"])

    def test_what_readers_may_read_in_different_ways_is_not_divided(self) -> None:
        """
        Nothing is signed of which another one would see other fields.
        """
        for block in (
            b" begins: with a blank\r\n",
            b"From nobody Sat Nov 21\r\nFrom: a@b.example\r\n",
            b"a: b\nc: d\r\n",
            b"a: b\rc: d\r\n",
            b"a: \0\r\n",
            b"a: b",
            b"no name\r\n",
            b": no name\r\n",
            "ü: x\r\n".encode(),
            b"\r\na: b\r\n",
        ):
            self.assertIsNone(fields_of(block), block)

    def test_a_field_of_very_many_lines_is_read_in_time(self) -> None:
        """
        They are not put together one by one.
        """
        fields = fields_of(b"a: b\r\n" + b" c\r\n" * 200_000) or ()
        self.assertEqual(len(fields[0].raw), 6 + 4 * 200_000)


class ChoiceTests(SynchronousTestCase):
    """
    What is signed.
    """

    def test_fields_of_one_name_are_signed_from_the_lowest_up(self) -> None:
        """
        RFC 6376 §5.4.2; a name is listed for each of them.
        """
        selection = Choice(("Received", "Subject", "To"), ()).of(fields_of(BLOCK) or ())
        self.assertEqual(selection.names, ("From", "Received", "Received", "Subject"))
        self.assertEqual(
            [field.raw.partition(b":")[2].strip() for field in selection.fields],
            [b"x@example.org", b"two", b"one", b"a\r\n b"],
        )

    def test_from_is_signed_whatever_is_configured_and_a_name_counts_once(self) -> None:
        """
        RFC 6376 §5.4 wants it; names are written as they are first.
        """
        selection = Choice(("subject", "SUBJECT", "from"), ("Subject",)).of(fields_of(BLOCK) or ())
        self.assertEqual(selection.names, ("From", "subject", "subject"))

    def test_an_oversigned_name_stands_once_more_than_its_fields(self) -> None:
        """
        RFC 6376 §8.15: nobody can add one, not even where there is none. What is not signed is not oversigned.
        """
        selection = Choice(("Subject", "Cc"), ("From", "Cc", "To")).of(fields_of(BLOCK) or ())
        self.assertEqual(selection.names, ("From", "From", "Subject", "Cc"))
        self.assertEqual(len(selection.fields), 2)
