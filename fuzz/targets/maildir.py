"""
What a maildir gets: line ends are converted the same in any division, the headers on top are two lines whatever the
addresses hold, and the name of the file is one.

The parts of the input: sender, recipient, the message.
"""

from __future__ import annotations

import re
from typing import Final

from empath.deliver.maildir_text import LocalLines, file_name, top
from empath.mail.envelope import Envelope, Recipient
from empath.mail.message import Message
from fuzz.divisions import divisions
from fuzz.fields import Fields

TOKENS: Final = (b"\r\n", b"\r\r\n", b"\n\r", b"\x1e", b"a@example.org", b'"a b"@example.org', b'"/:"@[IPv6:::1]')
_NAME: Final = re.compile(r"[0-9]+\.[0-9A-Z]{26}\.[0-9a-f]{16}")


def converted(parts: list[bytes]) -> bytes:
    """
    Convert pieces.
    """
    lines = LocalLines()
    return b"".join([lines.convert(part) for part in parts]) + lines.finish()


def one_input(data: bytes) -> None:
    """
    Make one file.
    """
    fields = Fields(data)
    sender, recipient = fields.address(), fields.address()
    raw = fields.raw()
    for parts in divisions(raw):
        assert converted(parts) == raw.replace(b"\r\n", b"\n"), "depends on the division"
    envelope = Envelope(None if fields.flags & 1 else sender, (Recipient(recipient),))
    message = Message("01JD0000000000000000000001", 1_700_000_000.5, envelope, b"", raw, None, len(raw), False)
    head = top(message, recipient)
    assert head.startswith(b"Return-Path: <") and head.count(b"\n") == 2 and b"\r" not in head, head
    assert b"\nDelivered-To: " in head and head.endswith(b"\n")
    assert _NAME.fullmatch(file_name(message, recipient)), file_name(message, recipient)
