"""
A network and a clock in memory: what happens in it happens in virtual time, in the same order each time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import CannotListenError, ConnectionRefusedError, TimeoutError, UserError
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from empath.testing.wire import Wire

BEGINS: Final = 1_704_067_200.0  # 2024-01-01 00:00:00 UTC
MOST_AT_ONCE: Final = 100_000  # calls without any time between them

Silent = None
"""
A place where nobody answers: who connects waits.
"""


class World(Clock):
    """
    The clock, and who serves where.

    `places` are protocol factories (or `Silent`) by address and port, port 0 standing for all others of an address;
    a path and 0 is a UNIX socket.
    """

    def __init__(self, begins: float = BEGINS) -> None:
        super().__init__()
        self.rightNow = begins
        self.places: dict[tuple[str, int], Any] = {}
        self._ports = 40_000

    def advance(self, amount: float) -> None:
        """
        Let time pass: each call comes at its own time, one after another.
        """
        target = self.rightNow + amount
        self._run_to(target)
        self.rightNow = max(self.rightNow, target)

    def settle(self) -> None:
        """
        Let everything happen that needs no time.
        """
        self._run_to(self.rightNow)

    def step(self, until: float) -> bool:
        """
        Let time pass to the next call, if there is one up to `until`, and settle.
        """
        self._sortCalls()
        if not self.calls or self.calls[0].getTime() > until:
            return False
        self._run_to(max(self.rightNow, self.calls[0].getTime()))
        return True

    def free_port(self) -> int:
        """
        Tell a port that nobody had before.
        """
        self._ports += 1
        return self._ports

    def serve(self, place: tuple[str, int], factory: Any) -> None:
        """
        Serve at an address and port; CannotListenError if somebody does.
        """
        if place in self.places:
            raise CannotListenError(place[0], place[1], OSError("in use"))
        self.places[place] = factory

    def who_serves(self, address: str, port: int) -> Any:
        """
        Find who serves; LookupError if nobody does.
        """
        for place in ((address, port), (address, 0)):
            if place in self.places:
                return self.places[place]
        raise LookupError

    def _run_to(self, target: float) -> None:
        at, turns = self.rightNow, 0
        while True:
            self._sortCalls()
            if not self.calls or self.calls[0].getTime() > target:
                return
            call = self.calls.pop(0)
            self.rightNow = max(self.rightNow, call.getTime())
            at, turns = (at, turns + 1) if at == self.rightNow else (self.rightNow, 0)
            if turns > MOST_AT_ONCE:
                raise AssertionError(f"the world does not come to rest: again and again {call}")
            call.called = 1
            call.func(*call.args, **call.kw)


def address_of(host: str, port: int) -> IAddress:
    """
    Make Twisted's address of an IP address and port, or of the path of a UNIX socket.
    """
    if "/" in host:
        return UNIXAddress(host)
    return IPv6Address("TCP", host, port) if ":" in host else IPv4Address("TCP", host, port)


def join(world: World, client: Any, server: Any, here: IAddress, there: IAddress) -> tuple[Wire, Wire]:
    """
    Connect two protocols; `here` is the client's address.
    """
    near, far = Wire(world, here, there, True), Wire(world, there, here, False)
    near.other, far.other = far, near
    near.protocol, far.protocol = client, server
    server.makeConnection(far)
    client.makeConnection(near)
    return near, far


@attrs.define(eq=False)
class Dialling:
    """
    One try to connect, as Twisted's connectors: `factory` hears what becomes of it.
    """

    world: World
    place: tuple[str, int]
    source: IAddress
    factory: Any
    timeout: float
    made: Callable[[Wire], None]
    over: bool = False
    wire: Wire | None = None
    timer: Any = None

    def begin(self) -> None:
        """
        Begin, as Twisted's connectors do.
        """
        self.factory.doStart()
        self.factory.startedConnecting(self)
        self.timer = self.world.callLater(0, self._settle)

    def _settle(self) -> None:
        try:
            server = self.world.who_serves(*self.place)
        except LookupError:
            self.fail(ConnectionRefusedError())
            return
        if server is Silent:
            self.timer = self.world.callLater(self.timeout, self._timed_out)
            return
        self.over = True
        there = address_of(*self.place)
        far, near = server.buildProtocol(self.source), self.factory.buildProtocol(there)
        if near is None or far is None:
            self.over = False
            self.fail(ConnectionRefusedError())
            return
        wires = join(self.world, near, far, self.source, there)
        self.wire = wires[0]
        self.wire.ended = self._ended
        self.made(self.wire)
        getattr(server, "keep", _ignore)(wires[1])

    def _timed_out(self) -> None:
        self.fail(TimeoutError())

    def _ended(self, reason: Failure) -> None:
        self.factory.clientConnectionLost(self, reason)
        self.factory.doStop()

    def fail(self, why: Exception) -> None:
        """
        There is no connection.
        """
        if not self.over:
            self.over = True
            if self.timer.active():
                self.timer.cancel()
            self.factory.clientConnectionFailed(self, Failure(why))
            self.factory.doStop()

    def stopConnecting(self) -> None:
        """
        Give it up.
        """
        self.fail(UserError())

    def disconnect(self) -> None:
        """
        Give it up, or close the connection.
        """
        if self.wire is None:
            self.stopConnecting()
        else:
            self.wire.loseConnection()

    def getDestination(self) -> IAddress:
        """
        Tell whereto.
        """
        return address_of(*self.place)


def _ignore(_: Wire) -> None:
    return None
