"""
The whole of empath in memory: the real service with a virtual clock, a network, DNS and peers that a test scripts.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, get_args

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

from empath.mail.life import LifeEvent, MessageReceived
from empath.mail.message import LIVE, Delivery, Message
from empath.service import EmpathService, build
from empath.testing.client import Client
from empath.testing.fake_dns import DnsSockets
from empath.testing.given import Given, ModuleGiven
from empath.testing.kept import KeptSpool, KeptStorages
from empath.testing.machine import machine_in
from empath.testing.neighbourhood import Neighbourhood
from empath.testing.reactor import FakeReactor
from empath.testing.recording import Recorder
from empath.testing.settings import settings
from empath.testing.world import BEGINS, Dialling, address_of

HOSTNAME: Final = "mx.empath.example"
STOP_BOUND: Final = 600.0


class Mta(Neighbourhood):
    """
    An MTA that runs from its making to `stop`, on a machine of its own: several of them share nothing.

    `modules` are instances, factories (a class, a function), pairs of a factory and its options, or sections as
    [[modules]] has them. `domains` are ours: mail for them goes to a peer each, which is there from the start. `config`
    is the text of an empath.toml. What is by chance follows `seed`. Time begins at 2024-01-01 and passes only in
    `advance`, and as far as a client waits for a reply. `logins` are passwords by name, of those who may log in.

    `dns`, `peers` (by host), `events` (life events), `logs` and `faults` may be looked at, and changed, at any time.
    """

    def __init__(
        self,
        modules: Sequence[ModuleGiven] = (),
        domains: Sequence[str] = ("example.org",),
        config: str = "",
        hostname: str = HOSTNAME,
        seed: int = 1,
        begins: float = BEGINS,
        folder: Path | None = None,
        logins: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(begins)
        self.events: list[LifeEvent] = []
        self.messages: list[Message] = []
        self.clients: list[Client] = []
        self.storages = KeptStorages(self.world.seconds)
        self.chance = random.Random(seed)
        self._recorder = Recorder()
        self._given = Given(modules)
        self._folder = folder or Path.cwd()
        self._crashed: list[object] = []  # what is suspended must not be woken by being collected
        self.spool: KeptSpool | None = None
        self.reactor = self._machine()
        self._logins = dict(logins or {})
        self.config = settings(
            config, hostname, domains, self._given.sections, self._folder, self.reactor, bool(self._logins)
        )
        for domain in self.config.relay.domains:
            self.peer(domain)
        self.service: EmpathService
        self._start()

    # Peers ------------------------------------------------------------------------------------------------------

    def client(self, peer: str = "192.0.2.7", listener: int = 0, name: str = "client.example") -> Client:
        """
        Make an SMTP client at an address, for one of the listeners.
        """

        def dial(protocol: Any) -> None:
            port = self.service.reception.ports[listener].getHost()
            place = (getattr(port, "host", ""), getattr(port, "port", 0))
            source = address_of(peer, self.world.free_port())
            Dialling(self.world, place, source, _Single(protocol), 30.0, lambda _: None).begin()

        client = Client(dial, self, peer, name)
        self.clients.append(client)
        return client

    # Time -------------------------------------------------------------------------------------------------------

    def advance(self, seconds: float = 0.0, *, minutes: float = 0.0, hours: float = 0.0, days: float = 0.0) -> None:
        """
        Let time pass, each thing at its own time.
        """
        with self._recorder.running():
            self.world.advance(seconds + 60 * minutes + 3600 * hours + 86400 * days)

    def settle(self) -> None:
        """
        Let everything happen that needs no time.
        """
        with self._recorder.running():
            self.world.settle()

    def step(self, until: float) -> bool:
        """
        Let time pass to the next thing that happens up to `until`; tells whether there was one.
        """
        with self._recorder.running():
            return self.world.step(until)

    def seconds(self) -> float:
        """
        Tell the time, in seconds since the epoch.
        """
        return float(self.world.seconds())

    # What can be seen -------------------------------------------------------------------------------------------

    def queue(self, status: str = "") -> list[Delivery]:
        """
        Tell the deliveries that are not at their end, or those of a status, such as "held" or "failed".
        """
        assert self.spool is not None
        found = self.spool.deliveries
        return [each for each in found if (each.status.value == status if status else each.status in LIVE)]

    def content(self, message: Message) -> bytes:
        """
        Give header and body of a message that is in the spool or was small.
        """
        assert self.spool is not None
        return self.spool.content(message)

    def module(self, name: str) -> Any:
        """
        Give the module of a name, as it runs now.
        """
        for hosted in self.service.modules._hosted:
            if hosted.name == name:
                return hosted.loaded.module
        raise LookupError(f"no module is called {name!r}; there are: {', '.join(self.service.modules.names)}")

    def counted(self, module: str) -> dict[str, int]:
        """
        Tell what a module of that name counted with `services.count`, since the last start.
        """
        events: Any = self.service.metrics.modules.of(module).events
        return dict(events.by_label)

    @property
    def logs(self) -> list[str]:
        """
        The log lines, "info: …".
        """
        return self._recorder.lines

    @property
    def faults(self) -> list[Failure]:
        """
        The errors that were logged with a traceback; a test that expects some takes them out.
        """
        return self._recorder.faults

    def story(self) -> str:
        """
        Tell in words what happened: dialogues, log lines, the queue.
        """
        said = [line for client in self.clients for line in [f"client {client.peer}", *client.dialogue]]
        peers = [line for name, peer in self.peers.items() for line in [f"peer {name}", *peer.commands]]
        waiting = [
            f"{each.queue_id} to {each.domain}: {each.status.value}, {each.attempts} attempts, {each.last_error}"
            for each in self.queue()
        ]
        return "\n".join([*said, "log", *self.logs, *peers, "queue", *waiting])

    # Its life ---------------------------------------------------------------------------------------------------

    def restart(self) -> None:
        """
        Pull the plug and start again: the spool and what modules stored are as they were, all else is gone.
        """
        self.crash()
        self._start()

    def crash(self) -> None:
        """
        Pull the plug: no module is stopped, connections are lost.
        """
        self._crashed.append(self.service)
        self.reactor.crash()
        self.settle()

    def start(self) -> None:
        """
        Start again after `stop` or `crash`.
        """
        self._start()

    def stop(self) -> None:
        """
        Stop in order, as SIGTERM does: sessions and deliveries under way come to their end within their time.
        """
        if not self.reactor.running:
            return
        with self._recorder.running():
            self._wait(self.service.stopService())
        for client in self.clients:
            client.close()
        self.settle()
        left = self.reactor.getDelayedCalls()
        self.reactor.crash()
        if left:
            raise AssertionError("left behind after the stop: " + ", ".join(map(str, left)))

    def _start(self) -> None:
        if not self.reactor.running:
            self.reactor = self._machine()
        sockets = DnsSockets(self.dns, self.reactor)
        memory = (self._make_spool, self.storages)
        machine = machine_in(self.reactor, self.chance, sockets, memory, self._given.make(), self._logins)
        with self._recorder.running():
            self.service = build(self.config, self.reactor, machine, self._folder)
            for event_type in get_args(LifeEvent):
                self.service.events.subscribe(event_type, self._happened)
            self.service.privilegedStartService()
            self._wait(maybeDeferred(self.service.startService))

    def _machine(self) -> FakeReactor:
        return FakeReactor(self.world, lambda name: list(self.dns.texts(name, "A")))

    def _make_spool(self, section: Any, emit: Callable[[LifeEvent], None]) -> KeptSpool:
        self.spool = KeptSpool(section, emit, self.spool)
        return self.spool

    def _happened(self, event: LifeEvent) -> None:
        self.events.append(event)
        if isinstance(event, MessageReceived):
            self.messages.append(event.message)

    def _wait(self, waited: Deferred[Any]) -> None:
        """
        Let time pass until a Deferred fires; raises what it fails with.
        """
        over: list[Any] = []
        waited.addBoth(over.append)
        until = self.seconds() + STOP_BOUND
        self.world.settle()
        while not over and self.world.step(until):
            pass
        if not over:
            raise AssertionError(f"it did not come to an end within {STOP_BOUND:g} s")
        if isinstance(over[0], Failure):
            over[0].raiseException()


class _Single:
    """
    A factory of one protocol.
    """

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: object) -> Any:
        """
        Give it.
        """
        return self._protocol

    def doStart(self) -> None:
        """
        Nothing to do.
        """

    doStop = doStart  # noqa: N815 Twisted names it

    def startedConnecting(self, connector: Any) -> None:
        """
        Nothing to do.
        """

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        """
        The client sees that it is not connected.
        """
        self._protocol.connectionLost(reason)

    def clientConnectionLost(self, connector: Any, reason: Failure) -> None:
        """
        The client has seen it.
        """
