"""
Whether the indexes of a spool in SQLite have what they should, and nothing else: a slice at a time, each within one
statement, so that what changes meanwhile is no fault.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Final

import attrs

ENTRIES: Final = 1000  # at a time: some milliseconds

MISSING: Final = """
    CASE
        WHEN next_attempt IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM delivery AS i INDEXED BY delivery_due WHERE i.next_attempt IS NOT NULL
            AND i.next_attempt = d.next_attempt AND i.domain = d.domain AND i.queue_id = d.queue_id
        ) THEN 'delivery_due'
        WHEN next_attempt IS NULL AND NOT EXISTS (
            SELECT 1 FROM delivery AS i INDEXED BY delivery_resting WHERE i.next_attempt IS NULL
            AND i.status = d.status AND i.queue_id = d.queue_id AND i.domain = d.domain
        ) THEN 'delivery_resting'
        WHEN status = 'retry' AND next_attempt IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM delivery AS i INDEXED BY delivery_retry WHERE i.status = 'retry' AND i.domain = d.domain
            AND i.next_attempt IS NOT NULL AND i.next_attempt = d.next_attempt AND i.queue_id = d.queue_id
        ) THEN 'delivery_retry'
        WHEN keep_until IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM delivery AS i INDEXED BY delivery_kept WHERE i.keep_until IS NOT NULL
            AND i.keep_until = d.keep_until AND i.queue_id = d.queue_id AND i.domain = d.domain
        ) THEN 'delivery_kept'
        WHEN listed IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM delivery AS i INDEXED BY delivery_listed WHERE i.listed IS NOT NULL
            AND i.domain = d.domain AND i.queue_id = d.queue_id AND i.status = d.status AND i.listed = d.listed
        ) THEN 'delivery_listed'
    END
"""
"""
Name an index of deliveries that the row `d` should be in, and is not.
"""


@attrs.frozen(slots=True)
class Walk:
    """
    A way through a table or an index, in the order of `key`: `query` gives the key of each entry, its queue id, and
    whether it is well; `fault` says what is wrong with the others.
    """

    table: str
    query: str
    start: tuple[Any, ...]
    fault: str


_SEEK: Final = "SELECT 1 FROM delivery AS d INDEXED BY sqlite_autoindex_delivery_1"
_SAME: Final = "d.queue_id = i.queue_id AND d.domain = i.domain"

WALKS: Final = (
    Walk(
        "message",
        """
        SELECT number, queue_id, EXISTS (
            SELECT 1 FROM message AS i INDEXED BY sqlite_autoindex_message_1 WHERE i.queue_id = m.queue_id
        ) FROM message AS m NOT INDEXED WHERE number > ? ORDER BY number LIMIT ?
        """,
        (-1,),
        "the message is missing in the index of queue ids: it cannot be found",
    ),
    Walk(
        "delivery_due",
        f"""
        SELECT next_attempt, domain, queue_id, queue_id,
            EXISTS ({_SEEK} WHERE {_SAME} AND d.next_attempt = i.next_attempt)
        FROM delivery AS i INDEXED BY delivery_due
        WHERE next_attempt IS NOT NULL AND (next_attempt, domain, queue_id) > (?, ?, ?)
        ORDER BY next_attempt, domain, queue_id LIMIT ?
        """,
        (float("-inf"), "", ""),
        "the index delivery_due has an entry that no delivery has",
    ),
    Walk(
        "delivery_listed",
        f"""
        SELECT domain, queue_id, queue_id, EXISTS ({_SEEK} WHERE {_SAME} AND d.status = i.status AND d.listed NOT NULL)
        FROM delivery AS i INDEXED BY delivery_listed WHERE listed IS NOT NULL AND (domain, queue_id) > (?, ?)
        ORDER BY domain, queue_id LIMIT ?
        """,
        ("", ""),
        "the index delivery_listed has an entry that no delivery has",
    ),
)


def walk(way: Walk, after: tuple[Any, ...], connection: sqlite3.Connection) -> tuple[list[str], tuple[Any, ...] | None]:
    """
    Give the queue ids of the wrong entries of a slice, and where the next one begins.
    """
    found = connection.execute(way.query, (*after, ENTRIES)).fetchall()
    wrong = [str(queue_id) for *_, queue_id, well in found if not well]
    return wrong, tuple(found[-1][:-2]) if len(found) == ENTRIES else None
