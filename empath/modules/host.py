"""
All modules of a service: built, started, put into the chain and among the listeners, replaced, and stopped.

Fatal at the start: a module that cannot be made (ConfigError), or does not start (ModuleError). When modules are
replaced the same refuses the change (ConfigError) as far as it shows at once; a start that takes its time and then
fails is logged. Either way the modules stay those that there were.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from math import inf
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from empath.config.schema import Module
from empath.errors import ConfigError, EmpathError, ModuleError
from empath.interfaces import IComponent
from empath.modules.chain import Chain
from empath.modules.hosted import Hosted
from empath.modules.lifecycle import all_started, start_all, stop_all
from empath.modules.listening import Listeners, Subscribe
from empath.modules.loading import LoadedModule, load_modules
from empath.modules.services import Surroundings
from empath.modules.writing import Authors

GRACE: Final = 60.0  # seconds for transactions that began with modules which have been replaced
LOOK_INTERVAL: Final = 1.0  # seconds between two looks whether they are over

Sections = Sequence[tuple[str, Module]]
"""
What is configured, each section with its place in the file.
"""

log = Logger()


@implementer(IComponent)
class Modules:
    """
    The modules that `sections` describe; those `present` are made already for their sections. `decisions` asks `core`,
    then the modules; `subscribe` tells of life events; `authors` write for us. `sections` are those in force,
    while others may still start.

    `oldest_transaction` tells when the oldest transaction began that is under way, infinity without one.
    """

    def __init__(
        self,
        sections: Sections,
        around: Surroundings,
        subscribe: Subscribe,
        core: Iterable[object] = (),
        present: Sequence[LoadedModule] = (),
        oldest_transaction: Callable[[], float] = lambda: inf,
    ) -> None:
        self._around = around
        self._core = tuple(core)
        self._oldest = oldest_transaction
        self._listeners = Listeners(subscribe)
        self.authors = Authors()
        self._hosted = tuple(Hosted(loaded, around) for loaded in load_modules(sections, present))
        self.sections = tuple(sections)
        self._trouble = ""
        self._replacing: Deferred[None] | None = None
        self._next: Sections | None = None
        self._starting: Deferred[None] | None = None
        self._retiring: set[Deferred[None]] = set()
        self._pauses: set[Deferred[None]] = set()
        self._stopped = False
        self.decisions = Chain(self._checks(self._hosted))

    @property
    def names(self) -> tuple[str, ...]:
        """
        What the modules are called, in their order.
        """
        return tuple(hosted.name for hosted in self._hosted)

    def loads(self) -> Iterator[tuple[str, tuple[int, int, int]]]:
        """
        Tell how busy the threads of each module are that needs any, see `Workers.load`.
        """
        for each in self._hosted:
            if (load := each.services.load) is not None:
                yield each.name, load

    @property
    def trouble(self) -> str:
        """
        Why other modules are in force than those that were asked for last, "" if they are not.
        """
        if self._replacing is not None:
            return f"modules that take the places of others are still starting; in force: {self._in_force}"
        return self._trouble and f"{self._trouble}; still in force: {self._in_force}"

    @property
    def _in_force(self) -> str:
        return ", ".join(self.names) or "no module"

    def start(self) -> Awaitable[None] | None:
        """
        Start all modules; ModuleError, raised or fired, if one of them does not start. Until then who connects waits.
        """
        try:
            waiting = start_all(self._hosted)
        except EmpathError:
            self._retire(stop_all(self._hosted, self._around.clock))
            raise
        if not waiting:
            self._begin()
            return None
        self.decisions.hold()
        starting = Deferred.fromCoroutine(self._begin_later(waiting))
        if not starting.called:
            self._starting = starting
            return starting
        if isinstance(starting.result, Failure):
            error = starting.result.value
            starting.addErrback(lambda _: None)
            self._retire(stop_all(self._hosted, self._around.clock))
            raise error or ModuleError("modules did not start")
        return None

    def use_domains(self, domains: frozenset[str]) -> frozenset[str]:
        """
        Have these be our domains, for all modules that ask; tells what were before.
        """
        before, self._around.domains = self._around.domains, domains
        return before

    def reconfigure(self, section: object) -> None:
        """
        Use other sections (as `Sections`). ConfigError, and nothing is changed, if one of them makes no module, or one
        that does not start.

        Starts may take their time: the new modules take their places once all have, and then those are stopped that
        they replace. A module whose section is the same stays as it is.
        """
        if not isinstance(section, (list, tuple)):
            raise TypeError(f"no sections of modules: {section!r}")
        if self._stopped:
            return
        if self._replacing is not None or self._starting is not None:
            self._next = section
            return
        loaded = load_modules(section, [hosted.loaded for hosted in self._hosted])
        replacing = Deferred.fromCoroutine(self._replace(loaded, section))
        _refuse(replacing, {each.name: place for (place, _), each in zip(section, loaded, strict=True)})
        self._replacing, self._trouble = replacing, ""
        replacing.addErrback(self._not_replaced).addCallback(self._replaced)

    async def stop(self) -> None:
        """
        Stop all modules, the last one first, and let go of everything.
        """
        self._stopped = True
        for each in (self._starting, self._replacing, *self._pauses):
            if each is not None:
                each.cancel()
        await stop_all(self._hosted, self._around.clock)
        self._listeners.use(())
        self.authors.use(())
        for each in (self._replacing, *self._retiring):
            if each is not None:
                await each

    def _checks(self, hosted: Iterable[Hosted]) -> list[object]:
        return [*self._core, *[each.checks for each in hosted]]

    def _begin(self) -> None:
        self._listeners.use(each.listener for each in self._hosted)
        self.authors.use(each.author for each in self._hosted)
        if self._hosted:
            log.info("modules: {names}", names=", ".join(self.names))
        self.decisions.open()

    async def _begin_later(self, waiting: list[Deferred[None]]) -> None:
        try:
            await all_started(waiting)
        finally:
            self._starting = None
        if not self._stopped:
            self._begin()
            self._replaced(None)

    async def _replace(self, loaded: tuple[LoadedModule, ...], sections: Sections) -> None:
        """
        Put the modules of `loaded`, made from `sections`, in the place of those that there are.
        """
        by_loaded = {each.loaded: each for each in self._hosted}
        hosted = tuple(by_loaded.get(each) or Hosted(each, self._around) for each in loaded)
        new = [each for each in hosted if each.loaded not in by_loaded]
        gone = [each for each in self._hosted if each not in hosted]
        try:
            await all_started(start_all(new))
        except BaseException:
            await stop_all(new, self._around.clock)
            raise
        self._hosted, self.sections = hosted, tuple(sections)
        mark = self.decisions.use(self._checks(hosted), self._around.clock.seconds())
        self._listeners.use(each.listener for each in hosted)
        self.authors.use(each.author for each in hosted)
        self._retire(self._retired(gone, mark))
        if new or gone:
            log.info(
                "modules: {names}; new: {new}; gone: {gone}",
                names=", ".join(self.names) or "none",
                new=", ".join(each.name for each in new) or "none",
                gone=", ".join(each.name for each in gone) or "none",
            )

    def _not_replaced(self, failure: Failure) -> None:
        error = failure.value
        self._trouble = f"modules are not replaced: {error}"
        if isinstance(error, EmpathError):
            log.error("modules are not replaced: {reason}", reason=error)
        elif not isinstance(error, CancelledError):
            log.failure("modules are not replaced", failure)

    def _replaced(self, _: None) -> None:
        self._replacing = None
        sections, self._next = self._next, None
        if sections is not None:
            try:
                self.reconfigure(sections)
            except ConfigError as error:
                self._trouble = f"modules are not replaced: {'; '.join(error.problems)}"
                for problem in error.problems:
                    log.error("modules are not replaced: {problem}", problem=problem)

    async def _retired(self, gone: list[Hosted], mark: float) -> None:
        """
        Stop modules that were replaced, once the transactions are over that began with them.
        """
        given = 0.0
        while given < GRACE and (self._remain(mark) or any(each.watch.waits for each in gone)):
            if not await self._pause():
                break
            given += LOOK_INTERVAL
        self.decisions.refuse_before(mark)
        await stop_all(gone, self._around.clock)
        while self._remain(mark) and await self._pause():
            pass
        self.decisions.forget(mark)

    def _remain(self, mark: float) -> bool:
        """
        Tell whether there are transactions that began before; nobody knows once the clock was set back.
        """
        return self._oldest() <= mark <= self._around.clock.seconds()

    async def _pause(self) -> bool:
        """
        Wait a little; tells whether there is time to wait on.
        """
        if self._stopped:
            return False
        pause: Deferred[None] = deferLater(self._around.clock, LOOK_INTERVAL)
        self._pauses.add(pause)
        with contextlib.suppress(CancelledError):
            await pause
        self._pauses.discard(pause)
        return not self._stopped

    def _retire(self, stopping: Coroutine[Deferred[None], Any, None]) -> None:
        """
        Let modules stop in the background; `stop` waits for it.
        """
        ending: Deferred[None] = Deferred.fromCoroutine(stopping)
        self._retiring.add(ending)
        ending.addErrback(lambda failure: log.failure("modules did not stop as they should", failure))
        ending.addCallback(lambda _: self._retiring.discard(ending))


def _refuse(replacing: Deferred[None], places: dict[str, str]) -> None:
    """
    Raise as ConfigError what a module has failed to start with already; `places` are those in the file, by name.
    """
    failure = replacing.result if replacing.called else None
    if isinstance(failure, Failure) and isinstance(failure.value, ModuleError):
        replacing.addErrback(lambda _: None)
        said = str(failure.value)
        place = next((place for name, place in places.items() if said.startswith(f"module {name}: ")), "modules")
        raise ConfigError([f"{place}: {said}"]) from failure.value
