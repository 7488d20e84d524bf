"""
What can be asked of the spool in SQLite: answered by the reader, without what was withdrawn.

Fatal, retried, ignored: nothing; trouble is a SpoolError for who asked.
"""

from __future__ import annotations

from collections.abc import Collection

from twisted.internet.defer import Deferred

from empath.mail.idempotency import Accepted
from empath.mail.message import Delivery, Message, Status
from empath.policy.selection import Key, Page, Selection
from empath.spool.reader import Reader
from empath.spool.withdrawal import Withdrawals


class Questions:
    """
    The questions of `ISpool`. `_reader` answers what the queue waits for, `_patient` what may take longer, as
    to count all of a long queue: it has a connection of its own.
    """

    _reader: Reader
    _patient: Reader
    _withdrawals: Withdrawals

    def due(self, now: float, limit: int, skip: Collection[str]) -> Deferred[list[Delivery]]:
        """
        As `ISpool.due`; what was withdrawn, or still may be, is not told, though its row may be there.
        """
        return self._reader.due(now, limit, skip).addCallback(self._withdrawals.wanted)

    def next_due(self, after: float) -> Deferred[float | None]:
        """
        As `ISpool.next_due`.
        """
        return self._reader.next_due(after)

    def load(self, queue_id: str) -> Deferred[Message]:
        """
        As `ISpool.load`.
        """
        return self._reader.load(queue_id)

    def counts(self) -> Deferred[dict[Status, int]]:
        """
        As `ISpool.counts`; every status is among the keys.
        """
        return self._patient.counts()

    def due_count(self, now: float, skip: Collection[str] = ()) -> Deferred[int]:
        """
        As `ISpool.due_count`.
        """
        return self._patient.due_count(now, skip)

    def overdue(self, received: float, now: float, domains: Collection[str], limit: int) -> Deferred[list[Delivery]]:
        """
        As `ISpool.overdue`.
        """
        return self._reader.overdue(received, now, domains, limit).addCallback(self._withdrawals.wanted)

    def delayed(self, received: float, after: Key) -> Deferred[Page]:
        """
        As `ISpool.delayed`; what was withdrawn, or still may be, is not told.
        """
        return self._reader.delayed(received, after).addCallback(self._withdrawals.wanted_of)

    def oldest(self, now: float) -> Deferred[float | None]:
        """
        As `ISpool.oldest`.
        """
        return self._reader.oldest(now)

    def accepted(self, claim: bytes, now: float) -> Deferred[list[Accepted]]:
        """
        As `ISpool.accepted`; what is being withdrawn when it is asked is not told, though its row may be there.
        """
        return self._reader.accepted(claim, now).addCallback(self._withdrawals.standing())

    def select(self, selection: Selection, after: Key, limit: int) -> Deferred[Page]:
        """
        As `ISpool.select`; what was withdrawn, or still may be, is not told.
        """
        return self._patient.select(selection, after, limit).addCallback(self._withdrawals.wanted_of)
