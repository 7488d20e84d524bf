"""
SCRAM-SHA-256 as a server (RFC 5802, RFC 7677).
"""

from __future__ import annotations

import attrs


@attrs.frozen(slots=True)
class ScramVerifier:
    """
    What a server keeps of a password: it can check it, and cannot log in elsewhere with it (RFC 5802 §3, RFC 5803).
    """

    salt: bytes
    iterations: int
    stored_key: bytes = attrs.field(repr=False)
    server_key: bytes = attrs.field(repr=False)
