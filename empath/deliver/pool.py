"""
Connections shared by messages: as few as serve, no more to a server than allowed, first come first served.

Fatal: nothing. A connection that cannot be made, or whose session does not open, is handed out with its `trouble`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred

from empath.config.schema import ConnectionPool
from empath.deliver.connection import Connection
from empath.deliver.dialing import Connect, Dialing, Slow
from empath.deliver.lane import Lane
from empath.deliver.target import Target, Want
from empath.deliver.tls_sessions import TlsSessions
from empath.mail.outcome import Scope, TransientFailure
from empath.mail.reply import Reply
from empath.smtp.client_events import SessionEnded, Trouble

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from empath.deliver.handshake import Handshake

__all__ = ("STOPPING", "Dial", "Pool", "Target", "Want")

STOPPING: Final = SessionEnded(
    TransientFailure(Reply(421, "4.3.2", ("this server is shutting down",)), Scope.HOST), Trouble.OURS
)

Dial = Callable[[Want, "Pool"], Connection]
"""
Make the protocol of a new connection; it has `trouble` if it must not be made.
"""


class Pool:
    """
    Hands out connections: the one that was used last first, so that the others may go idle and close.

    `sessions` are the TLS sessions that new connections resume, `slow` the addresses that did not answer lately;
    `limits` may be replaced at any time.
    """

    def __init__(
        self, clock: IReactorTime, dial: Dial, connect: Connect, limits: ConnectionPool, sessions: TlsSessions
    ) -> None:
        self.limits = limits
        self._clock = clock
        self._dial = dial
        self._connect = connect
        self._sessions = sessions
        self.slow = Slow(clock)
        self._lanes: dict[Target, Lane] = {}
        self._sites: dict[Connection, str] = {}
        self._sizes: Counter[str] = Counter()
        self._waiting: dict[Connection, Deferred[Connection]] = {}
        self._dialing: dict[Connection, Dialing] = {}
        self._stopped: Deferred[None] | None = None

    def idle(self, target: Target, messages: int) -> Connection | None:
        """
        Give an idle connection that carried less than so many messages, at once; None if there is none.
        """
        lane = self._lanes.get(target)
        while lane is not None and lane.idle:
            connection = lane.idle.pop()
            if connection.carried < messages:
                return connection
            connection.leave()
        return None

    async def take(self, want: Want, *, fresh: bool = False) -> Connection:
        """
        Give a connection, a `fresh` one if asked, as soon as there is one or room for one; it may have `trouble`.
        """
        while self._stopped is None:
            if not fresh and (connection := self._idle(want)) is not None:
                return connection
            targets = self.slow.last(want.targets)
            lane = self._lanes.setdefault(targets[0], Lane())
            if lane.open < self.limits.max_per_server:
                return await self._open(want if targets is want.targets else want._replace(targets=targets), lane)
            if lane.idle:
                lane.idle.pop(0).leave()
            got = await _join(lane.line)
            if got is not None and got.carried < want.messages:
                return got
            if got is not None:
                got.leave()
        refused = self._dial(want, self)
        refused.trouble = STOPPING
        return refused

    def release(self, connection: Connection, messages: int) -> None:
        """
        Take a connection back: to whoever waits, or to be idle; one that carried so many messages, or is too old, says
        QUIT.
        """
        lane = connection.lane
        if lane is None or not connection.usable:
            return
        left = self.limits.max_age - (self._clock.seconds() - connection.connected_at)
        if left <= 0 or spent(connection, messages) or self._stopped is not None:
            connection.leave()
            return
        if connection.trace is not None:
            connection.trace.leaves(connection)  # before anybody else has it
        if lane.line:
            lane.line.popleft().callback(connection)
        else:
            lane.idle.append(connection)
            if left < self.limits.idle_timeout:
                connection.time.rest(left)

    def stop(self) -> Deferred[None]:
        """
        Say QUIT on idle connections, close the others, and fire when all are gone; nothing is handed out any more.
        """
        self._stopped = Deferred()
        for connection in list(self._sites):
            if connection.usable:
                connection.leave()
            else:
                self._drop(connection)
        for lane in list(self._lanes.values()):
            lane.idle.clear()
            while lane.line:
                lane.line.popleft().callback(None)
        self._tell_stopped()
        return self._stopped

    def connections(self) -> list[Connection]:
        """
        Tell all that there are, and those that are being made.
        """
        return list(self._sites)

    def sizes(self) -> Iterator[tuple[str, int]]:
        """
        Tell how many connections each site has.
        """
        return iter(self._sizes.items())

    # Keeper -----------------------------------------------------------------------------------------------------

    def opened(self, connection: Connection) -> None:
        """
        A new connection may be used, or has trouble.
        """
        self._dialing.pop(connection, None)
        if connection.trace is not None:
            connection.trace.opened(connection)
        if connection.trouble is None and connection.target is not None:
            connection.missed = ()  # news for who had it made, not for those after
            connection.lane = self._lanes[connection.target]
            if connection.tls:
                self._sessions.keep(connection.target, connection.tls_handle, connection.shown_at)
        elif connection.target is not None and connection.trouble is not None:
            self._sessions.forget(connection.target)
        waiting = self._waiting.pop(connection, None)
        if waiting is not None:
            waiting.callback(connection)

    def secures(self, connection: Connection, handshake: Handshake) -> None:
        """
        A new connection begins TLS.
        """
        if connection.trace is not None:
            connection.trace.shakes()
        if connection.target is not None:
            connection.shown_at = self._sessions.resume(connection.target, handshake, self._clock.seconds())

    def worn(self, connection: Connection) -> None:
        """
        A connection can take no more; it is closing.
        """
        lane = connection.lane
        if lane is not None and connection in lane.idle:
            lane.idle.remove(connection)

    def closed(self, connection: Connection) -> None:
        """
        A connection is gone: there is room for the next one.
        """
        self.worn(connection)
        if connection.target is not None and connection in self._sites:
            self._forget(connection)
            self.end(connection.target)
        self._tell_stopped()

    # Lanes ------------------------------------------------------------------------------------------------------

    def begin(self, target: Target) -> bool:
        """
        Count one more, where there is room.
        """
        lane = self._lanes.setdefault(target, Lane())
        if lane.open >= self.limits.max_per_server:
            return False
        lane.open += 1
        return True

    def end(self, target: Target) -> None:
        """
        One less.
        """
        lane = self._lanes[target]
        lane.open -= 1
        while lane.line and lane.open < self.limits.max_per_server:  # who is first may go another way
            lane.line.popleft().callback(None)
        if not lane.open:
            self._lanes.pop(target, None)

    def missed(self, connection: Connection) -> None:
        """
        A connection could not be made.
        """
        self._forget(connection)
        self.opened(connection)
        self._tell_stopped()

    # ------------------------------------------------------------------------------------------------------------

    def _idle(self, want: Want) -> Connection | None:
        for target in want.targets:
            connection = self.idle(target, want.messages)
            if connection is not None:
                return connection
        return None

    async def _open(self, want: Want, lane: Lane) -> Connection:
        connection = self._dial(want, self)
        if connection.trouble is not None:
            return connection
        self._make_room(want)
        targets = want.targets
        lane.open += 1
        self._sites[connection] = site = want.site or targets[0].place
        self._sizes[site] += 1
        waiting: Deferred[Connection] = Deferred(lambda _: self._cancel(connection))
        self._waiting[connection] = waiting
        self._dialing[connection] = dialing = Dialing(self._clock, self._connect, self, self.slow, connection)
        dialing.begin(targets)
        return await waiting

    def _make_room(self, want: Want) -> None:
        """
        Close an idle connection to another host of a site that has as many as it may have.
        """
        if want.connections is None or self._sizes[want.site] < want.connections:
            return
        for lane in self._lanes.values():
            if lane.idle and self._sites.get(lane.idle[0]) == want.site:
                lane.idle.pop(0).leave()
                return

    def _cancel(self, connection: Connection) -> None:
        self._waiting.pop(connection, None)
        self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        if connection.connected:
            connection.abort()
        else:
            self._dialing[connection].stop()

    def _forget(self, connection: Connection) -> None:
        self._dialing.pop(connection, None)
        site = self._sites.pop(connection)
        self._sizes[site] -= 1
        if not self._sizes[site]:
            del self._sizes[site]

    def _tell_stopped(self) -> None:
        if self._stopped is not None and not self._sites and not self._stopped.called:
            self._stopped.callback(None)


def spent(connection: Connection, messages: int, more: int = 0) -> bool:
    """
    Tell whether a connection may carry no more once it has carried so many `more`: it carried so many messages, or the
    server wants no more transactions (RFC 9422 §4: MAILMAX).
    """
    carried = connection.carried + more
    return carried >= messages or 0 < connection.session.offer.max_messages <= carried


def _join(line: deque[Deferred[Connection | None]]) -> Deferred[Connection | None]:
    """
    Stand in line; cancelling leaves it.
    """
    place: Deferred[Connection | None] = Deferred(line.remove)
    line.append(place)
    return place
