"""
The policies that are in memory: all that hold, up to a number and a size; those not used for longest make room, or the
largest ones.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import attrs

from empath.policy.mta_sts import Mode, StsPolicy

DAY: Final = 86400.0
LEAST_AGE: Final = 60.0  # seconds that a policy is used, whatever its max_age, or each message would fetch it
MOST: Final = 20_000
MOST_OCTETS: Final = 32 * 1024 * 1024
_OF_LINE: Final = 60  # octets that a line takes beside its characters


@attrs.define(slots=True, eq=False)
class Kept:
    """
    One policy. Times are in seconds since the epoch: when it was fetched, and when it was last used.
    """

    policy: StsPolicy
    fetched: float
    used: float
    expires: float = attrs.field(init=False)
    refresh_at: float = attrs.field(init=False)
    size: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        age = max(float(self.policy.max_age), LEAST_AGE)
        self.expires = self.fetched + age
        self.refresh_at = self.fetched + min(DAY, age / 2)  # a day is what RFC 8461 §3.3 suggests
        self.size = sum(len(line) + _OF_LINE for line in self.policy.lines)

    @property
    def in_force(self) -> StsPolicy | None:
        """
        The policy, unless it says that there is none.
        """
        return None if self.policy.mode is Mode.NONE else self.policy


class KeptPolicies:
    """
    Policies by domain. `most` and `octets` bound them.
    """

    def __init__(self, most: int = MOST, octets: int = MOST_OCTETS) -> None:
        self._most = most
        self._octets = octets
        self._used = 0
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, domain: str, now: float) -> Kept | None:
        """
        Give the policy of a domain that has not expired.
        """
        kept = self._kept.get(domain)
        if kept is None:
            return None
        if kept.expires <= now:
            self._drop(domain)
            return None
        return kept

    def use(self, domain: str, now: float) -> Kept | None:
        """
        As `find`, and take note that it is used.
        """
        kept = self.find(domain, now)
        if kept is not None:
            kept.used = now
            self._kept.move_to_end(domain)
        return kept

    def put(self, domain: str, kept: Kept) -> list[str]:
        """
        Keep a policy in the place of an older one; tells the domains whose policies had to make room: the one not used
        for longest where there are too many, the largest where they are too large, so that a few domains with fat
        policies cannot do away with those of all others.
        """
        self._drop(domain)
        gone = []
        while self._kept and (len(self._kept) >= self._most or self._used + kept.size > self._octets):
            odd = next(iter(self._kept)) if len(self._kept) >= self._most else max(self._kept, key=self._size_of)
            self._drop(odd)
            gone.append(odd)
        self._kept[domain] = kept
        self._used += kept.size
        return gone

    def due(self, now: float, used_within: float) -> list[str]:
        """
        Tell the domains whose policies should be fetched again, and drop what has expired.
        """
        for domain in [domain for domain, kept in self._kept.items() if kept.expires <= now]:
            self._drop(domain)
        return [
            domain for domain, kept in self._kept.items() if kept.refresh_at <= now and now - kept.used < used_within
        ]

    def _size_of(self, domain: str) -> int:
        return self._kept[domain].size

    def _drop(self, domain: str) -> None:
        kept = self._kept.pop(domain, None)
        if kept is not None:
            self._used -= kept.size
