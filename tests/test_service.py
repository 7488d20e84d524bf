"""
Requirements on the service as a whole where something goes wrong while it starts or stops.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from empath.config.schema import Audit, Config, Health, Listener, Metrics, Module, Relay, Smtp, Spool
from empath.config.units import EndpointText, Folder, Options
from empath.errors import ConfigError, ModuleError, SpoolError, SpoolLocked
from empath.interfaces import IModule, IServices
from empath.modules.loading import adopt
from empath.service import EmpathService, build
from empath.service.machine import this_machine
from empath.service.modules import sections_of


class Reactor(MemoryReactorClock):
    """
    Keeps what threads want to tell.
    """

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Callable[[], object]] = []

    def callFromThread(self, call: Callable[..., object], *args: object, **kwargs: object) -> None:
        self.told.append(lambda: call(*args, **kwargs))


def waited(reactor: Reactor, deferred: Deferred[None]) -> Deferred[None]:
    """
    Let what threads tell come until it has fired, ten seconds at the most.
    """
    until = time.monotonic() + 10
    while not deferred.called and time.monotonic() < until:
        while reactor.told:
            reactor.told.pop(0)()
    return deferred


def begin(service: EmpathService, reactor: Reactor) -> None:
    """
    Start the service, and wait until it has begun; raises what it could not begin for.
    """
    service.privilegedStartService()
    starting = service.startService()
    if starting is not None:
        failures: list[Failure] = []
        waited(reactor, starting).addErrback(failures.append)
        for failure in failures:
            failure.raiseException()


def end(service: EmpathService, reactor: Reactor) -> None:
    """
    Stop the service, and wait until it has ended.
    """
    waited(reactor, service.stopService())


def threads() -> list[str]:
    """
    Name the threads of all services.
    """
    return [thread.name for thread in threading.enumerate() if "empath" in thread.name]


class ServiceTests(SynchronousTestCase):
    """
    Each test has a configuration of its own, without pages.
    """

    def setUp(self) -> None:
        self.config = Config(
            "mx.example.org",
            control_socket=Folder(""),
            audit=Audit(enabled=False),
            spool=Spool(path=Folder(os.path.abspath(self.mktemp()))),
            metrics=Metrics(enabled=False),
            health=Health(enabled=False),
        )

    def service(self, config: Config | None = None) -> EmpathService:
        return build(config or self.config, Reactor())

    def test_a_start_that_fails_leaves_no_threads(self) -> None:
        """
        Whichever part refuses to start, even with the spool open: a thread that waits would keep the process.
        """

        def refuse() -> None:
            raise OSError("no")

        for part in ("resolver", "queue", "reception"):
            config = attrs.evolve(self.config, spool=Spool(path=Folder(os.path.abspath(self.mktemp()))))
            reactor = Reactor()
            service = build(config, reactor)
            self.patch(getattr(service, part), "start", refuse)
            self.assertRaises(OSError, begin, service, reactor)
            if service.starting is not None:
                end(service, reactor)
            self.assertEqual(threads(), [])

    def test_a_spool_in_use(self) -> None:
        """
        Another service on the same spool is refused, and leaves nothing; the first goes on.
        """
        first = self.service()
        first.spool.open()
        self.assertRaises(SpoolLocked, self.service().startService)
        self.assertEqual(threads(), [])

    def test_a_stop_goes_on_whatever_fails(self) -> None:
        """
        A part that cannot be stopped is logged; the spool is closed and no thread stays all the same.
        """

        def refuse() -> None:
            raise KeyError("bug")

        reactor = Reactor()
        service = build(attrs.evolve(self.config, spool=Spool(backend="memory")), reactor)
        begin(service, reactor)
        for part in (service.reception, service.queue, service.agent):
            self.patch(part, "stop", refuse)
        self.successResultOf(waited(reactor, service.stopService()))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 3)
        self.failureResultOf(service.spool.probe(), SpoolError)
        self.assertEqual(threads(), [])


@implementer(IModule)
class Scripted:
    """
    A module whose start is what the test says.
    """

    name = "scripted"

    def __init__(self, starting: Deferred[None] | Exception | None = None) -> None:
        self.starting = starting
        self.told: list[str] = []

    def start(self, services: IServices) -> Deferred[None] | None:
        """
        Begin.
        """
        self.told.append(f"start in {services.folder}")
        if isinstance(self.starting, Exception):
            raise self.starting
        return self.starting

    def stop(self) -> None:
        """
        End.
        """
        self.told.append("stop")


class ModulesTests(SynchronousTestCase):
    """
    A service with one module, all in memory.
    """

    def setUp(self) -> None:
        self.config = Config(
            "mx.example.org",
            control_socket=Folder(""),
            audit=Audit(enabled=False),
            smtp=Smtp(listeners=(Listener(endpoint=EndpointText("tcp:25")),)),
            spool=Spool(backend="memory"),
            metrics=Metrics(enabled=False),
            health=Health(enabled=False),
            modules=(Module("scripted"),),
        )
        self.reactor = Reactor()

    def service(self, module: Scripted) -> EmpathService:
        """
        Build the service, with the module in its place.
        """
        made = adopt(module, self.config.modules[0])
        machine = attrs.evolve(this_machine(self.reactor), modules=(made,))
        return build(self.config, self.reactor, machine, Path("/etc/empath"))

    def stop(self, service: EmpathService) -> None:
        """
        Let what threads tell come until the service has stopped.
        """
        self.successResultOf(waited(self.reactor, service.stopService()))
        self.assertEqual(threads(), [])

    def test_starts_before_mail_and_stops_behind_it(self) -> None:
        """
        It knows the configuration's folder, and is stopped in the end.
        """
        module = Scripted()
        service = self.service(module)
        begin(service, self.reactor)
        self.assertTrue(service.queue.attempts.open)
        self.stop(service)
        self.assertEqual(module.told, ["start in /etc/empath", "stop"])

    def test_one_that_does_not_start(self) -> None:
        """
        Keeps the service from starting, and leaves no threads.
        """
        service = self.service(Scripted(ValueError("no")))
        self.assertRaises(ModuleError, begin, service, self.reactor)
        self.assertEqual(threads(), [])

    def test_mail_waits_for_one_that_takes_its_time(self) -> None:
        """
        In and out; then all begins.
        """
        starting: Deferred[None] = Deferred()
        service = self.service(Scripted(starting))
        service.privilegedStartService()
        started = service.startService()
        assert started is not None
        self.assertFalse(service.queue.attempts.open)
        client = StringTransport()
        protocol: Any = self.reactor.tcpServers[0][1].buildProtocol(IPv4Address("TCP", "192.0.2.1", 1))
        protocol.makeConnection(client)
        self.assertEqual(client.value(), b"")
        starting.callback(None)
        self.successResultOf(waited(self.reactor, started))
        self.assertTrue(service.queue.attempts.open)
        self.assertTrue(client.value().startswith(b"220 mx.example.org"))
        protocol.connectionLost(Failure(ConnectionDone()))
        self.stop(service)

    def test_one_that_takes_its_time_and_fails(self) -> None:
        """
        Is told by `starting`; the stop that follows leaves nothing.
        """
        starting: Deferred[None] = Deferred()
        module = Scripted(starting)
        service = self.service(module)
        service.privilegedStartService()
        started = service.startService()
        assert started is not None
        starting.errback(ValueError("no"))
        self.failureResultOf(waited(self.reactor, started), ModuleError)
        self.stop(service)
        self.assertEqual(module.told, ["start in /etc/empath"])

    def test_is_replaced_by_a_reload(self) -> None:
        """
        What else has changed is told by its keys, this time and the next.
        """
        module = Scripted()
        service = self.service(module)
        begin(service, self.reactor)
        new = attrs.evolve(self.config, modules=(), hostname="mx2.example.org")
        for _ in range(2):
            self.assertEqual(list(service.reconfigure(new).restart), ["hostname"])
        self.assertEqual(module.told[1:], ["stop"])
        self.assertRaises(ConfigError, service.reconfigure, attrs.evolve(new, modules=(Module("nope"),)))
        self.assertEqual(service.config, attrs.evolve(self.config, modules=()))
        self.stop(service)

    def test_recipients_of_our_domains_are_known(self) -> None:
        """
        By a module behind all others, unless it is configured, or nobody wants to know.
        """
        ours = Relay(domains=("example.org",))
        verify = [("relay.recipients", "recipients")]
        own = Module("recipients", options=Options({"source": "verify"}))
        for relay, modules, names in (
            (ours, (), verify),
            (ours, (Module("alias"),), [("modules[0]", "alias"), *verify]),
            (ours, (own, Module("alias")), [("modules[0]", "recipients"), ("modules[1]", "alias")]),
            (Relay(), (), []),
            (attrs.evolve(ours, recipients="any"), (), []),
        ):
            sections = sections_of(attrs.evolve(self.config, relay=relay, modules=modules))
            self.assertEqual([(place, section.factory) for place, section in sections], names)
