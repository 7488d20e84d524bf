"""
About limits, breakers and routes.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import attrs

from empath.control.terms.asking import Ask
from empath.control.terms.explaining import HoldRow, HostRow


@attrs.frozen
class RateLimitRow:
    """
    A destination's rate as it is written ("10/s", "none"); `set_here`: by hand, in place of `configured`.
    """

    domain: str
    rate: str
    set_here: bool
    configured: str = ""


@attrs.frozen
class RateLimits:
    """
    All rates of destinations, and that of all mail together ("none" without one).
    """

    limits: tuple[RateLimitRow, ...]
    overall: str
    default: str


@attrs.frozen
class ListRateLimits(Ask[RateLimits]):
    """
    List the rate limits.
    """

    verb: ClassVar = "delivery.rate-limits"
    answer: ClassVar = RateLimits


@attrs.frozen
class SetRateLimit(Ask[RateLimits]):
    """
    Have a destination keep to a rate ("200/min", "none": to none), across restarts; None: to the configured one again.
    """

    verb: ClassVar = "delivery.set-rate-limit"
    answer: ClassVar = RateLimits
    changes: ClassVar = True

    domain: str
    rate: str | None


@attrs.frozen
class CircuitRow:
    """
    How a site fares: its breaker, attempts under way, and what shaping allows at a time and a second (None: all).
    """

    site: str
    domains: tuple[str, ...]
    state: str
    until: datetime | None
    in_flight: int
    connections: int | None
    rate: float | None


@attrs.frozen
class Circuits:
    """
    Some sites, by name; `after` as in `QueuePage`.
    """

    circuits: tuple[CircuitRow, ...]
    after: str


@attrs.frozen
class ListCircuits(Ask[Circuits]):
    """
    List the sites that are remembered; `troubled`: only those whose breaker is not closed, or that are shaped.
    """

    verb: ClassVar = "delivery.circuits"
    answer: ClassVar = Circuits

    troubled: bool = False
    limit: int = 100
    after: str = ""


@attrs.frozen
class Reset:
    """
    Whether any such site was known.
    """

    known: bool


@attrs.frozen
class ResetCircuit(Ask[Reset]):
    """
    Let mail flow to a site as if it had never failed, by its name or a domain there.
    """

    verb: ClassVar = "delivery.reset-circuit"
    answer: ClassVar = Reset
    changes: ClassVar = True

    domain: str


@attrs.frozen
class RouteAnswer:
    """
    What would happen to mail for an address: how its recipient is judged at RCPT ("relay", "local domain", "refused
    from outside", with the reply), the destination, its strategy, site and hosts in their order with their TLS, the
    limits in force, and what would hold a delivery now. `notes` are sentences about anything else that matters.
    """

    address: str
    domain: str
    accepted: str
    strategy: str
    route: str
    override: bool
    site: str
    hosts: tuple[HostRow, ...]
    limits: dict[str, str]
    hold: HoldRow | None
    suppressed: bool
    notes: tuple[str, ...] = ()


@attrs.frozen
class LookUpRoute(Ask[RouteAnswer]):
    """
    Ask what would happen; sends nothing.
    """

    verb: ClassVar = "route"
    answer: ClassVar = RouteAnswer

    address: str
