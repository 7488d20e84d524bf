"""
One pass over a destination's hosts: which host, which recipients, and when it is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final, cast

from twisted.internet.defer import CancelledError

from empath.deliver.cargo import Cargo
from empath.deliver.connection import Connection
from empath.deliver.pool import Pool, Target, spent
from empath.mail.life import Attempt
from empath.mail.outcome import Failure, Outcome, PermanentFailure, Scope, Success, TransientFailure
from empath.mail.reply import Reply
from empath.policy.mx import Candidate
from empath.policy.route import Route
from empath.policy.tls import CLEARTEXT, Course, Demand, Seen, course, local_demand
from empath.smtp.client_events import Consignment, SessionEnded, TransactionEnded, Trouble
from empath.smtp.client_findings import NO_EIGHT_BIT
from empath.smtp.client_transfer import convertible

MAX_SESSIONS: Final = 2  # in one attempt: hosts that answered
CUT_SHORT: Final = TransientFailure(Reply(451, "4.3.2", ("the attempt was cut short",)), Scope.MESSAGE)


class After(Enum):
    """
    What a connection is for its host, once it was used.
    """

    DONE = "done"
    DEAD = "dead"  # it was idle and had ended already
    SPENT = "spent"  # the server takes no more on it, or not so, but on another one


class Pass:
    """
    Carries one cargo from host to host until every recipient has its outcome or there is no host left.

    `_open` are the positions of recipients without a final outcome; `_last` is what they get if nobody does better.
    """

    __slots__ = ("_attempt", "_cargo", "_last", "_most", "_open", "_outcomes", "_pool", "_route")

    def __init__(
        self,
        pool: Pool,
        route: Route,
        cargo: Cargo,
        attempt: Attempt,
        most: int,
    ) -> None:
        self._pool = pool
        self._route = route
        self._attempt = attempt
        self._most = most
        self._cargo = cargo
        self._open = list(range(len(self._cargo.recipients)))
        self._outcomes: list[Outcome | None] = [None] * len(self._open)
        self._last: list[Outcome | None] = [None] * len(self._open)

    async def over(self, found: Sequence[Candidate] | Failure) -> tuple[Outcome, ...]:
        """
        Visit the hosts in turn; tells an outcome for each recipient of the cargo.

        Cancelled once somebody has the mail it tells that too: they must not get it again.
        """
        if isinstance(found, (TransientFailure, PermanentFailure)):
            self._fail(found)
            return self._told()
        try:
            await self._visit_all(found)
        except CancelledError:
            if not any(isinstance(outcome, Success) for outcome in self._outcomes):
                raise
            self._fail(CUT_SHORT)
        return self._told()

    async def _visit_all(self, found: Sequence[Candidate]) -> None:
        sessions = 0
        for candidate in found:
            sessions += await self._visit(candidate)
            if not self._open or sessions >= MAX_SESSIONS:
                break

    async def _visit(self, candidate: Candidate) -> bool:
        """
        Try one address, by the TLS policy; tells whether it answered.
        """
        route = self._route
        demand = local_demand(route.tls, candidate.host)
        connection = await self._try(candidate, demand)
        trouble = connection.trouble
        answered = connection.session.replies > 0
        if (
            trouble is not None
            and trouble.trouble is Trouble.TLS
            and course(route.tls, Seen.FAILED, implicit=route.implicit) is Course.RECONNECT
        ):
            await self._try(candidate, CLEARTEXT)
        return answered

    async def _try(self, candidate: Candidate, demand: Demand) -> Connection:
        """
        Hand over as much as possible. A connection that was idle and ends without a reply was dead already: a fresh
        one takes its place, once; and another one that of each which the server has had enough of.
        """
        target = self._target(candidate, demand)
        connection = self._pool.idle(target) or await self._pool.take(target, candidate.host)
        self._note(candidate, connection)
        replaced = False
        while (after := await self._hand_over(candidate, connection)) is not After.DONE:
            if after is After.DEAD and replaced:
                break
            replaced = replaced or after is After.DEAD
            connection = await self._pool.take(target, candidate.host, fresh=True)
            self._note(candidate, connection)
        return connection

    async def _hand_over(self, candidate: Candidate, connection: Connection) -> After:
        """
        Run transactions as long as there are recipients whom this host has not judged.
        """
        waiting = self._open
        after = After.DONE
        offer = connection.session.offer
        most = min(self._most, offer.max_recipients or self._most)
        cargo = self._cargo
        try:
            while waiting and connection.usable and not spent(connection):
                batch, waiting = waiting[:most], waiting[most:]
                reused = connection.carried > 0
                consignment = cargo.consignment(batch)
                if convertible(consignment, offer) or (cargo.by_data and consignment.binary):
                    ended = await self._transact_converted(candidate, connection, consignment)
                else:
                    ended = await connection.transact(consignment, candidate.host, cargo.message)
                if ended is None or (ended.unanswered and reused):
                    after = After.DEAD
                again = None if ended is None else self._take(batch, ended)
                waiting = [] if again is None else again + waiting
        finally:
            self._pool.release(connection)
            self._attempt.sent = connection.sent_at
        if connection.trouble is None:
            return After.SPENT if waiting else after
        return self._troubled(connection.trouble, after)

    def _troubled(self, trouble: SessionEnded, after: After) -> After:
        """
        Go on where the session was over too soon; a server that was wrong about its CHUNKING gets another chance.
        """
        self._fail(trouble.failure)
        if trouble.trouble is Trouble.CHUNKING and not self._cargo.by_data:
            self._cargo.by_data = True
            return After.SPENT
        return after

    async def _transact_converted(
        self, candidate: Candidate, connection: Connection, consignment: Consignment
    ) -> TransactionEnded | None:
        """
        Run one transaction with a host that gets 7 bits only; None if the connection ended while they were made.
        """
        cargo = self._cargo
        made = await cargo.seven_bit.make()
        if isinstance(made, TransientFailure):
            return TransactionEnded((made,) * len(consignment.recipients))
        if not connection.usable:
            return None
        if made is None and cargo.by_data:
            return TransactionEnded((NO_EIGHT_BIT,) * len(consignment.recipients))
        if made is None:
            return await connection.transact(consignment, candidate.host, cargo.message)
        return await connection.transact(
            cargo.converted(consignment, made), candidate.host, made, cargo.seven_bit.open_body
        )

    def _take(self, batch: list[int], ended: TransactionEnded) -> list[int] | None:
        """
        Take the outcomes of a transaction; tells whom this host wants to be asked about again, None to leave it.

        A failure of the host or session leaves its recipients open for the next one; a transient one of the message
        holds for all its recipients here.
        """
        again = [batch[index] for index in ended.again]
        halt: TransientFailure | None = None
        for position, outcome in zip(batch, ended.outcomes, strict=True):
            if isinstance(outcome, TransientFailure) and outcome.scope is not Scope.RECIPIENT:
                halt = outcome
            if position in again or _elsewhere(outcome):
                self._last[position] = outcome
            else:
                self._outcomes[position] = outcome
        self._open = [position for position in self._open if self._outcomes[position] is None]
        if halt is None:
            return again
        if halt.scope is Scope.MESSAGE:
            for position in self._open:
                self._outcomes[position] = halt
            self._open = []
        else:
            self._fail(halt)
        return None

    def _fail(self, failure: Failure) -> None:
        for position in self._open:
            self._last[position] = failure

    def _told(self) -> tuple[Outcome, ...]:
        told = [outcome or last for outcome, last in zip(self._outcomes, self._last, strict=True)]
        return cast("tuple[Outcome, ...]", tuple(told))

    def _target(self, candidate: Candidate, demand: Demand) -> Target:
        route = self._route
        return Target(candidate.address, candidate.port, demand, route.implicit, "", route.username, route.password)

    def _note(self, candidate: Candidate, connection: Connection) -> None:
        """
        Write down where the attempt is; what an earlier delivery did on the connection took none of its time.
        """
        attempt = self._attempt
        attempt.host, attempt.address, attempt.port = candidate.host, candidate.address, candidate.port
        attempt.tls, attempt.cipher = connection.tls, connection.cipher
        attempt.reused = connection.carried > 0
        attempt.connected = 0.0 if attempt.reused else connection.connected_at
        attempt.secured = 0.0 if attempt.reused else connection.secured_at
        attempt.sent = 0.0


def _elsewhere(outcome: Outcome) -> bool:
    """
    Tell whether another host may do better.
    """
    return isinstance(outcome, TransientFailure) and outcome.scope in (Scope.SESSION, Scope.HOST)
