"""
Delivery status notifications: the report on a message (RFC 3464) as a multipart/report (RFC 6522).

Two forms: everything in ASCII, or, about mail that needed SMTPUTF8, as it is in UTF-8 (RFC 6533).
"""

from __future__ import annotations

import re
from binascii import b2a_qp
from collections.abc import Callable
from typing import Final

import attrs

from empath.mail.dsn_fields import delivery_status, field
from empath.mail.dsn_text import explanation
from empath.mail.encoded import encode_words
from empath.mail.message import Message
from empath.mail.notice import Action, Notice
from empath.mail.report_text import Draft, ReportText, lines_of
from empath.mail.seven_bit import NotConvertible, Survey
from empath.mail.trace import format_date
from empath.mail.wish import REQUIRE_TLS

_MESSAGE_ID: Final = re.compile(
    rb"^message-id:[ \t\r\n]*(<[\x21-\x3b\x3d\x3f-\x7e]{1,900}>)", re.IGNORECASE | re.MULTILINE
)
_SUBJECTS: Final = {
    Action.FAILED: "Undelivered mail returned to sender",
    Action.DELAYED: "Delayed mail, still being retried",
    Action.RELAYED: "Mail relayed",
    Action.EXPANDED: "Mail passed on to several recipients",
    Action.DELIVERED: "Mail delivered",
}
_MIXED: Final = "Delivery status of your mail"
_LONGEST_LINE: Final = 900  # octets; RFC 5322 §2.1.1 allows 998

Write = Callable[[Draft], ReportText | None]
"""
Write what people read of a report, None: it stays as we would have it.
"""


def as_drafted(draft: Draft) -> None:
    """
    Leave everything to us.
    """


@attrs.frozen(slots=True)
class Reporting:
    """
    Who reports: `mta` is the Reporting-MTA's name, `postmaster` the address that reports come from.

    An original of more than `max_returned` bytes is returned as headers.
    """

    mta: str
    postmaster: str
    max_returned: int


def needs_utf8(message: Message, notices: tuple[Notice, ...]) -> bool:
    """
    Tell whether a report has the form of RFC 6533: the original asked for SMTPUTF8, and an address of it or its header
    is not ASCII.
    """
    if "SMTPUTF8" not in message.envelope.parameters:
        return False
    return not (
        message.header.isascii()
        and str(message.envelope.reverse_path).isascii()
        and all(notice.state.address.text.isascii() for notice in notices)
    )


def delivery_report(
    queue_id: str,
    now: float,
    message: Message,
    notices: tuple[Notice, ...],
    reporting: Reporting,
    write: Write = as_drafted,
) -> tuple[bytes, bytes]:
    """
    Make the header block and the body of the report on what became of `message` for these recipients, one or more.

    `queue_id` is the report's own; `now` is in seconds since the epoch. The message must have a reverse-path: that is
    who is told. `write` may say otherwise what people read. Content is returned with failures only (RFC 3461 §6.2). But
    for the form of RFC 6533, the report has bytes ≥ 128 only if the original is returned whole and has some.
    """
    utf8 = needs_utf8(message, notices)
    failed = any(notice.action is Action.FAILED for notice in notices)
    returned, whole = _returned(message, reporting.max_returned, failed=failed, utf8=utf8)
    kind = b"message/global-delivery-status" if utf8 else b"message/delivery-status"
    status = delivery_status(now, message, notices, reporting.mta, utf8=utf8)
    text = _worded(message, notices, reporting.mta, whole, write)
    parts = [
        _text_part(text),
        b"Content-Description: Delivery report\r\nContent-Type: " + kind + _encoding(status) + b"\r\n" + status,
        _original_part(returned, whole=whole, utf8=utf8, binary=message.binary, failed=failed),
    ]
    boundary = _boundary(queue_id, parts)
    body = [b"\r\nThis is a report in MIME format (RFC 3464).\r\n"]
    body += [b"\r\n--" + boundary + b"\r\n" + part for part in parts]
    body.append(b"\r\n--" + boundary + b"--\r\n")
    fields = _header(queue_id, now, message, text.subject, reporting, utf8=utf8)
    structure = (
        f"Content-Type: multipart/report; report-type={'global-' if utf8 else ''}delivery-status;\r\n"
        f' boundary="{boundary.decode()}"'
    )
    return (fields + structure).encode() + _encoding(b"".join(parts)), b"".join(body)


def _header(queue_id: str, now: float, message: Message, subject: str, reporting: Reporting, *, utf8: bool) -> str:
    sender = message.envelope.reverse_path
    to = str(sender) if sender is not None and (utf8 or sender.text.isascii()) else ""
    lines = [
        field("From", f"Mail Delivery System <{reporting.postmaster}>"),
        field("To", f"<{to}>" if to else "undisclosed-recipients:;", utf8=utf8),
        _subject_field(subject, utf8),
        field("Date", format_date(now)),
        field("Message-ID", f"<{queue_id}@{reporting.mta}>"),
        "Auto-Submitted: auto-replied\r\n",
    ]
    if found := _MESSAGE_ID.search(message.header):
        original = found[1].decode("ascii")
        lines += [f"In-Reply-To: {original}\r\n", f"References: {original}\r\n"]
    lines.append("MIME-Version: 1.0\r\n")
    return "".join(lines)


