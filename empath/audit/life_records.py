"""
The records of a message's way: taken in or refused, queued, attempted, and what became of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from empath.audit.chain import VERSION, Record
from empath.audit.making import OURSELVES, Maker, addresses_of, milliseconds, record, session_of, short, text_of, who
from empath.mail.address import Address
from empath.mail.arrival import Arrival
from empath.mail.decision import Decision
from empath.mail.envelope import Envelope
from empath.mail.header import Header
from empath.mail.notice import Action
from empath.mail.origin import Origin
from empath.mail.reply import Reply


def received(
    maker: Maker,
    when: float,
    queue_id: str,
    envelope: Envelope,
    size: int,
    arrival: Arrival,
    decisions: Sequence[Decision],
    origin: Origin,
    seconds: float | None,
    header: bytes,
) -> list[Record]:
    """
    A client handed in a message, which is ours now.
    """
    told = session_of(arrival, size)
    if decisions:
        told.decisions = [_decision(each) for each in decisions]
    if header and not maker.redaction.content:
        told.subject, told.header_message_id = _content(header)
    return [
        Record(
            VERSION,
            maker.stamp(when),
            "received",
            who(arrival),
            "message",
            "receive",
            "ok",
            queue_id,
            text_of(envelope.reverse_path),
            addresses_of(envelope.recipients),
            arrival.peer,
            "",
            None if seconds is None else milliseconds(seconds),
            None,
            told,
        )
    ]


def queued(
    maker: Maker,
    when: float,
    queue_id: str,
    envelope: Envelope,
    size: int,
    arrival: Arrival | None,
    decisions: Sequence[Decision],
    origin: Origin,
    seconds: float | None,
    header: bytes,
) -> list[Record]:
    """
    We wrote a message, and it waits for its delivery.
    """
    made = record(maker.stamp(when), "queued", OURSELVES, "message", "queue", "ok")
    made.message_id, told = queue_id, dict[str, Any](size=size)
    if header and not maker.redaction.content:
        found = zip(("subject", "header_message_id"), _content(header), strict=True)
        told |= {key: value for key, value in found if value is not None}
    made.metadata = told
    return [_with(made, envelope)]


def held(maker: Maker, when: float, queue_id: str, envelope: Envelope, why: str) -> list[Record]:
    """
    A message is kept from delivery as it was taken in.
    """
    made = record(maker.stamp(when), "held", OURSELVES, "message", "hold", "ok")
    made.message_id, made.metadata = queue_id, {"why": short(why)}
    return [_with(made, envelope)]


def refused(
    maker: Maker,
    when: float,
    arrival: Arrival,
    verb: str,
    reply: Reply,
    queue_id: str,
    opened: bool,
    sender: Address | None,
    recipient: Address | None,
    decided_by: str,
    why: str,
) -> list[Record]:
    """
    A client heard 4yz or 5yz.
    """
    result = "deferred" if reply.transient else "refused"
    made = record(maker.stamp(when), "refused", who(arrival), "session", verb or "unknown", result)
    made.message_id, made.reply, made.host = queue_id, short(str(reply)), arrival.peer
    made.sender = text_of(sender) if opened else None
    made.recipients = [] if recipient is None else [recipient.text]
    made.metadata = told = session_of(arrival)
    told.module, told.why = decided_by, short(why)
    return [made]


def discarded(
    maker: Maker,
    when: float,
    queue_id: str,
    envelope: Envelope,
    size: int,
    arrival: Arrival,
    decided_by: str,
    why: str,
) -> list[Record]:
    """
    A message was dropped although its client heard 250.
    """
    made = record(maker.stamp(when), "discarded", who(arrival), "message", "discard", "ok")
    made.message_id, made.host = queue_id, arrival.peer
    made.metadata = told = session_of(arrival, size)
    told.module, told.why = decided_by, short(why)
    return [_with(made, envelope)]


def copy_refused(
    maker: Maker, when: float, queue_id: str, recipients: Sequence[Address], arrival: Arrival
) -> list[Record]:
    """
    A message came a second time, and its client heard 250 for the first one.
    """
    made = record(maker.stamp(when), "discarded", who(arrival), "message", "receive", "duplicate")
    made.message_id, made.host, made.metadata = queue_id, arrival.peer, session_of(arrival)
    made.recipients = [each.text for each in recipients]
    return [made]


def report_queued(
    maker: Maker, when: float, queue_id: str, envelope: Envelope, report_id: str, action: Action
) -> list[Record]:
    """
    A sender is told what became of the mail.
    """
    event = "bounced" if action is Action.FAILED else "reported"
    made = record(maker.stamp(when), event, OURSELVES, "message", "report", "ok")
    made.message_id, made.metadata = queue_id, {"report": report_id, "tells": action.value}
    return [_with(made, envelope)]


def report_dropped(maker: Maker, when: float, queue_id: str, envelope: Envelope, reason: str) -> list[Record]:
    """
    A report had nowhere to go.
    """
    made = record(maker.stamp(when), "bounced", OURSELVES, "message", "report", "dropped")
    made.message_id, made.metadata = queue_id, {"why": short(reason)}
    return [_with(made, envelope)]


def _decision(decision: Decision) -> dict[str, Any]:
    told: dict[str, Any] = {"hook": decision.hook, "module": decision.module, "verdict": decision.verdict}
    if decision.reply:
        told["reply"] = decision.reply
    if decision.why:
        told["why"] = decision.why
    if decision.shadow:
        told["shadow"] = True
    return told


def _content(header: bytes) -> tuple[str | None, str | None]:
    """
    Tell what the header says of the content: subject and Message-ID.
    """
    fields = Header(header)
    subject, message_id = fields.get("Subject"), fields.get("Message-ID")
    return None if subject is None else short(subject), None if message_id is None else short(message_id)


def _with(made: Record, envelope: Envelope) -> Record:
    made.sender = text_of(envelope.reverse_path)
    made.recipients = addresses_of(envelope.recipients)
    return made
