"""
What all guards of one module share.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from empath.modules.breaker import Breaker
from empath.modules.waiting import Wait


class HookCounts(Protocol):
    """
    Counts the calls of one hook; the providers are in `observe`. Calls of less than 0.1 ms are added to `quick`, and
    their seconds to `quick_seconds`, the others are told by `observe`.
    """

    quick: int
    quick_seconds: float

    def observe(self, seconds: float) -> None:
        """
        Count a call by how long it took.
        """

    def failed(self) -> None:
        """
        Count a failure.
        """

    def decided(self, verdict: str) -> None:
        """
        Count an opinion.
        """


class ModuleCounts(Protocol):
    """
    Counts for one module. `breaker` is called for the state of its breaker.
    """

    breaker: Callable[[], int]

    def hook(self, name: str) -> HookCounts:
        """
        Find the counts of a hook.
        """

    def event(self, name: str, amount: int = 1) -> None:
        """
        Add to a count of the module's own.
        """


@attrs.frozen(slots=True, eq=False)
class Watch:
    """
    One module under watch. `in_thread` runs a call in a thread of the module's; `timeout` and `data_timeout` are the
    time for what it awaits, in seconds; `ignore`: when it fails it has no opinion, instead of a 451. `routed` tells
    whether mail can be redirected to a name.

    `waits` are what it makes sessions wait for now.
    """

    name: str
    clock: IReactorTime
    breaker: Breaker
    counts: Any  # ModuleCounts; mypy takes the attributes of another room's class for no match
    in_thread: Callable[[Callable[[], Any]], Deferred[Any]]
    timeout: float = 5.0
    data_timeout: float = 60.0
    ignore: bool = False
    shadow: bool = False
    routed: Callable[[str], bool] = bool
    waits: set[Wait] = attrs.field(factory=set)
