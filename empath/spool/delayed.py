"""
Mail that takes long, in SQLite, and the note that its sender was told.

No index serves this: it would cost every message something. Rows are looked at in the order of their keys, so many at a
time that nobody waits; who asks remembers how far he came.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from empath.mail.queue_id import queue_id_at
from empath.policy.selection import Key, Page
from empath.spool import rows, schema
from empath.spool.selecting import readable

YOUNGER: Final = 60.0  # seconds by which a queue id may be younger than its message
SCANNED: Final = 2000  # rows looked at for one page: a few milliseconds


def delayed(received: float, after: Key, connection: sqlite3.Connection) -> Page:
    """
    As `ISpool.delayed`. Queue ids sort by time, so only those rows are looked at that are old enough.
    """
    end = queue_id_at(received + YOUNGER)
    last = connection.execute(schema.SLICE_END, (*after, end, SCANNED - 1)).fetchone()
    found = connection.execute(schema.DELAYED, (*after, *(last or (end, "")), received)).fetchall()
    return Page(tuple(readable(found)), last)


def warn(
    late: Sequence[rows.Row], message: rows.Row | None, deliveries: Sequence[rows.Row], connection: sqlite3.Connection
) -> bool:
    """
    Note that a sender was told, and store what tells him; False where one of the deliveries does not stand so any more.
    """
    for standing in late:
        if connection.execute(schema.LATE_STILL, standing).fetchone() is None:
            return False
    connection.executemany(schema.WARN, [standing[:2] for standing in late])
    if message is not None:
        connection.execute(schema.INSERT_MESSAGE, message)
        connection.executemany(schema.INSERT_DELIVERY, deliveries)
    return True
