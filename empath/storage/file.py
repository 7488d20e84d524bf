"""
The file of the storage: one SQLite connection, one transaction a group of operations.

Fatal: at `open`, a file that is not ours, or that a newer empath made. A full disk fails the writes and leaves the
reads alone; after any other trouble with the disk the file is opened again for the next group.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import quote

import attrs
from twisted.internet.defer import Deferred

from empath.errors import StorageError, StorageFull
from empath.folders import sync_folder

APPLICATION_ID: Final = 0x656D706D  # "empm"

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        "CREATE TABLE item (module TEXT, key TEXT, value TEXT NOT NULL, expires REAL, PRIMARY KEY (module, key))",
        "CREATE INDEX item_expires ON item (expires) WHERE expires IS NOT NULL",
    ),
)
"""
What makes version n + 1 out of version n. A released entry never changes.
"""

_DURABLE: Final = (
    "page_size = 4096",
    "journal_mode = WAL",
    "synchronous = FULL",
    "wal_autocheckpoint = 1000",
    f"journal_size_limit = {8 * 1024 * 1024}",
    "cache_size = -8192",
)


@attrs.define(slots=True, eq=False)
class Operation:
    """
    One read or write. `work` tells its result; `size` is its octets in memory. `result` and `failure` belong to the
    file until the group has ended.
    """

    work: Callable[[sqlite3.Connection], Any]
    writes: bool
    size: int
    done: Deferred[Any] | None = None
    result: Any = None
    failure: StorageError | None = None


class StorageFile:
    """
    The database at `path`, in memory for None; after `open`, only one thread at a time may call it.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """
        Make or migrate the database; StorageError, in one line, if it cannot be used, StorageFull for want of room.
        """
        try:
            if self._path is not None:
                _make(self._path)
            self._connected()
        except (sqlite3.Error, OSError) as failure:
            ours = StorageFull if _is_full(failure) else StorageError
            raise ours(f"the storage {self._path} cannot be opened: {failure}") from failure

    def close(self) -> None:
        """
        Let go of the database; the log is copied into it.
        """
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def run(self, group: list[Operation]) -> None:
        """
        Do the group in its order; each operation has its `failure` or `result` afterwards. Raises nothing.
        """
        try:
            self._together(group)
        except Exception as failure:
            full = _is_full(failure)
            if not full:
                self._drop()
            _refuse((operation for operation in group if operation.writes), failure, full)
            self._reads([operation for operation in group if not operation.writes], failure)

    def _together(self, group: list[Operation]) -> None:
        connection = self._connected()
        writes = any(operation.writes for operation in group)
        try:
            if writes:
                connection.execute("BEGIN IMMEDIATE")
            for operation in group:
                operation.result = operation.work(connection)
            if writes:
                connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            raise

    def _reads(self, reads: list[Operation], failure: Exception) -> None:
        """
        Read once more what the failed transaction read: its writes have not happened.
        """
        if not reads:
            return
        try:
            self._together(reads)
        except Exception as again:
            self._drop()
            _refuse(reads, again, _is_full(again))

    def _drop(self) -> None:
        """
        Open the file again before the next use; what is in memory only has nothing to open.
        """
        if self._path is not None:
            self.close()

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = _connect(self._path)
        return self._connection


def _make(path: str) -> None:
    """
    Make an empty file that only we can read, whose name is on the disk.
    """
    if os.path.exists(path):
        return
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    sync_folder(os.path.dirname(path) or ".")


def _connect(path: str | None) -> sqlite3.Connection:
    """
    Open the file, never creating it (the disk may be away), and bring it to the newest version.
    """
    where = ":memory:" if path is None else f"file:{quote(path)}?mode=rw"
    connection = sqlite3.connect(where, uri=path is not None, isolation_level=None, check_same_thread=False)
    try:
        _check(connection, path)
        for pragma in _DURABLE:
            connection.execute(f"PRAGMA {pragma}").fetchall()
        _migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection, path: str | None) -> None:
    """
    Refuse somebody else's database, and one of a version that we do not know yet.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        raise StorageError(f"the storage {path} was not made by empath")
    if version > len(MIGRATIONS):
        raise StorageError(f"the storage {path} has version {version}, this empath knows only up to {len(MIGRATIONS)}")


def _migrate(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    connection.execute("COMMIT")


def _is_full(failure: Exception) -> bool:
    if isinstance(failure, OSError):
        return failure.errno in (errno.ENOSPC, errno.EDQUOT)
    return getattr(failure, "sqlite_errorcode", 0) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)


def _refuse(operations: Iterable[Operation], failure: Exception, full: bool) -> None:
    for operation in operations:
        if full:
            operation.failure = StorageFull(f"the disk of the storage is full: {failure}")
        else:
            operation.failure = StorageError(f"the storage cannot be used: {failure}")
