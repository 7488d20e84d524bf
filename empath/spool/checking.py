"""
The pieces of a check of a spool in SQLite: each looks at one state of the database, and changes nothing.
"""

from __future__ import annotations

import os
import sqlite3
from typing import Any, Final

import attrs

from empath.errors import SpoolError
from empath.mail.stored import Fault
from empath.policy.selection import Key
from empath.spool import files, rows

MESSAGES: Final = 100  # at a time: with them go their bodies, up to 64 KiB each
DELIVERIES: Final = 500
SMALL: Final = 64 * 1024 * 1024  # bytes of a database that SQLite checks as a whole
TABLES: Final = ("delivery", "accepted", "state")  # in a larger one: messages are read anyway
WHOLE: Final = "everything"

_SIZE: Final = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
_MESSAGES: Final = """
    SELECT EXISTS (SELECT 1 FROM delivery WHERE delivery.queue_id = message.queue_id), queue_id, received, size,
        eight_bit, priority, trace, body_file, envelope, metadata, header, body, decisions, origin, arrival
    FROM message WHERE queue_id > ? ORDER BY queue_id LIMIT ?
"""
_DELIVERIES: Final = """
    SELECT EXISTS (SELECT 1 FROM message WHERE message.queue_id = delivery.queue_id), queue_id, domain, received,
        status, attempts, next_attempt, priority, last_error, recipients, held_since, history
    FROM delivery WHERE (queue_id, domain) > (?, ?) ORDER BY queue_id, domain LIMIT ?
"""
_COUNT: Final = "SELECT count(*) FROM "


@attrs.frozen(slots=True)
class Piece:
    """
    What one piece found: its faults, how much it looked at, and where the next one begins (None: there is none).
    `missing` are faults that count only if their message is still there.
    """

    faults: tuple[Fault, ...] = ()
    number: int = 0
    after: Key | None = None
    missing: tuple[Fault, ...] = ()


def totals(connection: sqlite3.Connection) -> int:
    """
    Count messages and deliveries.
    """
    return sum(connection.execute(_COUNT + table).fetchone()[0] for table in ("message", "delivery"))


def tables(connection: sqlite3.Connection) -> tuple[str, ...]:
    """
    Tell what SQLite is to check by itself, one after the other.
    """
    return (WHOLE,) if connection.execute(_SIZE).fetchone()[0] <= SMALL else TABLES


def integrity(table: str, connection: sqlite3.Connection) -> Piece:
    """
    Have SQLite check its pages and indexes.
    """
    what = "100" if table == WHOLE else table
    found = [text for (text,) in connection.execute(f"PRAGMA integrity_check({what})") if text != "ok"]
    return Piece(tuple([Fault("database", table, text) for text in found]))


def check_messages(root: str, after: Key, connection: sqlite3.Connection) -> Piece:
    """
    Read messages, and look for their content files.
    """
    found = connection.execute(_MESSAGES, (after[0], MESSAGES)).fetchall()
    faults: list[Fault] = []
    missing: list[Fault] = []
    for has_delivery, *row in found:
        if not has_delivery:
            faults.append(Fault("no-delivery", row[0], "the message has no delivery: nothing will become of it"))
        try:
            message = rows.message_of(row)
        except (SpoolError, TypeError) as failure:
            faults.append(Fault("unreadable", str(row[0]), str(failure)))
            continue
        where = faults if message.body_file is None else missing
        where += _content(root, message.queue_id, message.body_file, message.body, message.size - len(message.header))
    following = (found[-1][1], "") if len(found) == MESSAGES else None
    return Piece(tuple(faults), len(found), following, tuple(missing))


def _content(root: str, queue_id: str, name: str | None, body: bytes | None, wanted: int) -> list[Fault]:
    """
    Tell what is wrong with a body of `wanted` bytes, in the row or in the file of this name.
    """
    if name is None and body is None:
        return [Fault("no-content", queue_id, "the message has no content, neither in the database nor in a file")]
    try:
        size = len(body or b"") if name is None else os.stat(files.path_of(root, name)).st_size
    except SpoolError as failure:
        return [Fault("no-content", queue_id, str(failure))]
    except OSError as failure:
        return [Fault("no-content", queue_id, f"its content file {name} cannot be found: {failure.strerror}")]
    if size == wanted:
        return []
    return [Fault("size", queue_id, f"its body has {size} bytes, and should have {wanted}")]


def check_deliveries(after: Key, connection: sqlite3.Connection) -> Piece:
    """
    Read deliveries.
    """
    found = connection.execute(_DELIVERIES, (*after, DELIVERIES)).fetchall()
    faults = [fault for has_message, *row in found for fault in _delivery(has_message, row)]
    following = (found[-1][1], found[-1][2]) if len(found) == DELIVERIES else None
    return Piece(tuple(faults), len(found), following)


def _delivery(has_message: bool, row: list[Any]) -> list[Fault]:
    faults = []
    if not has_message:
        faults.append(Fault("no-message", str(row[0]), f"the delivery to {row[1]} has no message"))
    try:
        rows.delivery_of(tuple(row))
    except (SpoolError, TypeError) as failure:
        faults.append(Fault("unreadable", str(row[0]), str(failure)))
    return faults


def content_names(root: str) -> list[tuple[str, list[str]]]:
    """
    List all content files, by their folders.
    """
    try:
        return [(folder, files.list_names(folder)) for folder in files.list_folders(root)]
    except OSError as failure:
        raise SpoolError(f"the content files cannot be listed: {failure}") from failure


def measure(root: str) -> tuple[int, int]:
    """
    Tell how many content files there are, and their size in all.
    """
    number = size = 0
    for folder in files.list_folders(root):
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    size += entry.stat(follow_symlinks=False).st_size
                except OSError:
                    continue  # it has just been deleted
                number += 1
    return number, size


def existing(names: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """
    Tell which of these files, by folder and name, are there.
    """
    return [(folder, name) for folder, name in names if os.path.exists(os.path.join(folder, name))]
