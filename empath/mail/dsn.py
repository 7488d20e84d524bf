"""
Delivery status notifications: the report that a message failed (RFC 3464) as a multipart/report (RFC 6522).
"""

from __future__ import annotations

import re
from binascii import b2a_qp
from typing import Final

import attrs

from empath.mail.dsn_text import explanation
from empath.mail.message import Message, RecipientState
from empath.mail.trace import format_date
from empath.mail.xtext import decode_xtext

_UNSAFE: Final = re.compile(r"[^\x20-\x7e]")
_MESSAGE_ID: Final = re.compile(
    rb"^message-id:[ \t\r\n]*(<[\x21-\x3b\x3d\x3f-\x7e]{1,900}>)", re.IGNORECASE | re.MULTILINE
)
_LINE: Final = 76
_LONGEST_WORD: Final = 900  # RFC 5322 §2.1.1: no line over 998


@attrs.frozen(slots=True)
class Reporting:
    """
    Who reports: `mta` is the Reporting-MTA's name, `postmaster` the address that reports come from.

    An original of more than `max_returned` bytes is returned as headers.
    """

    mta: str
    postmaster: str
    max_returned: int


def failure_report(
    queue_id: str, now: float, message: Message, failed: tuple[RecipientState, ...], reporting: Reporting
) -> tuple[bytes, bytes]:
    """
    Make the header block and the body of the report that `message` failed for the recipients `failed`.

    `queue_id` is the report's own; `now` is in seconds since the epoch. The message must have a reverse-path: that
    is who is told. The report has bytes ≥ 128 only if the original is returned whole and has some.
    """
    returned, whole = _returned(message, reporting.max_returned)
    parts = [
        _text_part(explanation(message, failed, reporting.mta, format_date(message.received))),
        b"Content-Description: Delivery report\r\nContent-Type: message/delivery-status\r\n\r\n"
        + _delivery_status(now, message, failed, reporting.mta),
        _original_part(returned, whole),
    ]
    boundary = _boundary(queue_id, parts)
    body = [b"\r\nThis is a report in MIME format (RFC 3464).\r\n"]
    body += [b"\r\n--" + boundary + b"\r\n" + part for part in parts]
    body.append(b"\r\n--" + boundary + b"--\r\n")
    header = _header(queue_id, now, message, reporting, boundary.decode(), eight_bit=not b"".join(parts).isascii())
    return header.encode("ascii"), b"".join(body)


def _header(
    queue_id: str, now: float, message: Message, reporting: Reporting, boundary: str, *, eight_bit: bool
) -> str:
    sender = message.envelope.reverse_path
    to = str(sender) if sender is not None and sender.text.isascii() else ""
    lines = [
        _line("From", f"Mail Delivery System <{reporting.postmaster}>"),
        _line("To", f"<{to}>" if to else "undisclosed-recipients:;"),
        "Subject: Undelivered mail returned to sender\r\n",
        _line("Date", format_date(now)),
        _line("Message-ID", f"<{queue_id}@{reporting.mta}>"),
        "Auto-Submitted: auto-replied\r\n",
    ]
    if found := _MESSAGE_ID.search(message.header):
        original = found[1].decode("ascii")
        lines += [f"In-Reply-To: {original}\r\n", f"References: {original}\r\n"]
    lines.append("MIME-Version: 1.0\r\n")
    lines.append(f'Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="{boundary}"\r\n')
    if eight_bit:
        lines.append("Content-Transfer-Encoding: 8bit\r\n")
    return "".join(lines)


def _text_part(text: str) -> bytes:
    head = "Content-Description: Explanation\r\nContent-Type: text/plain; charset="
    if text.isascii():
        return f"{head}us-ascii\r\n\r\n{text}".encode("ascii")
    encoded = b2a_qp(text.encode().replace(b"\r\n", b"\n"), istext=True).replace(b"\n", b"\r\n")
    return f"{head}utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n".encode("ascii") + encoded


def _delivery_status(now: float, message: Message, failed: tuple[RecipientState, ...], mta: str) -> bytes:
    """
    Write the fields of RFC 3464: a group for the message and one for each recipient, always 7-bit.
    """
    fields = [_line("Reporting-MTA", f"dns; {mta}")]
    if envid := message.envelope.parameters.get("ENVID"):
        fields.append(_line("Original-Envelope-Id", decode_xtext(envid)))
    fields.append(_line("X-Empath-Queue-ID", message.queue_id))
    fields.append(_line("Arrival-Date", format_date(message.received)))
    for state in failed:
        fields.append("\r\n")
        fields += _recipient_fields(now, state)
    return "".join(fields).encode("ascii")


