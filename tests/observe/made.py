"""
Life events for tests, with as little in them as will do.
"""

from __future__ import annotations

from empath.mail import life
from empath.mail.address import Address
from empath.mail.answer import Answer, Found
from empath.mail.attempt import Attempt
from empath.mail.envelope import Envelope, Recipient
from empath.mail.message import Delivery, Message, RecipientState, Status
from empath.mail.reply import Reply
from empath.mail.session import Session, Transaction

QUEUE_ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
REPORT_ID = "01ARZ3NDEKTSV4RRFFQ69G5FAW"


def address(text: str) -> Address:
    local, _, domain = text.rpartition("@")
    return Address(local, domain, text)


def session(**changes: object) -> Session:
    made = Session("s1", "192.0.2.9", 40123, "tcp:25", "mta", 100.0, name="client.test", protocol="ESMTP")
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def message(
    sender: str | None = "a@src.test", to: tuple[str, ...] = ("b@dst.test",), size: int = 4096, trace: str = ""
) -> Message:
    envelope = Envelope(address(sender) if sender else None, tuple(Recipient(address(one)) for one in to))
    return Message(QUEUE_ID, 1000.0, envelope, b"", b"", None, size, False, trace=trace)


def state(
    text: str = "b@dst.test", status: Status = Status.COMPLETED, said: str | None = None, host: str = ""
) -> RecipientState:
    reply = None if said is None else Reply.of(said)
    return RecipientState(Recipient(address(text)), status, reply, host)


def attempt(**changes: object) -> Attempt:
    made = Attempt(
        1,
        1001.0,
        resolved=1001.25,
        connected=1002.0,
        sent=1003.0,
        ended=1003.5,
        host="mx.dst.test",
        address="192.0.2.1",
        port=25,
    )
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def attempt_ended(
    *results: RecipientState,
    status: Status = Status.COMPLETED,
    domain: str = "dst.test",
    timing: Attempt | None = None,
    begun: float = 1000.0,
    trace: str = "",
) -> life.AttemptEnded:
    delivery = Delivery(QUEUE_ID, domain, begun, results, status, attempts=1)
    return life.AttemptEnded(message(trace=trace), delivery, timing or attempt(), results)


def refused(
    said: str, transaction: Transaction | None = None, to: str | None = None, verb: str = "RCPT"
) -> life.CommandAnswered:
    return life.CommandAnswered(session(), verb, Reply.of(said), transaction, address(to) if to else None)


def looked_up(found: Found, cached: bool = False, rdtype: str = "MX", detail: str = "") -> life.LookedUp:
    return life.LookedUp(Answer("dst.test", rdtype, found, detail=detail), 0.02, cached)
