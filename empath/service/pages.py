"""
The pages for monitoring, where they are enabled, and what they are made from.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import attrs
from twisted.logger import Logger

from empath.config.schema import Config, Health
from empath.config.schema import Metrics as MetricsSection
from empath.errors import ConfigError
from empath.interfaces import InThread
from empath.observe.health import Checks, Readiness
from empath.observe.metrics.exposition import Exposition
from empath.observe.metrics.scrapes import Scrapes
from empath.observe.web.guard import Guard
from empath.observe.web.health_pages import health_pages
from empath.observe.web.http import HttpService
from empath.observe.web.page import Pages

if TYPE_CHECKING:
    from empath.service import EmpathService

log = Logger()


_KEYS: Final = ("metrics", "health")


@attrs.frozen(slots=True)
class StatusPages:
    """
    The pages for people, on the endpoint of [health]: the `shell`, which tells nothing of the service and is for all,
    as a browser sends no token with an address that is typed in, and the `figures`, for those who may see them.
    """

    shell: Pages
    figures: Pages


@attrs.define(slots=True, eq=False)
class _Served:
    """
    One page as it is: its key in the file, whether and where it is served, and what serves it.
    """

    key: str
    enabled: bool
    endpoint: str
    http: HttpService | None


class MonitoringPages:
    """
    The pages for Prometheus and for health checks: bound with the other ports, and moved by another configuration.
    """

    def __init__(
        self,
        config: Config,
        reactor: Any,
        exposition: Exposition,
        readiness: Readiness,
        in_thread: InThread[Any],
        status: StatusPages | None = None,
    ) -> None:
        self._reactor = reactor
        status = status or StatusPages({}, {})
        self._guards = {
            key: Guard(getattr(config, key).token_hash, f"{key}.token_hash", config.hostname) for key in _KEYS
        }
        self._pages: dict[str, Pages] = {
            "metrics": self._guards["metrics"].over(Scrapes(exposition, in_thread).pages()),
            "health": {**health_pages(readiness), **status.shell, **self._guards["health"].over(status.figures)},
        }
        self._served = [self._make(key, getattr(config, key)) for key in _KEYS]

    def bind(self) -> None:
        """
        Listen; raises what the first endpoint does that cannot be bound.
        """
        for served in self._served:
            if served.http is not None:
                served.http.bind()

    def certificates(self) -> dict[tuple[str, str], float]:
        """
        Tell when the certificates end that pages are served with, in seconds since the epoch, by endpoint and file.
        """
        told = [(served.endpoint, served.http.certificate) for served in self._served if served.http is not None]
        return {(endpoint, each[0]): each[1] for endpoint, each in told if each is not None}

    async def stop(self) -> None:
        """
        Accept no more connections.
        """
        for served in self._served:
            if served.http is not None:
                await served.http.stop()

    def prepare(self, config: Config, undo: ExitStack) -> Callable[[], None]:
        """
        Bind what moves, and give what has it used; whoever gives that up unwinds `undo`. ConfigError if an endpoint
        cannot be bound.
        """
        served = [self._prepared(old, getattr(config, old.key), undo) for old in self._served]

        def use() -> None:
            gone = [old.http for old, new in zip(self._served, served, strict=True) if old.http is not new.http]
            self._served = served
            _stop(*gone)
            self._use_tokens(config)

        return use

    def _use_tokens(self, config: Config) -> None:
        """
        Go by the tokens of this configuration: whoever follows a stream by another one asks again.
        """
        for served in self._served:
            if self._guards[served.key].use(getattr(config, served.key).token_hash) and served.http is not None:
                served.http.streams.end()

    def _make(self, key: str, section: MetricsSection | Health) -> _Served:
        http = HttpService(self._reactor, section.endpoint, self._pages[key]) if section.enabled else None
        return _Served(key, section.enabled, section.endpoint, http)

    def _prepared(self, old: _Served, section: MetricsSection | Health, undo: ExitStack) -> _Served:
        if (old.enabled, old.endpoint) == (section.enabled, section.endpoint):
            return old
        new = self._make(old.key, section)
        if new.http is not None:
            try:
                new.http.bind()
            except Exception as trouble:  # endpoints are plugins: what theirs may raise is not ours to list
                fault = getattr(trouble, "socketError", trouble)
                reason = getattr(fault, "strerror", None) or str(trouble)
                said = f'{old.key}.endpoint: found "{section.endpoint}": it cannot be bound: {reason}'
                raise ConfigError([said]) from trouble
            undo.callback(_stop, new.http)
        return new


def _stop(*gone: HttpService | None) -> None:
    for http in gone:
        if http is not None:
            http.stop().addErrback(lambda failure: log.failure("a page's port was not closed", failure))


def checks_of(service: EmpathService) -> Checks:
    """
    Tell what shows whether the service is ready.
    """

    async def spool_writable() -> bool:
        await service.spool.probe()
        return True

    return Checks(
        smtp=lambda: service.accepts_mail,
        spool=spool_writable,
        delivery=lambda: service.queue.attempts.open,
        dns=service.outgoing.dns_answers,
        disk=lambda: service.spool.has_room(0),
        queue_size=lambda: service.queue.due_waiting,
        shutting_down=lambda: service.shutting_down,
    )
