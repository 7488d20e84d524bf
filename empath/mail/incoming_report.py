"""
What comes back about mail of ours: bounces that arrive as mail (RFC 3464), and complaints (ARF, RFC 5965).

All of it is what a stranger says. `read_report` tells what that is; whom it may concern is for who knows to which
address it came.
"""

from __future__ import annotations

import re
from typing import Final

import attrs

from empath.mail.address import Address, parse_address
from empath.mail.header import Header
from empath.mail.reply import Reply
from empath.mail.report_parts import Part, fields_of, media_type, parts_of
from empath.mail.xtext import decode_xtext

MOST_READ: Final = 256 * 1024  # octets of a body: more than any report needs in front of the message it returns
LONGEST: Final = 500  # characters of a text that is kept

_ACTIONS: Final = frozenset({"failed", "delayed", "delivered", "relayed", "expanded"})
_STATUS: Final = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})")
_CODED: Final = re.compile(r"\b([45]\d\d)[ -](?:([45]\.\d{1,3}\.\d{1,3})\b)?")
_TRACED: Final = re.compile(r"\bby\s+(\S+)\s.*?\bid\s+([0-9A-HJKMNP-TV-Z]{26})\b", re.DOTALL)
_PERMANENT: Final = re.compile(r"(?:^|[\s(#])(5\.\d{1,3}\.\d{1,3})\b|(?:^|[\s:])(5\d\d)[ -]", re.MULTILINE)
_DELIVERY: Final = frozenset({"message/delivery-status", "message/global-delivery-status"})
_RETURNED: Final = frozenset({"message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers"})
_DAEMONS: Final = ("mailer-daemon", "postmaster")


@attrs.frozen(slots=True)
class Told:
    """
    What a bounce says of one recipient. `action` is a word of RFC 3464 §2.3.3, `status` an enhanced code, `reply` what
    the last host said as far as it is told, `recipient` whom it names.
    """

    action: str
    status: str
    reply: Reply
    recipient: Address | None = None


@attrs.frozen(slots=True)
class Bounce:
    """
    A report about the fate of a message: of each recipient that it names, at least one. `queue_id` is ours of that
    time, "" if it is not told.
    """

    told: tuple[Told, ...]
    queue_id: str = ""


@attrs.frozen(slots=True)
class Complaint:
    """
    A report about a message that somebody did not want. `kind` is its Feedback-Type, `reporter` who made it. `paths`
    are the reverse-paths that it claims the message had, `recipients` whom it claims it was for.
    """

    kind: str
    reporter: str
    paths: tuple[Address, ...] = ()
    recipients: tuple[Address, ...] = ()
    queue_id: str = ""


def read_report(header: bytes, body: bytes, hostname: str) -> Bounce | Complaint | None:
    """
    Read a message, of which `body` is at least the beginning; None if it is no report. `hostname` is our name in the
    trace fields of what is returned.
    """
    fields = Header(header)
    parts = parts_of(fields, body[:MOST_READ])
    kinds = {part.kind: part for part in reversed(parts)}
    queue_id = _queue_id(parts, hostname)
    if "message/feedback-report" in kinds:
        return _complaint(kinds["message/feedback-report"], parts, queue_id)
    for kind in sorted(_DELIVERY & kinds.keys()):
        return _bounce(kinds[kind], queue_id)
    if "report-type" in media_type(fields).parameters:
        return None  # of another kind, such as one that says that mail was read (RFC 8098)
    return _unstructured(fields, parts, queue_id)


def _bounce(part: Part, queue_id: str) -> Bounce | None:
    told = tuple([found for group in fields_of(part.content) if (found := _told(group)) is not None])
    return Bounce(told, queue_id) if told else None


def _told(group: Header) -> Told | None:
    """
    Read the fields of one recipient; None for those of the message, and for what nobody could go by.
    """
    action = (group.get("Action") or "").split(" ", 1)[0].split("(", 1)[0].strip().lower()
    match = _STATUS.search(group.get("Status") or "")
    if action not in _ACTIONS:
        return None
    status = match[0] if match else {"failed": "5.0.0", "delayed": "4.0.0"}.get(action, "2.0.0")
    diagnostic = (group.get("Diagnostic-Code") or "").partition(";")[2].strip()
    named = group.get("Original-Recipient") or group.get("Final-Recipient") or ""
    return Told(action, status, _reply(status, diagnostic), _typed_address(named))


