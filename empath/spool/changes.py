"""
The rare changes, as work for the writer's thread inside a group's transaction. What may be much is done in slices.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from empath.spool import schema

SLICE: Final = 500


def hasten(domain: str, now: float, connection: sqlite3.Connection) -> int:
    """
    Make a slice of what waits for `domain` due; tells how many.
    """
    return connection.execute(schema.HASTEN, (now, domain, SLICE)).rowcount


def expire_kept(now: float, connection: sqlite3.Connection) -> int:
    """
    Delete a slice of what was kept long enough; tells how many.
    """
    kept = connection.execute(schema.KEPT_TOO_LONG, (now, SLICE)).fetchall()
    connection.executemany(schema.DELETE_DELIVERY, kept)
    connection.executemany(schema.DELETE_EMPTY, [(queue_id,) for queue_id, _ in kept])
    return len(kept)


def withdraw(number: int, connection: sqlite3.Connection) -> None:
    """
    Delete the message of this number with its deliveries, if it is there.
    """
    connection.execute(schema.WITHDRAW_DELIVERIES, (number,))
    connection.execute(schema.WITHDRAW_MESSAGE, (number,))


def probe(connection: sqlite3.Connection) -> None:
    """
    Write something.
    """
    connection.execute(schema.PROBE, (None,))
