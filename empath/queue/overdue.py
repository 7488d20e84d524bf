"""
Mail whose time ends while its site is left alone: it has its last attempt without a connection.

Retried: what the spool cannot tell or read now, in the next round. Fatal: nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime

from empath.interfaces import ISpool
from empath.mail.message import Delivery
from empath.mail.outcome import Scope, TransientFailure
from empath.mail.reply import Reply
from empath.queue.attempts import Attempts
from empath.queue.entry import Place
from empath.queue.gates import Gates
from empath.queue.line import Gate
from empath.queue.window import Window

AT_ONCE: Final = 200


class Overdue:
    """
    Looks for mail that is older than `expiration` seconds, or to be delivered by now (RFC 2852), behind shut gates.
    """

    def __init__(
        self,
        spool: ISpool,
        clock: IReactorTime,
        window: Window,
        gates: Gates,
        attempts: Attempts,
        expiration: float,
    ) -> None:
        self.expiration = expiration
        self._spool = spool
        self._clock = clock
        self._window = window
        self._gates = gates
        self._attempts = attempts

    async def look(self) -> None:
        """
        One round: give all of it its end.
        """
        domains = {domain: gate for gate in self._gates.shut for domain in gate.domains}
        while domains and self._attempts.open and await self._some(domains):
            pass

    async def _some(self, domains: dict[str, Gate]) -> bool:
        """
        Give some their ends; tells whether there were any.
        """
        now = self._clock.seconds()
        left = self._window.watch()
        try:
            found = await self._spool.overdue(now - self.expiration, now, tuple(domains), AT_ONCE)
        finally:
            self._window.unwatch(left)
        ends: list[Deferred[None]] = []
        for delivery in found:
            if (delivery.queue_id, delivery.domain) not in left and domains[delivery.domain].shut:
                ends += self._end(delivery, domains[delivery.domain], now)
        await DeferredList(ends, consumeErrors=True)
        return bool(ends)

    def _end(self, delivery: Delivery, gate: Gate, now: float) -> Collection[Deferred[None]]:
        window = self._window
        entry = window.active.get((delivery.queue_id, delivery.domain))
        if entry is None:
            entry = window.enter(delivery, None, window.lines.line(delivery.domain), now)
        elif entry.place is Place.READY:
            window.lines.remove(entry)
        else:
            return ()
        over: Deferred[None] = Deferred()  # who waits for it may be cancelled: what is being settled may not
        self._attempts.give_up(entry, left_alone(gate)).addBoth(lambda _: over.callback(None))
        return (over,)


def left_alone(gate: Gate) -> TransientFailure:
    """
    Tell that no attempt is made since the site failed again and again.
    """
    text = f"{gate.site.name} failed again and again and is left alone for now (its circuit breaker is open)"
    return TransientFailure(Reply.heard(451, [f"4.4.1 {text}"]), Scope.HOST)
