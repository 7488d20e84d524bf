"""
Attempts: one coroutine takes a delivery from its line through the agent to its settlement on disk.

Fatal: nothing. Ignored: a message that is gone from the spool. An agent that raises has a bug: it is logged and counts
as a transient failure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from empath.errors import MessageUnknown, SpoolError
from empath.interfaces import IAgent, ISpool
from empath.mail.attempt import Attempt
from empath.mail.deliver_by import lapsed
from empath.mail.life import DeliveryLimited, Emit
from empath.mail.message import Message
from empath.mail.outcome import Outcome
from empath.mail.step import Steps
from empath.mail.trace_context import is_sampled
from empath.mail.traces import Traces
from empath.queue.entry import LONGEST_ATTEMPT, Entry, Place, patience
from empath.queue.interim import Interim
from empath.queue.settle import LAPSED, Decided, outcomes_for
from empath.queue.settling import Decide, Settling
from empath.queue.turns import SMALL
from empath.queue.window import Window

log = Logger()

UNSETTLED: Final = 2  # times the parallel deliveries: what may run or wait for its settlement, and a crash repeats

Ended = Callable[[Entry, tuple[Outcome, ...]], None]
"""
Hear how an attempt ended, before its slot is given back; no outcomes: it came to nothing.
"""

Settled = Callable[[Entry, Message, Attempt, tuple[Outcome, ...], Decided], None]
"""
Go on after a settlement that is on disk; its entry has left the window.
"""


class Attempts:
    """
    Starts attempts as the lines allow. `ended` hears how each did, `decide` makes its settlement, `settled` is told
    when that is on disk. `traces` knows what is traced.
    """

    def __init__(
        self,
        spool: ISpool,
        agent: IAgent,
        clock: IReactorTime,
        window: Window,
        ended: Ended,
        decide: Decide,
        settled: Settled,
        wake: Callable[[], None],
        emit: Emit,
    ) -> None:
        self.running = 0
        self.started = 0
        self.loaded = 0
        self.faults = 0
        self.open = False
        self.traces = Traces()
        self._spool = spool
        self._agent = agent
        self._clock = clock
        self._window = window
        self._ended = ended
        self._settled = settled
        self._wake = wake
        self._emit = emit
        self._timer: IDelayedCall | None = None
        self._dispatching = False
        self.settling = Settling(spool, clock, window.lines, decide, self.dispatch)
        self._drained: Deferred[None] | None = None

    def dispatch(self) -> None:
        """
        Start every attempt that may start now.
        """
        if self._dispatching or not self.open or self._window.lines.frozen:
            return  # an attempt that ends at once comes back here: the loop below goes on with what it freed
        self._dispatching = True
        lines, now = self._window.lines, self._clock.seconds
        try:
            while self.running < lines.limit * UNSETTLED and (entry := lines.take(now())) is not None:
                self._launch(entry)
        finally:
            self._dispatching = False
            if (when := lines.timers.next) is not None and self.running < lines.limit * UNSETTLED:
                self._wake_at(when)  # otherwise who ends comes back here: a time that is over would come at once

    async def drain(self, timeout: float) -> None:
        """
        Start no more, wait up to `timeout` seconds for what runs, then cut it short: it is pending in the spool.
        """
        self.open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
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
            log.error("{queue_id}: the attempt at {domain} did not end in time and is cancelled", **entry.named)
            if entry.running is not None:
                entry.running.cancel()
        return len(late)

    def give_up(self, entry: Entry, outcome: Outcome) -> Deferred[None]:
        """
        Settle an entry that is in no line, as if an attempt had ended so for all its recipients; fires when it is over.
        """
        entry.place = Place.SETTLING
        self.running += 1
        running = Deferred.fromCoroutine(self._carry(entry, outcome))
        if not running.called:
            entry.running = running
        return running

    def _launch(self, entry: Entry) -> None:
        entry.place = Place.IN_FLIGHT
        entry.deadline = self._clock.seconds() + LONGEST_ATTEMPT
        self.running += 1
        self.started += 1
        if entry.why is not None:
            self._emit(DeliveryLimited(entry.key[1], entry.late, entry.why.value))
        running = Deferred.fromCoroutine(self._carry(entry))
        if not running.called:
            entry.running = running

    def _wake_at(self, when: float) -> None:
        """
        Dispatch again at `when`, when a limit lets something go on.
        """
        timer = self._timer
        if timer is None:
            self._timer = self._clock.callLater(max(0.0, when - self._clock.seconds()), self._on_time)
        elif timer.getTime() != when:
            timer.reset(max(0.0, when - self._clock.seconds()))

    def _on_time(self) -> None:
        self._timer = None
        self.dispatch()

    async def _carry(self, entry: Entry, outcome: Outcome | None = None) -> None:
        """
        The whole way of one entry, or only its end with this outcome; however it ends, nothing of it stays behind.
        """
        if self.traces.on:
            self.traces.between_attempts()  # it may be started by another one that ends
        try:
            message = await self._load(entry) if entry.copy is None else entry.copy.message
            if message is not None:
                await (self._attempt(entry, message) if outcome is None else self._without(entry, message, outcome))
        except CancelledError:
            log.info("{queue_id}: cut short, it stays pending for {domain}", **entry.named)
        except Exception:
            self.faults += 1
            log.failure("{queue_id}: the attempt at {domain} broke", **entry.named)
        finally:
            self._over(entry)

    def _over(self, entry: Entry) -> None:
        entry.running = None
        if entry.place is Place.IN_FLIGHT:
            self._end(entry, ())
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
            log.warn("{queue_id}: gone from the spool, nothing is sent", **entry.named)
        except SpoolError as error:
            log.warn("{queue_id}: cannot be read, tried again: {error}", **entry.named, error=error)
        else:
            return message
        return None

    async def _attempt(self, entry: Entry, message: Message) -> None:
        delivery = entry.delivery
        attempt = entry.attempt = Attempt(delivery.attempts + 1, self._clock.seconds())
        if entry.gate is not None:
            attempt.site = entry.gate.site.name
        attempt.ids = self.traces.attempting(message, delivery, attempt.number)
        if attempt.ids is not None and is_sampled(message.trace):
            attempt.steps = Steps()
        entry.deadline = attempt.started + patience(message, delivery)
        if message.size > SMALL or len(delivery.recipients) > 1:
            self._window.lines.charge(entry.line, len(delivery.recipients), message.size)
            if "BY" not in message.envelope.parameters:  # else the end of the attempt tells of success
                attempt.keep = Interim(self._spool, self._clock, delivery, attempt.ids).keep
        outcomes = await self._outcomes(entry, message, attempt)
        if entry.place is Place.GONE:
            log.error("{queue_id}: ended after the watchdog had given it up", **entry.named)
            return
        attempt.ended = attempt.ended or self._clock.seconds()
        self._end(entry, outcomes)
        entry.place = Place.SETTLING
        decided = await self.settling.settle(entry, message, attempt, outcomes)
        if decided is not None:
            self._release(entry)
            self._settled(entry, message, attempt, outcomes, decided)

    async def _without(self, entry: Entry, message: Message, outcome: Outcome) -> None:
        """
        End an attempt that never begins.
        """
        now, delivery = self._clock.seconds(), entry.delivery
        attempt = Attempt(delivery.attempts + 1, now, ended=now, site=entry.line.gate.site.name)
        attempt.ids = self.traces.attempting(message, delivery, attempt.number)
        outcomes = (outcome,) * len(delivery.open_recipients)
        decided = await self.settling.settle(entry, message, attempt, outcomes)
        if decided is not None:
            self._release(entry)
            self._settled(entry, message, attempt, outcomes, decided)

    def _end(self, entry: Entry, outcomes: tuple[Outcome, ...]) -> None:
        """
        Tell the site how an attempt ended, and give its slot back.
        """
        self._ended(entry, outcomes)
        if entry.gate is not None:
            self._window.lines.ended(entry.gate)

    async def _outcomes(self, entry: Entry, message: Message, attempt: Attempt) -> tuple[Outcome, ...]:
        """
        Ask the agent; all are transient if it failed. A cancellation is passed on only while we cut short.
        """
        delivery = entry.delivery
        if lapsed(message, attempt.started):
            return (LAPSED,) * len(delivery.open_recipients)
        try:
            outcomes: tuple[Outcome, ...] = await self._agent.deliver(message, delivery, attempt)
        except Exception as trouble:
            if isinstance(trouble, CancelledError) and self.settling.cut:
                raise
            self.faults += 1
            log.failure("{queue_id}: the agent for {domain} failed", **entry.named)
        else:
            wanted = len(delivery.open_recipients)
            if len(outcomes) == wanted and None not in outcomes:
                return outcomes
            self.faults += 1
            log.error("{queue_id}: the agent did not tell one outcome for each recipient", **entry.named)
            return outcomes_for(wanted, outcomes)
        return outcomes_for(len(delivery.open_recipients), ())

    def _release(self, entry: Entry) -> None:
        if self._window.release(entry):
            self._wake()

    def _cut_short(self) -> None:
        """
        Cancel what is in flight, and ask the spool at once what waits for it; what it is writing is left to it.
        """
        self.settling.cut = True
        for entry in list(self._window.active.values()):
            if entry.running is not None and entry.place is not Place.SETTLING:
                entry.running.cancel()
        if self._drained is not None:
            drained, self._drained = self._drained, None
            drained.callback(None)
