"""
Asking a next hop whether it takes mail for somebody, without sending any: MAIL FROM:<>, RCPT TO:<address>, no more.

Fatal: nothing. Retried: a failure of session or host at the next host, as for a delivery, within 30 s in all. Ignored:
what becomes of a connection afterwards. Probes have connections of their own, so that no delivery waits for one, or is
slowed down for what a server holds against a client that asks for unknown users.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import attrs
from twisted.internet.defer import CancelledError, Deferred, TimeoutError, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from empath.config.schema import ConnectionPool
from empath.deliver.cargo import Cargo
from empath.deliver.egress import Egress
from empath.deliver.hosts import HostFinder
from empath.deliver.pool import Pool
from empath.deliver.streaming import OpenBody
from empath.deliver.visits import Pass
from empath.mail.address import Address
from empath.mail.attempt import Attempt
from empath.mail.envelope import Envelope, Recipient
from empath.mail.message import Message, deliveries_of
from empath.mail.outcome import Outcome, Scope, Success
from empath.mail.reply import Reply
from empath.policy.route import LMTP, Route
from empath.smtp.client_events import Consignment

if TYPE_CHECKING:
    from twisted.python.failure import Failure

PATIENCE: Final = 30.0  # seconds, for one address and all hosts
PER_SITE: Final = 2  # connections, and so probes at a time
PER_CONNECTION: Final = 10  # servers slow clients down, or shut them out, that ask for more unknown users at a time
MOST: Final = 200  # that run or stand in line
MOST_OF_DOMAIN: Final = 50

LOCAL: Final = Reply(252, "2.1.5", ("delivered without another host's consent",))
BUSY: Final = Reply(451, "4.3.2", ("too many recipients are being verified",))
LATE: Final = Reply(451, "4.4.2", ("the recipient cannot be verified: the next hop took too long",))
STOPPING: Final = Reply(451, "4.3.2", ("the recipient cannot be verified: this server is shutting down",))
FAULT: Final = Reply(451, "4.3.0", ("the recipient cannot be verified: local error",))

log = Logger()


class Inquiry(Cargo):
    """
    What a probe carries: one recipient, a null reverse-path, no content.
    """

    __slots__ = ()

    def consignment(self, batch: list[int]) -> Consignment:
        """
        Give the transaction that ends with the answer to RCPT.
        """
        return attrs.evolve(super().consignment(batch), probe=True)


@attrs.define(slots=True, eq=False)
class Asked:
    """
    One address that is being asked about, and all who wait for the answer.
    """

    waiting: list[Deferred[Reply]] = attrs.field(factory=list)
    running: Deferred[Reply] | None = None


class Probes:
    """
    Asks about addresses by the routes of their domains: each once, however many want to know.

    `pool` is used for probes only, `choose` tells where its connections leave from, by the name that a route gives.
    """

    def __init__(
        self,
        clock: IReactorTime,
        find_route: Callable[[str], Route],
        finder: HostFinder,
        pool: Pool,
        open_body: OpenBody,
        choose: Callable[[str], Egress],
    ) -> None:
        self.pool = pool
        self._choose = choose
        self._clock = clock
        self._find_route = find_route
        self._finder = finder
        self._open_body = open_body
        self._asked: dict[Address, Asked] = {}
        self._stopped = False

    def verify(self, address: Address) -> Deferred[Reply]:
        """
        Tell what the next hop says to RCPT; a 4yz of our own where none could be asked. 252 (RFC 5321 §3.5.3) at once
        where mail is delivered by another strategy than SMTP and LMTP. Cancelling it ends the probe once nobody else
        waits for it.
        """
        route = self._find_route(address.domain)
        if route.strategy not in ("smtp", LMTP):
            return succeed(LOCAL)
        asked = self._asked.get(address)
        if asked is None:
            refusal = self._refusal(address)
            if refusal is not None:
                return succeed(refusal)
            asked = self._asked[address] = Asked()
        waiting: Deferred[Reply] = Deferred(lambda gone: self._leave(address, gone))
        asked.waiting.append(waiting)
        if asked.running is None:
            self._begin(address, route, asked)
        return waiting

    def stop(self) -> Deferred[None]:
        """
        End all probes, and close their connections.
        """
        self._stopped = True
        for asked in list(self._asked.values()):
            if asked.running is not None:
                asked.running.cancel()
        return self.pool.stop()

    def _refusal(self, address: Address) -> Reply | None:
        """
        Tell why no further probe can begin.
        """
        if self._stopped:
            return STOPPING
        domain = address.domain
        if len(self._asked) >= MOST or sum(other.domain == domain for other in self._asked) >= MOST_OF_DOMAIN:
            return BUSY
        return None

    def _begin(self, address: Address, route: Route, asked: Asked) -> None:
        asked.running = Deferred.fromCoroutine(self._ask(address, route))
        asked.running.addTimeout(PATIENCE, self._clock)
        asked.running.addErrback(self._failed, address)
        asked.running.addCallback(self._answered, address, asked)

    async def _ask(self, address: Address, route: Route) -> Reply:
        """
        Make one pass over the hosts.
        """
        now = self._clock.seconds()
        envelope = Envelope(None, (Recipient(address),))
        nothing = Message("", now, envelope, b"", b"", None, 0, False)
        attempt = Attempt(1, now)
        inquiry = Inquiry(nothing, deliveries_of(nothing)[0], attempt, self._clock, self._open_body)
        egress = self._choose(route.pool)
        found = await self._finder.find(route, address.domain)
        route = attrs.evolve(route, max_messages=None, max_connections=None)
        (outcome,) = await Pass(self.pool, route, inquiry, attempt, 1, egress).over(found)
        return _said(outcome)

    def _failed(self, failure: Failure, address: Address) -> Reply:
        """
        Tell why there is no answer.
        """
        match failure.value:
            case TimeoutError():
                return LATE
            case CancelledError():
                return STOPPING
            case _:
                log.failure("the probe for <{address}> failed", failure=failure, address=address)
                return FAULT

    def _answered(self, reply: Reply, address: Address, asked: Asked) -> None:
        if self._asked.get(address) is asked:
            del self._asked[address]
        waiting, asked.waiting = asked.waiting, []
        for each in waiting:
            each.callback(reply)

    def _leave(self, address: Address, gone: Deferred[Reply]) -> None:
        """
        Let one who waits go, and end a probe that nobody waits for.
        """
        asked = self._asked.get(address)
        if asked is None or gone not in asked.waiting:
            return
        asked.waiting.remove(gone)
        if not asked.waiting and asked.running is not None:
            del self._asked[address]
            asked.running.cancel()


def probing_limits(limits: ConnectionPool) -> ConnectionPool:
    """
    Give the limits of connections that are for probes.
    """
    return attrs.evolve(limits, max_per_server=PER_SITE, max_messages=PER_CONNECTION)


def _said(outcome: Outcome) -> Reply:
    """
    Give what was said of the recipient; all else is that nobody said anything of it: a server that refuses the null
    reverse-path refuses us, not the recipient.
    """
    if isinstance(outcome, Success) or outcome.scope is Scope.RECIPIENT:
        return outcome.reply
    by = f"{outcome.host} says " if outcome.host else ""
    text = f"the recipient cannot be verified: {by}{outcome.reply}"
    return Reply(451, f"4{outcome.reply.status[1:]}", (text,))
