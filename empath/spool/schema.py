"""
The SQLite schema: its versions, how an older one becomes the newest, and the statements that use it.

Measured at 20 messages a group (4 KiB each): 22 µs of CPU to insert, 16 to delete. `message` has a rowid because its
rows hold blobs, `delivery` has none; each partial index costs only the rows that are in it, so fresh mail pays for
`delivery_due` alone. `delivery_listed` has what stays for longer (`empath.spool.listing`): an index of all deliveries
by domain would cost 3 µs a message in a short queue, 12 in a long one.
"""

from __future__ import annotations

import sqlite3
from typing import Final
from urllib.parse import quote

from twisted.logger import Logger

from empath.errors import SpoolError, SpoolTooNew
from empath.mail.history import MOST

APPLICATION_ID: Final = 0x656D7061  # "empa"

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """
        CREATE TABLE message (
            number INTEGER PRIMARY KEY,
            queue_id TEXT NOT NULL UNIQUE,
            received REAL NOT NULL,
            size INTEGER NOT NULL,
            eight_bit INTEGER NOT NULL,
            priority INTEGER NOT NULL,
            trace TEXT NOT NULL,
            body_file TEXT,
            envelope TEXT NOT NULL,
            metadata TEXT,
            header BLOB NOT NULL,
            body BLOB
        )
        """,
        """
        CREATE TABLE delivery (
            queue_id TEXT NOT NULL,
            domain TEXT NOT NULL,
            received REAL NOT NULL,
            status TEXT NOT NULL,
            attempts INTEGER NOT NULL,
            next_attempt REAL,
            priority INTEGER NOT NULL,
            last_error TEXT NOT NULL,
            recipients TEXT NOT NULL,
            keep_until REAL,
            lease_owner TEXT,
            lease_until REAL,
            PRIMARY KEY (queue_id, domain)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX delivery_due ON delivery (next_attempt, domain) WHERE next_attempt IS NOT NULL",
        """
        CREATE INDEX delivery_retry ON delivery (domain, next_attempt, status)
        WHERE status = 'retry' AND next_attempt IS NOT NULL
        """,
        "CREATE INDEX delivery_resting ON delivery (status, next_attempt) WHERE next_attempt IS NULL",
        "CREATE INDEX delivery_kept ON delivery (keep_until) WHERE keep_until IS NOT NULL",
        "CREATE TABLE state (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
    ),
    ("ALTER TABLE message ADD COLUMN decisions TEXT",),
    ("CREATE INDEX message_by ON message (queue_id) WHERE instr(envelope, '\"BY\":') > 0",),
    (
        "ALTER TABLE message ADD COLUMN origin TEXT",
        "ALTER TABLE delivery ADD COLUMN held_since REAL",
        "ALTER TABLE delivery ADD COLUMN warned INTEGER",
        """
        CREATE INDEX message_login ON message (origin, queue_id) WHERE origin >= 'login:' AND origin < 'login;'
        """,
        """
        CREATE TABLE accepted (
            claim BLOB NOT NULL,
            queue_id TEXT NOT NULL,
            recipients BLOB NOT NULL,
            until REAL NOT NULL,
            PRIMARY KEY (claim, queue_id)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX accepted_until ON accepted (until)",
    ),
    (
        "ALTER TABLE message ADD COLUMN arrival TEXT",
        "ALTER TABLE delivery ADD COLUMN history TEXT",
        "ALTER TABLE delivery ADD COLUMN listed INTEGER",
        "CREATE INDEX delivery_listed ON delivery (domain, queue_id, status, listed) WHERE listed IS NOT NULL",
    ),
)
"""
What makes version n + 1 out of version n, statement by statement. A released entry never changes.
"""

