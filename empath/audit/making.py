"""
From what was captured of an event to its records: what all of them share.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, Final

import attrs

from empath.audit.chain import VERSION, Record
from empath.mail.address import Address
from empath.mail.arrival import Arrival

Capture = tuple[Any, ...]
"""
What was captured of one event: the function that makes its records, when it was, and what that function needs.
"""

REDACTED: Final = "[redacted]"
OURSELVES: Final = "empath"
_MILLISECONDS: Final = tuple(f".{number:03d}Z" for number in range(1000))
MOST_TEXT: Final = 2000  # characters of what a peer or a module said
_ADDRESS: Final = re.compile(r"""[^\s<>"'(),;:]+@[^\s<>"'(),;:]+""")


@attrs.frozen(slots=True)
class Redaction:
    """
    What of records is not told: senders, recipients, what the header says of the content. Where an address is not, none
    is told in what peers and modules say, either.
    """

    sender: bool = False
    recipients: bool = False
    content: bool = True

    @property
    def any_address(self) -> bool:
        """
        Whether some addresses are not told.
        """
        return self.sender or self.recipients


class Maker:
    """
    Makes records of captures, in one thread.
    """

    __slots__ = ("_second", "_text", "redaction")

    def __init__(self, redaction: Redaction) -> None:
        self.redaction = redaction
        self._second, self._text = 0, "1970-01-01T00:00:00"

    def make(self, capture: Capture) -> list[Record]:
        """
        Make the records of one capture, in their order.
        """
        records: list[Record] = capture[0](self, *capture[1:])
        if self.redaction.any_address:
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
        if self.redaction.sender and record.sender:
            record.sender = REDACTED
        if self.redaction.recipients:
            record.recipients = [REDACTED] * len(record.recipients)
        record.actor = redacted(record.actor)
        record.resource = redacted(record.resource)
        record.reply = redacted(record.reply)
        record.metadata = redacted(record.metadata)


MakeRecords = Callable[..., list[Record]]


def redacted(value: Any) -> Any:
    """
    Take all addresses out of a text, and out of all texts in a list or a dict.
    """
    match value:
        case str():
            return _ADDRESS.sub(REDACTED, value) if "@" in value else value
        case list():
            return [redacted(each) for each in value]
        case dict():
            return {key: redacted(each) for key, each in value.items()}
        case _:
            return value


def text_of(address: Address | None) -> str:
    """
    Write an address, "" for the null reverse-path.
    """
    return "" if address is None else address.text


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


def session_of(arrival: Arrival, **more: Any) -> dict[str, Any]:
    """
    Tell of a session what is known, and `more`.
    """
    told = {
        "session": arrival.session_id,
        "port": arrival.port,
        "listener": arrival.listener,
        "helo": arrival.name,
        "protocol": arrival.protocol,
        **more,
    }
    if arrival.tls:
        told["tls"], told["cipher"] = arrival.tls, arrival.cipher
    if arrival.login:
        told["login"] = arrival.login
    return told


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
