"""
About mail that waits.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import attrs

from empath.control.terms.asking import Ask


@attrs.frozen
class Filter:
    """
    All deliveries that fit each field which is given; with none, only `all` selects, and means all. `older_than` is in
    seconds since reception. `status` is one of the contract's words; "in-progress" is what is being attempted.
    """

    queue_id: str | None = None
    status: str | None = None
    domain: str | None = None
    site: str | None = None
    sender: str | None = None
    recipient: str | None = None
    login: str | None = None
    older_than: float | None = None
    all: bool = False


@attrs.frozen
class Item:
    """
    One delivery in a listing. `why` says in one clause what it waits for, where that is known without more reading. Of
    many recipients the first are told, `more_recipients` are left out.
    """

    queue_id: str
    domain: str
    status: str
    received: datetime
    size: int
    sender: str
    recipients: tuple[str, ...]
    attempts: int
    next_attempt: datetime | None
    last_error: str
    why: str = ""
    more_recipients: int = 0


@attrs.frozen
class QueuePage:
    """
    Some of what was found; `after` is the cursor of the next page, "" behind the last one. A page may be short, or
    empty, before that.
    """

    items: tuple[Item, ...]
    after: str


@attrs.frozen
class ListQueue(Ask[QueuePage]):
    """
    List deliveries, at most `limit` (1 to 1,000) a page.
    """

    verb: ClassVar = "queue.list"
    answer: ClassVar = QueuePage

    filter: Filter
    limit: int = 50
    after: str = ""


@attrs.frozen
class RecipientRow:
    """
    One recipient as it stands, with the last reply about it.
    """

    address: str
    status: str
    reply: str = ""
    host: str = ""
    category: str = ""
    doubtful: bool = False


@attrs.frozen
class AttemptRow:
    """
    One attempt of the past; `seconds` are its phases by name ("dns", "connect", "tls", "transaction"), as far as it
    came. `reply` is the last one, or what kept it from any.
    """

    number: int
    started: datetime
    ended: datetime
    host: str
    address: str
    port: int
    tls: str
    cipher: str
    security: str
    reused: bool
    seconds: dict[str, float]
    result: str
    reply: str


@attrs.frozen
class DeliveryView:
    """
    A message's way to one destination. Of very many recipients the first are told, `more_recipients` are left out.
    """

    domain: str
    status: str
    attempts: int
    next_attempt: datetime | None
    last_error: str
    held_since: datetime | None
    recipients: tuple[RecipientRow, ...]
    history: tuple[AttemptRow, ...]
    more_recipients: int = 0


@attrs.frozen
class ArrivalRow:
    """
    How a message came to us; all "" for what we wrote ourselves.
    """

    session: str = ""
    peer: str = ""
    port: int = 0
    listener: str = ""
    name: str = ""
    protocol: str = ""
    tls: str = ""
    cipher: str = ""
    login: str = ""
    origin: str = ""


@attrs.frozen
class DecisionRow:
    """
    What a module decided about a message on its way in, and why.
    """

    module: str
    stage: str
    action: str
    why: str = ""


@attrs.frozen
class MessageView:
    """
    A message in the queue: `headers` in their order, `body` its first 1,024 characters, or "[binary]".
    Of very many deliveries the first are told, `more_deliveries` are left out.
    """

    queue_id: str
    received: datetime
    size: int
    priority: int
    sender: str
    parameters: dict[str, str]
    arrival: ArrivalRow
    metadata: dict[str, str]
    deliveries: tuple[DeliveryView, ...]
    headers: tuple[tuple[str, str], ...]
    body: str
    more_deliveries: int = 0


@attrs.frozen
class ViewMessage(Ask[MessageView]):
    """
    Show a message. Not found (with what the audit trail knows, if anything) if it is in the queue no more.
    """

    verb: ClassVar = "queue.view"
    answer: ClassVar = MessageView

    queue_id: str
