"""
Group commit: operations that arrive while a group is being written form the next one; one sync serves all of them.

Fatal, retried, ignored: nothing; whoever waits for an operation hears of its failure and decides.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from empath.errors import SpoolError
from empath.interfaces import InThread
from empath.mail.life import Emit, GroupCommitted
from empath.spool.rows import Row

LONGEST_REST: Final = 0.05  # seconds between two slices, so that what is long ends in about twice its time

Work = Callable[[sqlite3.Connection], Any]


@attrs.define(slots=True, eq=False)
class Operation:
    """
    One change that is done whole or not at all, as rows ready to be bound.

    `messages`, `deliveries` and `claims` are inserted, `updates` and `ends` change and delete deliveries; `work` is for
    what is rare, and tells a result. `upkeep` runs after the group's commit and outside its transaction. An `urgent`
    operation may use the last of the disk. `number` and `body_file` name a new message for its withdrawal, `size` is
    its bytes in memory. `failure` and `result` belong to the writer until the group has ended.
    """

    messages: tuple[Row, ...] = ()
    deliveries: tuple[Row, ...] = ()
    claims: tuple[Row, ...] = ()
    updates: tuple[Row, ...] = ()
    ends: tuple[tuple[str, str], ...] = ()
    work: Work | None = None
    upkeep: Work | None = None
    urgent: bool = False
    number: int = 0
    body_file: str | None = None
    size: int = 0
    failure: Exception | None = None
    result: Any = None
    done: Deferred[Any] | None = None


Group = list[Operation]


@attrs.frozen(slots=True)
class Outcome:
    """
    What a writer tells of a group: the bytes that lie free inside the file (-1: not known), the content files that
    lost their message, and why the disk did not take the group, or a part of it.
    """

    free: int = -1
    doomed: tuple[str, ...] = ()
    error: str = ""


class GroupCommit:
    """
    Hands the waiting operations to `write`, in `in_writer`'s thread, all at once, whenever it is idle.

    Nothing waits for a clock: an operation that finds the writer idle goes at once, the others while it is busy.
    `committed` hears what each group told; then the group's Deferreds fire, in the order of submission. `withdraw`
    hears of each cancelled message, and whether its group was handed over before.
    """

    def __init__(
        self,
        write: Callable[[Group], Outcome],
        in_writer: InThread[Any],
        clock: IReactorTime,
        emit: Emit,
        committed: Callable[[Outcome], None],
        withdraw: Callable[[Operation, bool], None],
    ) -> None:
        self.pending_bytes = 0
        self.groups = 0
        self.operations = 0
        self._write = write
        self._in_writer = in_writer
        self._clock = clock
        self._emit = emit
        self._committed = committed
        self._withdraw = withdraw
        self._waiting: Group = []
        self._under_way: Group = []
        self._started = 0.0
        self._idle: list[Deferred[None]] = []
        self._rest_until = float("-inf")
        self._resting: set[Deferred[None]] = set()
        self._closed = True

    def open(self) -> None:
        """
        Take operations from now on.
        """
        self._closed = False

    def submit(self, operation: Operation) -> Deferred[Any]:
        """
        Let the operation join the next group; fires with its result. Cancelling one with a `number` withdraws it.
        """
        if self._closed and not self._under_way:
            return fail(SpoolError("the spool is closed"))
        done: Deferred[Any] = Deferred(partial(self._cancelled, operation))
        operation.done = done
        self.pending_bytes += operation.size
        self._waiting.append(operation)
        if not self._under_way:
            self._hand_over()
        return done

    def submit_slice(self, operation: Operation) -> Deferred[Any]:
        """
        As `submit`, for one of many: while others commit, each waits for as long as the one before it took.
        Refused as soon as the spool is to close, which waits for what was submitted.
        """
        rest = self._rest_until - self._clock.seconds()
        if rest <= 0.0 or self._closed:
            return self._submit_slice(operation)
        resting: Deferred[None] = deferLater(self._clock, rest)
        self._resting.add(resting)
        return resting.addBoth(self._rested, resting, operation)

    def _rested(self, result: object, resting: Deferred[None], operation: Operation) -> Deferred[Any] | Failure:
        self._resting.discard(resting)
        if isinstance(result, Failure) and not self._closed:
            return result
        return self._submit_slice(operation)

    def _submit_slice(self, operation: Operation) -> Deferred[Any]:
        if self._closed:
            return fail(SpoolError("the spool is closed"))
        now = self._clock.seconds()
        began = self._rest_until if now - self._rest_until < LONGEST_REST else now  # reading it took time, too
        return self.submit(operation).addBoth(self._slice_over, began)

    def _slice_over(self, result: Any, began: float) -> Any:
        self._rest_until = now = self._clock.seconds()
        if self._waiting or len(self._under_way) > 1:
            self._rest_until += min(now - began, LONGEST_REST)
        return result

    def untold(self) -> set[str]:
        """
        Give the queue ids of the messages that may be on the disk, though nobody has heard so.
        """
        return {row[1] for operation in self._under_way for row in operation.messages}

    async def close(self) -> None:
        """
        Wait for all that came before, and refuse what comes after that.
        """
        self._closed = True
        for resting in list(self._resting):
            resting.cancel()
        if self._under_way:
            idle: Deferred[None] = Deferred()
            self._idle.append(idle)
            await idle

    def _hand_over(self) -> None:
        group = self._under_way = self._waiting
        self._waiting = []
        self._started = self._clock.seconds()
        self._in_writer(partial(self._write, group)).addCallbacks(self._written, self._crashed)

    def _written(self, outcome: Outcome) -> None:
        """
        Tell those who waited, then go on: what they ask for at once joins the next group (handing that over first
        makes groups of 1 and 19 where 20 sessions wait, at twice the price).
        """
        self._tell(self._under_way, self._clock.seconds() - self._started, outcome)
        self._under_way = []
        if self._waiting:
            self._hand_over()
        else:
            self._tell_idle()

    def _tell(self, group: Group, seconds: float, outcome: Outcome) -> None:
        self.groups += 1
        self.operations += len(group)
        for operation in group:
            self.pending_bytes -= operation.size
        self._committed(outcome)
        self._emit(GroupCommitted(len(group), seconds, outcome.error))
        for operation in group:
            done, operation.done = operation.done, None
            if done is None:
                continue
            if operation.failure is None:
                done.callback(operation.result)
            else:
                done.errback(operation.failure)

    def _crashed(self, failure: Failure) -> None:
        """
        The thread itself did not do its work (its pool is stopped, say): nothing of the group was done.
        """
        error = f"the spool's writer failed: {failure.getErrorMessage()}"
        for operation in self._under_way:
            operation.failure = SpoolError(error)
        self._written(Outcome(error=error))

    def _tell_idle(self) -> None:
        idle, self._idle = self._idle, []
        for waiting in idle:
            waiting.callback(None)

    def _cancelled(self, operation: Operation, done: Deferred[Any]) -> None:
        """
        Take back what is not handed over; what is under way is undone by `withdraw`; a settlement stands.
        """
        operation.done = None
        if not operation.number:
            return
        waits = operation in self._waiting
        if waits:
            self._waiting.remove(operation)
            self.pending_bytes -= operation.size
        self._withdraw(operation, not waits)
