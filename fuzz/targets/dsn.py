"""
Reports about hostile messages, in either form: whatever the original, the addresses and the peers' replies hold, the
report is mail by the rules, Python's email package takes it apart, and the original in it is unchanged.

The parts of the input: sender, header, body, Message-ID's wish for RET and ENVID, then for each recipient its address,
its parameters, the peer's name and the peer's reply.
"""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.message import Message as Parsed
from typing import Final, cast

from empath.mail.dsn import Reporting, delivery_report, needs_utf8
from empath.mail.envelope import Envelope, Recipient
from empath.mail.message import Message, RecipientState, Status
from empath.mail.notice import Action, Notice
from empath.mail.reply import Reply
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
    b"SMTPUTF8",
    b"BODY=BINARYMIME",
    b"BY=120;RT",
    b"REQUIRETLS",
    b"ENVID=a+0D+0Ab",
    b"ORCPT=rfc822;x+2By@example.org",
    b"ORCPT=utf-8;+FF",
    b"ORCPT=utf-8;\\x{FC}@example.net",
    b"550 5.1.1 unknown",
    b"450 4.2.1 first\nsecond",
    b"\xe2\x80\xa8",
    b"\xc2\x85",
    b"\x00",
    b"x" * 1000,
    b"\xff",
)
STATUSES: Final = {
    Action.DELAYED: Status.RETRY,
    Action.RELAYED: Status.COMPLETED,
    Action.DELIVERED: Status.COMPLETED,
}
_BARE: Final = re.compile(rb"(?<!\r)\n|\r(?!\n)")


def message_of(fields: Fields) -> tuple[Message, tuple[Notice, ...]]:
    """
    Make a message of which there is something to tell for all of its recipients.
    """
    sender = fields.any_address()
    header, body = fields.content(), fields.content()
    if header and not header.endswith(b"\r\n"):
        header += b"\r\n"
    whole = header + b"\r\n" + body
    parameters = fields.parameters()
    notices = [notice_of(fields)]
    while fields.left and len(notices) < MOST:
        notices.append(notice_of(fields))
    envelope = Envelope(sender, tuple(notice.state.recipient for notice in notices), parameters)
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
        tuple(notices),
    )


def notice_of(fields: Fields) -> Notice:
    """
    Make a recipient that failed or expired, or that there is something else to tell of.
    """
    recipient = Recipient(fields.any_address(), fields.parameters())
    host = fields.text()[:255]
    reply = fields.reply()
    action = tuple(Action)[fields.flags >> 2 & 3]
    status = STATUSES.get(action, Status.EXPIRED if fields.flags & 2 else Status.FAILED)
    return Notice(RecipientState(recipient, status, reply, host), action, 1_700_432_000.0 if fields.flags & 2 else None)


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
    message, notices = message_of(fields)
    utf8 = needs_utf8(message, notices)
    header, body = delivery_report(QUEUE_ID, 1_700_000_400.0, message, notices, REPORTING)
    whole = header + body
    assert not _BARE.search(whole), "a bare newline"
    assert (utf8 or header.isascii()) and header.endswith(b"\r\n") and b"\r\n\r\n" not in header, (
        "the header block is broken"
    )
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
    check_status(parts[1], notices, utf8)
    check_original(parts[2], original, message, utf8)


def check_status(part: Parsed, notices: tuple[Notice, ...], utf8: bool) -> None:
    """
    The machine-readable part has a group for the message and one for each recipient.
    """
    assert part.get_content_type() == f"message/{'global-' if utf8 else ''}delivery-status"
    groups = cast("list[Parsed]", part.get_payload())
    if utf8:  # Python's parser takes only the other kind apart
        text = groups[0].as_bytes() if isinstance(groups, list) else cast("bytes", part.get_payload(decode=True))
        groups = [message_from_bytes(group, policy=policy.compat32) for group in re.split(rb"\r?\n\r?\n", text.strip())]
    assert len(groups) == 1 + len(notices), f"{len(groups)} groups for {len(notices)} recipients"
    assert groups[0]["Reporting-MTA"] == "dns; mx.example.org"
    for group, notice in zip(groups[1:], notices, strict=True):
        assert group["Action"] == notice.action.value
        assert str(group["Final-Recipient"]).partition(";")[0] in ("rfc822", "utf-8")
        assert group["Status"] == expected_status(notice.action, notice.state.reply), group["Status"]
        assert not group.defects and not group.get_payload(), "a group ends early"


def expected_status(action: Action, reply: Reply | None) -> str:
    """
    Tell the status that a recipient has.
    """
    if action is Action.DELAYED:
        return "4.4.7"
    if action is Action.FAILED:
        return "5.0.0" if reply is None or reply.positive else reply.status
    return reply.status if reply is not None and reply.positive else "2.0.0"


def check_original(part: Parsed, raw: bytes, message: Message, utf8: bool) -> None:
    """
    What is returned is the original, all of it or its header block.
    """
    if part.get_content_type() == ("message/global" if utf8 else "message/rfc822"):
        assert message.body is not None and raw == message.header + message.body, "the original was changed"
        assert "REQUIRETLS" not in message.envelope.parameters, "the body of mail that requires TLS is returned"
        return
    assert part.get_content_type() == ("message/global-headers" if utf8 else "text/rfc822-headers")
    if part["Content-Transfer-Encoding"] != "quoted-printable":
        assert message.header.startswith(raw.rstrip(b"\r\n")), "the header block was changed"
        return
    header = cast("bytes", part.get_payload(decode=True))
    assert message.header.startswith(header.rstrip(b"\r\n")) or b"=" in raw, "the header block was changed"
