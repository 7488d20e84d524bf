"""
What limits, circuit breakers, shaping and transport security did to deliveries: their counters, and how they are told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Protocol

from prometheus_client.core import GaugeMetricFamily, Metric

from empath.mail import life
from empath.mail.attempt import Attempt
from empath.observe.life import LifeEvents
from empath.observe.metrics import counts
from empath.observe.metrics.families import counter, tally

BREAKER_STATES: Final = {"closed": 0, "open": 1, "half-open": 2}
_WORSE: Final = (0, 2, 1)  # what hides what, where several sites have one label
RATES: Final = frozenset({"rate", "global-rate", "shaped"})  # the words of policy.hold.Why that tell of a rate
CLEARTEXT: Final = "cleartext"


class Circuit(Protocol):
    """
    How a site fares, as the queue tells it.
    """

    @property
    def site(self) -> str:
        """
        Its name.
        """

    @property
    def domains(self) -> tuple[str, ...]:
        """
        The destinations that it serves.
        """

    @property
    def state(self) -> str:
        """
        Of its breaker: "closed", "open", "half-open".
        """

    @property
    def connections(self) -> int | None:
        """
        How many shaping allows at a time; None: any number.
        """

    @property
    def rate(self) -> float | None:
        """
        How many attempts shaping allows in a second; None: any number.
        """


class LimitCounts:
    """
    Counts since the start of the process; what has a domain is counted in `domains`.
    """

    __slots__ = ("_domains", "held", "shaping_changes", "tls", "tls_failures")

    def __init__(self, domains: counts.Domains) -> None:
        self._domains = domains
        self.held = counts.Tally()
        self.shaping_changes = 0
        self.tls = counts.Tally()
        self.tls_failures = counts.Tally()

    def listen(self, events: LifeEvents) -> None:
        """
        Subscribe to all that is counted.
        """
        events.subscribe(life.DeliveryLimited, self._limited)
        events.subscribe(life.BreakerMoved, self._moved)
        events.subscribe(life.SiteShaped, self._shaped)
        events.subscribe(life.TlsTried, self._tls_tried)

    def attempted(self, attempt: Attempt) -> None:
        """
        Count by what an attempt reached its host; nothing if it sent nothing to one.
        """
        if attempt.sent and attempt.host:
            self.tls.add(attempt.security or CLEARTEXT)

    def _limited(self, event: life.DeliveryLimited) -> None:
        self.held.add(event.why)
        if event.why in RATES:
            domain = self._domains.of(event.domain)
            domain.delays = domain.delays or counts.Histogram(counts.AGES)
            domain.delays.observe(event.seconds)

    def _moved(self, event: life.BreakerMoved) -> None:
        if event.state == "open":
            self._domains.of(event.domain).trips += 1
        elif event.state == "closed":
            self._domains.of(event.domain).recoveries += 1

    def _shaped(self, event: life.SiteShaped) -> None:
        self.shaping_changes += 1

    def _tls_tried(self, event: life.TlsTried) -> None:
        if event.result:
            self.tls_failures.add(event.result)


def remarkable(circuits: Iterable[Circuit]) -> tuple[Circuit, ...]:
    """
    Leave out the sites that fare well.
    """
    return tuple([each for each in circuits if each.state != "closed" or each.connections is not None])


def limit_families(seen: LimitCounts) -> Iterator[Metric]:
    """
    Tell what was counted.
    """
    yield tally("empath_delivery_held", "Deliveries that began late, by what held them.", "why", seen.held)
    yield counter(
        "empath_delivery_shaping_changes", "Changes of what sites get that ask for less.", seen.shaping_changes
    )
    yield tally("empath_delivery_tls", "Attempts that sent, by what vouched for the host.", "security", seen.tls)
    yield tally("empath_delivery_tls_failures", "Sessions whose TLS failed (RFC 8460).", "result", seen.tls_failures)


def circuit_families(circuits: Iterable[Circuit], domains: counts.Domains, max_sites: int) -> Iterator[Metric]:
    """
    Tell how sites fare. Of the domains those that have a label, and are or were in trouble; of several sites the worst.
    """
    states = {name: 0 for name, each in domains.items() if each.trips or each.recoveries}
    for circuit in circuits:
        state = BREAKER_STATES[circuit.state]
        for domain in circuit.domains:
            label = domain if domain in domains else counts.OTHER
            states[label] = max(state, states.get(label, 0), key=_WORSE.index)
    family = GaugeMetricFamily(
        "empath_delivery_circuit_breaker_state", "0: closed, 1: open, 2: half-open.", labels=("domain",)
    )
    for name, state in states.items():
        family.add_metric((name,), state)
    yield family
    shaped = [each for each in circuits if each.connections is not None][:max_sites]
    rates = {each.site: each.rate for each in shaped if each.rate is not None}
    yield _by_site("shaped_rate", "Attempts a second that shaping allows.", rates)
    most = {each.site: float(each.connections) for each in shaped if each.connections is not None}
    yield _by_site("shaped_connections", "Connections at a time that shaping allows.", most)


def _by_site(name: str, text: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"empath_delivery_{name}", text, labels=("site",))
    for site, value in values.items():
        family.add_metric((site,), value)
    return family
