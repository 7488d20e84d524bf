"""
Delivery into a maildir on this machine: one file per message and recipient, on disk before it counts.

Fatal: nothing. Retried: whatever the disk refuses (452 4.3.1 when it is full, else 451 4.3.0, which is logged).
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from typing import Final

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from empath.deliver.durable import TmpFile
from empath.deliver.maildir_files import delivered, make_maildir
from empath.deliver.maildir_text import LocalLines, file_name, top
from empath.deliver.streaming import OpenBody
from empath.errors import SpoolError
from empath.folders import sync_folder
from empath.interfaces import IAgent, IBodyReader, InThread
from empath.mail.attempt import Attempt
from empath.mail.message import Delivery, Message
from empath.mail.outcome import Custody, Outcome, Scope, Success, TransientFailure
from empath.mail.reply import Reply
from empath.policy.route import Route

log = Logger()

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
DELIVERED: Final = Success(Reply(250, "2.0.0", ("delivered to maildir",)), custody=Custody.DELIVERED)
ALREADY: Final = Success(Reply(250, "2.0.0", ("delivered to maildir before",)), custody=Custody.DELIVERED)
DISK_FULL: Final = TransientFailure(Reply(452, "4.3.1", ("no room in the maildir",)), Scope.HOST)
DISK_TROUBLE: Final = TransientFailure(Reply(451, "4.3.0", ("the maildir cannot be written",)), Scope.HOST)
UNREADABLE: Final = TransientFailure(Reply(451, "4.3.0", ("the stored content cannot be read",)), Scope.MESSAGE)
NO_PATH: Final = TransientFailure(Reply(451, "4.3.5", ("no maildir is configured",)), Scope.HOST)


@attrs.define(slots=True, eq=False)
class Job:
    """
    One message for one maildir: for each recipient the file's name and the headers on top. `outcomes` is filled in
    by the thread; `content` is None for what is streamed. `ids` are those of its attempt.
    """

    path: str
    queue_id: str
    names: list[str]
    tops: list[bytes]
    content: bytes | None
    thorough: bool
    ids: tuple[str, str] | None = None
    outcomes: list[Outcome] = attrs.field(factory=list)
    files: dict[str, TmpFile] = attrs.field(factory=dict)
    fault: OSError | None = None
    done: Deferred[None] = attrs.field(factory=Deferred)


@implementer(IAgent)
class MaildirAgent:
    """
    Delivers into the maildir that a domain's route names.

    Blocking work runs `in_thread`; while one call runs, the messages that come are collected for the next, so that
    they share its syncs. `open_body` reads stored content, `find_route` tells a domain's route.
    """

    def __init__(
        self, clock: IReactorTime, open_body: OpenBody, in_thread: InThread[None], find_route: Callable[[str], Route]
    ) -> None:
        self._clock = clock
        self._open_body = open_body
        self._in_thread = in_thread
        self._find_route = find_route
        self._started = clock.seconds()
        self._jobs: list[Job] = []
        self._running = False
        self._active = 0
        self._idle: Deferred[None] | None = None

    async def deliver(self, message: Message, delivery: Delivery, attempt: Attempt) -> tuple[Outcome, ...]:
        """
        Write the files; see `IAgent`.
        """
        path = self._find_route(delivery.domain).path
        attempt.resolved = attempt.ended = self._clock.seconds()
        if not path:
            return (NO_PATH,) * len(delivery.open_recipients)
        job = self._job(path, message, delivery, attempt)
        if message.body is not None:
            self._jobs.append(job)
            self._run()
        else:
            self._begin_stream(job, message)
        try:
            await job.done
        except CancelledError:  # the writing goes on, unheard: whoever comes again must look for it
            self._started = self._clock.seconds()
            raise
        attempt.sent = attempt.ended = self._clock.seconds()
        if job.fault is not None and job.fault.errno not in _FULL:
            log.error("{queue_id}: cannot write to {path}: {fault}", queue_id=job.queue_id, path=path, fault=job.fault)
        return tuple(job.outcomes)

    def stop(self) -> Deferred[None] | None:
        """
        Wait for what is being written.
        """
        if not self._active:
            return None
        self._idle = Deferred()
        return self._idle

    def _job(self, path: str, message: Message, delivery: Delivery, attempt: Attempt) -> Job:
        """
        Say what to write. Only a message that this agent may have seen before needs the thorough look for a repeat.
        """
        addresses = [state.address for state in delivery.open_recipients]
        return Job(
            path,
            message.queue_id,
            [file_name(message, address) for address in addresses],
            [top(message, address) for address in addresses],
            None if message.body is None else (message.header + message.body).replace(b"\r\n", b"\n"),
            thorough=attempt.number > 1 or message.received <= self._started,
            ids=attempt.ids,
        )

    # Small messages, many at once -------------------------------------------------------------------------------

    def _run(self) -> None:
        if self._running:
            return
        self._running = True
        self._active += 1
        jobs, self._jobs = self._jobs, []
        self._in_thread(partial(write_all, jobs)).addBoth(self._ran, jobs)

    def _ran(self, result: object, jobs: list[Job]) -> None:
        """
        The thread's call is over; the next one begins before the deliveries go on.
        """
        self._running = False
        if self._jobs:
            self._run()
        for job in jobs:
            if len(job.outcomes) != len(job.names):
                log.error("{queue_id}: writing failed: {result}", queue_id=job.queue_id, result=result, log_ids=job.ids)
                job.outcomes = [DISK_TROUBLE] * len(job.names)
            job.done.callback(None)
        self._ended()

    def _ended(self) -> None:
        self._active -= 1
        if self._idle is not None and not self._active:
            self._idle.callback(None)
            self._idle = None

    # Large messages, piece by piece -----------------------------------------------------------------------------

    def _begin_stream(self, job: Job, message: Message) -> None:
        """
        Write a message on its own. Cancelling the delivery does not reach into the thread that is writing.
        """
        self._active += 1
        Deferred.fromCoroutine(self._stream(job, message)).addBoth(self._streamed, job)

    def _streamed(self, _: object, job: Job) -> None:
        job.done.callback(None)
        self._ended()

    async def _stream(self, job: Job, message: Message) -> None:
        try:
            await self._write_stream(job, message)
        except Exception:
            log.failure("{queue_id}: a bug in writing to a maildir", queue_id=job.queue_id)
            job.outcomes = [DISK_TROUBLE] * len(job.names)

    async def _write_stream(self, job: Job, message: Message) -> None:
        reader = self._open_body(message)
        try:
            await self._write_pieces(job, message, reader)
        except OSError as fault:
            _failed(job, fault)
        except SpoolError as fault:
            log.error("{queue_id}: content cannot be read: {fault}", queue_id=job.queue_id, fault=fault)
            job.outcomes = [UNREADABLE] * len(job.names)
        finally:
            reader.close()
            await self._in_thread(partial(drop, job))

    async def _write_pieces(self, job: Job, message: Message, reader: IBodyReader) -> None:
        lines = LocalLines()
        await self._in_thread(partial(begin, job))
        await self._in_thread(partial(append, job, lines.convert(message.header)))
        while piece := await reader.read():
            await self._in_thread(partial(append, job, lines.convert(piece)))
        await self._in_thread(partial(append, job, lines.finish()))
        await self._in_thread(partial(publish, [job]))


def write_all(jobs: list[Job]) -> None:
    """
    Write many messages; each has its outcomes afterwards. Files first, then the syncs, so that they are shared.
    """
    for job in jobs:
        try:
            begin(job)
            append(job, job.content or b"")
        except OSError as fault:
            _failed(job, fault)
            drop(job)
    publish([job for job in jobs if job.fault is None])


def begin(job: Job) -> None:
    """
    Open the files of all recipients who have none yet.
    """
    make_maildir(job.path)
    there = delivered(job.path, job.names, thorough=job.thorough)
    for name, headers in zip(job.names, job.tops, strict=True):
        if name not in there and name not in job.files:
            job.files[name] = TmpFile(f"{job.path}/tmp/{name}", f"{job.path}/new/{name}")
            job.files[name].write(headers)


def append(job: Job, text: bytes) -> None:
    """
    Append to all files of a message.
    """
    for file in job.files.values():
        file.write(text)


def publish(jobs: list[Job]) -> None:
    """
    Make the files durable and visible, then tell the outcomes.
    """
    for job in jobs:
        try:
            for file in job.files.values():
                file.publish()
        except OSError as fault:
            _failed(job, fault)
            drop(job)
    for path in {job.path for job in jobs}:
        _sync(path, [job for job in jobs if job.path == path and job.fault is None])


def drop(job: Job) -> None:
    """
    Remove what is left in tmp/.
    """
    for file in job.files.values():
        file.drop()


def _sync(path: str, jobs: list[Job]) -> None:
    try:
        sync_folder(f"{path}/new")
    except OSError as fault:
        for job in jobs:
            _failed(job, fault)
        return
    for job in jobs:
        job.outcomes = [DELIVERED if name in job.files else ALREADY for name in job.names]


def _failed(job: Job, fault: OSError) -> None:
    job.fault = fault
    job.outcomes = [DISK_FULL if fault.errno in _FULL else DISK_TROUBLE] * len(job.names)