def _reply(status: str, text: str) -> Reply:
    """
    Make a reply of what is told of one, its codes those of the text where it has any.
    """
    match = _CODED.search(text)
    if match is not None:
        return Reply.heard(int(match[1]), [text[match.end(1) + 1 :][:LONGEST].strip()])
    code = {"2": 250, "4": 450}.get(status[0], 550)
    return Reply.heard(code, [f"{status} {text[:LONGEST]}".strip()])


def _complaint(part: Part, parts: tuple[Part, ...], queue_id: str) -> Complaint | None:
    groups = fields_of(part.content)
    kind = groups[0].get("Feedback-Type") if groups else None
    if not kind or groups[0].get("Version") is None:
        return None
    fields = groups[0]
    paths = [fields.get("Original-Mail-From") or ""]
    returned = _returned(parts)
    if returned is not None:
        paths += returned.get_all("Return-Path")[:1]
    return Complaint(
        kind.lower()[:50],
        (fields.get("User-Agent") or "")[:100],
        _addresses(paths),
        _addresses(fields.get_all("Original-Rcpt-To")[:10]),
        queue_id,
    )


def _unstructured(fields: Header, parts: tuple[Part, ...], queue_id: str) -> Bounce | None:
    """
    Read a bounce without fields for machines: one of Exim's, or one of qmail's, or from a mail system that says with a
    code what went wrong. What a person or a robot answers is none.
    """
    text = parts[0].content[:8192].decode("utf-8", "replace") if parts and parts[0].kind.startswith("text/") else ""
    failed = _addresses((fields.get("X-Failed-Recipients") or "").split(",")[:10])
    by_qmail = "\nHi. This is the " in f"\n{text}"
    if not (failed or by_qmail or _by_daemon(fields)):
        return None
    match = _PERMANENT.search(text)
    if match is None and not (failed or by_qmail):
        return None
    line = "" if match is None else text[match.start() :].strip().partition("\n")[0]
    reply = _reply((match and match[1]) or "5.0.0", line.lstrip("(#: "))
    return Bounce(tuple([Told("failed", reply.status, reply, each) for each in failed or (None,)]), queue_id)


def _by_daemon(fields: Header) -> bool:
    """
    Tell whether a mail system wrote a message: answering machines write in the name of whom they answer for.
    """
    sender = (fields.get("From") or "").lower()
    return any(f"{name}@" in sender for name in _DAEMONS)


def _queue_id(parts: tuple[Part, ...], hostname: str) -> str:
    """
    Find our trace field in what is returned.
    """
    returned = _returned(parts)
    for trace in [] if returned is None else returned.get_all("Received")[:50]:
        match = _TRACED.search(trace[:LONGEST])
        if match is not None and match[1].lower() == hostname.lower():
            return match[2]
    return ""


def _returned(parts: tuple[Part, ...]) -> Header | None:
    """
    Give the header of the message that a report is about.
    """
    for part in parts:
        if part.kind in _RETURNED:
            return Header(part.content.lstrip(b"\n").partition(b"\n\n")[0] + b"\n")
    return None


def _typed_address(value: str) -> Address | None:
    """
    Read "rfc822; user@example.org" (RFC 3464 §2.3.1, RFC 6533 §3).
    """
    kind, _, text = value.partition(";")
    found = _addresses([decode_xtext(text) if kind.strip().lower() == "rfc822" else text])
    return found[0] if found else None


def _addresses(texts: list[str]) -> tuple[Address, ...]:
    """
    Read addresses, perhaps in angle brackets; those that are none are left out.
    """
    found = []
    for text in texts:
        try:
            found.append(parse_address(text.strip().removeprefix("<").removesuffix(">"), utf8=True))
        except ValueError:
            continue
    return tuple(found)
