"""
Requirements on the hash of a body.
"""

from __future__ import annotations

import re
from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.dkim.body import RelaxedBody, SimpleBody, squeezed
from empath.mail.dkim.signature import Form, body_digest, body_of

PIECES = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b" ", b"\t", b"x", b"  \r\n", b"y z", b"", b"\r\n\r\n"]))


def by_the_letter(body: bytes, form: Form) -> bytes:
    """
    The canonical body, as RFC 6376 §3.4.3 and §3.4.4 say it, slowly.
    """
    if form == "relaxed":
        body = re.sub(rb"[ \t]+(?=\r\n|\Z)", b"", body)
        body = re.sub(rb"[ \t]+", b" ", body)
    while body.endswith(b"\r\n\r\n"):
        body = body[:-2]
    if body == b"\r\n":
        body = b""
    if body.endswith(b"\r\n") or (not body and form == "relaxed"):
        return body
    return body + b"\r\n"


class BodyTests(SynchronousTestCase):
    """
    Both forms.
    """

    def hashed(self, form: Form, *pieces: bytes) -> bytes:
        """
        Hash a body that comes in pieces.
        """
        body = body_of(form)
        for piece in pieces:
            body.update(piece)
        return body.digest()

    def test_an_empty_simple_body_is_a_line_end_and_an_empty_relaxed_one_is_empty(self) -> None:
        """
        RFC 6376 §3.4.3 and §3.4.4 tell both hashes.
        """
        self.assertEqual(body_digest(b"", "simple"), sha256(b"\r\n").digest())
        self.assertEqual(body_digest(b"", "relaxed"), sha256(b"").digest())
        for body in (b"\r\n", b"\r\n\r\n\r\n"):
            self.assertEqual(body_digest(body, "simple"), sha256(b"\r\n").digest())
            self.assertEqual(body_digest(body, "relaxed"), sha256(b"").digest())
        self.assertEqual(body_digest(b"\r\n \r\n\t\r\n", "relaxed"), sha256(b"").digest())

    def test_the_example_of_the_rfc(self) -> None:
        """
        RFC 6376 §3.4.5.
        """
        body = b" C \r\nD \t E\r\n\r\n\r\n"
        self.assertEqual(self.hashed("relaxed", body), sha256(b" C\r\nD E\r\n").digest())
        self.assertEqual(self.hashed("simple", body), sha256(b" C \r\nD \t E\r\n").digest())

    def test_a_body_without_a_line_end_gets_one(self) -> None:
        """
        In both forms; blanks at the end are those of a line.
        """
        self.assertEqual(self.hashed("simple", b"x "), sha256(b"x \r\n").digest())
        self.assertEqual(self.hashed("relaxed", b"x  "), sha256(b"x\r\n").digest())

    def test_a_newline_that_stands_alone_is_no_line_end(self) -> None:
        """
        Not even before those that end the body.
        """
        for body in (b"x\n\r\n\r\n", b"x\r\r\n", b"\n\r\n\r\n", b"x\r\n\n", b"x\r\n\r"):
            expected = sha256(by_the_letter(body, "simple")).digest()
            self.assertEqual(self.hashed("simple", body), expected, body)
            self.assertEqual(self.hashed("simple", *(body[at : at + 1] for at in range(len(body)))), expected, body)

    def test_blanks_between_pieces_are_those_of_a_line(self) -> None:
        """
        Whether they end one is known only with what follows.
        """
        for body in (b"a \r\nb", b"a  b \t\r\n\r\n", b"a \rb\r\n", b" "):
            expected = sha256(by_the_letter(body, "relaxed")).digest()
            self.assertEqual(self.hashed("relaxed", *(body[at : at + 1] for at in range(len(body)))), expected, body)

    def test_a_million_empty_lines_are_counted_and_not_held(self) -> None:
        """
        They come out again once something follows.
        """
        for make in (SimpleBody, RelaxedBody):
            body = make()
            for _ in range(32):
                body.update(b"\r\n" * 32768)
            body.update(b"end\r\n")
            self.assertEqual(body.digest(), sha256(b"\r\n" * (32 * 32768) + b"end\r\n").digest())

    def test_blanks_without_end_are_taken_in_a_time_that_grows_with_them_only(self) -> None:
        """
        A row of a million is one space.
        """
        self.assertEqual(squeezed(b"a" + b" \t" * 500_000 + b"b"), b"a b")

    @settings(max_examples=200)
    @given(PIECES, st.sampled_from(["simple", "relaxed"]))
    def test_pieces_are_hashed_as_the_whole_is_and_as_the_rfc_says(self, pieces: list[bytes], form: Form) -> None:
        """
        Whatever stands at their edges, a CR or LF alone included.
        """
        whole = b"".join(pieces)
        expected = sha256(by_the_letter(whole, form)).digest()
        self.assertEqual(self.hashed(form, *pieces), expected)
        self.assertEqual(self.hashed(form, *[bytes([byte]) for byte in whole]), expected)
        self.assertEqual(body_digest(b"\r\n" + whole, form), expected)
