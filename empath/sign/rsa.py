"""
Signatures with RSA keys.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

_PADDING: Final = PKCS1v15()
_HASH: Final = Prehashed(SHA256())


def rsa_signing(key: RSAPrivateKey) -> Callable[[bytes], bytes]:
    """
    Give what signs a SHA-256 hash with a key (RSASSA-PKCS1-v1_5, RFC 8017 §8.2).
    """

    def sign(digest: bytes) -> bytes:
        return key.sign(digest, _PADDING, _HASH)

    return sign
