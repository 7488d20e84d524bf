"""
Reports about hostile messages: whatever the original, the addresses and the peers' replies hold, the report is mail
by the rules, Python's email package takes it apart, and the original in it is unchanged.

The parts of the input: sender, header, body, Message-ID's wish for RET and ENVID, then for each recipient its address,
its parameters, the peer's name and the peer's reply.
"""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.message import Message as Parsed
from typing import Final, cast

from empath.mail.dsn import Reporting, failure_report
from empath.mail.envelope import Envelope, Recipient
from empath.mail.message import Message, RecipientState, Status
from fuzz.fields import Fields

QUEUE_ID: Final = "01JD0000000000000000000009"
REPORTING: Final = Reporting("mx.example.org", "MAILER-DAEMON@mx.example.org", 600)
MOST: Final = 5  # recipients
TOKENS: Final = (
    b"\x1e",
    b"\x1e",
    b"Message-ID: <one@example.com>\r\n",
    b"Subject: =?utf-8?q?x?=\r\n",
    b"\r\n--=_0.01JD0000000000000000000009\r\n",
    b"--=_0.01JD0000000000000000000009--",
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n",
    b"\r\n\r\n",
    b"\r\nBcc: x@example.net\r\n",
    b"ann@example.com",
    b"bob@example.net",
    '"ü"@example.net'.encode(),
    b"RET=HDRS",
    b"ENVID=a+0D+0Ab",
    b"ORCPT=rfc822;x+2By@example.org",
    b"ORCPT=utf-8;+FF",
    b"550 5.1.1 unknown",
    b"450 4.2.1 first\nsecond",
    b"\xe2\x80\xa8",
    b"\xc2\x85",
    b"\x00",
    b"x" * 1000,
    b"\xff",
)
_BARE: Final = re.compile(rb"(?<!\r)\n|\r(?!\n)")


def message_of(fields: Fields) -> tuple[Message, tuple[RecipientState, ...]]:
    """
    Make a message that failed for all of its recipients.
    """
    sender = fields.any_address()
    header, body = fields.content(), fields.content()
    if header and not header.endswith(b"\r\n"):
        header += b"\r\n"
    whole = header + b"\r\n" + body
    parameters = fields.parameters()
    states = [state_of(fields)]
    while fields.left and len(states) < MOST:
        states.append(state_of(fields))
    envelope = Envelope(sender, tuple(state.recipient for state in states), parameters)
    at_hand = None if fields.flags & 1 else b"\r\n" + body
    return (
        Message(
            "01JD0000000000000000000001",
            1_700_000_000.0,
            envelope,
            header,
            at_hand,
            None if at_hand is not None else "01JD0000000000000000000001",
            len(whole),
            not whole.isascii(),
        ),
        tuple(states),
    )


def state_of(fields: Fields) -> RecipientState:
    """
    Make a recipient that failed or expired.
    """
    recipient = Recipient(fields.any_address(), fields.parameters())
    host = fields.text()[:255]
    reply = fields.reply()
    return RecipientState(recipient, Status.EXPIRED if fields.flags & 2 else Status.FAILED, reply, host)


def part_bodies(report: bytes, boundary: str) -> list[bytes]:
    """
    Take the parts apart by their boundary, without their headers.
    """
    mark = b"\r\n--" + boundary.encode()
    pieces = report.split(mark)
    assert len(pieces) == 5 and pieces[-1] == b"--\r\n", "the boundary occurs elsewhere"
    return [piece.partition(b"\r\n\r\n")[2] for piece in pieces[1:-1]]


def one_input(data: bytes) -> None:
    """
    Make a report and read it.
    """
    fields = Fields(data)
    message, failed = message_of(fields)
    header, body = failure_report(QUEUE_ID, 1_700_000_400.0, message, failed, REPORTING)
    whole = header + body
    assert not _BARE.search(whole), "a bare newline"
    assert header.isascii() and header.endswith(b"\r\n") and b"\r\n\r\n" not in header, "the header block is broken"
    assert body.startswith(b"\r\n")
    report = message_from_bytes(whole, policy=policy.compat32)
    assert sorted(report.keys()) == sorted({*report.keys()}), "a header field comes twice"
    assert "Bcc" not in report and report.get_content_type() == "multipart/report"
    assert not report.defects, report.defects
    boundary = report.get_boundary()
    assert boundary is not None
    text, status, original = part_bodies(whole, boundary)
    ours = header + b"\r\n".join([text, status])
    assert all(len(line) <= 998 for line in ours.split(b"\r\n")), "a line of ours is too long"
    parts = cast("list[Parsed]", report.get_payload())
    check_status(parts[1], failed)
    check_original(parts[2], original, message)


def check_status(part: Parsed, failed: tuple[RecipientState, ...]) -> None:
    """
    The machine-readable part has a group for the message and one for each recipient.
    """
    assert part.get_content_type() == "message/delivery-status"
    groups = cast("list[Parsed]", part.get_payload())
    assert len(groups) == 1 + len(failed), f"{len(groups)} groups for {len(failed)} recipients"
    assert groups[0]["Reporting-MTA"] == "dns; mx.example.org"
    for group, state in zip(groups[1:], failed, strict=True):
        assert group["Action"] == "failed" and group["Final-Recipient"].partition(";")[0] in ("rfc822", "utf-8")
        expected = "5.0.0" if state.reply is None or state.reply.positive else state.reply.status
        assert group["Status"] == expected, group["Status"]
        assert not group.defects and not group.get_payload(), "a group ends early"


def check_original(part: Parsed, raw: bytes, message: Message) -> None:
    """
    What is returned is the original, all of it or its header block.
    """
    if part.get_content_type() == "message/rfc822":
        assert message.body is not None and raw == message.header + message.body, "the original was changed"
        return
    assert part.get_content_type() == "text/rfc822-headers"
    header = cast("bytes", part.get_payload(decode=True))
    assert message.header.startswith(header.rstrip(b"\r\n")) or b"=" in raw, "the header block was changed"
