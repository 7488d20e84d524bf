"""
Connections shared by messages: as few as serve, no more to a server than allowed, first come first served.

Fatal: nothing. A connection that cannot be made, or whose session does not open, is handed out with its `trouble`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionRefusedError, NoRouteError, TimeoutError, UserError
from twisted.internet.protocol import ClientFactory

from empath.deliver.connection import Connection
from empath.mail.outcome import Scope, TransientFailure
from empath.mail.reply import Reply
from empath.policy.tls import CLEARTEXT, Demand
from empath.smtp.client_events import SessionEnded, Trouble

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress, IConnector
    from twisted.python.failure import Failure

STOPPING: Final = SessionEnded(
    TransientFailure(Reply(421, "4.3.2", ("this server is shutting down",)), Scope.HOST), Trouble.OURS
)


class Target(NamedTuple):
    """
    What two messages must have in common to share a connection. `identity` is the file of the certificate that we show
    where the server asks for one, "" for none.
    """

    address: str
    port: int
    demand: Demand
    implicit: bool = False
    identity: str = ""
    username: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"<Target [{self.address}]:{self.port} {self.demand.policy.value}>"


Dial = Callable[[Target, str, "Pool"], Connection]
"""
Make the protocol of a new connection to a target, for the host of a name; it has `trouble` if it must not be made.
"""

Connect = Callable[[Target, ClientFactory], "IConnector"]
"""
Begin to connect.
"""


class Lane:
    """
    The connections to one target: `open` counts those that exist or are being made, `line` are those who wait.
    """

    __slots__ = ("idle", "line", "open")

    def __init__(self) -> None:
        self.idle: list[Connection] = []
        self.open = 0
        self.line: deque[Deferred[Connection | None]] = deque()


class Dialing(ClientFactory):
    """
    The making of one connection.
    """

    noisy = False

    def __init__(self, connection: Connection, failed: Callable[[Connection, SessionEnded], None]) -> None:
        self._connection = connection
        self._failed = failed

    def buildProtocol(self, addr: IAddress | None) -> Connection:
        """
        Give the one protocol.
        """
        return self._connection

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        """
        There is no connection.
        """
        self._failed(self._connection, unreachable(_explain(reason.value)))


class Pool:
    """
    Hands out connections: the one that was used last first, so that the others may go idle and close.
    """

    def __init__(self, dial: Dial, connect: Connect, max_per_server: int, max_messages: int) -> None:
        self.max_per_server = max_per_server
        self.max_messages = max_messages
        self._dial = dial
        self._connect = connect
        self._lanes: dict[Target, Lane] = {}
        self._sites: dict[Connection, Target] = {}
        self._waiting: dict[Connection, Deferred[Connection]] = {}
        self._connecting: dict[Connection, IConnector] = {}
        self._stopped: Deferred[None] | None = None

    def idle(self, target: Target) -> Connection | None:
        """
        Give an idle connection at once, None if there is none.
        """
        lane = self._lanes.get(target)
        return lane.idle.pop() if lane is not None and lane.idle else None

    async def take(self, target: Target, host: str, *, fresh: bool = False) -> Connection:
        """
        Give a connection, a `fresh` one if asked, as soon as there is one or room for one; it may have `trouble`.
        """
        while self._stopped is None:
            lane = self._lanes.setdefault(target, Lane())
            if lane.open < self.max_per_server:
                return await self._open(target, lane, host)
            if lane.idle and not fresh:
                return lane.idle.pop()
            if lane.idle:
                lane.idle.pop(0).leave()
            got = await _join(lane.line)
            if got is not None:
                return got
        refused = self._dial(target, host, self)
        refused.trouble = STOPPING
        return refused

    def release(self, connection: Connection) -> None:
        """
        Take a connection back: to whoever waits, or to be idle; one that is worn says QUIT.
        """
        lane = self._lanes.get(self._sites.get(connection, _NOWHERE))
        if lane is None or not connection.usable:
            return
        if connection.carried >= self.max_messages or spent(connection) or self._stopped is not None:
            connection.leave()
        elif lane.line:
            lane.line.popleft().callback(connection)
        else:
            lane.idle.append(connection)

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

    def sizes(self) -> Iterator[tuple[Target, int]]:
        """
        Tell how many connections each target has.
        """
        return ((target, lane.open) for target, lane in self._lanes.items())

    # Keeper -----------------------------------------------------------------------------------------------------

    def opened(self, connection: Connection) -> None:
        """
        A new connection may be used, or has trouble.
        """
        waiting = self._waiting.pop(connection, None)
        if waiting is not None:
            waiting.callback(connection)

    def worn(self, connection: Connection) -> None:
        """
        A connection can take no more; it is closing.
        """
        lane = self._lanes.get(self._sites.get(connection, _NOWHERE))
        if lane is not None and connection in lane.idle:
            lane.idle.remove(connection)

    def closed(self, connection: Connection) -> None:
        """
        A connection is gone: there is room for the next one.
        """
        self.worn(connection)
        self._connecting.pop(connection, None)
        target = self._sites.pop(connection, None)
        if target is None:
            return
        lane = self._lanes[target]
        lane.open -= 1
        if lane.line:
            lane.line.popleft().callback(None)
        if not lane.open and not lane.line:
            self._lanes.pop(target, None)
        self._tell_stopped()

    # ------------------------------------------------------------------------------------------------------------

    async def _open(self, target: Target, lane: Lane, host: str) -> Connection:
        connection = self._dial(target, host, self)
        if connection.trouble is not None:
            return connection
        lane.open += 1
        self._sites[connection] = target
        waiting: Deferred[Connection] = Deferred(lambda _: self._cancel(connection))
        self._waiting[connection] = waiting
        self._connecting[connection] = self._connect(target, Dialing(connection, self._failed))
        return await waiting

    def _cancel(self, connection: Connection) -> None:
        self._waiting.pop(connection, None)
        self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        if connection.connected:
            connection.abort()
        else:
            self._connecting[connection].stopConnecting()

    def _failed(self, connection: Connection, trouble: SessionEnded) -> None:
        connection.trouble = trouble
        self.closed(connection)
        self.opened(connection)

    def _tell_stopped(self) -> None:
        if self._stopped is not None and not self._sites and not self._stopped.called:
            self._stopped.callback(None)


_NOWHERE: Final = Target("", 0, CLEARTEXT)


def spent(connection: Connection) -> bool:
    """
    Tell whether the server wants no more transactions on a connection (RFC 9422 §4: MAILMAX).
    """
    return 0 < connection.session.offer.max_messages <= connection.carried


def unreachable(why: str) -> SessionEnded:
    """
    Tell that there is no connection.
    """
    return SessionEnded(TransientFailure(Reply(421, "4.4.1", (f"cannot connect: {why}",)), Scope.HOST), Trouble.CONNECT)


def _join(line: deque[Deferred[Connection | None]]) -> Deferred[Connection | None]:
    """
    Stand in line; cancelling leaves it.
    """
    place: Deferred[Connection | None] = Deferred(line.remove)
    line.append(place)
    return place


def _explain(fault: BaseException | None) -> str:
    match fault:
        case ConnectionRefusedError():
            return "connection refused"
        case TimeoutError():
            return "timed out"
        case NoRouteError():
            return "no route to host"
        case UserError():
            return "given up"
        case ConnectError():
            return "network error"
        case _:
            return "failed"