def _recipient_fields(now: float, state: RecipientState) -> list[str]:
    fields = []
    kind, semicolon, address = state.recipient.parameters.get("ORCPT", "").partition(";")
    if semicolon:
        fields.append(_line("Original-Recipient", f"{kind}; {decode_xtext(address)}"))
    fields.append(_line("Final-Recipient", _final_recipient(state.address.text)))
    fields.append("Action: failed\r\n")
    fields.append(_line("Status", _status(state)))
    if state.host:
        fields.append(_line("Remote-MTA", f"dns; {state.host}"))
    if state.reply is not None:
        fields.append(_folded("Diagnostic-Code", f"{'smtp' if state.host else 'X-Empath'}; {state.reply}"))
    fields.append(_line("Last-Attempt-Date", format_date(now)))
    return fields


def _status(state: RecipientState) -> str:
    """
    Give the status of a failed recipient: of class 5, or of class 4 where it was tried for too long (RFC 3464 §2.3.4).
    """
    return "5.0.0" if state.reply is None or state.reply.positive else state.reply.status


def _final_recipient(address: str) -> str:
    """
    Write an address with its type; one that is not ASCII as RFC 6533 §3 wants it in a 7-bit report.
    """
    if address.isascii():
        return f"rfc822; {address}"
    escaped = "".join(c if c.isascii() and c not in "\\+=" else f"\\x{{{ord(c):X}}}" for c in address)
    return f"utf-8; {escaped}"


def _returned(message: Message, limit: int) -> tuple[bytes, bool]:
    """
    Choose what is returned of the original: all of it where it is small and at hand, else its header block, cut
    before the line that passes `limit`. RET=HDRS asks for the header block (RFC 3461 §4.3).
    """
    if message.body is not None and message.size <= limit and message.envelope.parameters.get("RET") != "HDRS":
        return message.header + message.body, True
    header = message.header
    if len(header) > limit:
        header = header[: header.rfind(b"\n", 0, limit) + 1]
    return header, False


def _original_part(returned: bytes, whole: bool) -> bytes:
    """
    Make the third part. A whole message cannot be encoded again (RFC 2046 §5.2.1), a header block can (RFC 6522 §4).
    """
    if whole:
        encoding = b"" if returned.isascii() else b"Content-Transfer-Encoding: 8bit\r\n"
        return (
            b"Content-Description: Undelivered message\r\nContent-Type: message/rfc822\r\n"
            + encoding
            + b"\r\n"
            + returned
        )
    head = b"Content-Description: Header of the undelivered message\r\nContent-Type: text/rfc822-headers\r\n"
    if returned.isascii():
        return head + b"\r\n" + returned
    encoded = b2a_qp(returned.replace(b"\r\n", b"\n"), istext=True).replace(b"\n", b"\r\n")
    return head + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + encoded


def _boundary(queue_id: str, parts: list[bytes]) -> bytes:
    """
    Find a boundary that occurs in no part.
    """
    number = 0
    while any((boundary := b"=_%d.%s" % (number, queue_id.encode("ascii"))) in part for part in parts):
        number += 1
    return boundary


def _line(name: str, value: str) -> str:
    """
    Write a field on one line, for values whose spaces count; what is not printable ASCII becomes "?".
    """
    return f"{name}: {_UNSAFE.sub('?', value)[:_LONGEST_WORD]}\r\n"


def _folded(name: str, value: str) -> str:
    """
    Write a field folded at its spaces; what is not printable ASCII becomes "?".
    """
    line = f"{name}:"
    lines = []
    for word in _UNSAFE.sub("?", value).split():
        while len(word) > _LONGEST_WORD:
            lines.append(line)
            line, word = f" {word[:_LONGEST_WORD]}", word[_LONGEST_WORD:]
        if len(line) + 1 + len(word) > _LINE and line != f"{name}:":
            lines.append(line)
            line = ""
        line += f" {word}"
    return "\r\n".join([*lines, line]) + "\r\n"
