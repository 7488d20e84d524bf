"""
The queue: what is active, in which order it is attempted, and what becomes of it.

Fresh mail goes straight from its commit into its destination's line; everything else is found in the spool when it is
due. Fatal: at `restore`, what an operator set and cannot be read. Retried: deliveries by their schedule, settlements
and look-ups until the spool works again. Ignored: what is held, and what has no room in the window: it stays in the
spool, which is the whole truth.
"""

from __future__ import annotations

import random
from typing import Final

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from empath.config import schema
from empath.interfaces import IAgent, IComponent, ISites, ISpool, IStorage
from empath.mail.attempt import Attempt
from empath.mail.life import AttemptEnded, Emit, MessageReceived, ReportQueued
from empath.mail.message import Delivery, Message, Status
from empath.mail.notice import Action, worst
from empath.mail.outcome import Outcome, doubts
from empath.queue.attempts import Attempts
from empath.queue.controls import Controls
from empath.queue.deciding import Deciding, Report
from empath.queue.delays import Delays, interval
from empath.queue.entry import Entry
from empath.queue.freezing import Freezing
from empath.queue.gates import Gates
from empath.queue.line import Gate, Line
from empath.queue.lines import Lines
from empath.queue.listing import Listing
from empath.queue.managing import Managing
from empath.queue.notes import Notes
from empath.queue.overdue import Overdue
from empath.queue.periodic import Periodic
from empath.queue.recovery import Recovery
from empath.queue.scan import Scan
from empath.queue.settle import Decided, site_accepted
from empath.queue.slices import Slices
from empath.queue.standing import Standings
from empath.queue.watchdog import Watchdog
from empath.queue.window import Window

SITES_INTERVAL: Final = 60.0  # seconds between two looks whether sites have moved


