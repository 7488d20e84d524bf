"""
Sessions, transactions, contents and messages, for tests that call a hook as a function.
"""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP
from typing import Any, Final

from empath.config.schema import Spool
from empath.mail.address import Address, parse_address
from empath.mail.attempt import Attempt
from empath.mail.envelope import Envelope, Recipient
from empath.mail.message import Delivery, Message, RecipientState, Status, deliveries_of
from empath.mail.session import Session, Transaction
from empath.receive.content import Content
from empath.spool.memory import MemorySpool
from empath.spool.memory_writer import MemoryWriter
from empath.testing.world import BEGINS

QUEUE_ID: Final = "01HK153X000000000000000000"


def address(text: str) -> Address:
    """
    Read an address, such as "user@example.org".
    """
    return parse_address(text, utf8=True)


def recipient(text: str, **parameters: str) -> Recipient:
    """
    Make a recipient; parameters are those of RCPT, such as NOTIFY="NEVER".
    """
    return Recipient(address(text), parameters)


def session(peer: str = "192.0.2.7", name: str = "client.example", **more: Any) -> Session:
    """
    Make a session that has said EHLO; `more` are any of Session's.
    """
    values = {"session_id": "s1", "port": 40_000, "listener": "tcp:25", "kind": "mta", "opened": BEGINS, **more}
    return Session(**{"peer": peer, "name": name, "protocol": "ESMTP", **values})


def transaction(sender: str = "sender@client.example", *recipients: str | Recipient, **more: Any) -> Transaction:
    """
    Make a transaction; `sender` "" is the null reverse-path, `more` are any of Transaction's.
    """
    made = Transaction(
        **{
            "queue_id": QUEUE_ID,
            "started": BEGINS,
            "reverse_path": address(sender) if sender else None,
            "parameters": {},
            **more,
        }
    )
    for each in recipients:
        made.accept(recipient(each) if isinstance(each, str) else each)
    return made


def content(raw: bytes | EmailMessage = b"Subject: test\r\n\r\ntest\r\n", limit: int = 0) -> Content:
    """
    Make a content of a whole message: what a hook changes can be read from it.
    """
    if isinstance(raw, EmailMessage):
        raw = raw.as_bytes(policy=SMTP)
    header, empty, body = raw.partition(b"\r\n\r\n")
    spool = MemorySpool(Spool(backend="memory"), emit=lambda _: None)
    spool.open()
    writer = MemoryWriter(QUEUE_ID, spool)
    if empty:
        writer.write(b"\r\n" + body)
    block = header + b"\r\n" if empty else header
    return Content(block, writer, not body.isascii(), False, limit)


def message(
    sender: str = "sender@client.example",
    *recipients: str,
    content: bytes = b"Subject: test\r\n\r\ntest\r\n",
    status: Status | None = None,
    **more: Any,
) -> Message:
    """
    Make a message, with the delivery to its first domain in that status (None: without), as listeners get it.
    """
    header, _, body = content.partition(b"\r\n\r\n")
    to = tuple(recipient(text) for text in recipients or ("user@example.org",))
    values: dict[str, Any] = {
        "queue_id": QUEUE_ID,
        "received": BEGINS,
        "envelope": Envelope(address(sender) if sender else None, to),
        "header": header + b"\r\n",
        "body": b"\r\n" + body,
        "body_file": None,
        "size": len(content),
        "eight_bit": not content.isascii(),
        **more,
    }
    made = Message(**values)
    return made if status is None else Message(**{**values, "delivery": _delivery(made, status)})


def attempt(*results: tuple[str, Status], number: int = 1, **more: Any) -> Attempt:
    """
    Make an attempt that dealt with recipients, given with how they now stand.
    """
    states = tuple(RecipientState(recipient(text), status) for text, status in results)
    return Attempt(number, BEGINS, **{"ended": BEGINS + 1.0, "results": states, **more})


def _delivery(of: Message, status: Status) -> Delivery:
    first = deliveries_of(of)[0]
    states = tuple(RecipientState(state.recipient, status) for state in first.recipients)
    return Delivery(first.queue_id, first.domain, first.received, states, status, attempts=1)
