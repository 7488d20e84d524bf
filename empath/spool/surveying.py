"""
What stored mail looks like from above, in SQLite: lists of messages, and numbers.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any, Final

from twisted.logger import Logger

from empath.errors import SpoolError
from empath.mail.message import Status
from empath.mail.stored import Head, Listed, Listing
from empath.spool import rows
from empath.spool.selecting import status_of

_HEAD: Final = "SELECT queue_id, received, size, body_file, envelope FROM message"
_HEADS: Final = f"{_HEAD} WHERE queue_id IN (SELECT value FROM json_each(?))"
_PAGE: Final = f"{_HEAD} WHERE queue_id > ? ORDER BY queue_id LIMIT ?"
_STATUSES: Final = """
    SELECT queue_id, domain, status FROM delivery WHERE queue_id IN (SELECT value FROM json_each(?))
"""

log = Logger()


def heads(queue_ids: list[str], connection: sqlite3.Connection) -> dict[str, Head]:
    """
    As `ISpool.heads`: blobs lie behind what is read, so that they stay on the disk.
    """
    return _readable(connection.execute(_HEADS, (json.dumps(queue_ids),)).fetchall())


def listing(after: str, limit: int, connection: sqlite3.Connection) -> Listing:
    """
    As `ISpool.listing`.
    """
    found = connection.execute(_PAGE, (after, limit)).fetchall()
    read = _readable(found)
    standing: dict[str, dict[str, Status]] = {queue_id: {} for queue_id in read}
    for queue_id, domain, status in connection.execute(_STATUSES, (json.dumps(list(read)),)).fetchall():
        standing[queue_id][domain] = status_of(status)
    listed = tuple([Listed(head, standing[queue_id]) for queue_id, head in read.items()])
    return Listing(listed, found[-1][0] if len(found) == limit else None)


def _readable(read: list[Any]) -> dict[str, Head]:
    """
    Make heads of rows; a damaged one is passed over, and told.
    """
    found = {}
    for row in read:
        try:
            found[row[0]] = rows.head_row(row)
        except SpoolError as failure:
            log.error("{queue_id}: passed over: {error}", queue_id=row[0], error=failure)
    return found


def numbers(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """
    Tell the version of the schema, how many messages there are, and the bytes that are in use within the file.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (count,) = connection.execute("SELECT count(*) FROM message").fetchone()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return version, count, (pages - free) * size
