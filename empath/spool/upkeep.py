"""
What the writer's thread does now and then, between two transactions, to give room back.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from empath.spool.ballast import MIB, Ballast
from empath.spool.writer import PAGE

STEP: Final = 2048  # pages given back at a time: 8 MiB
PLENTY: Final = 16 * MIB


def give_back(connection: sqlite3.Connection) -> None:
    """
    Shorten the file by what lies free in it, one step.

    `executescript`, because `execute` would give back a single page; the file itself shrinks at the checkpoint.
    """
    connection.executescript(f"PRAGMA incremental_vacuum({STEP})")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def keep_up(ballast: Ballast, min_free: int, connection: sqlite3.Connection) -> None:
    """
    Give room back if plenty lies free, and take up the ballast again if there is room for it.
    """
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    if free * PAGE >= PLENTY or not ballast.present():
        give_back(connection)
    ballast.restore(min_free)
