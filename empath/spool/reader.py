"""
The reading side of SQLite: a connection of its own, read-only, in a thread of its own.

In WAL mode a reader never waits for the writer and sees everything that was committed before it began. Trouble is a
SpoolError; the connection is opened again for the next question. Ignored, but told: a due delivery that was damaged.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed

from empath.errors import MessageUnknown, SpoolError
from empath.interfaces import InThread
from empath.mail.idempotency import MOST_MESSAGES, Accepted
from empath.mail.message import Delivery, Message, Status
from empath.mail.queue_id import queue_id_at
from empath.policy.selection import Key, Page, Selection
from empath.spool import delayed, rows, schema, selecting
from empath.spool.selecting import SKEW, readable, status_of

T = TypeVar("T")


class Reader:
    """
    Answers questions about the database at `path`, each in `in_reader`'s thread.
    """

    def __init__(self, path: str, in_reader: InThread[Any]) -> None:
        self._path = path
        self._in_reader = in_reader
        self._connection: sqlite3.Connection | None = None
        self._closed = False
        self._asked = False

    def due(self, now: float, limit: int, skip: Collection[str]) -> Deferred[list[Delivery]]:
        """
        As `ISpool.due`.
        """
        return self.ask(partial(_due, now, limit, rows.names(list(skip))))

    def next_due(self, after: float) -> Deferred[float | None]:
        """
        As `ISpool.next_due`.
        """
        return self.ask(partial(_one, schema.NEXT_DUE, after))

    def due_count(self, now: float, skip: Collection[str]) -> Deferred[int]:
        """
        As `ISpool.due_count`.
        """
        return self.ask(partial(_one, schema.DUE_COUNT, now, rows.names(list(skip))))

    def overdue(self, received: float, now: float, domains: Collection[str], limit: int) -> Deferred[list[Delivery]]:
        """
        As `ISpool.overdue`.
        """
        return self.ask(partial(_overdue, received, now, rows.names(list(domains)), limit))

    def delayed(self, received: float, after: Key) -> Deferred[Page]:
        """
        As `ISpool.delayed`.
        """
        return self.ask(partial(delayed.delayed, received, after))

    def oldest(self, now: float) -> Deferred[float | None]:
        """
        As `ISpool.oldest`: queue ids sort by time, so one of the first scheduled rows tells, whatever was released
        later than it came.
        """
        return self.ask(partial(_one, schema.OLDEST, now))

    def select(self, selection: Selection, after: Key, limit: int) -> Deferred[Page]:
        """
        As `ISpool.select`.
        """
        return self.ask(partial(selecting.select, selection, after, limit))

    def load(self, queue_id: str) -> Deferred[Message]:
        """
        As `ISpool.load`.
        """
        return self.ask(partial(_load, queue_id))

    def accepted(self, claim: bytes, now: float) -> Deferred[list[Accepted]]:
        """
        As `ISpool.accepted`.
        """
        return self.ask(partial(_accepted, claim, now))

    def counts(self) -> Deferred[dict[Status, int]]:
        """
        As `ISpool.counts`: from the indexes alone, no row is read.
        """
        return self.ask(_counts)

    def with_file(self, queue_ids: Sequence[str]) -> Deferred[set[str]]:
        """
        Tell which of these are messages whose content lies in a file.
        """
        return self.ask(partial(_with_file, rows.names(queue_ids)))

    def close(self) -> Deferred[None]:
        """
        Let go of the database for good.
        """
        self._closed = True
        if not self._asked:
            return succeed(None)
        closed: Deferred[None] = self._in_reader(self._drop)
        return closed

    def ask(self, question: Callable[[sqlite3.Connection], T]) -> Deferred[T]:
        """
        Answer any other question.
        """
        self._asked = True
        answer: Deferred[T] = self._in_reader(partial(self._answer, question))
        return answer

    def _answer(self, question: Callable[[sqlite3.Connection], T]) -> T:
        if self._closed:
            raise SpoolError("the spool is closed")
        try:
            if self._connection is None:
                self._connection = schema.connect(self._path, "ro")
            try:
                return question(self._connection)
            except sqlite3.OperationalError as failure:
                if not _is_undecodable(failure):
                    raise
                return _asked_again(question, self._connection)
        except sqlite3.Error as failure:
            self._drop()
            raise SpoolError(f"the spool cannot be read: {failure}") from failure

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()


def _is_undecodable(failure: sqlite3.OperationalError) -> bool:
    """
    Tell whether it was a text that is no UTF-8: Python says so by itself, without a code of SQLite's.
    """
    return getattr(failure, "sqlite_errorcode", None) is None and "decode" in str(failure)


def _asked_again(question: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> T:
    """
    Have damaged texts read so that `rows` knows them: one of them must not hold up all others.
    """
    if connection.in_transaction:
        connection.execute("ROLLBACK")
    connection.text_factory = rows.text
    try:
        return question(connection)
    finally:
        connection.text_factory = str


def _one(statement: str, *values: Any) -> Any:
    """
    Ask for one value; the last argument is the connection.
    """
    *asked, connection = values
    return connection.execute(statement, asked).fetchone()[0]


def _due(now: float, limit: int, skip: str, connection: sqlite3.Connection) -> list[Delivery]:
    """
    Read what is due.
    """
    return readable(connection.execute(schema.DUE, (now, skip, limit)).fetchall())


def _overdue(received: float, now: float, domains: str, limit: int, connection: sqlite3.Connection) -> list[Delivery]:
    """
    Read what cannot wait. Queue ids sort by time, so only those rows are looked at that are old enough.
    """
    found = connection.execute(schema.OVERDUE, (queue_id_at(received + SKEW), now, received, domains, limit)).fetchall()
    late = connection.execute(schema.LATE, (now, domains, limit)).fetchall()
    return readable(list({row[:2]: row for row in (*found, *late)}.values())[:limit])


def _load(queue_id: str, connection: sqlite3.Connection) -> Message:
    row = connection.execute(schema.LOAD, (queue_id,)).fetchone()
    if row is None:
        raise MessageUnknown(f"no message {queue_id} is stored")
    return rows.message_of(row)


def _accepted(claim: bytes, now: float, connection: sqlite3.Connection) -> list[Accepted]:
    return [Accepted(*row) for row in connection.execute(schema.ACCEPTED, (claim, now, MOST_MESSAGES)).fetchall()]


def _counts(connection: sqlite3.Connection) -> dict[Status, int]:
    connection.execute("BEGIN")  # the three look at one state
    try:
        (scheduled,) = connection.execute(schema.SCHEDULED_COUNT).fetchone()
        (retry,) = connection.execute(schema.RETRY_COUNT).fetchone()
        resting = connection.execute(schema.RESTING_COUNT).fetchall()
    finally:
        connection.execute("COMMIT")
    found = dict.fromkeys(Status, 0)
    found[Status.PENDING] = scheduled - retry
    found[Status.RETRY] = retry
    for status, number in resting:
        found[status_of(status)] += number
    return found


def _with_file(queue_ids: str, connection: sqlite3.Connection) -> set[str]:
    return {queue_id for (queue_id,) in connection.execute(schema.WITH_FILE, (queue_ids,)).fetchall()}
