"""
About the DNS cache, and the hosts that were set by hand.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import attrs

from empath.control.terms.asking import Ask


@attrs.frozen
class CachedAnswer:
    """
    A DNS answer that is kept: `ttl` and `age` in seconds, `found` "records", "nothing", "failed" …
    """

    name: str
    rdtype: str
    found: str
    records: tuple[str, ...]
    ttl: float
    age: float
    security: str
    stale: bool


@attrs.frozen
class CachePage:
    """
    Some of the cache, by name; `after` as in `QueuePage`.
    """

    answers: tuple[CachedAnswer, ...]
    after: str


@attrs.frozen
class ListCache(Ask[CachePage]):
    """
    List the DNS cache, or what is in it of a domain and the names below.
    """

    verb: ClassVar = "dns.list-cache"
    answer: ClassVar = CachePage

    domain: str = ""
    limit: int = 100
    after: str = ""


@attrs.frozen
class DnsStats:
    """
    The cache and the servers in numbers, since the start.
    """

    size: int
    limit: int
    hits: int
    misses: int
    evictions: int
    stand_ins: int
    refreshes: int
    hit_ratio: float
    servers: tuple[str, ...]
    last_answer: datetime | None
    dnssec: str


@attrs.frozen
class GetDnsStats(Ask[DnsStats]):
    """
    Ask for the numbers.
    """

    verb: ClassVar = "dns.stats"
    answer: ClassVar = DnsStats


@attrs.frozen
class Cleared:
    """
    How many answers were forgotten.
    """

    cleared: int


@attrs.frozen
class ClearCache(Ask[Cleared]):
    """
    Forget all answers, or those of a domain and the names below.
    """

    verb: ClassVar = "dns.clear-cache"
    answer: ClassVar = Cleared
    changes: ClassVar = True

    domain: str = ""


@attrs.frozen
class Refreshed:
    """
    What the servers say of a domain now.
    """

    answers: tuple[CachedAnswer, ...]


@attrs.frozen
class RefreshDomain(Ask[Refreshed]):
    """
    Ask the servers again for a domain's MX records and the addresses of its hosts.
    """

    verb: ClassVar = "dns.refresh"
    answer: ClassVar = Refreshed
    changes: ClassVar = True

    domain: str


@attrs.frozen
class OverrideRow:
    """
    Hosts that stand instead of a domain's MX records.
    """

    domain: str
    hosts: tuple[str, ...]


@attrs.frozen
class Overrides:
    """
    All of them; `changed` tells whether the request made it so.
    """

    overrides: tuple[OverrideRow, ...]
    changed: bool = False


@attrs.frozen
class ListOverrides(Ask[Overrides]):
    """
    List the hosts that were set by hand.
    """

    verb: ClassVar = "dns.list-overrides"
    answer: ClassVar = Overrides


@attrs.frozen
class SetOverride(Ask[Overrides]):
    """
    Send a domain's mail to these hosts, across restarts.
    """

    verb: ClassVar = "dns.set-override"
    answer: ClassVar = Overrides
    changes: ClassVar = True

    domain: str
    hosts: tuple[str, ...]


@attrs.frozen
class RemoveOverride(Ask[Overrides]):
    """
    Let a domain's mail go by MX and configuration again.
    """

    verb: ClassVar = "dns.remove-override"
    answer: ClassVar = Overrides
    changes: ClassVar = True

    domain: str
