"""
What operators do with what they select: slice by slice, each in one commit, whatever the spool holds.

What is attempted meanwhile is dealt with when its attempt has ended. Fatal: nothing. Raised: SpoolError and
StorageError, where the verb cannot go on: what it did so far stands. Retried: what follows an attempt, until it is
done.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import attrs
from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from empath.errors import SpoolError
from empath.mail.life import Emit
from empath.mail.life_safety import DeliveryManaged
from empath.mail.message import Message, Status
from empath.policy.selection import Key, Selection
from empath.policy.verbs import Verb
from empath.queue.entry import Order, Place
from empath.queue.listing import in_progress
from empath.queue.notes import Notes
from empath.queue.slices import ORDER, START, Errand, Progress, Slices, Tally, note_of
from empath.queue.window import Window

T = TypeVar("T")

log = Logger()

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0


class Managing:
    """
    Does verbs, one slice at a time.
    """

    def __init__(self, slices: Slices, window: Window, notes: Notes, clock: IReactorTime, emit: Emit) -> None:
        self._slices = slices
        self._window = window
        self._notes = notes
        self._clock = clock
        self._emit = emit
        self._lock = DeferredLock()
        self._running: set[Deferred[Any]] = set()
        self._following: dict[Key, Order] = {}
        self._bounces = 0
        self._stopped = False
        window.ordered = self._follow

    def do(self, order: Order, selection: Selection, progress: Progress | None = None) -> Deferred[Tally]:
        """
        Do something with all that is selected now. Cancelling it ends it between two slices.
        """
        return self._start(self._do(order, selection, progress))

    async def _do(self, order: Order, selection: Selection, progress: Progress | None) -> Tally:
        match order.verb:
            case Verb.RELEASE:
                return await self._release(Errand(order, selection), progress)
            case Verb.BOUNCE:
                return await self._bounce(Errand(order, selection), progress)
            case _:
                return await self._all(Errand(order, selection), progress)

    async def _release(self, errand: Errand, progress: Progress | None) -> Tally:
        """
        Let go also what is to be held, or is just being held, after its attempt.
        """
        selection = errand.selection
        fits = selection.once_held(self._clock.seconds())
        coming = [] if fits is None else [key for key in self._to_be_held(selection) if _names(selection, key)]
        for key in coming:
            await self._turn(errand, _only(fits or selection, key), START)
        await self._all(errand, progress)
        if coming:
            await self._notes.flush()
        return errand.tally

    def _to_be_held(self, selection: Selection) -> list[Key]:
        """
        Tell what has left the window to be held, and of what is in it what this does not select.
        """
        found = [key for key, order in self._following.items() if order.verb is Verb.HOLD]
        if selection.status is None and selection.held_from is None:
            return found
        active = self._window.active.values()
        return found + [each.key for each in active if each.order is not None and each.order.verb is Verb.HOLD]

    async def _bounce(self, errand: Errand, progress: Progress | None) -> Tally:
        """
        Bounce all, but for the reports that come of it.
        """
        self._bounces += 1
        try:
            return await self._all(errand, progress)
        finally:
            self._bounces -= 1
            if not self._bounces:
                self._slices.reports.clear()

    async def _all(self, errand: Errand, progress: Progress | None) -> Tally:
        selection = errand.selection
        if selection.status is Status.IN_PROGRESS:
            return await self._all_in_progress(errand, progress)
        after: Key | None = START
        while after is not None:
            after = await self._turn(errand, selection, after)
            await self._catch_up(errand, selection)
            if progress is not None:
                progress(errand.tally)
        return errand.tally

    async def _all_in_progress(self, errand: Errand, progress: Progress | None) -> Tally:
        """
        Do it to what is being attempted now, which only the window knows.
        """
        selection = attrs.evolve(errand.selection, status=None, everything=True)
        for entry in in_progress(self._window):
            if _names(selection, entry.key) and entry.place is not Place.GONE:
                await self._turn(errand, _only(selection, entry.key), START)
        await self._catch_up(errand, selection)
        if progress is not None:
            progress(errand.tally)
        return errand.tally

    async def _catch_up(self, errand: Errand, selection: Selection) -> None:
        """
        Do it to what was another thing by the time that it was read.
        """
        while errand.moved:
            await self._turn(errand, _only(selection, errand.moved.pop()), START)

    def restore(self, kept: dict[str, str]) -> None:
        """
        Go on with what was to follow attempts that a crash, or a stop, cut short.
        """
        for key, text in kept.items():
            if key.startswith(ORDER):
                queue_id, _, domain = key.removeprefix(ORDER).partition(" ")
                order = Order.read(text)
                if order is None:
                    log.error("{queue_id}: what was to be done cannot be read: {text}", queue_id=queue_id, text=text)
                    self._notes.keep(key, None)
                else:
                    self._follow((queue_id, domain), order)

    def settled(self, key: Key, report: Message | None) -> None:
        """
        Hear of a settlement that is on disk, with this report.
        """
        bouncing = self._slices.bouncing
        if bouncing and (why := bouncing.pop(key, None)) is not None:
            if report is not None:
                self._slices.reports.add(report.queue_id)
            self._emit(DeliveryManaged(*key, Verb.BOUNCE.value, why))

    def stop(self) -> None:
        """
        End what is under way; what is to follow attempts is done after the next start.
        """
        self._stopped = True
        for errand in list(self._running):
            errand.cancel()

    async def _turn(self, errand: Errand, selection: Selection, after: Key) -> Key | None:
        """
        Do one slice, when no other is being done; tells where to go on.
        """
        await self._lock.acquire()
        over: Deferred[Key | None] = Deferred()  # a slice is done whole: who waits for it may be cancelled
        Deferred.fromCoroutine(self._slice(errand, selection, after)).addBoth(over.callback)
        return await over

    async def _slice(self, errand: Errand, selection: Selection, after: Key) -> Key | None:
        try:
            found, following = await self._slices.find(errand, selection, after)
            if self._stopped:
                raise SpoolError("the queue is stopping")
            await self._slices.apply(errand, found)
        finally:
            self._lock.release()
        return following

    def _follow(self, key: Key, order: Order) -> None:
        """
        Do what was to follow an attempt; until that is done nothing else begins with the delivery.
        """
        self._window.keep_out((key,))
        if self._stopped:
            return  # it is noted, and done after the next start
        self._following[key] = order
        self._start(self._followed(key, order))

    def _start(self, coroutine: Coroutine[Any, Any, T]) -> Deferred[T]:
        errand = Deferred.fromCoroutine(coroutine)
        if not errand.called:
            self._running.add(errand)
            errand.addBoth(self._over, errand)
        return errand

    def _over(self, result: T, errand: Deferred[T]) -> T:
        self._running.discard(errand)
        return result

    async def _followed(self, key: Key, order: Order) -> None:
        pause, tally = FIRST_PAUSE, None
        try:
            while (tally := await self._done(key, order)) is None:
                await deferLater(self._clock, pause)
                pause = min(pause * 2, LONGEST_PAUSE)
        except CancelledError:
            return  # stopping
        except Exception:
            log.failure("{queue_id}: cannot be {verb}", queue_id=key[0], verb=order.word)
        del self._following[key]
        if tally is None or not tally.in_flight:
            self._notes.keep(note_of(key), None)
        self._window.let_go((key,))
        self._slices.wake()

    async def _done(self, key: Key, order: Order) -> Tally | None:
        """
        Try to do it; None if the spool does not take it now.
        """
        try:
            return await self._do(order, Selection(queue_id=key[0], domain=key[1]), None)
        except SpoolError as error:
            log.warn("{queue_id}: not yet {verb}: {error}", queue_id=key[0], verb=order.word, error=error)
            return None


def _names(selection: Selection, key: Key) -> bool:
    """
    Tell whether a selection may mean what has this key.
    """
    return selection.queue_id in (None, key[0]) and selection.domain in (None, key[1])


def _only(selection: Selection, key: Key) -> Selection:
    """
    Ask again for one delivery, which may not fit any more.
    """
    return attrs.evolve(selection, queue_id=key[0], domain=key[1])
