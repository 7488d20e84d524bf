"""
Requirements on the service as a whole where something goes wrong while it starts or stops.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import attrs
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Config, Health, Metrics, Spool
from empath.config.units import Folder
from empath.errors import SpoolError, SpoolLocked
from empath.service import EmpathService, build


class Reactor(MemoryReactorClock):
    """
    Keeps what threads want to tell.
    """

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Callable[[], object]] = []

    def callFromThread(self, call: Callable[..., object], *args: object, **kwargs: object) -> None:
        self.told.append(lambda: call(*args, **kwargs))


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
            service = self.service(config)
            self.patch(getattr(service, part), "start", refuse)
            self.assertRaises(OSError, service.startService)
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

        service = self.service(attrs.evolve(self.config, spool=Spool(backend="memory")))
        service.privilegedStartService()
        service.startService()
        for part in (service.reception, service.queue, service.agent):
            self.patch(part, "stop", refuse)
        self.successResultOf(service.stopService())
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 3)
        self.failureResultOf(service.spool.probe(), SpoolError)
        self.assertEqual(threads(), [])
