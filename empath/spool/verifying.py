"""
A check of a whole spool in SQLite, piece by piece, while it works. What may have changed meanwhile is asked again
before it counts as a fault. Nothing is changed.

Fatal, retried: nothing. A table that cannot be read to its end is a fault, and the check goes on with the next one.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from empath.errors import SpoolError
from empath.interfaces import InThread
from empath.mail.stored import Check, Fault, Progress
from empath.policy.selection import Key
from empath.spool import checking, indexes
from empath.spool.checking import Piece
from empath.spool.indexes import Walk
from empath.spool.reader import Reader

MOST: Final = 1000  # faults that are told

Look = Callable[[Key, sqlite3.Connection], Piece]


class Verification:
    """
    One check of the spool in `root`. `writing` tells whether a content file is one that is being received, `waiting`
    gives the names of those that are still to be deleted.
    """

    def __init__(
        self,
        root: str,
        reader: Reader,
        in_thread: InThread[Any],
        writing: Callable[[str], bool],
        waiting: Callable[[], list[str]],
        progress: Progress,
    ) -> None:
        self._root = root
        self._reader = reader
        self._in_thread = in_thread
        self._writing = writing
        self._waiting = waiting
        self._progress = progress
        self._faults: list[Fault] = []
        self._omitted = 0
        self._missing: list[Fault] = []
        self._done = 0
        self._total = 0

    async def check(self) -> Check:
        """
        Look at everything.
        """
        names: list[tuple[str, list[str]]] = await self._in_thread(partial(checking.content_names, self._root))
        number = sum(len(those) for _, those in names)
        small = await self._begin(number)
        if small:
            await self._piece("everything", checking.integrity)
        messages = await self._table("message", partial(checking.check_messages, self._root))
        deliveries = await self._table("delivery", checking.check_deliveries)
        for way in () if small else indexes.WALKS:
            await self._walk(way)
        await self._look_again()
        await self._check_files(names)
        self._note(*[Fault("cleanup", name, "its content is still to be deleted") for name in self._waiting()])
        return Check(messages, deliveries, number, tuple(self._faults), self._omitted)

    async def _begin(self, files: int) -> bool:
        """
        Reckon how much there is to do; tells whether the database is small.
        """
        try:
            self._total = await self._reader.ask(checking.totals) + files
            return await self._reader.ask(checking.is_small)
        except SpoolError:  # the pieces tell where
            self._total = files
            return False

    async def _walk(self, way: Walk) -> None:
        """
        Go through all of an index.
        """
        after: tuple[Any, ...] | None = way.start
        while after is not None:
            try:
                wrong, after = await self._reader.ask(partial(indexes.walk, way, after))
            except SpoolError as failure:
                self._note(Fault("database", way.table, str(failure)))
                return
            self._note(*[Fault("database", queue_id, way.fault) for queue_id in wrong])
            await self._tell()

    async def _table(self, name: str, look: Look) -> int:
        """
        Look at all rows of a table; tells how many there were.
        """
        number = 0
        after: Key | None = ("", "")
        while after is not None:
            piece = await self._piece(name, partial(look, after))
            after = piece.after
            number += piece.number
            self._done += piece.number
            await self._tell()
        return number

    async def _piece(self, name: str, look: Callable[[sqlite3.Connection], Piece]) -> Piece:
        try:
            piece = await self._reader.ask(look)
        except SpoolError as failure:
            piece = Piece((Fault("database", name, str(failure)),))
        self._note(*piece.faults)
        self._missing += piece.missing[: MOST - len(self._missing)]
        return piece

    async def _look_again(self) -> None:
        """
        Let the faults of content files count whose messages are still there: the file goes after the row.
        """
        known = await self._known([fault.name for fault in self._missing])
        self._note(*[fault for fault in self._missing if fault.name in known])

    async def _check_files(self, names: list[tuple[str, list[str]]]) -> None:
        """
        Find files that are no message's. They may be yet: one that is being received; or still: the row goes first.
        """
        nobodys: list[tuple[str, str]] = []
        for folder, those in names:
            known = await self._known(those)
            wrong = [name for name in those if name not in known or name[-2:] != os.path.basename(folder)]
            nobodys += [(folder, name) for name in wrong if not self._writing(name)]
            self._done += len(those)
            await self._tell()
        there: list[tuple[str, str]] = await self._in_thread(partial(checking.existing, nobodys))
        known = await self._known([name for _, name in there])
        waiting = set(self._waiting())
        for folder, name in there:
            if name in known and name[-2:] == os.path.basename(folder):
                continue  # it has been committed meanwhile
            if name not in waiting and not self._writing(name):
                self._note(Fault("orphan", name, f"no message has this file in {folder}; the next start deletes it"))

    async def _known(self, names: list[str]) -> set[str]:
        """
        Tell which of these are messages with a content file; all of them where that cannot be read.
        """
        if not names:
            return set()
        try:
            return await self._reader.with_file(names)
        except SpoolError as failure:
            self._note(Fault("database", "message", str(failure)))
            return set(names)

    async def _tell(self) -> None:
        waiting = self._progress(self._done, max(self._total, self._done))
        if waiting is not None:
            await waiting

    def _note(self, *faults: Fault) -> None:
        room = MOST - len(self._faults)
        self._faults += faults[:room]
        self._omitted += len(faults[room:])
