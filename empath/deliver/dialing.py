"""
The making of one connection to a host that may have several addresses: IPv6 and IPv4 race (RFC 8305).

Fatal: nothing. An address that cannot be reached is followed by the next one, the last one's end is the connection's
`trouble`. Retried: an address that was slow comes last for ten minutes, it is not forgotten.
"""

from __future__ import annotations

import errno
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from twisted.internet.error import (
    ConnectBindError,
    ConnectError,
    ConnectionRefusedError,
    NoRouteError,
    TimeoutError,
    UserError,
)
from twisted.internet.protocol import ClientFactory
from twisted.logger import Logger

from empath.deliver.connection import Connection
from empath.deliver.overheard import tell_unreachable
from empath.deliver.target import Target
from empath.mail.outcome import Scope, TransientFailure
from empath.mail.reply import Reply
from empath.policy.mx import Candidate
from empath.smtp.client_events import SessionEnded, Trouble

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress, IConnector, IDelayedCall, IReactorTime
    from twisted.python.failure import Failure

log = Logger()

HEAD_START: Final = 0.25  # seconds, of the first family over the other one (RFC 8305 §8)
SLOW_FOR: Final = 600.0  # seconds
_REMEMBERED: Final = 1000

_OF_SOCKETS: Final = {
    errno.ENOENT: "there is no such socket",
    errno.EACCES: "permission denied",
}

NO_SOURCE: Final = SessionEnded(
    TransientFailure(Reply(451, "4.3.5", ("the address to connect from cannot be used",)), Scope.HOST), Trouble.OURS
)

P = TypeVar("P", Target, Candidate)

Connect = Callable[[Target, ClientFactory], "IConnector"]
"""
Begin to connect.
"""


class Lanes(Protocol):
    """
    Who counts connections, and tries to make one, by their targets.
    """

    def begin(self, target: Target) -> bool:
        """
        Count one more; tells whether there was room for it.
        """

    def end(self, target: Target) -> None:
        """
        One that was counted is over and gave no connection.
        """

    def missed(self, connection: Connection) -> None:
        """
        The connection will never be: it has `trouble`, and nothing of it is counted any more.
        """


class Slow:
    """
    The addresses that lost a race or did not answer, and until when they come last.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._until: OrderedDict[str, float] = OrderedDict()

    def add(self, address: str) -> None:
        """
        Remember an address; the oldest one is forgotten where there are too many.
        """
        self._until[address] = self._clock.seconds() + SLOW_FOR
        self._until.move_to_end(address)
        if len(self._until) > _REMEMBERED:
            self._until.popitem(last=False)

    def remove(self, address: str) -> None:
        """
        An address answered.
        """
        self._until.pop(address, None)

    def last(self, places: Sequence[P]) -> Sequence[P]:
        """
        Order targets, or hosts' addresses: the slow ones behind the others.
        """
        until = self._until
        if not until or len(places) == 1:
            return places
        now = self._clock.seconds()
        return sorted(places, key=lambda place: until.get(place.address, 0.0) > now)


class Try(ClientFactory):
    """
    The way to one address.
    """

    noisy = False
    connector: IConnector

    def __init__(self, dialing: Dialing, target: Target) -> None:
        self.target = target
        self._dialing = dialing

    def buildProtocol(self, addr: IAddress | None) -> Connection | None:
        """
        Give the one protocol, unless another address was faster.
        """
        return self._dialing.reached(self)

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        """
        There is no connection.
        """
        self._dialing.failed(self, reason.value)


class Dialing:
    """
    Tries `targets` in their order, one of each family at a time; the other family begins after `HEAD_START`, or as soon
    as the first one has failed. What is reached first carries the connection, the other tries are given up.
    """

    __slots__ = ("_clock", "_connect", "_connection", "_lanes", "_left", "_over", "_slow", "_timer", "_trying", "_why")

    def __init__(self, clock: IReactorTime, connect: Connect, lanes: Lanes, slow: Slow, connection: Connection) -> None:
        self._clock = clock
        self._connect = connect
        self._lanes = lanes
        self._slow = slow
        self._connection = connection
        self._left: list[Target] = []
        self._trying: list[Try] = []
        self._why: list[str] = []
        self._timer: IDelayedCall | None = None
        self._over = False

    def begin(self, targets: Sequence[Target]) -> None:
        """
        Begin with the first target, which is counted already.
        """
        first = targets[0]
        self._start(first)
        if len(targets) == 1:
            return
        self._left.extend(targets[1:])
        if any(_family(target) != _family(first) for target in self._left):
            self._timer = self._clock.callLater(HEAD_START, self._race)

    def stop(self) -> None:
        """
        Give up.
        """
        self._left.clear()
        for each in list(self._trying):
            each.connector.stopConnecting()

    def reached(self, winner: Try) -> Connection | None:
        """
        Take the first connection there is.
        """
        if self._over:
            return None
        self._end()
        self._trying.remove(winner)
        self._slow.remove(winner.target.address)
        for loser in list(self._trying):
            self._slow.add(loser.target.address)
            loser.connector.stopConnecting()
        self._connection.target = winner.target
        return self._connection

    def failed(self, failed: Try, fault: BaseException | None) -> None:
        """
        Go on to the next address, if there is one.
        """
        self._trying.remove(failed)
        self._lanes.end(failed.target)
        if self._connection.trace is not None:
            self._connection.trace.failed(failed.target, f"cannot connect: {_explain(fault)}")
        if self._over:
            return
        if isinstance(fault, ConnectBindError):
            pool = failed.target.egress
            log.warn(
                "no connection from {addresses}{pool}, so mail waits: {fault}",
                addresses=" or ".join(pool.addresses),
                pool=f" (pool {pool.name})" if pool.name else "",
                fault=fault,
            )
        if isinstance(fault, TimeoutError):
            self._slow.add(failed.target.address)
        self._why.append(why := _explain(fault))
        tell_unreachable(self._connection, failed.target, why)
        self._connection.missed += (failed.target.address,)
        self._next()
        if not self._trying:
            self._end()
            self._connection.trouble = NO_SOURCE if isinstance(fault, ConnectBindError) else unreachable(self._why)
            self._lanes.missed(self._connection)

    def _race(self) -> None:
        self._timer = None
        self._next()

    def _next(self) -> None:
        """
        Start what may be tried now: one target, if there is no try or the head start is over; never two of a family.
        """
        if self._trying and self._timer is not None:
            return
        busy = {_family(each.target) for each in self._trying}
        for target in list(self._left):
            if _family(target) in busy:
                continue
            self._left.remove(target)
            if self._lanes.begin(target):
                self._start(target)
                return

    def _start(self, target: Target) -> None:
        attempt = Try(self, target)
        self._trying.append(attempt)
        if self._connection.trace is not None:
            self._connection.trace.tries(self._connection, target)
        attempt.connector = self._connect(target, attempt)

    def _end(self) -> None:
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def unreachable(reasons: Sequence[str]) -> SessionEnded:
    """
    Tell that there is no connection.
    """
    said = f"cannot connect: {', '.join(dict.fromkeys(reasons))}"
    return SessionEnded(TransientFailure(Reply(421, "4.4.1", (said,)), Scope.HOST), Trouble.CONNECT)


def _family(target: Target) -> bool:
    return ":" in target.address


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
        case ConnectError(osError=number) if number in _OF_SOCKETS:
            return _OF_SOCKETS[number]
        case ConnectError():
            return "network error"
        case _:
            return "failed"
