"""
What can be told of stored mail without reading it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs

from empath.mail.message import Message, Status

Progress = Callable[[int, int], Awaitable[None] | None]
"""
Hear how many of how many are done (as far as that is known); who has to be waited for gives an Awaitable.
"""


@attrs.frozen(slots=True)
class Head:
    """
    A message in a listing. `sender` is the reverse-path's text, "" for the null one; `body_file` as in `Message`.
    """

    queue_id: str
    received: float
    size: int
    sender: str
    recipients: int
    body_file: str | None


@attrs.frozen(slots=True)
class Listed:
    """
    A stored message, and how its deliveries stand, by their domains.
    """

    head: Head
    deliveries: dict[str, Status]


@attrs.frozen(slots=True)
class Listing:
    """
    Some messages by queue id; `after` is where to go on, None if that was all.
    """

    messages: tuple[Listed, ...]
    after: str | None


@attrs.frozen(slots=True)
class Destination:
    """
    How many deliveries there are to one domain, by status (those without any are left out).
    """

    domain: str
    counts: dict[Status, int]


@attrs.frozen(slots=True)
class Destinations:
    """
    Those with the most deliveries, most first, and how many destinations there are; `complete` unless counting them
    all would have taken too long.
    """

    most: tuple[Destination, ...]
    number: int
    complete: bool = True


@attrs.frozen(slots=True)
class Figures:
    """
    The spool in numbers, sizes in bytes. `octets` is what mail takes up in the database and in files, `files` are the
    content files. `free` is what the disk has left.
    """

    backend: str
    path: str
    version: int
    messages: int
    octets: int
    files: int
    file_octets: int
    database_octets: int
    wal_octets: int
    free: int
    min_free: int
    cleanup_waiting: int


@attrs.frozen(slots=True)
class Space:
    """
    Bytes: left on the spool's disk (`free`), kept free of new mail (`min_free`), of the database's file (`database`)
    and free within it (`reusable`), and of content that is in memory (`memory`).
    """

    free: int
    min_free: int
    database: int
    reusable: int
    memory: int


@attrs.frozen(slots=True)
class Fault:
    """
    Something that is not as it has to be. `kind` is "database", "unreadable", "size", "no-content", "no-message",
    "no-delivery", "orphan" or "cleanup"; `name` is what it is about, a queue id for most.
    """

    kind: str
    name: str
    detail: str


@attrs.frozen(slots=True)
class Check:
    """
    What a check of the whole spool found; `omitted` are the faults beyond those that are listed.
    """

    messages: int
    deliveries: int
    files: int
    faults: tuple[Fault, ...]
    omitted: int = 0


def head_of(message: Message) -> Head:
    """
    Tell what is listed of a message.
    """
    envelope = message.envelope
    sender = "" if envelope.reverse_path is None else envelope.reverse_path.text
    recipients = len(envelope.recipients)
    return Head(message.queue_id, message.received, message.size, sender, recipients, message.body_file)
