"""
The fields of a delivery status notification, for programs (RFC 3464 §2; in UTF-8, RFC 6533 §4).
"""

from __future__ import annotations

import re
from typing import Final, assert_never

from empath.mail.deliver_by import deliver_by
from empath.mail.message import Message, RecipientState
from empath.mail.notice import Action, Notice
from empath.mail.trace import format_date
from empath.mail.xtext import decode_xtext

_NO_ASCII_TEXT: Final = re.compile(r"[^\x20-\x7e]")
_NO_TEXT: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_EMBEDDED: Final = re.compile(r"\\x\{([0-9A-F]{2,6})\}")
_LINE: Final = 76
_LONGEST_WORD: Final = 900  # RFC 5322 §2.1.1: no line over 998 octets
_HIGHEST: Final = 0x10FFFF
_SAID: Final = 262144  # characters of all replies together,
_LEAST_SAID: Final = 100  # of each, however many there are


def delivery_status(now: float, message: Message, notices: tuple[Notice, ...], mta: str, *, utf8: bool) -> bytes:
    """
    Write a group of fields for the message and one for each recipient; 7-bit unless `utf8`.
    """
    fields = [field("Reporting-MTA", f"dns; {mta}")]
    if envid := message.envelope.parameters.get("ENVID"):
        fields.append(field("Original-Envelope-Id", decode_xtext(envid)))
    fields.append(field("X-Empath-Queue-ID", message.queue_id))
    fields.append(field("Arrival-Date", format_date(message.received)))
    for keyword, kind in (("HOLDFOR", "for"), ("HOLDUNTIL", "until")):
        if held := message.envelope.parameters.get(keyword):
            fields.append(field("Future-Release-Request", f"{kind};{held}"))  # RFC 4865 §5.1.2
    if (by := deliver_by(message)) is not None:
        fields.append(field("Deliver-By-Date", format_date(by.deadline)))  # RFC 2852 §5
    most, date = max(_SAID // len(notices), _LEAST_SAID), format_date(now)
    for notice in notices:
        fields.append("\r\n")
        fields += _recipient_fields(notice, utf8, most)
        if notice.action is not Action.DELAYED or notice.state.late:  # it may just wait: when it was tried is not known
            fields.append(field("Last-Attempt-Date", date))
        if notice.until is not None:
            fields.append(field("Will-Retry-Until", format_date(notice.until)))
    return "".join(fields).encode("utf-8" if utf8 else "ascii")


def field(name: str, value: str, *, utf8: bool = False) -> str:
    """
    Write a field on one line, for values whose spaces count; what is not printable, or not ASCII, becomes "?".
    """
    return f"{name}: {_cut(_clean(value, utf8), _LONGEST_WORD)[0]}\r\n"


def _recipient_fields(notice: Notice, utf8: bool, most: int) -> list[str]:
    state, fields = notice.state, []
    kind, semicolon, address = state.recipient.parameters.get("ORCPT", "").partition(";")
    if semicolon and kind.lower() == "utf-8":
        fields.append(field("Original-Recipient", _typed(_unescaped(address), utf8, "utf-8"), utf8=utf8))
    elif semicolon:
        fields.append(field("Original-Recipient", f"{kind}; {decode_xtext(address)}"))
    fields.append(field("Final-Recipient", _typed(state.address.text, utf8), utf8=utf8))
    fields.append(f"Action: {notice.action.value}\r\n")
    fields.append(field("Status", _status(notice)))
    if state.host:
        fields.append(field("Remote-MTA", f"dns; {state.host}"))
    if state.reply is not None:
        said = f"{'smtp' if state.host else 'X-Empath'}; {state.reply}"
        fields.append(_folded("Diagnostic-Code", said[:most], utf8))
    if state.category:
        fields.append(field("X-Empath-Category", state.category))
    return fields


def _status(notice: Notice) -> str:
    """
    Give the status: of class 2 for what was delivered or relayed, 4.4.7 for what is late by the time that its sender
    set (RFC 2852) or was not tried yet, else that of the last reply, which is of class 4 where a recipient was tried
    for too long (RFC 3464 §2.3.4).
    """
    state: RecipientState = notice.state
    match notice.action:
        case Action.DELAYED:
            return "4.4.7" if state.late or state.reply is None or not state.reply.transient else state.reply.status
        case Action.FAILED:
            return "5.0.0" if state.reply is None or state.reply.positive else state.reply.status
        case Action.RELAYED | Action.EXPANDED | Action.DELIVERED:
            return state.reply.status if state.reply is not None and state.reply.positive else "2.0.0"
        case _:
            assert_never(notice.action)


def _typed(address: str, utf8: bool, kind: str = "rfc822") -> str:
    """
    Write an address with its type; one that is not ASCII is escaped in a 7-bit report (RFC 6533 §3).
    """
    if address.isascii() and kind == "rfc822":
        return f"rfc822; {address}"
    if utf8:
        return f"utf-8; {address}"
    escaped = "".join(c if c.isascii() and c not in " \\+=" else f"\\x{{{ord(c):X}}}" for c in address)
    return f"utf-8; {escaped}"


def _unescaped(address: str) -> str:
    r"""
    Read an address of type utf-8, as ORCPT has it: perhaps with characters such as \x{F6} (RFC 6533 §3).
    """
    return _EMBEDDED.sub(lambda found: chr(int(found[1], 16)) if int(found[1], 16) <= _HIGHEST else "?", address)


def _folded(name: str, value: str, utf8: bool) -> str:
    """
    Write a field folded at its spaces; what is not printable, or not ASCII, becomes "?".
    """
    line = f"{name}:"
    lines = []
    for word in _clean(value, utf8).split():
        first, rest = _cut(word, _LONGEST_WORD)
        while rest:
            lines.append(line)
            line = f" {first}"
            first, rest = _cut(rest, _LONGEST_WORD)
        if len(line) + 1 + len(first) > _LINE and line != f"{name}:":
            lines.append(line)
            line = ""
        line += f" {first}"
    return "\r\n".join([*lines, line]) + "\r\n"


def _clean(text: str, utf8: bool) -> str:
    return (_NO_TEXT if utf8 else _NO_ASCII_TEXT).sub("?", text)


def _cut(text: str, limit: int) -> tuple[str, str]:
    """
    Split a text after at most `limit` octets of UTF-8.
    """
    if len(text) * 4 <= limit:
        return text, ""
    first = text.encode()[:limit].decode(errors="ignore")
    return first, text[len(first) :]
