"""
SCRAM-SHA-256 as a server keeps and checks it (RFC 5802, RFC 7677).
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from typing import Final

import attrs

from empath.smtp.saslprep import saslprep

SCHEME: Final = "SCRAM-SHA-256"
MIN_ITERATIONS: Final = 4096  # RFC 7677 §4
MAX_ITERATIONS: Final = 2_000_000  # each login takes a client as long as us
MAX_SALT: Final = 256  # octets
_KEY: Final = 32  # octets of SHA-256
_STORED: Final = re.compile(rf"{SCHEME}\$([0-9]{{1,8}}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)")


@attrs.frozen(slots=True)
class ScramVerifier:
    """
    What a server keeps of a password: it can check it, and cannot log in elsewhere with it (RFC 5802 §3, RFC 5803).
    """

    salt: bytes
    iterations: int
    stored_key: bytes = attrs.field(repr=False)
    server_key: bytes = attrs.field(repr=False)

    def fulfilled_by(self, proof: bytes, auth_message: bytes) -> bool:
        """
        Tell whether a ClientProof was made by somebody who knows the password (RFC 5802 §3).
        """
        if len(proof) != _KEY:
            return False
        signature = hmac.digest(self.stored_key, auth_message, "sha256")
        client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
        return hmac.compare_digest(hashlib.sha256(client_key).digest(), self.stored_key)

    def signature(self, auth_message: bytes) -> bytes:
        """
        Make the ServerSignature, which proves to the client that we know its verifier.
        """
        return hmac.digest(self.server_key, auth_message, "sha256")

    def accepts(self, password: str) -> bool:
        """
        Tell whether this is the password, said in the clear; takes as long as `iterations` asks for.
        """
        try:
            made = make_verifier(password, self.salt, self.iterations)
        except ValueError:  # nobody can have chosen it; the time is spent all the same
            made = make_verifier("-", self.salt, self.iterations)
            return False
        return hmac.compare_digest(made.stored_key, self.stored_key)


def make_verifier(password: str, salt: bytes, iterations: int) -> ScramVerifier:
    """
    Make the verifier of a password; ValueError for one that SASLprep prohibits. Takes as long as `iterations` asks for.
    """
    salted = hashlib.pbkdf2_hmac("sha256", saslprep(password).encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    return ScramVerifier(salt, iterations, hashlib.sha256(client_key).digest(), server_key)


def print_verifier(verifier: ScramVerifier) -> str:
    """
    Write a verifier as RFC 5803 §3 does: "SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey".
    """
    salt, stored, server = (
        b64encode(value).decode() for value in (verifier.salt, verifier.stored_key, verifier.server_key)
    )
    return f"{SCHEME}${verifier.iterations}:{salt}${stored}:{server}"


def parse_verifier(text: str) -> ScramVerifier:
    """
    Read what `print_verifier` writes; ValueError for anything else, or iterations that are too few or too many.
    """
    match = _STORED.fullmatch(text)
    if match is None:
        raise ValueError(f"no {SCHEME}$iterations:salt$StoredKey:ServerKey")
    iterations = int(match[1])
    if not MIN_ITERATIONS <= iterations <= MAX_ITERATIONS:
        raise ValueError(f"{iterations} iterations, allowed are {MIN_ITERATIONS} to {MAX_ITERATIONS}")
    salt, stored, server = (_bytes(match[group]) for group in (2, 3, 4))
    if len(salt) > MAX_SALT or len(stored) != _KEY or len(server) != _KEY:
        raise ValueError(f"a key of {SCHEME} has {_KEY} octets, its salt at most {MAX_SALT}")
    return ScramVerifier(salt, iterations, stored, server)


def _bytes(text: str) -> bytes:
    """
    Decode base64, strictly.
    """
    try:
        return b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"no base64: {text}") from error
