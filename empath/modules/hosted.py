"""
One module in its place: made, watched, started, asked, told, and stopped.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from empath.errors import ModuleError
from empath.modules.breaker import Breaker
from empath.modules.listening import Listener
from empath.modules.loading import LoadedModule
from empath.modules.row import guard_of
from empath.modules.services import Services, Surroundings
from empath.modules.shadow import ShadowGuard, Shadows
from empath.modules.verifying import AUTHORS, LISTENERS, VALIDATORS, hooks_of
from empath.modules.waiting import LATE, Wait
from empath.modules.watch import Watch
from empath.modules.writing import Author

START_BOUND: Final = 30.0  # seconds for what a module's start awaits
STOP_BOUND: Final = 5.0  # and its stop
LAST_EVENTS: Final = 2.0  # seconds that its listeners get for what they were told last

log = Logger()


class Checks:
    """
    The guarded hooks of a module, as the chain asks them: an attribute for each that there is.
    """

    def __init__(self, guards: dict[str, Callable[..., Any]]) -> None:
        self.__dict__.update(guards)


class Hosted:
    """
    A module, with what surrounds it. `checks` is asked, `listener` told, `author` (None: it is none) writes reports.
    """

    def __init__(self, loaded: LoadedModule, around: Surroundings) -> None:
        section, name = loaded.section, loaded.name
        self.loaded = loaded
        self.name = name
        self.services = Services(name, around)
        self._runs = False
        breaker = Breaker(name, section.failure_threshold, section.retry_after, around.clock)
        counts = around.counts(name)
        counts.breaker = lambda: breaker.state
        self._clock = around.clock
        self.watch = Watch(
            name,
            around.clock,
            breaker,
            counts,
            self.services.in_thread,
            section.timeout,
            section.data_timeout,
            section.on_error == "ignore",
            section.mode == "shadow",
            around.routed,
        )
        shadows = Shadows() if self.watch.shadow else None
        self.checks = Checks(self._guards(shadows))
        self.listener = Listener(self.watch, hooks_of(loaded.module, LISTENERS), shadows)
        self.author = self._author()

    def _guards(self, shadows: Shadows | None) -> dict[str, Callable[..., Any]]:
        guards = {
            hook: guard_of(self.watch, hook, ask) for hook, ask in hooks_of(self.loaded.module, VALIDATORS).items()
        }
        if shadows is None:
            return {**guards}
        return {hook: ShadowGuard(self.name, guard, shadows) for hook, guard in guards.items()}

    def _author(self) -> Author | None:
        write = hooks_of(self.loaded.module, AUTHORS).get("report_text")
        return None if write is None else Author(self.watch, write)

    def start(self) -> Deferred[None] | None:
        """
        Start it. None: done; else the Deferred fires when it is, within 30 s. ModuleError (raised, or fired): it does
        not start.
        """
        begin = getattr(self.loaded.module, "start", None)
        try:
            answer = None if begin is None else begin(self.services)
        except BaseException as error:  # SystemExit is no way out for a module
            raise self._unstarted(error) from error
        if isinstance(answer, Awaitable):
            return Deferred.fromCoroutine(self._started(answer))
        self._runs = True
        return None

    async def _started(self, answer: Awaitable[None]) -> None:
        came = await within(answer, START_BOUND, self._clock)
        if came is LATE:
            raise ModuleError(f"module {self.name}: start: not done within {START_BOUND:g} s")
        if isinstance(came, Failure):
            raise self._unstarted(came.value) from came.value
        self._runs = True

    def _unstarted(self, error: BaseException | None) -> ModuleError:
        told = "; ".join(" ".join(line.split()) for line in str(error).splitlines() if line.strip())
        if not isinstance(error, (ValueError, OSError, ModuleError)):  # a bug: its place helps
            log.emit(
                LogLevel.error,
                "module {module}: its start failed",
                module=self.name,
                log_failure=Failure(error) if error is not None else Failure(ModuleError("unknown")),
            )
            told = f"{type(error).__name__}: {told}"
        return ModuleError(f"module {self.name}: start: {told or type(error).__name__}")

    async def quiet(self) -> None:
        """
        Begin nothing any more, and give what its listeners began a little time.
        """
        self.services.stop_rounds()
        await self.listener.stop(LAST_EVENTS)

    async def stop(self, bound: float = STOP_BOUND) -> None:
        """
        Stop it, once, if it did start; what it awaits gets `bound` seconds. Never fails.
        """
        for wait in tuple(self.watch.waits):
            wait.give_up()
        end = getattr(self.loaded.module, "stop", None)
        if end is None or not self._runs:
            return
        self._runs = False
        try:
            answer = end()
        except BaseException:  # SystemExit is no way out for a module
            answer = Failure()
        came = await within(answer, bound, self._clock) if isinstance(answer, Awaitable) else answer
        if came is LATE:
            log.warn("module {module}: stop: not done within {bound:g} s", module=self.name, bound=bound)
        elif isinstance(came, Failure):
            log.emit(LogLevel.error, "module {module}: stop failed", module=self.name, log_failure=came)

    async def let_go(self) -> None:
        """
        Let go of what it had, its threads last.
        """
        await self.services.stop()


async def within(answer: Awaitable[Any], bound: float, clock: IReactorTime) -> Any:
    """
    Wait so many seconds: gives the result, a Failure, or LATE.
    """
    told: Deferred[list[Any]] = Deferred(lambda _: wait.let_go())
    wait = Wait(bound, clock, lambda came: told.callback([came]))
    wait.begin(answer)
    return (await told)[0]
