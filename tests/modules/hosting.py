"""
What the tests of the module host share: a module under watch, and surroundings without a machine.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from zope.interface import implementer

from empath.interfaces import IModule
from empath.mail.answer import Answer, Found
from empath.modules.breaker import Breaker
from empath.modules.services import Surroundings
from empath.modules.watch import Watch
from empath.observe.metrics.modules import ModulesCounts


class Workers:
    """
    Threads that run at once.
    """

    def __init__(self, name: str = "", reactor: object = None) -> None:
        self.ran = 0
        self.stopped = False

    def run(self, call: Callable[[], Any]) -> Deferred[Any]:
        """
        Run it here.
        """
        self.ran += 1
        return execute(call)

    async def stop(self) -> None:
        """
        Take note.
        """
        self.stopped = True


class Storages:
    """
    Storage that only knows whose it is.
    """

    def of(self, module: str) -> Any:
        """
        Name the module.
        """
        return f"storage of {module}"


@implementer(IModule)
class Named:
    """
    A module that does nothing; tests give it hooks.
    """

    def __init__(self, name: str = "test", **hooks: Any) -> None:
        self.name = name
        for hook, does in hooks.items():
            setattr(self, hook, does)


def watch(clock: Clock, counts: Any = None, **also: Any) -> Watch:
    """
    Watch a module that is called "test", which may fail three times in a row, and then waits a minute.
    """
    breaker = also.pop("breaker", None) or Breaker("test", 3, 60.0, clock)
    in_thread = also.pop("in_thread", execute)
    return Watch("test", clock, breaker, counts or ModulesCounts().of("test"), in_thread, **also)


def surroundings(clock: Clock, **also: Any) -> Surroundings:
    """
    Make surroundings in memory.
    """
    values: dict[str, Any] = {
        "hostname": "mx.example.org",
        "reactor": clock,
        "chance": random.Random(1),
        "domains": frozenset({"example.org"}),
        "folder": Path("/etc/empath"),
        "counts": ModulesCounts().of,
        "storages": Storages(),
        "lookup": lambda name, rdtype: Answer(name, rdtype, Found.NO_NAME),
        "verify": lambda address: address,
        "workers": Workers,
    }
    return Surroundings(**{**values, **also})
