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
from empath.mail.stored import Destination, Destinations, Head, Listed, Listing
from empath.spool import rows
from empath.spool.listing import LISTED
from empath.spool.selecting import status_of

_HEAD: Final = "SELECT queue_id, received, size, body_file, envelope FROM message"
_HEADS: Final = f"{_HEAD} WHERE queue_id IN (SELECT value FROM json_each(?))"
_PAGE: Final = f"{_HEAD} WHERE queue_id > ? ORDER BY queue_id LIMIT ?"
_STATUSES: Final = """
    SELECT queue_id, domain, status FROM delivery WHERE queue_id IN (SELECT value FROM json_each(?))
"""
_COUNTED: Final = tuple(status for status in Status if status is not Status.IN_PROGRESS)
_SUMS: Final = ", ".join(f"sum(status = '{status.value}') AS n{at}" for at, status in enumerate(_COUNTED))
_TOTALS: Final = ", ".join(f"sum(n{at})" for at in range(len(_COUNTED)))
_DESTINATIONS: Final = f"""
    WITH counted AS (
        SELECT domain, count(*) AS all_of_it, {_SUMS} FROM delivery INDEXED BY delivery_listed
        WHERE listed IS NOT NULL GROUP BY domain
        UNION ALL
        SELECT domain, count(*) AS all_of_it, {_SUMS} FROM delivery
        WHERE queue_id > ?1 AND listed IS NULL GROUP BY domain
    ), destination AS (SELECT domain, sum(all_of_it) AS number, {_TOTALS} FROM counted GROUP BY domain)
    SELECT count(*) OVER (), * FROM destination ORDER BY number DESC, domain LIMIT ?2
"""

log = Logger()


def destinations(limit: int, connection: sqlite3.Connection) -> Destinations:
    """
    As `ISpool.destinations`: from the index of domains, and the few rows that it does not have yet.
    """
    connection.execute("BEGIN")  # both see one state
    try:
        (listed,) = connection.execute(LISTED).fetchone()
        found = connection.execute(_DESTINATIONS, (listed, max(1, limit))).fetchall()
    finally:
        connection.execute("COMMIT")
    most = tuple([Destination(domain, _counts(numbers)) for _, domain, _, *numbers in found[:limit]])
    return Destinations(most, found[0][0] if found else 0)


def _counts(numbers: list[int]) -> dict[Status, int]:
    return {status: number for status, number in zip(_COUNTED, numbers, strict=True) if number}


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
