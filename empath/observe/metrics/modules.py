"""
The counts of modules: by module and hook, kept for the life of the process, whichever instance of the module counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from empath.observe.metrics.counts import Histogram, Tally

DURATIONS: Final = (0.0001, 0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0)
MOST_EVENTS: Final = 1000  # names of a module's own events; the rest is "other"
MOST_LABEL: Final = 100  # characters


class HookCounts:
    """
    One hook of one module: how long its calls took, how many failed, and what they said. Who asks adds to `quick` and
    `quick_seconds` the calls that are below the first of DURATIONS: nearly all of them, for the price of an addition.
    """

    __slots__ = ("_durations", "errors", "quick", "quick_seconds", "verdicts")

    def __init__(self) -> None:
        self._durations = Histogram(DURATIONS)
        self.quick = 0
        self.quick_seconds = 0.0
        self.errors = 0
        self.verdicts: dict[str, int] = {}

    @property
    def durations(self) -> Histogram:
        """
        How long all calls took.
        """
        whole = Histogram(DURATIONS)
        whole.counts = list(self._durations.counts)
        whole.counts[0] += self.quick
        whole.total = self._durations.total + self.quick_seconds
        return whole

    def observe(self, seconds: float) -> None:
        """
        Count a call.
        """
        self._durations.observe(seconds)

    def failed(self) -> None:
        """
        Count a failure.
        """
        self.errors += 1

    def decided(self, verdict: str) -> None:
        """
        Count an opinion.
        """
        self.verdicts[verdict] = self.verdicts.get(verdict, 0) + 1


class ModuleCounts:
    """
    One module. `breaker` tells the state of its breaker: 0 closed, 1 open, 2 half-open.
    """

    __slots__ = ("breaker", "events", "hooks")

    def __init__(self) -> None:
        self.hooks: dict[str, HookCounts] = {}
        self.events = Tally(MOST_EVENTS)
        self.breaker: Callable[[], int] = int

    def hook(self, name: str) -> HookCounts:
        """
        Find the counts of a hook.
        """
        return self.hooks.setdefault(name, HookCounts())

    def event(self, name: str, amount: int = 1) -> None:
        """
        Count what the module itself finds worth counting. ValueError and TypeError for what no counter can be added.
        """
        if not isinstance(amount, int):
            raise TypeError(f"the amount is a whole number, not {type(amount).__name__}")
        if amount < 0:
            raise ValueError(f"a counter never falls: {amount}")
        self.events.add(str(name)[:MOST_LABEL].encode("utf-8", "replace").decode(), amount)


class ModulesCounts:
    """
    All modules that there are or were.
    """

    __slots__ = ("by_module",)

    def __init__(self) -> None:
        self.by_module: dict[str, ModuleCounts] = {}

    def of(self, module: str) -> ModuleCounts:
        """
        Find the counts of a module.
        """
        return self.by_module.setdefault(module, ModuleCounts())
