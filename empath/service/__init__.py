"""
The composition root: the only place that builds the rooms and wires them together.

Fatal, raised from `build`: a configuration that cannot be used as it stands (ConfigError). Fatal, raised while
starting: a busy port, a spool that cannot be opened, a module that does not start. The stop is ordered: listeners,
sessions, deliveries, modules, spool.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Final

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.logger import Logger, globalLogPublisher

from empath.auth.senders import senders_of
from empath.census import Census
from empath.config.again import Outcome
from empath.config.recipients import relay_of
from empath.config.schema import Config, Delivery
from empath.errors import ConfigError
from empath.interfaces import ISpool
from empath.mail.life import AttemptEnded
from empath.modules.builtin.core import CoreChecks
from empath.modules.host import Modules
from empath.observe.health import Readiness
from empath.observe.life import LifeEvents
from empath.observe.logs.journal import Journal
from empath.observe.metrics.exposition import Exposition
from empath.observe.metrics.totals import Metrics
from empath.policy.relay import RelayPolicy
from empath.policy.throttle import Throttle
from empath.queue.periodic import Periodic
from empath.receive.listeners import Reception
from empath.receive.terms import Surroundings
from empath.service.auditing import Auditing
from empath.service.configuration import Configuration, Origin
from empath.service.control import make_control
from empath.service.exporting import Exporting
from empath.service.gauges import gauges_of, look
from empath.service.live import Live
from empath.service.logs import Logs
from empath.service.machine import Machine, this_machine
from empath.service.modules import in_force, make_storages, make_surroundings, sections_of, verifies
from empath.service.order import Order
from empath.service.outgoing import Outgoing, Stores
from empath.service.pages import MonitoringPages, checks_of
from empath.service.receiving import Receiving, make_authenticates
from empath.service.reload import Reload
from empath.service.safety import Safety, make_safety
from empath.service.status import StatusPage
from empath.service.tracing import Tracing
from empath.spool.sqlite import SqliteSpool
from empath.threads import Threads

log = Logger()

MENDED: Final = 1.0  # seconds after which a listener that was lost is bound again


class EmpathService(MultiService):
    """
    Everything that runs; two of them in one process share nothing.

    `privilegedStartService` binds, `startService` opens the spool and begins, `stopService` is the ordered drain.

    `starting` is None, unless modules take their time to start: then it fires once they have, and fails if one does
    not; until then mail neither comes in nor goes out.
    """

    def __init__(
        self,
        config: Config,
        reactor: Any,
        machine: Machine | None = None,
        folder: Path | None = None,
        origin: Origin | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.starting: Deferred[None] | None = None
        self.running: bool = False
        self.shutting_down = False
        self.clock = self._reactor = reactor
        self._machine = machine = machine or this_machine(reactor)
        self._threads = Threads(reactor, machine.make_pool)
        self.configuration = Configuration(origin, self.reconfigure, reactor, self._threads.in_thread)
        self.storages = make_storages(config, reactor, machine, self._threads.in_storage)
        self._make_accounts()
        self.spool = self._make_spool()
        stores, traces = Stores(self.spool, self.storages), self.tracing.traces
        self.outgoing = Outgoing(config, reactor, machine, stores, self._threads.in_thread, self.events.emit, traces)
        self.auditing.use_resolver(self.outgoing.resolver)
        self.resolver, self.queue, self.agent = self.outgoing.resolver, self.outgoing.queue, self.outgoing.agent
        self.safety = self._make_safety()
        relay = relay_of(config.relay, verifies(config))
        self.modules = self._make_modules(relay, folder or Path.cwd())
        self.outgoing.reporter.write = self.modules.authors.text
        self.reception = self._make_reception(relay)
        self.live.join(self)
        self.census = Census(self.spool, reactor)
        self._make_rounds(config.delivery)
        self._make_views()

    def _make_accounts(self) -> None:
        """
        Make what keeps account of all that happens: counts, spans, log lines, the audit trail.
        """
        config, reactor = self.config, self._reactor
        self.metrics = Metrics(config.metrics)
        self.exporting = Exporting(config, reactor, self._machine)
        self.tracing = Tracing(config.tracing, reactor, self.exporting.spans.add)
        kept, outlet = self.storages.of(".control"), self.exporting.logs.add
        self.logs = Logs(config.log, kept, reactor, self.tracing.traces.ids_of, outlet)
        self.verbosity = self.logs.verbosity
        self.events = self._make_events()
        self.tracing.listen(self.events)
        self.live = Live(reactor, self.events, self._machine.gc_callbacks, config.metrics)
        self.auditing = self._make_auditing()

    def _make_safety(self) -> Safety:
        stops, controls = self.storages.of(".senders"), self.queue.controls
        return make_safety(self.config.delivery, self.spool, stops, controls, self._reactor, self.events)

    def _make_views(self) -> None:
        """
        Make what shows, to programs and people, how all the others fare.
        """
        config, reactor, in_thread = self.config, self._reactor, self._threads.in_thread
        self.readiness = Readiness(config.health, checks_of(self), reactor)
        self.exposition = Exposition(config.metrics, self.metrics, gauges_of(self, self._threads), partial(look, self))
        self.status = StatusPage(self)
        in_pages = self._threads.in_pages
        self.pages = MonitoringPages(config, reactor, self.exposition, self.readiness, in_pages, self.status.pages)
        self.exporting.show(self.exposition, config)
        self.control = make_control(self, reactor, in_thread)

    def _make_auditing(self) -> Auditing:
        written = self.configuration.wrote("audit.path")
        auditing = Auditing(self.config, self._reactor, self._machine, self._threads.in_thread, written)
        auditing.file.maker.ids_of = self.tracing.traces.ids_of
        auditing.listen(self.events)
        return auditing

    @property
    def accepts_mail(self) -> bool:
        """
        Whether it runs, with all of its ports open to clients.
        """
        return (
            self.running and self.reception.listening and len(self.reception.ports) == len(self.config.smtp.listeners)
        )

    def privilegedStartService(self) -> None:
        """
        Bind all ports, while there may be privileges to do it.
        """
        super().privilegedStartService()
        self.reception.bind()
        self.pages.bind()

    def startService(self) -> Deferred[None] | None:
        """
        Open the spool and begin; the reactor does not accept anything before this has returned. Tells `starting`.
        """
        super().startService()
        self.starting = self._order.start()
        return self.starting

    def reconfigure(self, config: Config) -> Outcome:
        """
        Use another configuration as far as that goes while we run, and tell what waits for a restart. ConfigError, and
        nothing is changed, if it cannot be used, or we stop already.
        """
        self._refuse_at_the_end()
        self.config, outcome = self._reload.use(in_force(self.config, self.modules.sections), config)
        return outcome

    def reload(self) -> Outcome:
        """
        Read the configuration again, and use it as `reconfigure` does.
        """
        self._refuse_at_the_end()
        return self.configuration.reload()

    def _refuse_at_the_end(self) -> None:
        """
        Refuse what would open again what is being closed.
        """
        if self.shutting_down:
            raise ConfigError(["empath is stopping, and reads no other configuration"])

    def stopService(self) -> Deferred[None]:
        """
        Stop accepting, let sessions and deliveries in flight come to their end, then close the spool.
        """
        self.shutting_down = True
        stopped: Deferred[None] = Deferred.fromCoroutine(self._order.stop(super().stopService))
        return stopped

    def _make_events(self) -> LifeEvents:
        events = LifeEvents()
        self.metrics.listen(events)
        Journal(self._reactor, globalLogPublisher, self.verbosity.shows).listen(events)
        return events

    def _make_rounds(self, section: Delivery) -> None:
        """
        Make the work that is done again and again, and what changes its intervals.
        """
        counting = Periodic("the census", self.census.take, section.process_interval, self._reactor)
        eviction, *others = self.outgoing.periodic(section)
        mending = Periodic("the watch over listeners", self.reception.mend, MENDED, self._reactor)
        self._order = Order(self, self._threads, (counting, eviction, mending, *others))
        receiving = Receiving(self._core, self.reception, self._authenticates)
        self._reload = Reload(self, receiving, counting, eviction)

    def _make_spool(self) -> ISpool:
        section, emit = self.config.spool, self.events.emit
        if section.backend == "memory":
            return self._machine.memory_spool(section, emit)
        return SqliteSpool(
            section,
            clock=self._reactor,
            in_writer=self._threads.in_writer,
            in_reader=self._threads.in_reader,
            in_thread=self._threads.in_thread,
            emit=emit,
            max_cleanup_attempts=self.config.delivery.max_cleanup_attempts,
        )

    def _make_modules(self, relay: RelayPolicy, folder: Path) -> Modules:
        config, machine, reactor = self.config, self._machine, self._reactor
        returning = self.outgoing.returning
        mine, stopped = senders_of(config.auth), self.safety.senders.refuses
        has_room = self.auditing.room(self.spool.has_room)
        self._core = core = CoreChecks(config.smtp, relay, has_room, mine, returning.returns.answers, stopped)
        self.events.subscribe(AttemptEnded, returning.suppression.attempt_ended)
        around = make_surroundings(config, folder, reactor, machine, self.metrics, self.outgoing, self.storages)
        return Modules(
            sections_of(config),
            around,
            self.events.subscribe,
            [core, returning.returns, returning.refusing],
            machine.modules,
            lambda: self.reception.sessions.oldest_transaction(),
        )

    def _make_reception(self, relay: RelayPolicy) -> Reception:
        config, reactor, secret = self.config, self._reactor, self._machine.secret_chance
        self._authenticates = make_authenticates(self._machine, self._threads.in_thread, reactor)
        around = Surroundings(
            hostname=config.hostname,
            postmaster=config.delivery.dsn.postmaster,
            clock=reactor,
            chance=self._machine.chance,
            decisions=self.modules.decisions,
            begin=self.spool.begin,
            trusts=relay.trusts,
            emit=self.events.emit,
            on_stored=self.queue.fresh,
            on_expanded=self.outgoing.expansions.tell,
            command_took=self.metrics.command_took,
            authenticator=self._authenticates(config.auth),
            throttle=Throttle(config.auth.max_failures, config.auth.failure_window),
            secret_chance=secret,
            held=self.safety.senders.held,
            idempotency=self.safety.idempotency,
            dialogues=self.live.dialogues,
            record=self.auditing.record,
            traces=self.tracing.traces,
        )
        return Reception(reactor, config.smtp, around, config.delivery.shutdown_timeout)


def build(
    config: Config,
    reactor: Any,
    machine: Machine | None = None,
    folder: Path | None = None,
    origin: Origin | None = None,
) -> EmpathService:
    """
    Build the service that `config` describes, on this machine unless another one is given. Modules resolve paths
    against `folder`, by default the working directory. `origin` is where it was read from, and is read again.
    ConfigError if it cannot be used as it stands.
    """
    return EmpathService(config, reactor, machine, folder, origin)
