"""
The log lines about sites: their circuit breakers, what those get that ask for less, and TLS that failed.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.logger import ILogObserver, Logger, LogLevel

from empath.mail import life
from empath.observe.life import LifeEvents
from empath.observe.logs.lines import cut

NO_POLICY: Final = "no-policy-found"  # RFC 8460 §4.4


class SiteJournal:
    """
    Listens to life events of sites and logs them. `publish` is the log publisher.
    """

    __slots__ = ("_deliver", "_queue")

    def __init__(self, publish: ILogObserver) -> None:
        self._queue = Logger("empath.queue", observer=publish)
        self._deliver = Logger("empath.deliver", observer=publish)

    def listen(self, events: LifeEvents) -> None:
        """
        Subscribe to all that makes a line.
        """
        events.subscribe(life.BreakerMoved, self._moved)
        events.subscribe(life.SiteShaped, self._shaped)
        events.subscribe(life.TlsTried, self._tls_tried)

    def _moved(self, event: life.BreakerMoved) -> None:
        self._queue.emit(
            LogLevel.warn if event.state == "open" else LogLevel.info,
            "site {site}: circuit breaker is {state}: {detail}",
            site=event.site,
            state=event.state,
            detail=cut(event.detail),
            domain=event.domain,
            domains=len(event.domains),
        )

    def _shaped(self, event: life.SiteShaped) -> None:
        fields: dict[str, Any] = {"site": event.site, "domain": event.domain, "detail": cut(event.detail)}
        if event.connections is None:
            self._queue.info("site {site}: shaped no more: {detail}", **fields)
            return
        fields |= {
            "connections": event.connections,
            "rate": "any number" if event.rate is None else f"{event.rate:.3g}",
        }
        self._queue.info("site {site}: shaped to {connections} at a time, {rate} a second: {detail}", **fields)

    def _tls_tried(self, event: life.TlsTried) -> None:
        """
        Tell what failed. Where no policy was published, most of it has no consequence, or the attempt's line tells.
        """
        if event.result:
            self._deliver.emit(
                LogLevel.debug if event.policy == NO_POLICY else LogLevel.info,
                "{domain}: TLS failed ({result}) with {host}, policy {policy}: {reason}",
                domain=event.domain,
                result=event.result,
                host=f"{event.host}[{event.address}]" if event.address else event.host or "no host",
                policy=event.policy,
                reason=cut(event.reason),
            )
