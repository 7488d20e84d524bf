"""
The trail on the reactor's side: captures wait in memory for a moment, and are written together in another thread.

Nothing here is fatal. Trouble with the file is retried until it is over; meanwhile captures wait, up to a bound, and
what is beyond it is counted, told in the log, and told in the trail itself once that can be written again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from empath.audit import safety_records
from empath.audit.making import WEIGHT, Capture
from empath.audit.writing import TrailFile, Written
from empath.interfaces import InThread

GATHER: Final = 0.1  # seconds for which records wait for others to be written with
SYNC_EVERY: Final = 1.0  # seconds: what is written is on the disk that much later
RETRY: Final = 1.0
MOST_WAITING: Final = 50_000  # captures
MOST_WEIGHT: Final = 48 * 1024 * 1024  # octets that waiting captures may keep alive, roughly
MOST_AT_ONCE: Final = 2_000  # captures for one turn of the thread: other threads want the interpreter, too

log = Logger()


@attrs.define(slots=True, eq=False)
class Figures:
    """
    What is counted since the start: records written, captures that were lost, failures of writing; `trouble` is why
    nothing can be written now, "" while all is well.
    """

    records: int = 0
    lost: int = 0
    failures: int = 0
    trouble: str = ""


class Trail:
    """
    Takes captures and has `file` write them. `in_thread` runs its calls one at a time and in order. `durable`: who
    waits for a record waits for the disk. `stops`: no mail is taken while records cannot be written. `idle`: nobody
    wants records, and none are made. `tell` gets the lines that were written, `ended` the files that were rotated.
    """

    def __init__(
        self,
        file: TrailFile,
        clock: IReactorTime,
        in_thread: InThread[Any],
        tell: Callable[[list[bytes]], None] | None = None,
        ended: Callable[[], None] | None = None,
    ) -> None:
        self.file = file
        self.durable = False
        self.stops = False
        self.idle = False
        self.figures = Figures()
        self.tell = tell
        self.ended = ended
        self._clock = clock
        self._in_thread = in_thread
        self._waiting: list[Capture] = []
        self._weights: list[int] = []  # of each that waits
        self._weight = 0  # of all
        self._waiters: list[Deferred[None]] = []
        self._timer: IDelayedCall | None = None
        self._writing: Deferred[None] | None = None
        self._urgent = False
        self._synced = 0.0
        self._unsynced = False
        self._lost = 0  # since the trail told of it last
        self._closed = False

    @property
    def waiting(self) -> int:
        """
        How many captures are not written.
        """
        return len(self._waiting)

    @property
    def behind(self) -> bool:
        """
        Whether there is anything that cannot be read in the file.
        """
        return bool(self._waiting) or self._writing is not None

    def take(self, capture: Capture, weight: int = WEIGHT) -> None:
        """
        Have the records of a capture written soon, which keeps about `weight` octets alive until then.
        """
        if self.idle:
            return
        waiting = self._waiting
        if len(waiting) >= MOST_WAITING or self._weight >= MOST_WEIGHT:
            self._lose()
            return
        waiting.append(capture)
        self._weights.append(weight)
        self._weight += weight
        if self._timer is None and self._writing is None:
            self._timer = self._clock.callLater(GATHER, self._write)

    def recorded(self, capture: Capture, weight: int = WEIGHT) -> Deferred[None]:
        """
        As `take`; fires once the record is on the disk, or if that cannot be now. Never fails.
        """
        self.take(capture, weight)
        return self.caught_up()

    def caught_up(self) -> Deferred[None]:
        """
        Fires once all that was taken is on the disk, or if that cannot be now. Never fails.
        """
        done: Deferred[None] = Deferred()
        self._waiters.append(done)
        if self.figures.trouble:
            self._release(self._waiters)
        elif self._writing is None and not self._urgent:
            self._urgent = True
            self._write_in(0.0)
        return done

    def has_room(self) -> bool:
        """
        Tell whether mail may be taken: not while its records cannot be written, if that is what the operator wants.
        """
        if not self.stops:
            return True
        half_full = len(self._waiting) >= MOST_WAITING // 2 or self._weight >= MOST_WEIGHT // 2
        return not self.figures.trouble and not half_full

    async def stop(self) -> None:
        """
        Write what waits, and end the trail.
        """
        self._closed = True
        while self._writing is not None:
            await self._writing
        while self._waiting:
            before = len(self._waiting)
            self._write()
            if self._writing is not None:
                await self._writing
            if len(self._waiting) >= before:
                log.critical("audit trail: {lost} records are lost: {why}", lost=before, why=self.figures.trouble)
                break
        self._cancel_timer()
        await self._in_thread(partial(self.file.close, self._clock.seconds()))

    def _write_in(self, seconds: float) -> None:
        self._cancel_timer()
        self._timer = self._clock.callLater(seconds, self._write)

    def _cancel_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _write(self) -> None:
        """
        Have the thread write what waits.
        """
        self._cancel_timer()
        self._urgent = False
        if self._lost and not self.figures.trouble and len(self._waiting) < MOST_WAITING:
            told = {"lost": self._lost}
            self._waiting.append((safety_records.trail, self._clock.seconds(), "records-lost", "failed", told))
            self._weights.append(0)
            self._lost = 0
        batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
        weights, self._weights = self._weights[:MOST_AT_ONCE], self._weights[MOST_AT_ONCE:]
        self._weight -= sum(weights)
        waiters: list[Deferred[None]] = []
        if not self._waiting:
            waiters, self._waiters = self._waiters, []
        now = self._clock.seconds()
        sync = bool(waiters) or now - self._synced >= SYNC_EVERY
        work: Deferred[Any] = self._in_thread(partial(self.file.write, batch, sync))
        self._writing = done = Deferred[None]()
        told_of = (batch, weights, sync, now)
        work.addCallbacks(self._written, self._crashed, callbackArgs=told_of, errbackArgs=(batch,))
        work.addErrback(self._crashed, [])
        work.addBoth(lambda _: self._over(waiters, done))

    def _written(self, written: Written, batch: list[Capture], weights: list[int], synced: bool, now: float) -> None:
        figures = self.figures
        figures.records += written.records
        figures.lost += written.faults
        self._unsynced = not synced
        if synced:
            self._synced = now
        if written.lines and self.tell is not None:
            self.tell(written.lines)
        if written.ended and self.ended is not None:
            self.ended()
        if written.trouble:
            self._failed(written, batch, weights)
        elif figures.trouble:
            figures.trouble = ""
            log.info("audit trail: records are written again; {lost} were lost", lost=self._lost)

    def _failed(self, written: Written, batch: list[Capture], weights: list[int]) -> None:
        """
        Keep what was not written for another try.
        """
        figures = self.figures
        figures.failures += 1
        left = weights[written.done :]
        self._waiting, self._weights = batch[written.done :] + self._waiting, left + self._weights
        self._weight += sum(left)
        if not figures.trouble:
            log.error(
                "audit trail: {path} cannot be written: {why}; {what}, and it is tried again",
                path=str(self.file.path),
                why=written.trouble,
                what="no mail is taken" if self.stops else "records wait in memory",
            )
        figures.trouble = written.trouble

    def _crashed(self, failure: Failure, batch: list[Capture]) -> None:
        self.figures.failures += 1
        self.figures.lost += len(batch)
        self._lost += len(batch)
        self.figures.trouble = self.figures.trouble or "a fault of empath's own"
        log.failure("audit trail: not written", failure)

    def _over(self, waiters: list[Deferred[None]], done: Deferred[None]) -> None:
        """
        Let those go on who waited, and go on with what came meanwhile.
        """
        self._writing = None
        self._release(waiters)
        trouble = bool(self.figures.trouble)
        if trouble:
            self._release(self._waiters)
        if not self._closed and self._writing is None:
            if trouble:
                self._write_in(RETRY)
            elif self._waiters or len(self._waiting) >= MOST_AT_ONCE:
                self._write_in(0.0)
            elif self._waiting:
                self._write_in(GATHER)
            elif self._unsynced:
                self._write_in(SYNC_EVERY)
        done.callback(None)

    def _release(self, waiters: list[Deferred[None]]) -> None:
        released = list(waiters)
        waiters.clear()
        for waiter in released:
            waiter.callback(None)

    def _lose(self) -> None:
        if not self._lost:
            log.critical(
                "audit trail: {waiting} records wait for the disk, and more are lost: {why}",
                waiting=len(self._waiting),
                why=self.figures.trouble,
            )
        self._lost += 1
        self.figures.lost += 1
