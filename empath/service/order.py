"""
In which order the parts start, and stop: mail comes in last, and is the first that comes no more.

Fatal, raised from `start` or fired by what it gives: a part that does not start. Trouble with one that stops is logged,
and must not keep the spool from being closed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from empath.queue.periodic import Periodic
from empath.threads import Threads

if TYPE_CHECKING:
    from empath.service import EmpathService

log = Logger()

Step = Callable[[], object]


@attrs.frozen(slots=True, eq=False)
class Order:
    """
    Starts and stops the parts of `service`, with `threads` and the `rounds` that it makes.
    """

    service: EmpathService
    threads: Threads
    rounds: tuple[Periodic, ...]

    def start(self) -> Deferred[None] | None:
        """
        Open what is stored and begin. Gives what fires once all has begun, None where it has.
        """
        service = self.service
        service.control.bind()
        self.threads.start()
        try:
            service.auditing.start()
            service.spool.open()
            service.storages.open()
            service.resolver.start()
            service.exporting.start()
            service.status.start()
            return _under_way(Deferred.fromCoroutine(self._begin_after(service.modules.start())))
        except BaseException:
            service.status.stop()
            service.control.abandon()
            service.auditing.abandon()
            self.threads.stop()  # they would keep the process from ending
            raise

    async def _begin_after(self, modules: Awaitable[None] | None) -> None:
        """
        Begin once all that was stored is known again, and the modules have started.
        """
        service = self.service
        for restore in (service.verbosity.restore, *service.outgoing.restores, service.safety.senders.restore):
            await restore()
        if modules is not None:
            await modules
        if not service.shutting_down:
            self._begin()

    def _begin(self) -> None:
        service = self.service
        service.queue.start()
        service.reception.start()
        for periodic in self.rounds:
            periodic.start(now=True)
        service.configuration.watch(service.config.watch_config)
        service.live.start()
        service.running = True

    async def stop(self, last: Step) -> None:
        """
        Stop part after part, `last` after all of them.
        """
        for stop in (*self._arrivals(), *self._departures(), *self._stored(), last):
            try:
                stopping: Any = stop()
                if isinstance(stopping, Awaitable):
                    await stopping
            except Exception:
                log.failure("{part} did not stop as it should", part=getattr(stop, "__qualname__", stop))
        log.info("stopped: {received} received", received=self.service.metrics.messages_received)
        self.service.logs.stop()
        await self.service.exporting.stop_logs()

    def _arrivals(self) -> tuple[Step, ...]:
        service = self.service
        rounds = [periodic.stop for periodic in self.rounds]
        return service.configuration.stop, *rounds, service.reception.stop, service.safety.senders.close

    def _departures(self) -> tuple[Step, ...]:
        service = self.service
        outgoing = service.outgoing
        delivering = (service.queue.stop, service.modules.stop, service.agent.stop)
        return *delivering, outgoing.sts.stop, outgoing.put_away, service.resolver.stop, service.exporting.stop

    def _stored(self) -> tuple[Step, ...]:
        service = self.service
        looking = (service.control.stop, service.status.stop, service.live.stop, service.readiness.stop)
        keeping = (service.storages.close, service.spool.close, service.auditing.stop)
        return *looking, *keeping, service.pages.stop, self.threads.stop


def _under_way(starting: Deferred[None]) -> Deferred[None] | None:
    """
    Give back what is not done yet, None for what is; raise what it failed with.
    """
    failures: list[Failure] = []
    if not starting.called:
        return starting
    starting.addErrback(failures.append)
    for failure in failures:
        failure.raiseException()
    return None
