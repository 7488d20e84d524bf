"""
How deep an input gets: the bits of what a dialogue reached.
"""

from __future__ import annotations

from typing import Final

REACHED: Final = (
    "a message was accepted",
    "a message in chunks was accepted",
    "a second message was accepted",
    "a message was relayed to others, after proof",
    "a message was accepted in LMTP",
    "a message was accepted under TLS",
    "a binary message was accepted",
    "a transaction with SMTPUTF8 began",
    "a transaction with parameters of DSN began",
    "a transaction held for later began",
    "a relay was denied",
    "AUTH succeeded",
    "AUTH failed",
    "a challenge of AUTH was answered",
    "STARTTLS: a handshake was done",
    "EHLO came under TLS",
    "XCLIENT was accepted",
    "bare newlines were refused",
    "a chunk, or content in chunks, was refused",
    "cleartext behind STARTTLS ended the session",
    "errors or limits ended the session",
)
(
    MESSAGE, CHUNKED, SECOND, RELAYED, LMTP, SECURE, BINARY, UTF8, DSN, HELD, DENIED, LOGGED_IN, LOGIN_FAILED,
    CHALLENGED, HANDSHAKEN, UNDER_TLS, PRESENTED, BARE_NEWLINE, CHUNK_REFUSED, INJECTED, ENDED,
) = (1 << bit for bit in range(len(REACHED)))  # fmt: skip
