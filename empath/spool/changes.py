"""
The rare changes, as work for the writer's thread inside a group's transaction. What may be much is done in slices.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Final

from twisted.internet.defer import Deferred

from empath.spool import rows, schema
from empath.spool.commit import Operation, Work

SLICE: Final = 500
KEPT: Final = 100  # at a time: with them go their messages, up to 64 KiB each
CLAIMS: Final = 100  # at a time: those of one time lie far from each other, each in a page of its own


async def in_slices(submit: Callable[[Operation], Deferred[int]], work: Work, most: int = SLICE) -> int:
    """
    Do a work that changes at most a slice, group by group, until there is no more; tells how much there was.
    """
    total = 0
    while True:
        changed = await submit(Operation(work=work, urgent=True))
        total += changed
        if changed < most:
            return total


def hastening(domains: Collection[str], now: float) -> Work:
    """
    Make the work that makes a slice of what waits for these due, and tells how many.
    """
    return partial(_hasten, now, rows.names(list(domains)))


async def expire_kept(submit: Callable[[Operation], Deferred[int]], now: float) -> int:
    """
    Delete what was kept long enough, and the claims whose time is over; tells how many.
    """
    kept = await in_slices(submit, partial(_expire_kept, now), KEPT)
    return kept + await in_slices(submit, partial(_forget_claims, now), CLAIMS)


def _expire_kept(now: float, connection: sqlite3.Connection) -> int:
    kept = connection.execute(schema.KEPT_TOO_LONG, (now, KEPT)).fetchall()
    connection.executemany(schema.DELETE_DELIVERY, kept)
    connection.executemany(schema.DELETE_EMPTY, [(queue_id,) for queue_id, _ in kept])
    return len(kept)


def clean_completed(connection: sqlite3.Connection) -> int:
    """
    Delete a slice of what was completed and kept; tells how many.
    """
    completed = connection.execute(schema.COMPLETED, (KEPT,)).fetchall()
    connection.executemany(schema.DELETE_DELIVERY, completed)
    connection.executemany(schema.DELETE_EMPTY, [(queue_id,) for queue_id, _ in completed])
    return len(completed)


def _forget_claims(now: float, connection: sqlite3.Connection) -> int:
    return connection.execute(schema.FORGET_ACCEPTED, (now, CLAIMS)).rowcount


def _hasten(now: float, domains: str, connection: sqlite3.Connection) -> int:
    return connection.execute(schema.HASTEN, (now, domains, SLICE)).rowcount


def manage(
    changes: Sequence[rows.Row | None], stands: Sequence[rows.Row], connection: sqlite3.Connection
) -> list[bool]:
    """
    Do what an operator wants of deliveries that still stand as they did, None: delete; tells of each whether it was
    done.
    """
    done = []
    for change, before in zip(changes, stands, strict=True):
        if change is not None:
            done.append(connection.execute(schema.MANAGE_DELIVERY, (*change, *before)).rowcount > 0)
            continue
        done.append(connection.execute(schema.DROP_DELIVERY, before).rowcount > 0)
        connection.execute(schema.DELETE_EMPTY, before[:1])
    return done


def withdraw(number: int, claims: Iterable[rows.Row], connection: sqlite3.Connection) -> None:
    """
    Delete the message of this number with its deliveries and claims, if it is there.
    """
    connection.executemany(schema.WITHDRAW_ACCEPTED, [row[:2] for row in claims])
    connection.execute(schema.WITHDRAW_DELIVERIES, (number,))
    connection.execute(schema.WITHDRAW_MESSAGE, (number,))


def probe(connection: sqlite3.Connection) -> None:
    """
    Write something.
    """
    connection.execute(schema.PROBE, (None,))
