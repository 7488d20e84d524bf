"""
Which log level holds for whom.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

LEVELS: Final = ("debug", "info", "warn", "error", "critical")
_MOST_KNOWN: Final = 1000


class Levels:
    """
    The lowest level that is written: `level`, but for the namespaces in `differing` and all below them another one.
    """

    __slots__ = ("_known", "differing", "level")

    def __init__(self, level: str, differing: Mapping[str, str] | None = None) -> None:
        """
        ValueError for a level that is not one of LEVELS.
        """
        self.level = level
        self.differing = dict(differing or {})
        self._known: dict[tuple[str, str], bool] = {}
        for each in (level, *self.differing.values()):
            LEVELS.index(each)

    def of(self, namespace: str) -> str:
        """
        Tell the level of a namespace: that of the longest name that it is, or is below of.
        """
        if self.differing:
            name = namespace
            while name:
                if name in self.differing:
                    return self.differing[name]
                name = name.rpartition(".")[0]
        return self.level

    def shows(self, level: str, namespace: str = "") -> bool:
        """
        Tell whether something of `level` is written where `namespace` says it: cheap, to ask on busy paths.
        """
        known = self._known.get((level, namespace))
        if known is None:
            known = LEVELS.index(level) >= LEVELS.index(self.of(namespace))
            if len(self._known) < _MOST_KNOWN:
                self._known[level, namespace] = known
        return known
