"""
What a transaction becomes once all have judged it: the message as it is stored.
"""

from __future__ import annotations

from typing import Literal

from twisted.logger import Logger

from empath.interfaces import IContentWriter
from empath.mail.arrival import arrival_of
from empath.mail.envelope import Envelope
from empath.mail.message import Message
from empath.mail.origin import origin_of
from empath.mail.session import MOST_RECIPIENTS, Session, Transaction
from empath.mail.trace import received_field, with_protocol
from empath.mail.wish import noted
from empath.receive.terms import Surroundings

log = Logger()


def warn_of_crowd(transaction: Transaction) -> None:
    """
    Tell the operator of a message whose recipients modules have made too many.
    """
    log.warn(
        "{queue_id}: refused, modules make more than {most} recipients of it",
        queue_id=transaction.queue_id,
        most=MOST_RECIPIENTS,
    )


def make_message(
    around: Surroundings,
    session: Session,
    transaction: Transaction,
    header: bytes,
    writer: IContentWriter,
    eight_bit: bool,
    binary: bool,
) -> Message:
    """
    Make the message, with our Received field on top; the body is `writer`'s. `binary`: it needs BODY=BINARYMIME. What
    the header block, as it is in the end, says of TLS is noted with the envelope (RFC 8689 §4.1).
    """
    parameters = noted(transaction.parameters, header)
    origin = origin_of(session.trusted, session.login)
    traces, now = around.traces, around.clock.seconds()
    trace = traces.received(transaction.queue_id, header, origin) if traces.on else ""
    header = _trace(around.hostname, now, session, transaction) + header
    if not binary and parameters.get("BODY") == "BINARYMIME":
        parameters = _unbinary(parameters, eight_bit)
    if not transaction.priority and "MT-PRIORITY" in parameters:  # a module took it away
        parameters = {keyword: value for keyword, value in parameters.items() if keyword != "MT-PRIORITY"}
    return Message(
        transaction.queue_id,
        now,
        Envelope(transaction.reverse_path, tuple(transaction.recipients), parameters),
        header,
        writer.body,
        writer.body_file,
        len(header) + writer.size,
        eight_bit,
        dict(transaction.metadata),
        trace,
        priority=transaction.priority,
        decisions=transaction.decisions,
        origin=origin,
        arrival=arrival_of(session),
    )


def _trace(hostname: str, now: float, session: Session, transaction: Transaction) -> bytes:
    recipients, protocol = transaction.recipients, session.protocol
    if "SMTPUTF8" in transaction.parameters:
        base: Literal["LMTP", "ESMTP"] = "LMTP" if session.kind == "lmtp" else "ESMTP"
        protocol = with_protocol(base, bool(session.tls), bool(session.login), True)
    return received_field(
        name=session.name,
        peer=session.peer,
        hostname=hostname,
        protocol=protocol,
        queue_id=transaction.queue_id,
        recipient=recipients[0].address.text if len(recipients) == 1 else "",
        seconds=now,
        tls=session.tls,
        cipher=session.cipher,
        priority=transaction.priority,
    )


def _unbinary(parameters: dict[str, str], eight_bit: bool) -> dict[str, str]:
    """
    Declare content as what it is, since it is no binary: more hosts take it then.
    """
    rest = {keyword: value for keyword, value in parameters.items() if keyword != "BODY"}
    return {**rest, "BODY": "8BITMIME"} if eight_bit else rest
