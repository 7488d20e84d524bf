"""
What operators ask of the spool in SQLite: on a connection of its own, so that no delivery waits for an answer.

Fatal, retried, ignored: nothing; trouble is a SpoolError for who asked.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock

from empath.errors import SpoolError
from empath.interfaces import InThread
from empath.mail.stored import Check, Destinations, Figures, Head, Listing, Progress, Space
from empath.spool import changes, checking, surveying
from empath.spool.cleanup import Cleanup
from empath.spool.commit import GroupCommit, Operation
from empath.spool.content import Content
from empath.spool.destinations import Counting
from empath.spool.questions import Questions
from empath.spool.room import Room
from empath.spool.verifying import Verification


class OneByOne:
    """
    Runs calls in `in_thread`, one at a time and in order. Who cancels what he waits for does not end the call, nor does
    the next one begin before it.
    """

    def __init__(self, in_thread: InThread[Any]) -> None:
        self._in_thread = in_thread
        self._lock = DeferredLock()

    def __call__(self, call: Callable[[], Any]) -> Deferred[Any]:
        """
        Run a call once the others are done.
        """
        waiting: Deferred[Any] = Deferred()
        self._lock.run(self._in_thread, call).chainDeferred(waiting)
        return waiting


class Inspection(Questions):
    """
    The questions of `ISpool` that nothing in the way of a message depends on.
    """

    _database: str
    _in_thread: InThread[Any]
    _content: Content
    _cleanup: Cleanup
    _counting: Counting
    _commits: GroupCommit
    _room: Room

    def destinations(self, limit: int) -> Deferred[Destinations]:
        """
        As `ISpool.destinations`.
        """
        return Deferred.fromCoroutine(self._counting.destinations(limit))

    def heads(self, queue_ids: Collection[str]) -> Deferred[dict[str, Head]]:
        """
        As `ISpool.heads`.
        """
        return self._patient.ask(partial(surveying.heads, list(queue_ids)))

    def listing(self, after: str, limit: int) -> Deferred[Listing]:
        """
        As `ISpool.listing`; what was withdrawn, or still may be, is not told.
        """
        return self._patient.ask(partial(surveying.listing, after, limit)).addCallback(self._withdrawals.wanted_heads)

    def space(self) -> Space:
        """
        As `ISpool.space`; what the disk has left is asked for, which takes it microseconds.
        """
        room, memory = self._room, self._content.held + self._commits.pending_bytes
        return Space(max(0, room.free()), room.min_free, _size(self._database), room.inside, memory)

    def figures(self) -> Deferred[Figures]:
        """
        As `ISpool.figures`.
        """
        return Deferred.fromCoroutine(self._figures())

    def verify(self, progress: Progress) -> Deferred[Check]:
        """
        As `ISpool.verify`.
        """
        writing = self._content.writing.__contains__
        verification = Verification(
            self._content.root, self._patient, self._in_thread, writing, self._cleanup.waiting, progress
        )
        return Deferred.fromCoroutine(verification.check())

    def clean_completed(self, progress: Progress) -> Deferred[int]:
        """
        As `ISpool.clean_completed`.
        """
        return Deferred.fromCoroutine(self._clean_completed(progress))

    async def _figures(self) -> Figures:
        version, messages, used = await self._patient.ask(surveying.numbers)
        try:
            files, octets = await self._in_thread(partial(checking.measure, self._content.root))
        except OSError as failure:
            raise SpoolError(f"the content files cannot be counted: {failure}") from failure
        return Figures(
            "sqlite",
            self._content.root,
            version,
            messages,
            used + octets,
            files,
            octets,
            _size(self._database),
            _size(self._database + "-wal"),
            max(0, self._room.free()),
            self._room.min_free,
            len(self._cleanup),
        )

    async def _clean_completed(self, progress: Progress) -> int:
        total = 0
        while True:
            deleted: int = await self._commits.submit_slice(Operation(work=changes.clean_completed, urgent=True))
            total += deleted
            if deleted < changes.KEPT:
                return total
            waiting = progress(total, total)
            if waiting is not None:
                await waiting


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
