"""
The pieces of a check of a spool in SQLite: each looks at one state of the database, and changes nothing.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Sequence
from typing import Any, Final

import attrs

from empath.errors import SpoolError
from empath.mail.stored import Fault
from empath.policy.selection import Key
from empath.spool import files, indexes, rows

MESSAGES: Final = 100  # at a time: with them go their bodies, up to 64 KiB each
DELIVERIES: Final = 500
SMALL: Final = 64 * 1024 * 1024  # bytes of a database that SQLite checks as a whole

_SIZE: Final = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
_QUEUE_IDS: Final = "SELECT queue_id FROM message WHERE queue_id > ? ORDER BY queue_id LIMIT ?"
_MESSAGES: Final = """
    SELECT EXISTS (SELECT 1 FROM delivery WHERE delivery.queue_id = message.queue_id), queue_id, received, size,
        eight_bit, priority, trace, body_file, envelope, metadata, header, body, decisions, origin, arrival
    FROM message WHERE queue_id >= ? AND queue_id <= ? ORDER BY queue_id
"""
_DELIVERIES: Final = f"""
    SELECT EXISTS (SELECT 1 FROM message WHERE message.queue_id = d.queue_id), {indexes.MISSING}, queue_id, domain,
        received, status, attempts, next_attempt, priority, last_error, recipients, held_since, history
    FROM delivery AS d WHERE (queue_id, domain) > (?, ?) ORDER BY queue_id, domain LIMIT ?
"""
_BEHIND: Final = "SELECT queue_id FROM message WHERE queue_id > ? ORDER BY queue_id LIMIT 1 OFFSET ?"
_COUNTS: Final = (
    "SELECT count(*) FROM message",
    "SELECT count(*) FROM delivery INDEXED BY delivery_due WHERE next_attempt IS NOT NULL",
    "SELECT count(*) FROM delivery INDEXED BY delivery_resting WHERE next_attempt IS NULL",
)


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
    Count messages and deliveries, from indexes alone.
    """
    return sum(connection.execute(count).fetchone()[0] for count in _COUNTS)


def is_small(connection: sqlite3.Connection) -> bool:
    """
    Tell whether SQLite can check the database as a whole: that is one reading, and as long as it lasts the log cannot
    begin anew. What it grew by is copied at once after that, and whoever commits then waits for it.
    """
    return bool(connection.execute(_SIZE).fetchone()[0] <= SMALL)


def integrity(connection: sqlite3.Connection) -> Piece:
    """
    Have SQLite check its pages and indexes.
    """
    found = [text for (text,) in connection.execute("PRAGMA integrity_check(100)") if text != "ok"]
    return Piece(tuple([Fault("database", "everything", text) for text in found]))


def check_messages(root: str, after: Key, connection: sqlite3.Connection) -> Piece:
    """
    Read messages, and look for their content files.
    """
    ids = [queue_id for (queue_id,) in connection.execute(_QUEUE_IDS, (after[0], MESSAGES))]
    faults: list[Fault] = []
    missing: list[Fault] = []
    for has_delivery, *row in _read_messages(ids, faults, connection):
        if not has_delivery:
            faults.append(Fault("no-delivery", row[0], "the message has no delivery: nothing will become of it"))
        try:
            message = rows.message_of(row)
        except (SpoolError, TypeError) as failure:
            faults.append(Fault("unreadable", str(row[0]), str(failure)))
            continue
        where = faults if message.body_file is None else missing
        where += _content(root, message.queue_id, message.body_file, message.body, message.size - len(message.header))
    following = (ids[-1], "") if len(ids) == MESSAGES else None
    return Piece(tuple(faults), len(ids), following, tuple(missing))


def _read_messages(ids: list[str], faults: list[Fault], connection: sqlite3.Connection) -> list[Any]:
    """
    Read them at once; where that cannot be done, one by one, so that those on damaged pages are named.
    """
    if not ids:
        return []
    try:
        return connection.execute(_MESSAGES, (ids[0], ids[-1])).fetchall()
    except sqlite3.DatabaseError as failure:
        if not is_damage(failure):
            raise
    found: list[Any] = []
    for queue_id in ids:
        try:
            found += connection.execute(_MESSAGES, (queue_id, queue_id)).fetchall()
        except sqlite3.DatabaseError as failure:
            if not is_damage(failure):
                raise
            faults.append(Fault("unreadable", queue_id, f"its row cannot be read: {failure}"))
    return found


def is_damage(failure: sqlite3.Error) -> bool:
    """
    Tell whether pages of the file are damaged.
    """
    return getattr(failure, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_IOERR)


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
    Read deliveries, and look for them in the indexes.
    """
    try:
        found = connection.execute(_DELIVERIES, (*after, DELIVERIES)).fetchall()
    except sqlite3.DatabaseError as failure:
        if not is_damage(failure):
            raise
        return _behind_damage(after, failure, connection)
    faults = [fault for each in found for fault in _delivery(each[0], each[1], each[2:])]
    following = (found[-1][2], found[-1][3]) if len(found) == DELIVERIES else None
    return Piece(tuple(faults), len(found), following)


def _behind_damage(after: Key, failure: sqlite3.Error, connection: sqlite3.Connection) -> Piece:
    """
    Read as far as it goes, one by one; then go on with the first later message whose deliveries can be read.
    """
    faults, number = list[Fault](), 0
    with contextlib.suppress(sqlite3.DatabaseError):
        while found := connection.execute(_DELIVERIES, (*after, 1)).fetchall():
            faults += _delivery(found[0][0], found[0][1], found[0][2:])
            after, number = (found[0][2], found[0][3]), number + 1
    skipped = 0
    while (behind := connection.execute(_BEHIND, (after[0], skipped)).fetchone()) is not None:
        with contextlib.suppress(sqlite3.DatabaseError):
            connection.execute(_DELIVERIES, (behind[0], "", 1)).fetchall()
            break
        skipped += 1
    upto = "to the end" if behind is None else f"to {behind[0]}"
    faults.append(Fault("database", "delivery", f"cannot be read from {after[0] or 'the beginning'} {upto}: {failure}"))
    return Piece(tuple(faults), number, None if behind is None else (behind[0], ""))


def _delivery(has_message: bool, missing: str | None, row: Sequence[Any]) -> list[Fault]:
    faults = []
    if not has_message:
        faults.append(Fault("no-message", str(row[0]), f"the delivery to {row[1]} has no message"))
    if missing:
        faults.append(Fault("database", str(row[0]), f"the delivery to {row[1]} is missing in the index {missing}"))
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
