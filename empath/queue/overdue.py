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
from empath.queue.entry import Key, Place
from empath.queue.freezing import Freezing
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
        freezing: Freezing,
    ) -> None:
        self.expiration = expiration
        self._spool = spool
        self._clock = clock
        self._window = window
        self._gates = gates
        self._attempts = attempts
        self._freezing = freezing

    async def look(self) -> None:
        """
        One round: give each its end, once; what cannot be read now has its turn in the next round.
        """
        if self._window.lines.frozen:
            return
        frozen = self._window.frozen
        domains = {domain: gate for gate in self._gates.shut for domain in gate.domains if domain not in frozen}
        tried: set[Key] = set()
        stuck: set[Key] = set()
        more = bool(domains)
        while more and self._attempts.open:
            found = await self._find(domains, AT_ONCE + len(stuck))
            again = {key for key in found if key in tried} - stuck
            stuck |= again
            tried = found.keys() - stuck
            await DeferredList([over for key in tried for over in self._end(*found[key])], consumeErrors=True)
            more = bool(tried or again)

    async def _find(self, domains: dict[str, Gate], limit: int) -> dict[Key, tuple[Delivery, Gate]]:
        """
        Ask the spool for some whose site is still left alone.
        """
        now = self._clock.seconds()
        left = self._window.watch()
        try:
            found: list[Delivery] = []
            for received, names in self._freezing.cutoffs(domains, self.expiration).items():
                found += await self._spool.overdue(received, now, names, limit)
        finally:
            self._window.unwatch(left)
        keys = {(each.queue_id, each.domain): (each, domains[each.domain]) for each in found}
        return {key: told for key, told in keys.items() if key not in left and told[1].shut}

    def _end(self, delivery: Delivery, gate: Gate) -> Collection[Deferred[None]]:
        window, now = self._window, self._clock.seconds()
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
