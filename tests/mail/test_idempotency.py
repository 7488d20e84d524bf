"""
Idempotency keys: which there are, and what they stand for.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.address import parse_address
from empath.mail.envelope import Recipient
from empath.mail.header import Header
from empath.mail.idempotency import FIELD, MOST, Accepted, claimed, digests_of, divide, take_key
from empath.mail.origin import TRUSTED, Origin, Source

HEADER = b"From: a@example.org\r\nIdempotency-Key: abc-1\r\nSubject: x\r\n"


def recipients(*texts: str) -> list[Recipient]:
    return [Recipient(parse_address(text, True)) for text in texts]


class KeyTests(SynchronousTestCase):
    """
    The header field.
    """

    def test_the_field_is_taken_out(self) -> None:
        """
        However its name is written, wherever it stands; all else stays byte for byte.
        """
        rest = b"From: a@example.org\r\nSubject: x\r\n"
        self.assertEqual(take_key(HEADER), (rest, "abc-1"))
        self.assertEqual(take_key(HEADER.replace(b"Idempotency-Key", b"IDEMPOTENCY-KEY")), (rest, "abc-1"))
        self.assertEqual(take_key(HEADER.replace(b" abc-1", b"\r\n  abc-1 ")), (rest, "abc-1"))
        self.assertEqual(take_key(b"Idempotency-Key: k\r\n"), (b"", "k"))
        self.assertEqual(take_key(rest + b"idempotency-key:k"), (rest, "k"))

    def test_without_the_field(self) -> None:
        """
        The header block stays as it is, though somebody writes about such keys.
        """
        for header in (b"", b"Subject: x\r\n", b"Subject: my Idempotency-Key: 1\r\n", b"X-Idempotency-Key: 1\r\n"):
            self.assertEqual(take_key(header), (header, ""))

    def test_what_is_no_key(self) -> None:
        """
        It is refused, since a copy could not be told from the first one.
        """
        for bad in (b"", b"  ", b"a b", b"\xc3\xa9", b"x" * (MOST + 1), b"a\0b"):
            self.assertRaises(ValueError, take_key, b"Idempotency-Key: " + bad + b"\r\n")
        self.assertRaises(ValueError, take_key, b"Idempotency-Key: 1\r\nSubject: x\r\nIdempotency-Key: 1\r\n")
        self.assertEqual(take_key(b"Idempotency-Key: " + b"x" * MOST + b"\r\n"), (b"", "x" * MOST))

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.sampled_from([b"Idempotency-Key", b":", b" ", b"\r\n", b"\n", b"\r", b"k", b"\xff", b"x: y"])))
    def test_any_block(self, parts: list[bytes]) -> None:
        """
        Whatever comes, there is an answer, and what is left has no key; fields are those of any header block.
        """
        header = b"".join(parts)
        fields = Header(header)
        keys = fields.get_all(FIELD)
        try:
            rest, key = take_key(header)
        except ValueError:
            self.assertNotEqual(keys, [])
            return
        self.assertEqual(take_key(rest), (rest, ""))
        self.assertEqual([key] if key else [], keys)
        fields.remove(FIELD)
        self.assertEqual(rest, bytes(fields))


class ClaimTests(SynchronousTestCase):
    """
    What a key stands for.
    """

    def test_keys_of_others_are_others(self) -> None:
        """
        Login, sender and key all count; how the sender's domain is written does not.
        """
        one = parse_address("a@example.org")
        login = Origin(Source.LOGIN, "a")
        found = {
            claimed(origin, path, key)
            for origin in (TRUSTED, login, Origin(Source.LOGIN, "b"))
            for path in (None, one, parse_address("b@example.org"))
            for key in ("1", "2")
        }
        self.assertEqual(len(found), 18)
        self.assertEqual(claimed(login, one, "1"), claimed(login, parse_address("a@EXAMPLE.org"), "1"))

    def test_recipients_are_divided(self) -> None:
        """
        Into those that were not accepted yet and those that were, in whichever message.
        """
        asked = recipients("a@example.org", "b@example.org", "c@example.org", "ü@example.org")
        had = (
            Accepted("1", digests_of(recipients("b@EXAMPLE.org", "x@example.org"))),
            Accepted("2", digests_of(recipients("ü@example.org"))),
        )
        self.assertEqual(divide(asked, had), ([asked[0], asked[2]], [asked[1], asked[3]], "1"))
        self.assertEqual(divide(asked, ()), (asked, [], ""))
        self.assertEqual(divide(asked[3:], had), ([], asked[3:], "2"))
        self.assertEqual(divide(reversed(asked), had)[2], "1")
