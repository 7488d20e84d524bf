"""
Attempts: one coroutine takes a delivery from its line through the agent to its settlement on disk.

Fatal: nothing. Retried: a settlement that the spool refuses, with growing delays until it is written; meanwhile the
delivery is not attempted again and takes up a slot, so that a broken spool soon stops all attempts. Ignored: a message
that is gone from the spool. An agent that raises has a bug: it is logged and counts as a transient failure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from empath.errors import MessageUnknown, QueueIdTaken, SpoolError
from empath.interfaces import IAgent, ISpool
from empath.mail.deliver_by import lapsed
from empath.mail.life import Attempt
from empath.mail.message import Message
from empath.mail.outcome import Outcome
from empath.mail.settlement import Settlement
from empath.queue.entry import LONGEST_ATTEMPT, Entry, Place, patience
from empath.queue.settle import LAPSED, Decided, outcomes_for
from empath.queue.window import Window

log = Logger()

UNSETTLED: Final = 2  # times the parallel deliveries: what may run or wait for its settlement, and a crash repeats
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0

Decide = Callable[[Entry, Message, tuple[Outcome, ...]], Decided]

Settled = Callable[[Message, Attempt, tuple[Outcome, ...], Decided], None]
"""
Go on after a settlement that is on disk; its entry has left the window.
"""


class Attempts:
    """
    Starts attempts as the lines allow. `decide` makes the settlement of one, `settled` is told when it is on disk.
    """

    def __init__(
        self,
        spool: ISpool,
        agent: IAgent,
        clock: IReactorTime,
        window: Window,
        decide: Decide,
        settled: Settled,
        wake: Callable[[], None],
    ) -> None:
        self.running = 0
        self.started = 0
        self.loaded = 0
        self.settle_failures = 0
        self.faults = 0
        self.open = False
        self._spool = spool
        self._agent = agent
        self._clock = clock
        self._window = window
        self._decide = decide
        self._settled = settled
        self._wake = wake
        self._dispatching = False
        self._cut = False
        self._drained: Deferred[None] | None = None

    def dispatch(self) -> None:
        """
        Start every attempt that may start now.
        """
        if self._dispatching or not self.open:
            return  # an attempt that ends at once comes back here: the loop below goes on with what it freed
        self._dispatching = True
        lines = self._window.lines
        try:
            while self.running < lines.limit * UNSETTLED and (entry := lines.take()) is not None:
                self._launch(entry)
        finally:
            self._dispatching = False

    async def drain(self, timeout: float) -> None:
        """
        Start no more, wait up to `timeout` seconds for what runs, then cut it short: it is pending in the spool.
        """
        self.open = False
        if not self.running:
            return
        self._drained = Deferred()
        late = self._clock.callLater(timeout, self._cut_short)
        try:
            await self._drained
        finally:
            if late.active():
                late.cancel()

    def overdue(self) -> int:
        """
        Cancel the attempts that are past their deadline; tells how many.
        """
        now = self._clock.seconds()
        late = [e for e in self._window.active.values() if e.place is Place.IN_FLIGHT and now >= e.deadline]
        for entry in late:
            log.error(
                "{queue_id}: the attempt at {domain} did not end in time and is cancelled",
                queue_id=entry.key[0],
                domain=entry.key[1],
            )
            if entry.running is not None:
                entry.running.cancel()
        return len(late)

    def _launch(self, entry: Entry) -> None:
        entry.place = Place.IN_FLIGHT
        entry.deadline = self._clock.seconds() + LONGEST_ATTEMPT
        self.running += 1
        self.started += 1
        running = Deferred.fromCoroutine(self._carry(entry))
        if not running.called:
            entry.running = running

    async def _carry(self, entry: Entry) -> None:
        """
        The whole way of one entry; however it ends, nothing of it stays behind.
        """
        try:
            message = await self._load(entry) if entry.copy is None else entry.copy.message
            if message is not None:
                await self._attempt(entry, message)
        except CancelledError:
            log.info("{queue_id}: cut short, it stays pending for {domain}", queue_id=entry.key[0], domain=entry.key[1])
        except Exception:
            self.faults += 1
            log.failure("{queue_id}: the attempt at {domain} broke", queue_id=entry.key[0], domain=entry.key[1])
        finally:
            self._over(entry)

    def _over(self, entry: Entry) -> None:
        entry.running = None
        if entry.place is Place.IN_FLIGHT:
            self._window.lines.ended(entry.line)
        if entry.place is not Place.GONE:
            self._release(entry)
        self.running -= 1
        self.dispatch()
        if self._drained is not None and not self.running:
            drained, self._drained = self._drained, None
            drained.callback(None)

    async def _load(self, entry: Entry) -> Message | None:
        """
        Read the message; what cannot be read now is left in the spool, where a later scan finds it.
        """
        self.loaded += 1
        try:
            message: Message = await self._spool.load(entry.key[0])
        except MessageUnknown:
            log.warn("{queue_id}: gone from the spool, nothing is sent", queue_id=entry.key[0])
        except SpoolError as error:
            log.warn("{queue_id}: cannot be read, tried again: {error}", queue_id=entry.key[0], error=error)
        else:
            return message
        return None

    async def _attempt(self, entry: Entry, message: Message) -> None:
        delivery = entry.delivery
        attempt = Attempt(delivery.attempts + 1, self._clock.seconds())
        entry.deadline = attempt.started + patience(message, delivery)
        outcomes = await self._outcomes(entry, message, attempt)
        if entry.place is Place.GONE:
            log.error("{queue_id}: ended after the watchdog had given it up", queue_id=delivery.queue_id)
            return
        attempt.ended = attempt.ended or self._clock.seconds()
        self._window.lines.ended(entry.line)
        entry.place = Place.SETTLING
        decided = await self._settle(entry, message, outcomes)
        if decided is not None:
            self._release(entry)
            self._settled(message, attempt, outcomes, decided)

    async def _outcomes(self, entry: Entry, message: Message, attempt: Attempt) -> tuple[Outcome, ...]:
        """
        Ask the agent; all are transient if it failed. A cancellation is passed on only while we cut short.
        """
        delivery = entry.delivery
        if lapsed(message, attempt.started):
            return (LAPSED,) * len(delivery.open_recipients)
        try:
            outcomes: tuple[Outcome, ...] = await self._agent.deliver(message, delivery, attempt)
        except CancelledError:
            if self._cut:
                raise
            self._agent_failed(entry)
        except Exception:
            self._agent_failed(entry)
        else:
            wanted = len(delivery.open_recipients)
            if len(outcomes) == wanted and None not in outcomes:
                return outcomes
            self.faults += 1
            log.error("{queue_id}: the agent did not tell one outcome for each recipient", queue_id=delivery.queue_id)
            return outcomes_for(wanted, outcomes)
        return outcomes_for(len(delivery.open_recipients), ())

    def _agent_failed(self, entry: Entry) -> None:
        self.faults += 1
        log.failure("{queue_id}: the agent for {domain} failed", queue_id=entry.key[0], domain=entry.key[1])

    def _release(self, entry: Entry) -> None:
        if self._window.release(entry):
            self._wake()

    async def _settle(self, entry: Entry, message: Message, outcomes: tuple[Outcome, ...]) -> Decided | None:
        """
        Have the settlement written, however often the spool fails; None if the message is gone from the spool.
        """
        decided = self._decide(entry, message, outcomes)
        while True:
            try:
                if not await self._written(entry, decided[0]):
                    await self._insist(entry, decided[0])
            except MessageUnknown:
                log.warn("{queue_id}: gone from the spool, nothing is settled", queue_id=entry.key[0])
                return None
            except QueueIdTaken:
                await self._pause(entry, FIRST_PAUSE)
                decided = self._decide(entry, message, outcomes)  # the report is made anew, with another id
            else:
                return decided

    async def _insist(self, entry: Entry, settlement: Settlement) -> None:
        """
        Try again and again; the entry takes up a slot meanwhile.
        """
        lines = self._window.lines
        lines.stick(+1)
        pause = FIRST_PAUSE
        try:
            while True:
                await self._pause(entry, pause)
                if await self._written(entry, settlement):
                    return
                if self._cut:
                    raise CancelledError
                pause = min(pause * 2, LONGEST_PAUSE)
        finally:
            lines.stick(-1)

    async def _pause(self, entry: Entry, pause: float) -> None:
        """
        Wait before the spool is asked again; a stop that is out of time ends it, for one last try.
        """
        entry.place = Place.TIMED
        try:
            await deferLater(self._clock, pause)
        except CancelledError:
            if not self._cut:
                raise
        entry.place = Place.SETTLING

    async def _written(self, entry: Entry, settlement: Settlement) -> bool:
        try:
            writing = self._spool.settle(settlement)
            self.dispatch()
            await writing
        except (MessageUnknown, QueueIdTaken, CancelledError):
            raise
        except SpoolError as error:
            log.warn("{queue_id}: cannot be settled, tried again: {error}", queue_id=entry.key[0], error=error)
        except Exception:
            log.failure("{queue_id}: cannot be settled, tried again", queue_id=entry.key[0])
        else:
            return True
        self.settle_failures += 1
        return False

    def _cut_short(self) -> None:
        """
        Cancel what is in flight, and ask the spool at once what waits for it; what it is writing is left to it.
        """
        self._cut = True
        for entry in list(self._window.active.values()):
            if entry.running is not None and entry.place is not Place.SETTLING:
                entry.running.cancel()
        if self._drained is not None:
            drained, self._drained = self._drained, None
            drained.callback(None)
