"""
About what is stored.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import attrs

from empath.control.terms.asking import Ask, Follow
from empath.control.terms.queue import MessageView


@attrs.frozen
class StoredMessage:
    """
    A message in the spool; `file` is the name of its content file, "" for content in the database.
    """

    queue_id: str
    received: datetime
    size: int
    sender: str
    recipients: int
    deliveries: dict[str, str]
    file: str


@attrs.frozen
class SpoolPage:
    """
    Some messages, by queue id; `after` as in `QueuePage`.
    """

    messages: tuple[StoredMessage, ...]
    after: str


@attrs.frozen
class ListSpool(Ask[SpoolPage]):
    """
    List what is stored.
    """

    verb: ClassVar = "spool.list"
    answer: ClassVar = SpoolPage

    limit: int = 50
    after: str = ""


@attrs.frozen
class ViewStored(Ask[MessageView]):
    """
    Show a stored message, as `queue view` does.
    """

    verb: ClassVar = "spool.view"
    answer: ClassVar = MessageView

    queue_id: str


@attrs.frozen
class Content:
    """
    A piece of content, byte for byte.
    """

    octets: bytes


@attrs.frozen
class ContentEnd:
    """
    How many octets the message has.
    """

    size: int


@attrs.frozen
class ReadContent(Follow[ContentEnd, Content]):
    """
    Read a stored message as it would be sent.
    """

    verb: ClassVar = "spool.raw"
    answer: ClassVar = ContentEnd
    piece: ClassVar = Content

    queue_id: str


@attrs.frozen
class SpoolStats:
    """
    The spool in numbers; sizes and room in bytes. `octets` is what is taken up: content files, and the pages of the
    database that are in use, its indexes and what it needs while empty among them.
    """

    backend: str
    path: str
    version: int
    messages: int
    deliveries: dict[str, int]
    octets: int
    files: int
    file_octets: int
    database_octets: int
    wal_octets: int
    free: int
    min_free: int
    orphans: int
    deletion_failures: int
    cleanup_waiting: int


@attrs.frozen
class GetSpoolStats(Ask[SpoolStats]):
    """
    Ask for the numbers.
    """

    verb: ClassVar = "spool.stats"
    answer: ClassVar = SpoolStats


@attrs.frozen
class Verifying:
    """
    How far it came.
    """

    checked: int
    total: int


@attrs.frozen
class Fault:
    """
    Something that is not as it has to be, and what was, or should be, done about it.
    """

    kind: str
    name: str
    detail: str


@attrs.frozen
class Verified:
    """
    What a check of the whole spool found; `omitted` are the faults beyond those that are told.
    """

    messages: int
    deliveries: int
    files: int
    faults: tuple[Fault, ...]
    seconds: float
    omitted: int = 0


@attrs.frozen
class VerifySpool(Follow[Verified, Verifying]):
    """
    Check the database, and that every message has its content and nothing else is there. Changes nothing.
    """

    verb: ClassVar = "spool.verify"
    answer: ClassVar = Verified
    piece: ClassVar = Verifying


@attrs.frozen
class Cleaned:
    """
    How many deliveries that had been kept were deleted.
    """

    deleted: int


@attrs.frozen
class CleanUpCompleted(Follow[Cleaned, Cleaned]):
    """
    Delete mail now that was completed and kept.
    """

    verb: ClassVar = "spool.cleanup-completed"
    answer: ClassVar = Cleaned
    piece: ClassVar = Cleaned
    changes: ClassVar = True
