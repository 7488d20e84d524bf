"""
What the operator allows destinations and sites, in the configuration and while we run. Plain data.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from empath.config import schema
from empath.config.units import NO_LIMIT, Rate
from empath.policy.rate import Bucket
from empath.policy.site import Limits

REMEMBERED: Final = 10_000  # buckets of destinations


class Terms:
    """
    The section's limits, and `rates` that were set since, by destination: they stand in for its `rate_limit`.

    A destination's own rate holds for its site; where it has none, `default` is a rate for it alone. `total` is the
    bucket of all attempts, None without a limit.
    """

    def __init__(self, section: schema.Delivery) -> None:
        self.rates: dict[str, Rate] = {}
        self.total: Bucket | None = None
        self._buckets: dict[str, Bucket] = {}
        self._default = NO_LIMIT
        self.use(section, 0.0)

    def use(self, section: schema.Delivery, now: float) -> None:
        """
        Take another section; what buckets hold stays, as far as the new rates allow.
        """
        self._read(section)
        rate = self._default
        for bucket in self._buckets.values():
            bucket.set(rate.count, rate.seconds, self._burst, now)
        rate = section.rate_limits.global_
        if not rate.count:
            self.total = None
        elif self.total is None:
            self.total = Bucket(rate.count, rate.seconds, self._burst)
        else:
            self.total.set(rate.count, rate.seconds, self._burst, now)

    @property
    def default(self) -> Limits:
        """
        What a site is allowed of whose destinations nothing is said.
        """
        return self._limits

    @property
    def default_rate(self) -> Rate | None:
        """
        What a destination is allowed by itself of which nothing is said; None for any rate.
        """
        return self._default if self._default.count else None

    @property
    def plain(self) -> bool:
        """
        Whether nothing is said of any destination.
        """
        return not (self._domains or self.rates)

    def rate_of(self, domain: str) -> Rate | None:
        """
        Tell what rate was set or configured for a destination, None if none was.
        """
        rate = self.rates.get(domain)
        if rate is not None:
            return rate
        section = self._section_of(domain)
        return None if section is None else section.rate_limit

    def configured_rate(self, domain: str) -> Rate:
        """
        Tell the rate that is configured for a destination, be it that of all of which nothing is said.
        """
        section = self._section_of(domain)
        return self._default if section is None or section.rate_limit is None else section.rate_limit

    def configured(self) -> list[tuple[str, Rate]]:
        """
        Tell the configured rates, by the names in the configuration.
        """
        return [(name, section.rate_limit) for name, section in self._domains.items() if section.rate_limit is not None]

    def limits_of(self, domains: Iterable[str], limits: Limits | None = None) -> Limits:
        """
        Tell what the site of these destinations is allowed: of each limit the strictest, `limits` among them.
        """
        limits = limits or self._limits
        for domain in domains:
            section = self._section_of(domain)
            rate = self.rate_of(domain)
            if rate is not None and rate.count and _stricter(rate, limits):
                limits = attrs.evolve(limits, count=rate.count, seconds=rate.seconds)
            most = None if section is None else section.max_connections
            if most and (limits.max_connections is None or most < limits.max_connections):
                limits = attrs.evolve(limits, max_connections=most)
        return limits

    def bucket_of(self, domain: str) -> Bucket | None:
        """
        Give the bucket of a destination that nothing is said of; None where there is no default rate.
        """
        rate = self._default
        if not rate.count or (not self.plain and self.rate_of(domain) is not None):
            return None
        bucket = self._buckets.pop(domain, None) or Bucket(rate.count, rate.seconds, self._burst)
        if len(self._buckets) >= REMEMBERED:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[domain] = bucket
        return bucket

    def _read(self, section: schema.Delivery) -> None:
        breaker, limits = section.circuit_breaker, section.rate_limits
        self._domains = section.domains
        self._suffixes = any(name.startswith("*.") for name in section.domains)
        self._default = limits.default
        self._burst = limits.burst
        self._limits = Limits(
            burst=limits.burst,
            threshold=breaker.failure_threshold,
            window=breaker.failure_window,
            timeout=breaker.timeout,
            half_open=breaker.half_open_max_calls,
            shaping=section.shaping.enabled,
        )

    def _section_of(self, domain: str) -> schema.Domain | None:
        """
        Find what is configured for a domain: for itself, else for the longest suffix, else for every other.
        """
        domains = self._domains
        found = domains.get(domain)
        rest = domain
        while found is None and self._suffixes and (dot := rest.find(".")) >= 0:
            rest = rest[dot + 1 :]
            found = domains.get(f"*.{rest}")
        return found or domains.get("*")


def _stricter(rate: Rate, limits: Limits) -> bool:
    return not limits.count or rate.count / rate.seconds < limits.count / limits.seconds
