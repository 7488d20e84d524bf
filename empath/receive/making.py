"""
What a transaction becomes once all have judged it: the message as it is stored.
"""

from __future__ import annotations

from typing import Final, Literal

from twisted.logger import Logger

from empath.interfaces import IContentWriter
from empath.mail.address import Address
from empath.mail.envelope import Envelope, Recipient
from empath.mail.message import Message
from empath.mail.reply import Reply
from empath.mail.session import Session, Transaction
from empath.mail.trace import received_field, with_protocol
from empath.receive.content import Content

TOO_MANY_RECIPIENTS: Final = Reply.of("452 4.5.3 too many recipients")
MOST_RECIPIENTS: Final = 10_000  # of one message, with those that modules add

log = Logger()


def check(transaction: Transaction) -> None:
    """
    Make sure that modules left a transaction as one can be; TypeError or ValueError tell what is wrong.
    """
    reverse_path = transaction.reverse_path
    if not (reverse_path is None or isinstance(reverse_path, Address)):
        raise TypeError(f"the reverse-path is no Address: {reverse_path!r}")
    for recipient in transaction.recipients:
        if not (isinstance(recipient, Recipient) and isinstance(recipient.address, Address)):
            raise TypeError(f"a recipient is no Recipient with an Address: {recipient!r}")
        if recipient.parameters:
            "".join(recipient.parameters.values())  # TypeError for what is no text
    "".join(transaction.parameters.values())
    if type(transaction.priority) is not int or not -9 <= transaction.priority <= 9:
        raise ValueError(f"the priority is no number from -9 to 9: {transaction.priority!r}")
    if not 0.0 <= transaction.release < float("inf"):
        raise ValueError(f"the release is no time: {transaction.release!r}")


def crowded(transaction: Transaction, more: int, allowed: int) -> bool:
    """
    Tell whether `more` recipients are too many, where clients may name as many as `allowed`.
    """
    total = len(transaction.recipients) + more
    if total <= MOST_RECIPIENTS or total <= allowed:
        return False
    log.warn(
        "{queue_id}: refused, {total} recipients are more than {most}",
        queue_id=transaction.queue_id,
        total=total,
        most=max(MOST_RECIPIENTS, allowed),
    )
    return True


def make_message(
    hostname: str,
    now: float,
    session: Session,
    transaction: Transaction,
    content: Content,
    writer: IContentWriter,
    binary: bool,
) -> Message:
    """
    Make the message, with our Received field on top; the body is `writer`'s. `binary`: it needs BODY=BINARYMIME.
    """
    header = _trace(hostname, now, session, transaction) + content.header
    eight_bit = content.eight_bit
    parameters = transaction.parameters
    if parameters.get("BODY") == "BINARYMIME" and not binary:
        parameters = _unbinary(parameters, eight_bit)
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
        priority=transaction.priority,
        decisions=transaction.decisions,
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
