"""
What a module is given when it starts.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from empath.errors import ModuleError
from empath.interfaces import IServices, IStorage
from empath.mail.address import Address
from empath.mail.answer import Answer
from empath.mail.reply import Reply
from empath.modules.periodic import Rounds
from empath.modules.threads import Workers


@attrs.define(slots=True, eq=False)
class Surroundings:
    """
    Who works with modules; see IServices for what most of it means.

    `counts` finds the ModuleCounts of a module by its name. `storages` has `of`, which does the same for its IStorage,
    and `open` and `close`. `workers` makes its threads. `reactor` connects, and is the clock. `routed` tells whether
    mail can be redirected to a name. `domains` may be replaced.
    """

    hostname: str
    reactor: Any
    chance: random.Random
    domains: frozenset[str]
    folder: Path
    counts: Callable[[str], Any]
    storages: Any
    lookup: Callable[[str, str], Answer | Awaitable[Answer]]
    verify: Callable[[Address], Awaitable[Reply]]
    workers: Callable[[str, Any], Workers] = Workers
    routed: Callable[[str], bool] = bool

    @property
    def clock(self) -> IReactorTime:
        """
        The reactor, for its time.
        """
        return self.reactor  # type: ignore[no-any-return]


@implementer(IServices)
class Services:
    """
    The services of one module, until `stop`.
    """

    def __init__(self, module: str, around: Surroundings) -> None:
        self.hostname = around.hostname
        self.clock = around.clock
        self.chance = around.chance
        self.folder = around.folder
        self.storage: IStorage = around.storages.of(module)
        self._module = module
        self._around = around
        self._counts = around.counts(module)
        self._rounds: list[Rounds] = []
        self._workers: Workers | None = None
        self._stopped = False

    @property
    def domains(self) -> frozenset[str]:
        """
        See `IServices.domains`.
        """
        return self._around.domains

    def lookup(self, name: str, rdtype: str) -> Answer | Awaitable[Answer]:
        """
        See `IServices.lookup`.
        """
        return self._around.lookup(name, rdtype)

    def verify(self, address: Address) -> Awaitable[Reply]:
        """
        See `IServices.verify`.
        """
        return self._around.verify(address)

    def in_thread(self, call: Callable[[], Any]) -> Deferred[Any]:
        """
        See `IServices.in_thread`; the threads are begun when the first call comes.
        """
        if self._workers is None:
            if self._stopped:
                return fail(ModuleError(f"module {self._module} has been stopped"))
            self._workers = self._around.workers(self._module, self._around.reactor)
        return self._workers.run(call)

    def connect(self, endpoint: str, factory: Any) -> Deferred[Any]:
        """
        See `IServices.connect`.
        """
        connecting: Deferred[Any] = clientFromString(self._around.reactor, endpoint).connect(factory)
        return connecting

    def every(self, seconds: float, call: Callable[[], object]) -> None:
        """
        See `IServices.every`.
        """
        if not self._stopped:
            self._rounds.append(Rounds(self._module, seconds, call, self.clock))

    def count(self, event: str, amount: int = 1) -> None:
        """
        See `IServices.count`.
        """
        self._counts.event(event, amount)

    def local(self, address: Address) -> bool:
        """
        See `IServices.local`.
        """
        return address.domain in self.domains

    @property
    def load(self) -> tuple[int, int, int] | None:
        """
        How busy its threads are, see `Workers.load`; None before the first is needed.
        """
        return None if self._workers is None else self._workers.load

    def stop_rounds(self) -> None:
        """
        Call nothing any more that is called now and then.
        """
        self._stopped = True
        for rounds in self._rounds:
            rounds.stop()

    async def stop(self) -> None:
        """
        Let go of everything, the threads last.
        """
        self.stop_rounds()
        if self._workers is not None:
            await self._workers.stop()
