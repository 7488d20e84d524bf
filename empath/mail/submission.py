"""
What a submission server mends in the header block of a new message (RFC 6409 §8, RFC 5322 §3.6).
"""

from __future__ import annotations

import re
from typing import Final

_FIELD_END: Final = rb"[^\n]*+(?:\n[ \t][^\n]*+)*+(?:\n|\Z)"  # what is left of a field, continuation lines included
_PRIVATE: Final = re.compile(rb"^(?:(?:resent-)?bcc|return-path)[ \t]*+:" + _FIELD_END, re.IGNORECASE | re.MULTILINE)
_DATE: Final = re.compile(rb"^date[ \t]*+:", re.IGNORECASE | re.MULTILINE)
_MESSAGE_ID: Final = re.compile(rb"^message-id[ \t]*+:", re.IGNORECASE | re.MULTILINE)


def fix_header(header: bytes, *, date: str, message_id: str) -> bytes:
    """
    Drop every Bcc, Resent-Bcc and Return-Path field, and add Date and Message-ID where there are none.

    `header` is a header block without the empty line, `date` as RFC 5322 §3.3 has it, `message_id` with its angle
    brackets. Names count in any case and with spaces before the colon (RFC 5322 §4.5), and a bare LF ends a line, too:
    who reads it as a line end must not learn the Bcc either. All else stays byte for byte. What is added goes to the
    end, as Postfix has it: there the fields of the trace stay together on top, and a first line that continues nothing
    does not become part of ours.
    """
    lowered = header.lower()
    if (  # the usual case, at a tenth of the price
        b"\ndate:" in lowered
        and b"\nmessage-id:" in lowered
        and b"bcc" not in lowered
        and b"return-path" not in lowered
    ):
        return header
    fixed = _PRIVATE.sub(b"", header)
    missing = b""
    if not _DATE.search(fixed):
        missing = f"Date: {date}\r\n".encode()
    if not _MESSAGE_ID.search(fixed):
        missing += f"Message-ID: {message_id}\r\n".encode()
    if missing and fixed and not fixed.endswith(b"\n"):
        fixed += b"\r\n"
    return fixed + missing
