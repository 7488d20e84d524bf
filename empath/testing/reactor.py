"""
What a service is given for a reactor: a machine in a world in memory, which can lose its power.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Final

import attrs
from twisted.internet.error import ConnectionLost, DNSLookupError
from twisted.internet.interfaces import (
    IDelayedCall,
    IHostnameResolver,
    IHostResolution,
    IListeningPort,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
    IReactorUNIX,
)
from zope.interface import implementer

from empath.testing.wire import Wire
from empath.testing.world import Dialling, World, address_of

OURS: Final = "203.0.113.25"


@implementer(IListeningPort)
class Listening:
    """
    A port that is listened on; `keep` is given this machine's end of each connection.
    """

    def __init__(self, world: World, place: tuple[str, int], factory: Any, keep: Callable[[Wire], None]) -> None:
        self.place = place
        self.factory = factory
        self.keep = keep
        self._world = world
        self.startListening()

    def startListening(self) -> None:
        """
        Begin.
        """
        self._world.serve(self.place, self)
        self.factory.doStart()

    def stopListening(self) -> None:
        """
        End; harmless when repeated.
        """
        if self._world.places.pop(self.place, None) is not None:
            self.factory.doStop()

    def buildProtocol(self, addr: Any) -> Any:
        """
        Take a connection.
        """
        return self.factory.buildProtocol(addr)

    def getHost(self) -> Any:
        """
        Tell where.
        """
        return address_of(*self.place)


@implementer(IHostnameResolver)
@attrs.frozen
class Names:
    """
    Resolves host names for Twisted's endpoints. `addresses` tells those of a name.
    """

    addresses: Callable[[str], list[str]]

    def resolveHostName(
        self,
        resolutionReceiver: Any,  # noqa: N803 Twisted names it
        hostName: str,  # noqa: N803
        portNumber: int = 0,  # noqa: N803
        addressTypes: Any = None,  # noqa: N803
        transportSemantics: str = "TCP",  # noqa: N803
    ) -> Any:
        """
        Tell them at once.
        """
        resolution = _Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        for address in [hostName] if _is_address(hostName) else self.addresses(hostName):
            resolutionReceiver.addressResolved(address_of(address, portNumber))
        resolutionReceiver.resolutionComplete()
        return resolution


@implementer(IHostResolution)
@attrs.frozen
class _Resolution:
    name: str

    def cancel(self) -> None:
        """
        It is over already.
        """


@implementer(IReactorTime, IReactorTCP, IReactorUNIX, IReactorPluggableNameResolver)
class FakeReactor:
    """
    One machine of a world. `resolve_host` tells the addresses of a host name; `crash` ends all that runs on it.
    """

    def __init__(self, world: World, resolve_host: Callable[[str], list[str]]) -> None:
        self.world = world
        self.running = True
        self.nameResolver: IHostnameResolver = Names(resolve_host)
        self.ports: list[Listening] = []
        self._resolve = resolve_host
        self._calls: list[IDelayedCall] = []
        self._many = 64
        self._wires: list[Wire] = []
        self._dialling: list[Dialling] = []

    # Time -------------------------------------------------------------------------------------------------------

    def seconds(self) -> float:
        """
        Tell the world's time.
        """
        return float(self.world.seconds())

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any, **kw: Any) -> IDelayedCall:
        """
        Call in the world's time; a machine without power never does.
        """
        call: IDelayedCall = self.world.callLater(delay, callable, *args, **kw)
        if not self.running:
            call.cancel()
            return call
        self._calls.append(call)
        if len(self._calls) > self._many:
            self._calls = [each for each in self._calls if each.active()]
            self._many = max(64, 2 * len(self._calls))
        return call

    def getDelayedCalls(self) -> list[IDelayedCall]:
        """
        Tell what is still to be called on this machine.
        """
        return [each for each in self._calls if each.active()]

    def callWhenRunning(self, callable: Callable[..., Any], *args: Any, **kw: Any) -> None:
        """
        Call in the next turn.
        """
        self.callLater(0, callable, *args, **kw)

    def callFromThread(self, callable: Callable[..., Any], *args: Any, **kw: Any) -> None:
        """
        Call in the next turn.
        """
        self.callLater(0, callable, *args, **kw)

    def addSystemEventTrigger(self, phase: str, event: str, callable: Callable[..., Any], *args: Any, **kw: Any) -> Any:
        """
        A machine in memory is switched off without any warning.
        """
        return callable

    def removeSystemEventTrigger(self, trigger: Any) -> None:
        """
        As there are none, nothing is to be done.
        """

    # The network ------------------------------------------------------------------------------------------------

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        """
        Resolve names otherwise.
        """
        before, self.nameResolver = self.nameResolver, resolver
        return before

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Listening:
        """
        Listen.
        """
        return self._listen((interface or OURS, port or self.world.free_port()), factory)

    def listenUNIX(self, address: str, factory: Any, *args: Any, **kw: Any) -> Listening:
        """
        Listen on a UNIX socket that is in no file system.
        """
        return self._listen((str(address), 0), factory)

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float = 30,
        bindAddress: Any = None,  # noqa: N803 Twisted names it
    ) -> Any:
        """
        Connect to a peer by its address, or by a name that the world's DNS knows.
        """
        addresses = [host] if _is_address(host) else self._resolve(host)
        source = address_of(bindAddress[0] if bindAddress else OURS, self.world.free_port())
        dialling = self._dial((addresses[0] if addresses else host, port), source, factory, timeout)
        if not addresses:
            dialling.fail(DNSLookupError(host))
        return dialling

    def connectUNIX(
        self,
        address: str,
        factory: Any,
        timeout: float = 30,
        checkPID: bool = False,  # noqa: N803 Twisted names it
    ) -> Any:
        """
        Connect to a UNIX socket of this world.
        """
        return self._dial((str(address), 0), address_of("/client", 0), factory, timeout)

    def crash(self) -> None:
        """
        End: nothing that was to be called is, who is connected sees a connection that is lost.
        """
        self.running = False
        for call in self.getDelayedCalls():
            call.cancel()
        for port in self.ports:
            self.world.places.pop(port.place, None)
        for dialling in self._dialling:
            dialling.over = True
            if dialling.timer.active():
                dialling.timer.cancel()
        for wire in self._wires:
            if wire.connected:
                wire.connected, wire.disconnected = False, True
                self.world.callLater(0, wire.other._arrive, ConnectionLost())

    def _listen(self, place: tuple[str, int], factory: Any) -> Listening:
        port = Listening(self.world, place, factory, self._keep)
        self.ports.append(port)
        return port

    def _dial(self, place: tuple[str, int], source: Any, factory: Any, timeout: float) -> Dialling:
        dialling = Dialling(self.world, place, source, factory, timeout, self._keep)
        self._dialling = [each for each in self._dialling if not each.over]
        self._dialling.append(dialling)
        dialling.begin()
        return dialling

    def _keep(self, wire: Wire) -> None:
        self._wires = [each for each in self._wires if each.connected]
        self._wires.append(wire)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