@implementer(IComponent)
class Queue:
    """
    Takes deliveries from the spool to the agent and their settlements back.
    """

    def __init__(
        self,
        section: schema.Delivery,
        spool: ISpool,
        agent: IAgent,
        report: Report,
        clock: IReactorTime,
        chance: random.Random,
        emit: Emit,
        sites: ISites,
        storage: IStorage,
    ) -> None:
        self._spool = spool
        self._clock = clock
        self._emit = emit
        self._section = section
        self._deciding = Deciding(section, report, clock, chance)
        self._notes = Notes(storage, clock.seconds)
        self.gates = Gates(section, sites, self._notes, clock, emit, self._arrived, self._shed)
        self._lines = Lines(section.max_parallel_deliveries, self.gates.begin, self.gates.changed)
        self._lines.total = self.gates.terms.total
        self.window = Window(section.max_active, self._lines)
        self.scan = Scan(spool, clock, self.window, self._dispatch)
        self.recovery = Recovery(spool, clock, self.scan.wake)
        kept = (self.window, self._notes, clock, emit)
        self.freezing = Freezing(*kept, self._deciding.decide, self._changed)
        told = (self.gates.ended, self.freezing.decide, self._settled)
        self.attempts = Attempts(spool, agent, clock, self.window, *told, self.scan.wake, emit)
        self.overdue = Overdue(
            spool, clock, self.window, self.gates, self.attempts, section.message_expiration, self.freezing
        )
        self.delays = Delays(section, spool, self.freezing, report, clock, self._warned)
        self._make_controls(section, sites, clock)
        self.watchdog = Watchdog(self.window, self.attempts)
        self._make_rounds(section, clock)

    def _make_controls(self, section: schema.Delivery, sites: ISites, clock: IReactorTime) -> None:
        """
        Make what people and programs ask, and change the queue by.
        """
        spool, kept = self._spool, (self.window, self._notes, clock, self._emit)
        around = (spool, sites, self.window, self.attempts, self.freezing, *kept[1:])
        slices = Slices(*around, self.scan.wake, lambda domains: self.controls.force(domains))
        self._managing = Managing(slices, *kept)
        self.listing = Listing(spool, sites, self.window, clock)
        self.standings = Standings(section, self.window, self.gates, self.freezing, clock)
        self.controls = Controls(
            self.gates, *kept[:3], spool, self.freezing, self._managing, self.standings, self._changed
        )

    def _make_rounds(self, section: schema.Delivery, clock: IReactorTime) -> None:
        """
        Make the work that is done again and again.
        """
        self._due = Periodic("the search for due mail", self.scan.look_and_count, section.process_interval, clock)
        self._expiry = Periodic("the expiry of kept mail", self._expire_kept, section.expiry_interval, clock)
        self._lateness = Periodic("the reports of delay", self.delays.look, interval(section.dsn), clock)
        self._cleanup = Periodic("the cleanup", self._retry_cleanup, section.cleanup_interval, clock)
        self._watch = Periodic("the watchdog", self.watchdog.look, section.scan_interval, clock)
        self._sites = Periodic("the look at sites", self._look_over, SITES_INTERVAL, clock)

    @property
    def active(self) -> int:
        """
        How many deliveries are in the window.
        """
        return len(self.window.active)

    @property
    def in_flight(self) -> int:
        """
        How many attempts are under way.
        """
        return self._lines.in_flight

    @property
    def due_waiting(self) -> int:
        """
        How many deliveries are due and wait: those in the lines, and those that the spool had beyond at the last count.
        What waits for a site that is left alone, or is frozen, is not among them.
        """
        return 0 if self._lines.frozen else self._lines.ready + self.scan.waiting - self.window.idle

    def fresh(self, message: Message, deliveries: tuple[Delivery, ...]) -> None:
        """
        Take a message that has just reached the disk; what has no room is found in the spool later.
        """
        if not self.attempts.open:
            return
        now = self._clock.seconds()
        copy = self.window.copy_of(message)
        for delivery in deliveries:
            if delivery.next_attempt is None or delivery.status is Status.HELD:
                continue
            if delivery.next_attempt > now:
                self.scan.wake_at(delivery.next_attempt)
            else:
                self.window.admit(delivery, copy, now)
        self.attempts.dispatch()

    async def restore(self) -> None:
        """
        Take up how sites fared before, and what an operator had set. StorageError if that cannot be read: mail would go
        out that is frozen.
        """
        kept = await self._notes.read()
        self.gates.restore(kept)
        self.controls.restore(kept)

    def start(self) -> None:
        """
        Begin with what the spool holds.
        """
        self.attempts.open = True
        self.freezing.begin()
        self._due.start(now=True)
        for periodic in (self._expiry, self._lateness, self._cleanup, self._watch, self._sites):
            periodic.start()

    async def stop(self, timeout: float | None = None) -> None:
        """
        Start nothing more, wait for what is in flight (`shutdown_timeout`), cut the rest short: it stays pending.
        """
        self.attempts.open = False
        for periodic in (self._due, self._expiry, self._lateness, self._cleanup, self._watch, self._sites):
            periodic.stop()
        self.scan.stop()
        self._managing.stop()
        await self.attempts.drain(self._section.shutdown_timeout if timeout is None else timeout)
        self.recovery.stop()
        self.gates.look_ups.stop()
        self.gates.save()
        await self._notes.close()

    def reconfigure(self, section: object) -> None:
        """
        Use another [delivery] from now on; attempts under way and times already set stay.
        """
        assert isinstance(section, schema.Delivery)
        self._section = self.standings.section = section
        self._deciding.reconfigure(section)
        self.delays.reconfigure(section)
        self.window.max_active = section.max_active
        self.gates.reconfigure(section)
        self.overdue.expiration = section.message_expiration
        self._lines.limit_to(section.max_parallel_deliveries)
        self._due.reconfigure(section.process_interval)
        self._watch.reconfigure(section.scan_interval)
        self._expiry.reconfigure(section.expiry_interval)
        self._lateness.reconfigure(interval(section.dsn))
        self._cleanup.reconfigure(section.cleanup_interval)
        self._changed()

    def routes_changed(self) -> None:
        """
        Take mail to the sites where its routes lead now; attempts under way stay.
        """
        self.gates.routes_changed(self._lines.by_domain)
        self._changed()

    def _dispatch(self) -> None:
        self.attempts.dispatch()

    def _changed(self) -> None:
        """
        Go on with the limits as they are now.
        """
        self._lines.total = self.gates.terms.total
        self._lines.look_again()
        for gate in self.gates.by_name.values():
            self._lines.call(gate)
        self.attempts.dispatch()
        self.scan.wake()

    def _arrived(self, line: Line, gate: Gate) -> None:
        """
        Have a line go on at its site's gate; one that has only begun, or is over, is in no turn yet.
        """
        if self._lines.by_domain.get(line.domain) is line:
            self._lines.move(line, gate)
            if self.window.shed_line(line):
                self.scan.wake()
            self.attempts.dispatch()
        else:
            line.gate = gate

    def _shed(self, gate: Gate) -> None:
        """
        Leave to the spool what waits for a site that is left alone.
        """
        if self.window.shed(gate):
            self.scan.wake()

    async def _look_over(self) -> None:
        """
        The periodic round: which sites moved, and what could not be stored.
        """
        self.gates.look_again(self._lines.by_domain)
        self.freezing.forget(self._section.message_expiration)
        self._notes.write()

    def _settled(
        self, entry: Entry, message: Message, attempt: Attempt, outcomes: tuple[Outcome, ...], decided: Decided
    ) -> None:
        """
        Tell what happened, and go on with what follows from it.
        """
        settlement, results, notices = decided
        delivery = settlement.delivery
        if delivery.next_attempt is not None:
            self.scan.wake_at(delivery.next_attempt)
        if entry.gate is not None:
            accepted = site_accepted(outcomes, entry.told)
            if accepted is not None and self._lines.judge(entry.gate, accepted):
                self.recovery.recovered(entry.gate)
        attempt.results, attempt.doubtful = results, doubts(outcomes)
        self._emit(AttemptEnded(message, delivery, attempt, results))
        self._managing.settled(entry.key, settlement.report)
        if settlement.report is not None:
            self._reported(message, settlement.report, settlement.report_deliveries, worst(notices))

    def _warned(self, message: Message, report: Message, deliveries: tuple[Delivery, ...]) -> None:
        self._reported(message, report, deliveries, Action.DELAYED)

    def _reported(self, message: Message, report: Message, deliveries: tuple[Delivery, ...], action: Action) -> None:
        """
        Tell of a report that is stored, and send it.
        """
        self._emit(MessageReceived(report, None, 0.0))
        self._emit(ReportQueued(message, report, action))
        self.fresh(report, deliveries)

    async def _expire_kept(self) -> None:
        await self._spool.expire_kept(self._clock.seconds())
        await self.overdue.look()

    async def _retry_cleanup(self) -> None:
        await self._spool.retry_cleanup(self._clock.seconds())
