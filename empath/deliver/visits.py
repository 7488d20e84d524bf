"""
One pass over a destination's hosts: which host, which recipients, and when it is enough.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Final

import attrs
from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from empath.deliver import tls_report
from empath.deliver.cargo import Cargo, Load
from empath.deliver.connection import Connection
from empath.deliver.egress import Egress
from empath.deliver.overheard import tell_carried
from empath.deliver.pool import Pool, spent
from empath.deliver.remaining import address_of, left_of, reachable
from empath.deliver.tally import After, Tally
from empath.deliver.target import Target, Want
from empath.deliver.tls_report import Tell, not_offered
from empath.mail.attempt import Attempt
from empath.mail.outcome import Failure, Outcome, PermanentFailure, Scope, TransientFailure
from empath.mail.reply import Reply
from empath.policy.demand import Barred, bounced
from empath.policy.mx import Candidate
from empath.policy.route import LMTP, Route
from empath.policy.tls import CLEARTEXT, Asker, Course, Demand, Seen, course
from empath.smtp.client_events import Consignment, SessionEnded, TransactionEnded, Trouble
from empath.smtp.client_findings import doubtful

MAX_SESSIONS: Final = 2  # in one attempt: hosts that answered
NO_WAY: Final = TransientFailure(
    Reply(451, "4.4.4", ("no address to connect from is of the next hop's kind",)), Scope.HOST
)
CUT_SHORT: Final = TransientFailure(Reply(451, "4.3.2", ("the attempt was cut short",)), Scope.MESSAGE)
CUT_IN_DOUBT: Final = doubtful(CUT_SHORT.reply)

log = Logger()


class Pass(Tally):
    """
    Carries one cargo from host to host until every recipient has its outcome or there is no host left. `tell` hears
    how TLS with them ended, if that is of interest.
    """

    __slots__ = ("_attempt", "_cargo", "_egress", "_messages", "_most", "_pool", "_route", "_tell")

    def __init__(
        self,
        pool: Pool,
        route: Route,
        cargo: Cargo,
        attempt: Attempt,
        most: int,
        egress: Egress,
        tell: Tell | None = None,
    ) -> None:
        super().__init__(len(cargo.recipients))
        self._pool = pool
        self._route = route
        self._attempt = attempt
        self._most = most
        self._egress = egress
        self._tell = tell
        self._messages = route.max_messages or pool.limits.max_messages
        self._cargo = cargo

    async def over(self, found: Sequence[Candidate] | Failure) -> tuple[Outcome, ...]:
        """
        Visit the hosts in turn; tells an outcome for each recipient of the cargo.

        Cut short, by a bug too, once somebody has the mail or may have it, it tells that: they get it no more unseen.
        """
        if isinstance(found, (TransientFailure, PermanentFailure)):
            self.fail(found)
            return self.told()
        if self._egress.bound:
            found = reachable(found, self._egress)
            if not found:
                self.fail(NO_WAY)
        if self._cargo.settled and found and (failure := await self._cargo.sign()) is not None:
            self.fail(failure)
            return self.told()
        if len(found) > 1:
            found = self._pool.slow.last(found)
        try:
            await self._visit_all(found)
        except Exception as cause:
            if not self.had:
                raise
            if not isinstance(cause, CancelledError):
                log.failure("{queue_id}: a bug, after part of it went", queue_id=self._cargo.message.queue_id)
            self.fail(CUT_SHORT)
        return self.told()

    async def _visit_all(self, found: Sequence[Candidate]) -> None:
        sessions = 0
        while found and self.open and sessions < MAX_SESSIONS:
            if found[0].assurance.barred is not None:
                found = self._pass_over(found, found[0].assurance.barred)
                continue
            self.short = False
            connection = await self._visit(found)
            if self.open:
                sessions += connection.session.replies > 0 and not self.short
                found = left_of(found, connection)

    def _pass_over(self, found: Sequence[Candidate], barred: Barred) -> Sequence[Candidate]:
        """
        Leave the first host alone; tells what is left.
        """
        first = found[0]
        self.fail(barred.failure)
        if self._cargo.trace is not None:
            self._cargo.trace.passes_over(first, barred.failure)
        if self._tell is not None and (event := tls_report.barred(self._cargo.domain, first)) is not None:
            self._tell(event)
        return [c for c in found if c.host != first.host or c.port != first.port]

    async def _visit(self, found: Sequence[Candidate]) -> Connection:
        """
        Try the first host, by the TLS policy; tells the connection that its addresses gave.
        """
        candidate = found[0]
        demand = candidate.assurance.demand
        connection = await self._try(found, demand)
        trouble = connection.trouble
        if (
            trouble is not None
            and trouble.trouble is Trouble.TLS
            and course(demand.policy, Seen.FAILED, implicit=self._route.implicit) is Course.RECONNECT
        ):
            reached = attrs.evolve(candidate, address=address_of(candidate, connection))
            await self._try([reached], CLEARTEXT)
        return connection

    async def _try(self, found: Sequence[Candidate], demand: Demand) -> Connection:
        """
        Hand over as much as possible. A connection that was idle and ends without a reply was dead already: a fresh
        one takes its place, once; and another one that of each which the server has had enough of.
        """
        candidate, trace = found[0], self._cargo.trace
        target = self._target(candidate, demand)
        began = 0.0 if trace is None else trace.clock.seconds()
        connection = self._pool.idle(target, self._messages) or await self._take_new(found, target)
        self._note(candidate, connection, began)
        replaced = False
        while (after := await self._hand_over(candidate, connection)) is not After.DONE:
            if after is After.DEAD and replaced:
                break
            replaced = replaced or after is After.DEAD
            began = 0.0 if trace is None else trace.clock.seconds()
            connection = await self._take_new(found, target, fresh=True)
            self._note(candidate, connection, began)
        return connection

    async def _take_new(self, found: Sequence[Candidate], target: Target, *, fresh: bool = False) -> Connection:
        """
        Take a connection from the pool, and tell how its TLS ended if it was made for us.
        """
        connection = await self._pool.take(self._want(target, found), fresh=fresh)
        if self._tell is not None and not connection.carried and target.demand is found[0].assurance.demand:
            event = tls_report.tried(self._cargo.domain, found[0], connection)
            if event is not None:
                self._tell(event)
        return connection

    def _give_back(self, connection: Connection) -> None:
        """
        Keep a connection for whoever comes next, if it can be used.
        """
        trace, self._attempt.sent = connection.trace, connection.sent_at
        self._pool.release(connection, self._messages)
        if trace is not None:
            trace.leaves(connection)

    async def _hand_over(self, candidate: Candidate, connection: Connection) -> After:
        """
        Run transactions as long as there are recipients whom this host has not judged.
        """
        waiting, after = self.open, After.DONE
        most = self._cargo.most(min(self._most, connection.session.offer.max_recipients or self._most))
        try:
            while waiting and connection.usable and not spent(connection, self._messages):
                batch, waiting = waiting[:most], waiting[most:]
                reused = connection.carried > 0
                if connection.session.tap is not None:
                    tell_carried(connection.session.tap, self._cargo)
                ended = await self._transact(candidate.host, connection, self._cargo.consignment(batch))
                if ended is None or (ended.unanswered and reused):
                    after = After.DEAD
                again = None if ended is None else self.take(batch, ended)
                waiting = [] if again is None else again + waiting
                if waiting and self._attempt.keep is not None:
                    self._attempt.keep(self.outcomes)
        except CancelledError:
            if connection.session.in_doubt:
                self.take_events(batch, connection.session.abandon(CUT_IN_DOUBT))
            raise
        finally:
            self._give_back(connection)
        if connection.trouble is None:
            return After.SPENT if waiting else after
        return self._troubled(candidate, connection, connection.trouble, after)

    def _troubled(self, candidate: Candidate, connection: Connection, trouble: SessionEnded, after: After) -> After:
        """
        Go on where the session was over too soon; a server that was wrong about its CHUNKING gets another chance.
        """
        short = connection.rejection is not None or not_offered(trouble)
        required = short and candidate.assurance.demand.asker is Asker.REQUIRETLS
        self.fail(bounced(trouble.failure) if required else trouble.failure)
        if trouble.trouble is Trouble.CHUNKING and not self._cargo.by_data:
            self._cargo.by_data = True
            return After.SPENT
        return after

    def _transact(
        self, host: str, connection: Connection, consignment: Consignment
    ) -> Awaitable[TransactionEnded | None]:
        """
        Run one transaction; None if the connection ended before it.
        """
        if not self._cargo.as_stored(consignment, connection.session.offer):
            return self._transact_changed(host, connection, consignment)
        return connection.transact(consignment, host, self._cargo.message, last=self._ends(connection))

    async def _transact_changed(
        self, host: str, connection: Connection, consignment: Consignment
    ) -> TransactionEnded | None:
        """
        Run one transaction with what goes in place of the message as it is stored; None if the connection ended while
        that was made.
        """
        load = await self._cargo.load(consignment, connection.session.offer)
        if not isinstance(load, Load):
            return TransactionEnded((load,) * len(consignment.recipients))
        if not connection.usable:
            return None
        return await connection.transact(
            load.consignment, host, load.message, load.open_body, last=self._ends(connection)
        )

    def _ends(self, connection: Connection) -> bool:
        """
        Tell whether the next transaction is the last one of a connection.
        """
        return spent(connection, self._messages, 1)

    def _target(self, candidate: Candidate, demand: Demand) -> Target:
        route = self._route
        return Target(
            candidate.address,
            candidate.port,
            demand,
            self._egress,
            route.implicit,
            route.identity,
            route.username,
            route.password,
            route.strategy == LMTP,
        )

    def _want(self, target: Target, found: Sequence[Candidate]) -> Want:
        """
        Want a connection to the first host, at whichever of its addresses.
        """
        first, route = found[0], self._route
        others = [c for c in found if c is not first and c.host == first.host and c.port == first.port]
        targets = [target, *[target._replace(address=other.address) for other in others]]
        return Want(targets, first.host, self._messages, self._attempt.site, route.max_connections, self._cargo)

    def _note(self, candidate: Candidate, connection: Connection, began: float) -> None:
        """
        Write down where the attempt is; what an earlier delivery did on the connection took none of its time. A trace
        has it that the connection was wanted when that `began`.
        """
        attempt = self._attempt
        if self._cargo.trace is not None:
            self._cargo.trace.takes(connection, candidate, began)
        attempt.host, attempt.address, attempt.port = candidate.host, address_of(candidate, connection), candidate.port
        attempt.tls, attempt.cipher, attempt.security = connection.tls, connection.cipher, connection.security
        attempt.reused = connection.carried > 0
        attempt.connected = 0.0 if attempt.reused else connection.connected_at
        attempt.secured = 0.0 if attempt.reused else connection.secured_at
        attempt.sent = 0.0
