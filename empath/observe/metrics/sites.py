"""
What came of attempts site by site, for people who look on: bounded, and exact only for sites that are in use.
"""

from __future__ import annotations

from typing import Final

from empath.mail import life
from empath.mail.message import Status
from empath.observe.life import LifeEvents

MOST: Final = 1000  # sites
LATEST: Final = 20  # attempts that their mean time is of


class SiteCount:
    """
    One site: deliveries by what came of their attempts, the mean seconds of the latest attempts, and when the last one
    ended (seconds since the epoch).
    """

    __slots__ = ("deferred", "delivered", "failed", "last", "seconds")

    def __init__(self) -> None:
        self.delivered = self.deferred = self.failed = 0
        self.seconds = 0.0
        self.last = 0.0

    @property
    def attempts(self) -> int:
        """
        How many attempts ended.
        """
        return self.delivered + self.deferred + self.failed


class SiteCounts:
    """
    The sites by their names; where there is none (mail that goes to no host), by the destination's.

    Where there are too many, those are forgotten that had no attempt for longest, and begin anew.
    """

    __slots__ = ("by_name",)

    def __init__(self) -> None:
        self.by_name: dict[str, SiteCount] = {}

    def listen(self, events: LifeEvents) -> None:
        """
        Subscribe to what is counted.
        """
        events.subscribe(life.AttemptEnded, self._attempted)

    def slowest(self, most: int, since: float) -> list[str]:
        """
        Name the sites with the longest attempts, of those that had one since then.
        """
        recent = [(count.seconds, name) for name, count in self.by_name.items() if count.last >= since]
        return [name for _, name in sorted(recent, reverse=True)[:most]]

    def _attempted(self, event: life.AttemptEnded) -> None:
        attempt, status = event.attempt, event.delivery.status
        name = attempt.site or event.delivery.domain
        count = self.by_name.get(name)
        if count is None:
            count = self._admit(name)
        if status is Status.COMPLETED:
            count.delivered += 1
        elif status is Status.FAILED or status is Status.EXPIRED:
            count.failed += 1
        else:
            count.deferred += 1
        took = attempt.ended - attempt.started
        count.seconds += (took - count.seconds) / min(count.attempts, LATEST)
        count.last = attempt.ended

    def _admit(self, name: str) -> SiteCount:
        by_name = self.by_name
        if len(by_name) >= MOST:
            for old in sorted(by_name, key=lambda each: by_name[each].last)[: MOST // 4]:
                del by_name[old]
        count = by_name[name] = SiteCount()
        return count
