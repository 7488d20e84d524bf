"""
What leaves for OpenTelemetry collectors: traces, log records and metrics, each to its own place, or nowhere.

With nothing asked for, no thread is begun, and OpenTelemetry is not even read.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from empath.config.schema import Config
from empath.observe.export.destination import Destination, Late
from empath.observe.export.outlet import LAST_WORDS, LogOutlet, SpanOutlet
from empath.observe.export.push import MetricPush, Page
from empath.service.machine import Machine

LEAST: Final = 0.5  # seconds that the last log records have, whatever the others took
SHORTEST: Final = 1.0  # seconds between pushes
SIGNALS: Final = ("traces", "logs", "metrics")

log = Logger()


class Exporting:
    """
    `spans` and `logs` take what is handed in from the beginning on; it goes once we have started, and is dropped where
    nobody wants it. Each signal has one request under way at most, in threads of our own, so that a collector that
    hangs holds up neither files nor another signal.
    """

    def __init__(self, config: Config, reactor: Any, machine: Machine) -> None:
        self._workers = machine.workers("export", reactor)
        self._reactor = reactor
        self._hostname = config.hostname
        self._started = reactor.seconds()
        self._places: dict[str, Destination | None] = dict.fromkeys(SIGNALS)
        self._senders: dict[str, Late] = {}
        self._interval = 0.0
        self._left = LAST_WORDS
        self.spans = SpanOutlet(reactor, self._workers.run)
        self.logs = LogOutlet(reactor, self._workers.run)
        self.push: MetricPush | None = None

    def show(self, page: Page, config: Config) -> None:
        """
        Push what this page has, and begin to use a configuration.
        """
        self.push = MetricPush(page, self._reactor, self._workers.run)
        self.use(config)

    def use(self, config: Config) -> None:
        """
        Send where this configuration says from now on.
        """
        places = self._wanted(config)
        if places["traces"] != self._places["traces"]:
            self.spans.use(self._sender("traces", _make_spans, places["traces"]))
        if places["logs"] != self._places["logs"]:
            self.logs.use(self._sender("logs", _make_logs, places["logs"]))
        interval = max(config.metrics.otlp_interval, SHORTEST)
        if self.push is not None and (places["metrics"], interval) != (self._places["metrics"], self._interval):
            make = partial(_make_metrics, self._started)
            self.push.use(self._sender("metrics", make, places["metrics"]), interval)
        self._places, self._interval = places, interval

    def figures(self) -> dict[str, dict[str, int]]:
        """
        Tell by signal how much went (`sent`) and did not (`lost`), how many requests failed, and how much waits.
        """
        figures = {"traces": self.spans.figures(), "logs": self.logs.figures()}
        return figures if self.push is None else {**figures, "metrics": self.push.figures()}

    @property
    def load(self) -> tuple[int, int, int]:
        """
        How busy our threads are, see `Workers.load`.
        """
        load: tuple[int, int, int] = self._workers.load
        return load

    def start(self) -> None:
        """
        Begin to send; after the fork, which would not take threads along. OpenTelemetry is read now, where it is asked
        for: while mail comes, that would hold it up.
        """
        for sender in self._senders.values():
            sender.make()
        self.spans.start()
        self.logs.start()
        if self.push is not None:
            self.push.start()

    async def stop(self) -> None:
        """
        Send the last spans and counts, within a bound: deliveries have come to their end.
        """
        began = self._reactor.seconds()
        spans = Deferred.fromCoroutine(self.spans.stop())
        if self.push is not None:
            await self.push.stop()
        await spans
        self._left -= self._reactor.seconds() - began

    async def stop_logs(self) -> None:
        """
        Send the last log records, within what is left of the bound. Threads that hang are left to the end of the
        process.
        """
        await self.logs.stop(max(self._left, LEAST))
        Deferred.fromCoroutine(self._workers.stop()).addErrback(lambda failure: log.failure("a thread stays", failure))

    def _sender(self, signal: str, make: Any, place: Destination | None) -> Late | None:
        self._senders.pop(signal, None)
        if place is None:
            return None
        sender = self._senders[signal] = Late(partial(make, place))
        return sender

    def _wanted(self, config: Config) -> dict[str, Destination | None]:
        tracing, logs, metrics = config.tracing, config.log, config.metrics
        endpoints = {
            "traces": (tracing.otlp_endpoint if tracing.enabled else "", tracing.otlp_headers),
            "logs": (logs.otlp_endpoint, logs.otlp_headers),
            "metrics": (metrics.otlp_endpoint, metrics.otlp_headers),
        }
        return {
            signal: Destination(endpoint, tuple(headers.items()), self._hostname) if endpoint else None
            for signal, (endpoint, headers) in endpoints.items()
        }


def _make_spans(place: Destination) -> Any:
    from empath.observe.export.spans import SpanSender

    return SpanSender(place)


def _make_logs(place: Destination) -> Any:
    from empath.observe.export.logs import LogSender

    return LogSender(place)


def _make_metrics(started: float, place: Destination) -> Any:
    from empath.observe.export.points import MetricSender

    return MetricSender(place, started)