def _subject(notices: tuple[Notice, ...]) -> str:
    """
    Name what is told, or the failure alone where there is one: that is what has to be seen.
    """
    actions = {notice.action for notice in notices}
    if Action.FAILED in actions:
        return _SUBJECTS[Action.FAILED]
    return _SUBJECTS[actions.pop()] if len(actions) == 1 else _MIXED


@attrs.frozen(slots=True)
class _Words:
    """
    What people read, its lines ended by CRLF; as ReportText, without its limits.
    """

    text: str
    subject: str
    language: str = ""


def _worded(message: Message, notices: tuple[Notice, ...], mta: str, whole: bool, write: Write) -> _Words:
    """
    Give our words, or those that are written instead.
    """
    text, subject = explanation(message, notices, mta, whole=whole), _subject(notices)
    written = write(Draft(message, notices, subject, text.replace("\r\n", "\n"), mta, whole))
    if written is None:
        return _Words(text, subject)
    return _Words(lines_of(written.text), " ".join(written.subject.split()) or subject, written.language)


def _subject_field(subject: str, utf8: bool) -> str:
    """
    Write the subject, in encoded-words (RFC 2047) where it is not ASCII and the header has to be.
    """
    if utf8 or subject.isascii():
        return field("Subject", subject, utf8=utf8)
    return "Subject: " + encode_words(lines_of(subject).strip()).replace(" ", "\r\n ") + "\r\n"


def _text_part(written: _Words) -> bytes:
    text = written.text
    head = "Content-Description: Explanation\r\n"
    if written.language:
        head += f"Content-Language: {written.language}\r\n"
    head += "Content-Type: text/plain; charset="
    if text.isascii() and max(map(len, text.split("\r\n"))) <= _LONGEST_LINE:
        return f"{head}us-ascii\r\n\r\n{text}".encode("ascii")
    encoded = b2a_qp(text.encode().replace(b"\r\n", b"\n"), istext=True).replace(b"\n", b"\r\n")
    return f"{head}utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n".encode("ascii") + encoded


def _returned(message: Message, limit: int, *, failed: bool, utf8: bool) -> tuple[bytes, bool]:
    """
    Choose what is returned of the original: all of it where it failed, is small, at hand and no binary, and every host
    can take it; else its header block, cut before the line that passes `limit`. RET=HDRS asks for the header block
    (RFC 3461 §4.3), as REQUIRETLS does, whatever RET says (RFC 8689 §5).
    """
    small = message.body is not None and message.size <= limit
    asked = message.envelope.parameters
    if small and failed and not message.binary and asked.get("RET") != "HDRS" and REQUIRE_TLS not in asked:
        whole = message.header + (message.body or b"")
        if utf8 or _can_be_seven_bit(whole):
            return whole, True
    header = message.header
    if len(header) > limit:
        header = header[: header.rfind(b"\n", 0, limit) + 1]
    return header, False


def _can_be_seven_bit(content: bytes) -> bool:
    """
    Tell whether a host without 8BITMIME can be given this: what cannot be converted would take its report with it.
    """
    if content.isascii():
        return True
    survey = Survey()
    try:
        survey.feed(content)
        survey.finish()
    except NotConvertible:
        return False
    return True


def _original_part(returned: bytes, *, whole: bool, utf8: bool, binary: bool, failed: bool) -> bytes:
    """
    Make the third part. A whole message cannot be encoded again (RFC 2046 §5.2.1), a header block can (RFC 6522 §4),
    and need not be in UTF-8 (RFC 6533 §5).
    """
    name = b"undelivered message" if failed else b"message"
    if whole:
        kind = b"message/global" if utf8 else b"message/rfc822"
        return (
            b"Content-Description: The "
            + name
            + b"\r\nContent-Type: "
            + kind
            + _encoding(returned)
            + b"\r\n"
            + returned
        )
    kind = b"message/global-headers" if utf8 else b"text/rfc822-headers"
    head = b"Content-Description: Header of the " + name + b"\r\nContent-Type: " + kind
    if (utf8 or returned.isascii()) and not binary:
        return head + _encoding(returned) + b"\r\n" + returned
    plain = returned.replace(b"\r\n", b"\n").replace(b"\r", b"?")
    encoded = b2a_qp(plain, istext=True).replace(b"\n", b"\r\n")
    return head + b"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + encoded


def _encoding(content: bytes) -> bytes:
    """
    End a field, and say if what follows has bytes ≥ 128.
    """
    return b"\r\n" if content.isascii() else b"\r\nContent-Transfer-Encoding: 8bit\r\n"


def _boundary(queue_id: str, parts: list[bytes]) -> bytes:
    """
    Find a boundary that occurs in no part.
    """
    number = 0
    while any((boundary := b"=_%d.%s" % (number, queue_id.encode("ascii"))) in part for part in parts):
        number += 1
    return boundary
