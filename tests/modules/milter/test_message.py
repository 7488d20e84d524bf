"""
A message as a milter is told of it.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.address import parse_address
from empath.modules.builtin.milter.codec import CHUNK
from empath.modules.builtin.milter.macros import cipher_bits
from empath.modules.builtin.milter.message import body_pieces, envelope_content, header_fields
from tests.modules.milter.fakes import FakeContent


class TellingTests(SynchronousTestCase):
    """
    Envelope, header and body.
    """

    def test_envelopes(self) -> None:
        """
        Addresses in angle brackets, the null one too, then the parameters.
        """
        self.assertEqual(
            envelope_content(parse_address("a@b.test"), {"SIZE": "5", "SMTPUTF8": ""}),
            b"<a@b.test>\0SIZE=5\0SMTPUTF8\0",
        )
        self.assertEqual(envelope_content(None, {}), b"<>\0")

    def test_fields(self) -> None:
        """
        As they were written, lines divided by LF; what is no field is left out.
        """
        block = (
            b" stray\r\nFrom:a\r\nSubject : two\r\n\tlines \r\nno field\r\nX-\xe9: 1\r\nEmpty:\r\nBare: lf\nTo:  b\r\n"
        )
        fields = [b"From\0a\0", b"Subject\0two\n\tlines \0", b"Empty\0\0", b"Bare\0lf\0", b"To\0 b\0"]
        self.assertEqual(header_fields(block, leading_space=False), fields)
        leading = [b"From\0a\0", b"Subject\0 two\n\tlines \0", b"Empty\0\0", b"Bare\0 lf\0", b"To\0  b\0"]
        self.assertEqual(header_fields(block, leading_space=True), leading)
        self.assertEqual(header_fields(b"", True), [])

    def test_a_field_fits_a_packet(self) -> None:
        """
        What libmilter could not read is cut, and what has a name that is too long for it is not told.
        """
        [field] = header_fields(b"X-Long: " + b"x" * 100_000 + b"\r\n", True)
        self.assertEqual(len(field), CHUNK)
        fitting = b"X" * (CHUNK - 2)
        self.assertEqual(header_fields(fitting + b":y\r\n" + fitting + b"Y: z\r\n", True), [fitting + b"\0\0"])

    def test_bodies(self) -> None:
        """
        In pieces that fit, without the first empty line, wherever it is cut; the reader is closed.
        """
        for body in (b"", b"\r\n", b"\r\nhello\r\n", b"\r\n" + b"x" * (2 * CHUNK) + b"\r\n"):
            for size in (1, 2, 3, 65536) if len(body) < 10 else (1000, 65536):
                content = FakeContent(body=body, piece=size)
                pieces = self.pieces(content)
                self.assertEqual(b"".join(pieces), body[2:])
                self.assertTrue(all(0 < len(piece) <= CHUNK for piece in pieces))
                self.assertTrue(content.readers[0].closed)

    def pieces(self, content: FakeContent) -> list[bytes]:
        """
        Read a body.
        """

        async def read() -> list[bytes]:
            return [piece async for piece in body_pieces(content)]

        return self.successResultOf(Deferred.fromCoroutine(read()))

    def test_bits_of_a_cipher(self) -> None:
        """
        As the suite's name tells.
        """
        for suite, bits in (
            ("TLS_AES_256_GCM_SHA384", "256"),
            ("ECDHE-RSA-AES128-GCM-SHA256", "128"),
            ("TLS_CHACHA20_POLY1305_SHA256", "256"),
            ("NULL", ""),
        ):
            self.assertEqual(cipher_bits(suite), bits)