INSERT_MESSAGE: Final = """
    INSERT INTO message (number, queue_id, received, size, eight_bit, priority, trace, body_file, envelope, metadata,
        header, body, decisions, origin, arrival) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
INSERT_DELIVERY: Final = """
    INSERT INTO delivery (queue_id, domain, received, status, attempts, next_attempt, priority, last_error, recipients,
        held_since, listed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
UPDATE_DELIVERY: Final = f"""
    UPDATE delivery SET status = ?1, attempts = ?2, next_attempt = ?3, priority = ?4, last_error = ?5, recipients = ?6,
        held_since = ?7, keep_until = ?8, history = CASE
            WHEN ?11 IS NULL THEN history
            WHEN history IS NULL OR NOT json_valid(history) THEN json_array(json(?11))
            WHEN json_array_length(history) < {MOST} THEN json_insert(history, '$[#]', json(?11))
            ELSE json_insert(json_remove(history, '$[1]'), '$[#]', json(?11)) END
    WHERE queue_id = ?9 AND domain = ?10
"""
MANAGE_DELIVERY: Final = """
    UPDATE delivery SET received = ?, status = ?, attempts = ?, next_attempt = ?, last_error = ?, recipients = ?,
        held_since = ?, keep_until = NULL WHERE queue_id = ? AND domain = ? AND status = ? AND attempts = ?
"""
DROP_DELIVERY: Final = "DELETE FROM delivery WHERE queue_id = ? AND domain = ? AND status = ? AND attempts = ?"
DELETE_DELIVERY: Final = "DELETE FROM delivery WHERE queue_id = ? AND domain = ?"
DELETE_EMPTY: Final = """
    DELETE FROM message WHERE queue_id = ?1 AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.queue_id = ?1)
"""
WITHDRAW_DELIVERIES: Final = "DELETE FROM delivery WHERE queue_id = (SELECT queue_id FROM message WHERE number = ?)"
WITHDRAW_MESSAGE: Final = "DELETE FROM message WHERE number = ?"
INSERT_ACCEPTED: Final = "INSERT INTO accepted (claim, queue_id, recipients, until) VALUES (?, ?, ?, ?)"
WITHDRAW_ACCEPTED: Final = "DELETE FROM accepted WHERE claim = ? AND queue_id = ?"
FORGET_ACCEPTED: Final = """
    DELETE FROM accepted WHERE (claim, queue_id) IN (
        SELECT claim, queue_id FROM accepted INDEXED BY accepted_until WHERE until <= ? LIMIT ?)
"""
ACCEPTED: Final = "SELECT queue_id, recipients FROM accepted WHERE claim = ? AND until > ? ORDER BY queue_id LIMIT ?"
HASTEN: Final = """
    UPDATE delivery SET next_attempt = ?1 WHERE (queue_id, domain) IN (
        SELECT queue_id, domain FROM delivery INDEXED BY delivery_retry
        WHERE status = 'retry' AND next_attempt IS NOT NULL AND next_attempt > ?1
            AND domain IN (SELECT value FROM json_each(?2)) LIMIT ?3)
"""
KEPT_TOO_LONG: Final = """
    SELECT queue_id, domain FROM delivery INDEXED BY delivery_kept
    WHERE keep_until IS NOT NULL AND keep_until <= ? LIMIT ?
"""
COMPLETED: Final = """
    SELECT queue_id, domain FROM delivery INDEXED BY delivery_resting
    WHERE status = 'completed' AND next_attempt IS NULL LIMIT ?
"""
PROBE: Final = "INSERT OR REPLACE INTO state (name, value) VALUES ('probed', ?)"

LOAD: Final = """
    SELECT queue_id, received, size, eight_bit, priority, trace, body_file, envelope, metadata, header, body,
        decisions, origin, arrival FROM message WHERE queue_id = ?
"""
DUE: Final = """
    SELECT queue_id, domain, received, status, attempts, next_attempt, priority, last_error, recipients, held_since
    FROM delivery INDEXED BY delivery_due
    WHERE next_attempt IS NOT NULL AND next_attempt <= ? AND domain NOT IN (SELECT value FROM json_each(?))
    ORDER BY next_attempt LIMIT ?
"""
NEXT_DUE: Final = """
    SELECT min(next_attempt) FROM delivery INDEXED BY delivery_due WHERE next_attempt IS NOT NULL AND next_attempt > ?
"""
DUE_COUNT: Final = """
    SELECT count(*) FROM delivery INDEXED BY delivery_due
    WHERE next_attempt IS NOT NULL AND next_attempt <= ? AND domain NOT IN (SELECT value FROM json_each(?))
"""
OVERDUE: Final = """
    SELECT queue_id, domain, received, status, attempts, next_attempt, priority, last_error, recipients, held_since
    FROM delivery
    WHERE queue_id < ?1 AND next_attempt <= ?2 AND received <= ?3 AND domain IN (SELECT value FROM json_each(?4))
    ORDER BY queue_id LIMIT ?5
"""
LATE: Final = """
    SELECT delivery.queue_id, domain, delivery.received, status, attempts, next_attempt, delivery.priority, last_error,
        recipients, held_since
    FROM message INDEXED BY message_by CROSS JOIN delivery USING (queue_id)
    WHERE instr(envelope, '"BY":') > 0 AND next_attempt <= ?1 AND domain IN (SELECT value FROM json_each(?2))
        AND instr(recipients, '"late":true') = 0
        AND CAST(json_extract(envelope, '$.parameters.BY') AS INTEGER) BETWEEN 1 AND ?1 - message.received
    ORDER BY message.queue_id LIMIT ?3
"""
SLICE_END: Final = """
    SELECT queue_id, domain FROM delivery WHERE (queue_id, domain) > (?, ?) AND queue_id < ?
    ORDER BY queue_id, domain LIMIT 1 OFFSET ?
"""
DELAYED: Final = """
    SELECT queue_id, domain, received, status, attempts, next_attempt, priority, last_error, recipients, held_since
    FROM delivery
    WHERE (queue_id, domain) > (?, ?) AND (queue_id, domain) <= (?, ?) AND warned IS NULL
        AND next_attempt IS NOT NULL AND received <= ?
    ORDER BY queue_id, domain
"""
LATE_STILL: Final = """
    SELECT 1 FROM delivery
    WHERE queue_id = ? AND domain = ? AND status = ? AND attempts = ? AND warned IS NULL AND next_attempt IS NOT NULL
"""
WARN: Final = "UPDATE delivery SET warned = 1 WHERE queue_id = ? AND domain = ?"
OLDEST: Final = """
    SELECT min(received) FROM (
        SELECT received FROM delivery WHERE next_attempt IS NOT NULL AND received <= ? ORDER BY queue_id LIMIT 100)
"""
SCHEDULED_COUNT: Final = "SELECT count(*) FROM delivery INDEXED BY delivery_due WHERE next_attempt IS NOT NULL"
RETRY_COUNT: Final = """
    SELECT count(*) FROM delivery INDEXED BY delivery_retry WHERE status = 'retry' AND next_attempt IS NOT NULL
"""
RESTING_COUNT: Final = """
    SELECT status, count(*) FROM delivery INDEXED BY delivery_resting WHERE next_attempt IS NULL GROUP BY status
"""
WITH_FILE: Final = """
    SELECT queue_id FROM message WHERE queue_id IN (SELECT value FROM json_each(?)) AND body_file IS NOT NULL
"""

_DOOMED: Final = (
    "CREATE TEMP TABLE doomed (name TEXT NOT NULL)",
    """
    CREATE TEMP TRIGGER message_deleted AFTER DELETE ON main.message WHEN old.body_file IS NOT NULL
    BEGIN INSERT INTO doomed VALUES (old.body_file); END
    """,
)

log = Logger()


def connect(path: str, mode: str) -> sqlite3.Connection:
    """
    Open the file in SQLite's `mode`: "rw" (never creating it: the disk may be away), or "ro".
    """
    return sqlite3.connect(f"file:{quote(path)}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False)


def make_durable(connection: sqlite3.Connection) -> None:
    """
    Set what the writer's connection needs: a commit is on the disk when it returns.

    The first three only matter to a file without tables, and must come in this order. Debian builds SQLite to overwrite
    what is deleted, which writes every page of every message once more: FAST does that only where it costs no writing.
    """
    for pragma in (
        "page_size = 4096",
        "auto_vacuum = INCREMENTAL",
        "journal_mode = WAL",
        "synchronous = FULL",
        "wal_autocheckpoint = 1000",
        f"journal_size_limit = {8 * 1024 * 1024}",
        "cache_size = -8192",
        "temp_store = MEMORY",
        "secure_delete = FAST",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()


def note_deletions(connection: sqlite3.Connection) -> None:
    """
    Let the table `doomed` of this connection collect the content files of deleted messages, row by row.
    """
    for statement in _DOOMED:
        connection.execute(statement)


def check_version(connection: sqlite3.Connection) -> int:
    """
    Tell the schema's version; SpoolTooNew for one we do not know yet, SpoolError for somebody else's database.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        raise SpoolError("the database in the spool was not made by empath")
    if version > len(MIGRATIONS):
        raise SpoolTooNew(f"the spool has version {version}, this empath knows only up to version {len(MIGRATIONS)}")
    return int(version)


def migrate(connection: sqlite3.Connection, migrations: tuple[tuple[str, ...], ...] = MIGRATIONS) -> None:
    """
    Bring the schema to the newest version in one transaction: all of it or nothing.
    """
    version = check_version(connection)
    if version >= len(migrations):
        return
    if version:
        said = "the spool is brought from version {old} to {new}: with a long queue that takes some seconds"
        log.info(said, old=version, new=len(migrations))
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statements in migrations[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
