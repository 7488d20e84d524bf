"""
SCRAM verifiers.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Final

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.smtp.scram import (
    MAX_ITERATIONS,
    MAX_SALT,
    MIN_ITERATIONS,
    ScramVerifier,
    make_verifier,
    parse_verifier,
    print_verifier,
)

PENCIL: Final = make_verifier("pencil", b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096)
KEY: Final = b64encode(bytes(32)).decode()


class VerifierTests(SynchronousTestCase):
    """
    RFC 7677 §3's user, and RFC 5803's form.
    """

    def test_the_example_of_rfc_7677(self) -> None:
        """
        The proof is accepted, the signature is what the server says.
        """
        nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
        message = f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonce}".encode()
        proof = b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
        self.assertTrue(PENCIL.fulfilled_by(proof, message))
        self.assertEqual(PENCIL.signature(message), b64decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="))
        for wrong in (b"", proof[:-1], proof + b"\0", bytes(32), proof[::-1]):
            self.assertFalse(PENCIL.fulfilled_by(wrong, message))

    def test_in_the_clear(self) -> None:
        """
        A password that is said is checked, too; one that SASLprep prohibits is nobody's.
        """
        self.assertTrue(PENCIL.accepts("pencil"))
        self.assertTrue(PENCIL.accepts("pen\u00adcil"))
        self.assertFalse(PENCIL.accepts("Pencil"))
        self.assertFalse(PENCIL.accepts("pencil\x07"))

    @given(
        st.binary(min_size=1, max_size=MAX_SALT),
        st.integers(MIN_ITERATIONS, MAX_ITERATIONS),
        st.binary(min_size=32, max_size=32),
        st.binary(min_size=32, max_size=32),
    )
    def test_written_and_read(self, salt: bytes, iterations: int, stored: bytes, server: bytes) -> None:
        """
        A verifier that is written is read as the same.
        """
        verifier = ScramVerifier(salt, iterations, stored, server)
        self.assertEqual(parse_verifier(print_verifier(verifier)), verifier)

    def test_what_is_none(self) -> None:
        """
        Wrong forms, and iterations out of bounds, are refused.
        """
        salt = b64encode(bytes(16)).decode()
        self.assertEqual(parse_verifier(f"SCRAM-SHA-256$4096:{salt}${KEY}:{KEY}").iterations, 4096)
        for text in (
            "",
            "SCRAM-SHA-256",
            f"SCRAM-SHA-1$4096:{salt}${KEY}:{KEY}",
            f"SCRAM-SHA-256$4096:{salt}${KEY}",
            f"SCRAM-SHA-256$4095:{salt}${KEY}:{KEY}",
            f"SCRAM-SHA-256$2000001:{salt}${KEY}:{KEY}",
            f"SCRAM-SHA-256$4096:{salt}${KEY[:-4]}:{KEY}",
            f"SCRAM-SHA-256$4096:{salt}${KEY}:{KEY}AAAA",
            f"SCRAM-SHA-256$4096:{salt}={KEY}:{KEY}",
            f"SCRAM-SHA-256$4096:a${KEY}:{KEY}",
            f"SCRAM-SHA-256$4096:{b64encode(bytes(257)).decode()}${KEY}:{KEY}",
            f"SCRAM-SHA-256$4096:{salt}${KEY}:{KEY}\n",
        ):
            self.assertRaises(ValueError, parse_verifier, text)
