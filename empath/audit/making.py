"""
From what was captured of an event to its records: what all of them share.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import attrs
import msgspec

from empath.audit.chain import VERSION, Record
from empath.mail.address import Address
from empath.mail.arrival import Arrival
from empath.mail.envelope import Recipient

Capture = tuple[Any, ...]
"""
What was captured of one event: the function that makes its records, when it was, and what that function needs.
"""

REDACTED: Final = "[redacted]"
OURSELVES: Final = "empath"
_MILLISECONDS: Final = tuple(f".{number:03d}Z" for number in range(1000))
MOST_TEXT: Final = 2000  # characters of what a peer or a module said
WEIGHT: Final = 1000  # octets that a capture keeps alive while it waits, roughly
RECIPIENT_WEIGHT: Final = 600  # for each recipient that it tells of
_AT: Final = re.compile("@|%40|=40|\\+40|＠", re.IGNORECASE)  # also as URLs, quoted-printable and xtext write it
_ADDRESS: Final = re.compile(
    r"""(?:"(?:[^"\\\r\n]|\\.){1,128}"|(?<![^\s<>"(),;:@])[^\s<>"(),;:@]+)"""  # a local part, quoted or not
    r"""(?:@|%40|=40|\+40|＠)"""
    r"""(?:\[[^\]\s]*\]?|[^\s<>"'(),;:]+)"""  # a domain or an address literal
)


@attrs.frozen(slots=True)
class Redaction:
    """
    What of records is not told: senders, recipients, what the header says of the content. Where an address is not, none
    is told in what peers and modules say, either.
    """

    sender: bool = False
    recipients: bool = False
    content: bool = True


class Maker:
    """
    Makes records of captures, in one thread. `ids_of` tells the ids of the trace and of the span of a message by its
    queue id, None where nothing is traced.
    """

    __slots__ = ("_redaction", "_redacts", "_second", "_text", "ids_of")

    def __init__(self, redaction: Redaction) -> None:
        self.redaction = redaction
        self.ids_of: Callable[[str], tuple[str, str] | None] = _no_ids
        self._second, self._text = 0, "1970-01-01T00:00:00"

    @property
    def redaction(self) -> Redaction:
        """
        What is not told from now on.
        """
        return self._redaction

    @redaction.setter
    def redaction(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._redacts = redaction.sender or redaction.recipients

    def make(self, capture: Capture) -> list[Record]:
        """
        Make the records of one capture, in their order.
        """
        make, *captured = capture
        records: list[Record] = make(self, *captured)
        for record in records:
            if record.message_id and (ids := self.ids_of(record.message_id)) is not None:
                _trace(record, ids[0])
        if self._redacts:
            for record in records:
                self._redact(record)
        return records

    def stamp(self, when: float) -> str:
        """
        Tell a time, in seconds since the epoch, as ISO 8601 in UTC.
        """
        second = int(when)
        if second != self._second:
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second
        return self._text + _MILLISECONDS[int((when - second) * 1000)]

    def _redact(self, record: Record) -> None:
        known = [each for each in (record.sender, *record.recipients) if each]
        hide = partial(redacted, hide=_hider(known))
        if self.redaction.sender and record.sender:
            record.sender = REDACTED
        if self.redaction.recipients:
            record.recipients = [REDACTED] * len(record.recipients)
        record.actor = hide(record.actor)
        record.resource = hide(record.resource)
        record.host = hide(record.host)
        record.reply = hide(record.reply)
        record.metadata = hide(msgspec.to_builtins(record.metadata))


MakeRecords = Callable[..., list[Record]]


def redacted(value: Any, hide: Callable[[str], str]) -> Any:
    """
    Have `hide` take addresses out of a text, and out of all texts in a list or a dict.
    """
    match value:
        case str():
            return hide(value)
        case list():
            return [redacted(each, hide) for each in value]
        case dict():
            return {hide(key): redacted(each, hide) for key, each in value.items()}
        case _:
            return value


def _hider(known: Sequence[str]) -> Callable[[str], str]:
    """
    Give what takes addresses out of a text: all that look like one, and those that are `known`, whatever they look
    like, such as a local part alone.
    """
    words = "|".join(re.escape(each) for each in known)
    ours = re.compile(rf"(?<![\w.@-])(?:{words})(?![\w@-])", re.IGNORECASE) if known else None

    def hide(text: str) -> str:
        if ours is not None:
            text = ours.sub(REDACTED, text)
        return _ADDRESS.sub(REDACTED, text) if _AT.search(text) else text

    return hide


def text_of(address: Address | None) -> str:
    """
    Write an address, "" for the null reverse-path.
    """
    return "" if address is None else address.text


def addresses_of(recipients: Sequence[Recipient]) -> list[str]:
    """
    Write the addresses of recipients.
    """
    return [each.address.text for each in recipients]


def who(arrival: Arrival) -> str:
    """
    Name a client: by its login, else by its address.
    """
    return f"login:{arrival.login}" if arrival.login else arrival.peer


def milliseconds(seconds: float) -> float:
    """
    Tell a span in milliseconds, down to a tenth; none is less than nothing.
    """
    return int(seconds * 10_000) / 10 if seconds > 0 else 0.0


class SessionTold(msgspec.Struct, gc=False, omit_defaults=True):
    """
    What the metadata of a record tell of a client's session, and of the message that it handed in.
    """

    session: str
    port: int
    listener: str
    helo: str
    protocol: str
    size: int | None = None
    tls: str = ""
    cipher: str = ""
    login: str = ""
    decisions: list[dict[str, Any]] = []
    module: str = ""
    why: str = ""
    subject: str | None = None
    header_message_id: str | None = None
    trace_id: str = ""


def session_of(arrival: Arrival, size: int | None = None) -> SessionTold:
    """
    Tell of a session what is known, and the size of a message.
    """
    return SessionTold(
        arrival.session_id,
        arrival.port,
        arrival.listener,
        arrival.name,
        arrival.protocol,
        size,
        arrival.tls,
        arrival.cipher,
        arrival.login,
    )


def _trace(record: Record, trace_id: str) -> None:
    """
    Tell in a record which trace it belongs to.
    """
    if isinstance(record.metadata, dict):
        record.metadata["trace_id"] = trace_id
    else:
        record.metadata.trace_id = trace_id


def _no_ids(queue_id: str) -> tuple[str, str] | None:
    """
    Know of no trace.
    """
    return None


def record(stamp: str, event: str, actor: str, resource: str, action: str, result: str) -> Record:
    """
    Begin a record.
    """
    return Record(VERSION, stamp, event, actor, resource, action, result)


def short(text: str) -> str:
    """
    Shorten what a peer or a module said.
    """
    return text if len(text) <= MOST_TEXT else text[:MOST_TEXT] + "…"
