"""
The writing side of SQLite: one connection, one thread, one transaction a group.

Fatal: nothing. A group that the database refuses is redone operation by operation, so that only the guilty fail; on a
full disk new messages fail and settlements get the ballast; after any other trouble with the place the connection is
dropped, and opened again for the next group, so that service goes on when the disk returns.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Callable
from enum import Enum
from typing import Final

import attrs

from empath.errors import MessageUnknown, QueueIdTaken, SpoolError, SpoolFull
from empath.spool import schema
from empath.spool.ballast import Ballast
from empath.spool.commit import Group, Operation, Outcome
from empath.spool.listing import COMPLETE, LISTED
from empath.spool.place import Lock

PAGE: Final = 4096


class Blame(Enum):
    """
    Who is to blame for a failure.
    """

    OPERATION = "operation"
    FULL = "full"
    PLACE = "place"


_PLACE: Final = frozenset(
    {
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOMEM,
    }
)


def blame(failure: Exception) -> Blame:
    """
    Tell whether an operation failed by itself, for want of room, or because of the disk or the database.
    """
    if isinstance(failure, OSError):
        return Blame.FULL if failure.errno in (errno.ENOSPC, errno.EDQUOT) else Blame.PLACE
    code = getattr(failure, "sqlite_errorcode", 0)
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE):  # the latter: no room for the log's index
        return Blame.FULL
    return Blame.PLACE if code & 0xFF in _PLACE else Blame.OPERATION


def _as_ours(failure: Exception) -> SpoolError:
    if isinstance(failure, SpoolError):
        return failure
    if getattr(failure, "sqlite_errorname", "") == "SQLITE_CONSTRAINT_UNIQUE":
        return QueueIdTaken("a message of this queue id is stored already")
    ours = SpoolFull if blame(failure) is Blame.FULL else SpoolError
    return ours(f"the spool cannot be written: {failure}")


class Writer:
    """
    Writes groups into the database at `path`; after `open`, only the writer's thread may call it.

    `lock` is held, and made sure of whenever the database has to be opened again. `listed` is the queue id up to which
    the index by domain was complete when it was opened, `complete` whether nothing was behind it.
    """

    def __init__(self, path: str, ballast: Ballast, lock: Lock) -> None:
        self._path = path
        self._ballast = ballast
        self._lock = lock
        self.listed = ""
        self.complete = False
        self._connection: sqlite3.Connection | None = None

    def open(self) -> int:
        """
        Make or migrate the database; tells the greatest number of a message in it. SpoolTooNew, SpoolError.
        """
        try:
            return self._open()
        except (sqlite3.Error, OSError) as failure:
            if not (blame(failure) is Blame.FULL and self._ballast.drop()):
                raise SpoolError(f"the spool's database {self._path} cannot be opened: {failure}") from failure
        try:
            return self._open()
        except (sqlite3.Error, OSError) as failure:
            raise SpoolError(f"the spool's database {self._path} cannot be opened: {failure}") from failure

    def _open(self) -> int:
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        self._connection = self._connect()
        try:
            (last,) = self._connection.execute("SELECT coalesce(max(number), 0) FROM message").fetchone()
            (self.listed,) = self._connection.execute(LISTED).fetchone()
            (self.complete,) = self._connection.execute(COMPLETE, (self.listed,)).fetchone()
        except BaseException:
            self.close()
            raise
        return int(last)

    def close(self) -> None:
        """
        Let go of the database; the last one to do so copies the log into it.
        """
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def commit(self, group: Group) -> Outcome:
        """
        Do the group; each operation has its `failure` or `result` afterwards. Raises nothing.
        """
        try:
            outcome = self._commit(group)
        except Exception as failure:
            self.close()
            return self._refuse(group, failure)
        upkeep = [operation for operation in group if operation.upkeep is not None]
        for operation in upkeep:
            self._keep_up(operation)
        return attrs.evolve(outcome, free=_free(self._connection)) if upkeep else outcome

    def _commit(self, group: Group) -> Outcome:
        try:
            return self._transact(group, _together)
        except Exception as failure:
            match blame(failure):
                case Blame.PLACE:
                    raise
                case Blame.FULL:
                    return self._squeeze(group, failure)
                case Blame.OPERATION:
                    pass
        try:
            return self._transact(group, _singly)
        except Exception as failure:
            if blame(failure) is not Blame.FULL:
                raise
            return self._squeeze(group, failure)

    def _squeeze(self, group: Group, failure: Exception) -> Outcome:
        """
        Do what must be done on a full disk, at the cost of the ballast if need be, and refuse the rest.
        """
        urgent = [operation for operation in group if operation.urgent]
        refused = self._refuse([operation for operation in group if not operation.urgent], failure)
        if not urgent:
            return refused
        try:
            outcome = self._transact(urgent, _singly)
        except Exception as again:
            if blame(again) is not Blame.FULL:
                raise
            outcome = self._transact_without_ballast(urgent, again)
        return Outcome(outcome.free, outcome.doomed, refused.error)

    def _transact_without_ballast(self, urgent: Group, failure: Exception) -> Outcome:
        if not self._ballast.drop():
            return self._refuse(urgent, failure)
        try:
            return self._transact(urgent, _singly)
        except Exception as again:
            if blame(again) is not Blame.FULL:
                raise
            return self._refuse(urgent, again)

    def _refuse(self, group: Group, failure: Exception) -> Outcome:
        ours = _as_ours(failure)
        for operation in group:
            operation.failure = type(ours)(str(ours))  # one each: a Failure carries its own traceback
        return Outcome(error=str(ours))

    def _transact(self, group: Group, way: Callable[[sqlite3.Connection, Group], None]) -> Outcome:
        connection = self._connected()
        try:
            connection.execute("BEGIN IMMEDIATE")
            way(connection, group)
            doomed = tuple([name for (name,) in connection.execute("SELECT name FROM doomed")])
            if doomed:
                connection.execute("DELETE FROM doomed")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            raise
        return Outcome(_free(connection), doomed)

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._lock.take_again()
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        connection = schema.connect(self._path, "rw")
        try:
            schema.check_version(connection)
            schema.make_durable(connection)
            schema.migrate(connection)
            schema.note_deletions(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _keep_up(self, operation: Operation) -> None:
        try:
            if operation.upkeep is not None and operation.failure is None:
                operation.result = operation.upkeep(self._connected())
        except Exception as failure:
            operation.failure = _as_ours(failure)


def _free(connection: sqlite3.Connection | None) -> int:
    """
    Tell how many bytes lie free in the file, -1 if that cannot be read: the group is committed all the same.
    """
    try:
        return int(connection.execute("PRAGMA freelist_count").fetchone()[0]) * PAGE if connection else -1
    except sqlite3.Error:
        return -1


def _together(connection: sqlite3.Connection, group: Group) -> None:
    """
    Do the group with one statement for each kind of change; raises if any of it went wrong.
    """
    bulk: Group = []
    for operation in group:
        if operation.work is None:
            bulk.append(operation)
            continue
        _change(connection, bulk)
        bulk = []
        operation.result = operation.work(connection)
    _change(connection, bulk)


def _singly(connection: sqlite3.Connection, group: Group) -> None:
    """
    Do each operation by itself: those that cannot be done leave the others alone.
    """
    for operation in group:
        operation.failure = None
        connection.execute("SAVEPOINT operation")
        try:
            _together(connection, [operation])
        except Exception as failure:
            if blame(failure) is not Blame.OPERATION:
                raise
            connection.execute("ROLLBACK TO operation")
            operation.failure = _as_ours(failure)
        connection.execute("RELEASE operation")


def _change(connection: sqlite3.Connection, bulk: Group) -> None:
    messages = [row for operation in bulk for row in operation.messages]
    if messages:
        connection.executemany(schema.INSERT_MESSAGE, messages)
        deliveries = [row for operation in bulk for row in operation.deliveries]
        connection.executemany(schema.INSERT_DELIVERY, deliveries)
        claims = [row for operation in bulk for row in operation.claims]
        if claims:
            connection.executemany(schema.INSERT_ACCEPTED, claims)
    updates = [row for operation in bulk for row in operation.updates]
    if updates and connection.executemany(schema.UPDATE_DELIVERY, updates).rowcount != len(updates):
        raise MessageUnknown("no such delivery is stored")
    ends = [key for operation in bulk for key in operation.ends]
    if not ends:
        return
    if connection.executemany(schema.DELETE_DELIVERY, ends).rowcount != len(ends):
        raise MessageUnknown("no such delivery is stored")
    connection.executemany(schema.DELETE_EMPTY, [(queue_id,) for queue_id, _ in ends])
