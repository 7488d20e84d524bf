"""
Delivery into a folder: two files for each delivery, the mail as it is stored and a description in JSON beside it, both
on disk before it counts.

Fatal: nothing. Retried: whatever the disk refuses (452 4.3.1 when it is full, else 451 4.3.0, which is logged).
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterable
from functools import partial
from hashlib import sha256
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from empath.deliver.described import compact, description, envelope_text, iso_time
from empath.deliver.durable import TmpFile, make_folder
from empath.deliver.streaming import UNREADABLE, OpenBody
from empath.deliver.whole import Whole
from empath.errors import SpoolError
from empath.folders import sync_folder
from empath.interfaces import IAgent, InThread
from empath.mail.attempt import Attempt
from empath.mail.message import Delivery, Message
from empath.mail.outcome import Custody, Outcome, Scope, Success, TransientFailure
from empath.mail.reply import Reply
from empath.policy.route import Route

log = Logger()

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_DIGITS: Final = 12
WRITTEN: Final = Success(Reply(250, "2.0.0", ("written to a file",)), custody=Custody.DELIVERED)
ALREADY: Final = Success(Reply(250, "2.0.0", ("written to a file before",)), custody=Custody.DELIVERED)
DISK_FULL: Final = TransientFailure(Reply(452, "4.3.1", ("no room in the folder",)), Scope.HOST)
DISK_TROUBLE: Final = TransientFailure(Reply(451, "4.3.0", ("the folder cannot be written",)), Scope.HOST)
NO_PATH: Final = TransientFailure(Reply(451, "4.3.5", ("no folder is configured",)), Scope.HOST)


@implementer(IAgent)
class FileAgent:
    """
    Delivers into the folder that a domain's route names.

    Blocking work runs `in_thread`. `open_body` reads stored content, `find_route` tells a domain's route.
    """

    def __init__(
        self, clock: IReactorTime, open_body: OpenBody, in_thread: InThread[Any], find_route: Callable[[str], Route]
    ) -> None:
        self._clock = clock
        self._open_body = open_body
        self._in_thread = in_thread
        self._find_route = find_route
        self._writing: dict[str, Deferred[Outcome]] = {}

    async def deliver(self, message: Message, delivery: Delivery, attempt: Attempt) -> tuple[Outcome, ...]:
        """
        Write the files; see `IAgent`. What is being written goes on although nobody waits for it any more: whoever
        comes again for the same waits for its end.
        """
        path = self._find_route(delivery.domain).path
        attempt.resolved = attempt.ended = self._clock.seconds()
        wanted = [state.recipient.address.text for state in delivery.open_recipients]
        if not path:
            return (NO_PATH,) * len(wanted)
        base = os.path.join(path, file_name(message, delivery))
        while base in self._writing:
            await _end_of(self._writing[base])
        text = self._description(message, delivery, attempt)
        outcome = await _end_of(self._begin(base, wanted, message, text))
        attempt.sent = attempt.ended = self._clock.seconds()
        return (outcome,) * len(wanted)

    def stop(self) -> Deferred[None] | None:
        """
        Wait for what is being written.
        """
        return Deferred.fromCoroutine(self._all()) if self._writing else None

    async def _all(self) -> None:
        for writing in list(self._writing.values()):
            await _end_of(writing)

    def _begin(self, base: str, wanted: list[str], message: Message, text: bytes) -> Deferred[Outcome]:
        written: Deferred[Outcome] = Deferred()
        self._writing[base] = written
        Deferred.fromCoroutine(self._write(Pair(base, wanted), message, text)).addCallback(self._written, base)
        return written

    def _written(self, result: Outcome, base: str) -> None:
        self._writing.pop(base).callback(result)

    async def _write(self, pair: Pair, message: Message, text: bytes) -> Outcome:
        """
        Write both files: small mail in one call, the rest piece by piece.
        """
        try:
            if message.body is not None:
                outcome: Outcome = await self._in_thread(partial(pair.write, message.header + message.body, text))
                return outcome
            return await self._stream(pair, message, text)
        except OSError as fault:
            if fault.errno in _FULL:
                return DISK_FULL
            log.error("{queue_id}: cannot write to {path}: {fault}", queue_id=message.queue_id, path=pair, fault=fault)
            return DISK_TROUBLE
        except SpoolError as fault:
            log.error("{queue_id}: content cannot be read: {fault}", queue_id=message.queue_id, fault=fault)
            return UNREADABLE
        except Exception:
            log.failure("{queue_id}: a bug in writing a file", queue_id=message.queue_id)
            return DISK_TROUBLE

    async def _stream(self, pair: Pair, message: Message, text: bytes) -> Outcome:
        if not await self._in_thread(pair.begin):
            return ALREADY
        reader = Whole(message, self._open_body).open()
        try:
            while piece := await reader.read():
                await self._in_thread(partial(pair.append, piece))
            await self._in_thread(partial(pair.publish, text))
        finally:
            reader.close()
            await self._in_thread(pair.drop)
        return WRITTEN

    def _description(self, message: Message, delivery: Delivery, attempt: Attempt) -> bytes:
        envelope = envelope_text(message.envelope, [state.recipient for state in delivery.open_recipients])
        told = description(message, delivery, envelope, attempt.number)
        told["written"] = iso_time(self._clock.seconds())
        return compact(told).encode("ascii") + b"\n"


class Pair:
    """
    The two files of one delivery to those that are `wanted`, "<base>.eml" and then "<base>.json"; "<base>-2" where the
    first are for others. Blocking: runs in a thread.
    """

    def __init__(self, base: str, wanted: Iterable[str]) -> None:
        self._base = base
        self._wanted = frozenset(wanted)
        self._files: list[TmpFile] = []

    def __str__(self) -> str:
        return self._base

    def begin(self) -> bool:
        """
        Open the first one; False if all who are wanted have theirs already, and durable.
        """
        folder, name = os.path.split(self._base)
        done: set[str] = set()
        nth = 1
        while (written := _written_for(self._base)) is not None:
            done |= written
            nth += 1
            self._base = os.path.join(folder, f"{name}-{nth}")
        if done >= self._wanted:
            sync_folder(folder)
            return False
        make_folder(folder)
        self._open("eml")
        return True

    def append(self, data: bytes) -> None:
        """
        Append to the one that was opened last.
        """
        self._files[-1].write(data)

    def publish(self, text: bytes) -> None:
        """
        Write the second one, and make both durable and visible.
        """
        self._open("json")
        self.append(text)
        for file in self._files:
            file.publish()
        sync_folder(os.path.dirname(self._base))

    def drop(self) -> None:
        """
        Leave nothing temporary behind.
        """
        for file in self._files:
            file.drop()

    def write(self, content: bytes, text: bytes) -> Outcome:
        """
        Do all of it.
        """
        if not self.begin():
            return ALREADY
        try:
            self.append(content)
            self.publish(text)
        finally:
            self.drop()
        return WRITTEN

    def _open(self, kind: str) -> None:
        folder, name = os.path.split(self._base)
        self._files.append(TmpFile(os.path.join(folder, f".{name}.{kind}.tmp"), f"{self._base}.{kind}"))


def _written_for(base: str) -> set[str] | None:
    """
    Tell for whom a pair of files was written; None where there is none, or half of one.
    """
    try:
        os.lstat(f"{base}.eml")
        with open(f"{base}.json", "rb") as file:
            told = json.load(file)
        return {each["address"] for each in told["envelope"]["recipients"]}
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        return None


def file_name(message: Message, delivery: Delivery) -> str:
    """
    Name the files of one delivery: always the same, so that one that is repeated is recognised.
    """
    return f"{message.queue_id}-{sha256(delivery.domain.encode()).hexdigest()[:_DIGITS]}"


def _end_of(writing: Deferred[Outcome]) -> Deferred[Outcome]:
    """
    Wait for the end, beside others; giving up waits no more, and ends nothing.
    """
    waiting: Deferred[Outcome] = Deferred()

    def ended(outcome: Outcome) -> Outcome:
        if not waiting.called:
            waiting.callback(outcome)
        return outcome

    writing.addCallback(ended)
    return waiting
