"""
How several modules begin, and end, together.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from empath.errors import ModuleError
from empath.modules.hosted import STOP_BOUND, Hosted

STOP_ALL: Final = 10.0  # seconds for what the stops of all modules await

log = Logger()


def start_all(hosted: Iterable[Hosted]) -> list[Deferred[None]]:
    """
    Start modules in their order; tells for whom to wait. ModuleError if one does not start, and nobody is waited for.
    """
    waiting: list[Deferred[None]] = []
    for each in hosted:
        try:
            begun = each.start()
        except ModuleError:
            _let_go(waiting)
            raise
        if begun is not None:
            waiting.append(begun)
    return waiting


def _let_go(waiting: list[Deferred[None]]) -> None:
    for each in waiting:
        each.addErrback(_nothing).cancel()


async def all_started(waiting: list[Deferred[None]]) -> None:
    """
    Wait for all; the first that fails ends the wait for the others.
    """
    try:
        for each in waiting:
            await each
    except BaseException:
        _let_go(waiting)
        raise


async def stop_all(hosted: Iterable[Hosted], clock: IReactorTime) -> None:
    """
    Let modules hear what they were told last, all at once; then stop them, the last one first, within a bound for all
    of them. Each does what it can.
    """
    stopping = list(hosted)
    await _at_once(stopping, Hosted.quiet)
    until = clock.seconds() + STOP_ALL
    for each in reversed(stopping):
        left = min(STOP_BOUND, max(0.0, until - clock.seconds()))
        await _safely(each, each.stop(left))
    await _at_once(stopping, Hosted.let_go)


async def _at_once(hosted: Iterable[Hosted], do: Callable[[Hosted], Coroutine[Deferred[None], Any, None]]) -> None:
    await gatherResults([Deferred.fromCoroutine(_safely(each, do(each))) for each in hosted])


async def _safely(each: Hosted, doing: Coroutine[Deferred[None], Any, None]) -> None:
    try:
        await doing
    except Exception:
        log.failure("module {module} did not stop as it should", module=each.name)


def _nothing(_: object) -> None:
    return None
