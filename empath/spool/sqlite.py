"""
The spool in SQLite, with large content in files beside it.

Fatal: at `open` only, what keeps the spool from being used. A full disk refuses new mail only; other trouble with the
disk fails what waits, and the next operation tries again. Retried: deletions. Ignored: a ballast that cannot be made.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from functools import partial
from itertools import count
from typing import Any, Final

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from empath.config.schema import Spool
from empath.errors import SpoolError, SpoolFull
from empath.interfaces import IBodyReader, IContentWriter, InThread, ISpool
from empath.mail.idempotency import Claim
from empath.mail.life import Emit
from empath.mail.message import Delivery, Message
from empath.mail.settlement import Change, Settlement
from empath.spool import changes, files, upkeep
from empath.spool.ballast import MIB, Ballast
from empath.spool.body import BodyInFile, BodyInMemory, BodyLost
from empath.spool.cleanup import Cleanup
from empath.spool.commit import GroupCommit, Operation, Outcome
from empath.spool.content import Content
from empath.spool.content_writer import ContentWriter
from empath.spool.destinations import Counting
from empath.spool.inspection import Inspection, OneByOne
from empath.spool.listing import TakingUp
from empath.spool.operations import managing, settling, size_inline, storing, warning
from empath.spool.orphans import Sweep
from empath.spool.place import Lock, prepare
from empath.spool.reader import Reader
from empath.spool.room import Room, disk_free
from empath.spool.withdrawal import Withdrawals
from empath.spool.writer import Writer

DATABASE: Final = "spool.sqlite"
FEW: Final = 10  # changes that hold up nobody

log = Logger()


@implementer(ISpool)
class SqliteSpool(Inspection):
    """
    `in_writer` and `in_reader` each run one call at a time, in the order given; `in_thread` several at once.

    `max_cleanup_attempts` is [delivery]'s, `ballast` is in bytes, `free` tells the free bytes of the disk at a path.
    """

    def __init__(
        self,
        section: Spool,
        *,
        clock: IReactorTime,
        in_writer: InThread[Any],
        in_reader: InThread[Any],
        in_thread: InThread[Any],
        emit: Emit,
        max_cleanup_attempts: int = 3,
        ballast: int = 8 * MIB,
        free: Callable[[str], int] = disk_free,
    ) -> None:
        self._path = section.path
        root = os.path.abspath(section.path)
        self._database = database = os.path.join(root, DATABASE)
        self._in_writer = in_writer
        self._in_thread = in_thread
        self._lock = Lock(os.path.join(root, "lock"))
        self._ballast = Ballast(os.path.join(root, "ballast"), ballast, free)
        self._writer = Writer(database, self._ballast, self._lock)
        self._reader = Reader(database, in_reader)
        self._patient = Reader(database, OneByOne(in_thread))
        self._counting = Counting(self._patient, clock)
        self._withdrawals = Withdrawals(lambda: self._commits, lambda name: self._content.remove(name))
        self._commits = GroupCommit(
            self._writer.commit, in_writer, clock, emit, self._committed, self._withdrawals.withdraw
        )
        self._listing = TakingUp(clock, self._commits.submit_slice)
        self._room = Room(clock, section.min_free, partial(free, root))
        self._cleanup = Cleanup(self._unlink, in_thread, clock, emit, max_cleanup_attempts)
        self._content = Content(
            root, in_thread, clock.seconds, self._room, self._cleanup, self._insert, section.inline_limit
        )
        self._sweep = Sweep(self._content, self._reader.with_file, in_thread)
        self._numbers = count(1)
        self._reclaiming = False

    @property
    def pending_bytes(self) -> int:
        """
        The bytes of message content in memory: being received, or waiting for a commit.
        """
        return self._content.held + self._commits.pending_bytes

    @property
    def deletion_failures(self) -> int:
        """
        How often content could not be deleted.
        """
        return self._cleanup.failures

    @property
    def orphans(self) -> int:
        """
        How many content files without a message the sweep has found.
        """
        return self._sweep.orphans

    def reconfigure(self, section: Spool) -> None:
        """
        Use new limits from now on; backend and path stay what they are.
        """
        self._room.min_free = section.min_free
        self._content.inline_limit = section.inline_limit

    def open(self) -> None:
        """
        As `ISpool.open`; blocks, and is called before anything else runs.
        """
        prepare(self._path)
        self._lock.take()
        try:
            files.make_folder(self._content.root)
            self._numbers = count(self._writer.open() + 1)
        except BaseException:
            self._lock.release()
            raise
        self._ballast.restore(self._room.min_free)
        self._commits.open()
        self._listing.start(self._writer.listed, bool(self._writer.complete))
        self._sweep.start()

    async def close(self) -> None:
        """
        As `ISpool.close`.
        """
        self._sweep.stop()
        self._listing.stop()
        await self._commits.close()
        await self._content.idle()
        await self._cleanup.close()
        await self._reader.close()
        await self._patient.close()
        await self._in_writer(self._writer.close)
        self._lock.release()

    def has_room(self, size: int) -> bool:
        """
        As `ISpool.has_room`; what is still in memory is reckoned with, what lies free within the file is room.
        """
        held = self.pending_bytes
        if self._room.outside() < size + held:
            self._reclaim()
        return self._room.admits(size + held)

    def begin(self, queue_id: str) -> IContentWriter:
        """
        As `ISpool.begin`.
        """
        return ContentWriter(queue_id, self._content)

    def store(self, message: Message, deliveries: tuple[Delivery, ...]) -> Deferred[None]:
        """
        As `ISpool.store`.
        """
        if message.body is None:
            return fail(SpoolError("the body of the message is not in memory"))
        return self._insert(message, deliveries, None)

    def settle(self, settlement: Settlement) -> Deferred[None]:
        """
        As `ISpool.settle`; MessageUnknown if no such delivery is stored. It stands even if the Deferred is cancelled.
        """
        try:
            return self._commits.submit(settling(next(self._numbers), self._listing.mark, settlement))
        except SpoolError as failure:
            return fail(failure)

    def warn(
        self, late: Sequence[Delivery], report: Message | None = None, report_deliveries: tuple[Delivery, ...] = ()
    ) -> Deferred[bool]:
        """
        As `ISpool.warn`. It stands even if the Deferred is cancelled.
        """
        try:
            number, mark = next(self._numbers), self._listing.mark
            return self._commits.submit(warning(number, mark, late, report, report_deliveries))
        except SpoolError as failure:
            return fail(failure)

    def hasten(self, domains: Collection[str], now: float) -> Deferred[int]:
        """
        As `ISpool.hasten`; in slices, so that commits of others are not held up.
        """
        return Deferred.fromCoroutine(changes.in_slices(self._commits.submit_slice, changes.hastening(domains, now)))

    def manage(self, changes: Sequence[Change]) -> Deferred[list[bool]]:
        """
        As `ISpool.manage`; many as a slice of still more.
        """
        submit = self._commits.submit_slice if len(changes) > FEW else self._commits.submit
        try:
            return submit(managing(changes))
        except SpoolError as failure:
            return fail(failure)

    def open_body(self, message: Message) -> IBodyReader:
        """
        As `ISpool.open_body`.
        """
        if message.body is not None:
            return BodyInMemory(message.body)
        if message.body_file is None:
            return BodyLost("the body is not in memory, and in no file")
        try:
            path = files.path_of(self._content.root, message.body_file)
        except SpoolError as failure:
            return BodyLost(str(failure))
        return BodyInFile(path, message.size - len(message.header), self._in_thread)

    def expire_kept(self, now: float) -> Deferred[int]:
        """
        As `ISpool.expire_kept`; in slices.
        """
        return Deferred.fromCoroutine(changes.expire_kept(self._commits.submit_slice, now))

    def retry_cleanup(self, now: float) -> Deferred[int]:
        """
        As `ISpool.retry_cleanup`; takes the occasion to give free room back and to take up the ballast again.
        """
        return Deferred.fromCoroutine(self._clean_up(now))

    def probe(self) -> Deferred[None]:
        """
        As `ISpool.probe`: a real commit.
        """
        return self._commits.submit(Operation(work=changes.probe))

    def _insert(self, message: Message, deliveries: tuple[Delivery, ...], claim: Claim | None) -> Deferred[None]:
        size = size_inline(message)
        if not self._room.admits(size + self.pending_bytes):
            self._reclaim()
            return fail(SpoolFull("the disk of the spool has no room for the message"))
        try:
            operation = storing(next(self._numbers), self._listing.mark, message, deliveries, claim)
        except SpoolError as failure:
            return fail(failure)
        self._room.spend(size)
        return self._commits.submit(operation)

    def _committed(self, outcome: Outcome) -> None:
        if outcome.free >= 0:
            self._room.inside = outcome.free
        for name in outcome.doomed:
            self._content.remove(name)

    def _unlink(self, name: str) -> None:
        files.unlink(files.path_of(self._content.root, name))

    def _reclaim(self) -> None:
        """
        Let the file shrink, if it holds what the disk lacks: content files have no use for free pages.
        """
        if self._reclaiming or self._room.inside < MIB:
            return
        self._reclaiming = True
        self._commits.submit(Operation(upkeep=upkeep.give_back, urgent=True)).addBoth(self._reclaimed)

    def _reclaimed(self, result: object) -> None:
        self._reclaiming = False
        self._room.forget()
        if isinstance(result, Failure):
            log.warn("the spool's file could not be made smaller: {error}", error=result.getErrorMessage())

    async def _clean_up(self, now: float) -> int:
        await self._withdrawals.retry()
        keep_up = partial(upkeep.keep_up, self._ballast, self._room.min_free)
        await self._commits.submit(Operation(upkeep=keep_up, urgent=True)).addBoth(self._reclaimed)
        return await self._cleanup.retry(now) + len(self._withdrawals)
