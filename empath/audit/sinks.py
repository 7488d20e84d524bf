"""
Where records go beside the file, each as it can: what is not taken in time is counted, and stands in the file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from empath.config.schema import Audit


class Sink(Protocol):
    """
    One other place. `lost` counts what it did not get.
    """

    lost: int

    def send(self, lines: list[bytes]) -> None:
        """
        Take records soon.
        """

    def start(self) -> None:
        """
        Begin to send.
        """

    async def stop(self) -> None:
        """
        Send what waits, within a bound.
        """


class Sinks:
    """
    All other places that [audit] names.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._sinks: tuple[Sink, ...] = ()
        self._lost = 0
        self.resolver: Any = None

    @property
    def wanted(self) -> bool:
        """
        Whether there are any.
        """
        return bool(self._sinks)

    @property
    def lost(self) -> int:
        """
        How many records they did not get.
        """
        return self._lost + sum(sink.lost for sink in self._sinks)

    def prepare(self, section: Audit) -> Callable[[], None]:
        """
        Give what has these used. ValueError for one that cannot be.
        """
        return lambda: None

    def send(self, lines: list[bytes]) -> None:
        """
        Have all take records.
        """
        for sink in self._sinks:
            sink.send(lines)

    def start(self) -> None:
        """
        Begin to send.
        """
        for sink in self._sinks:
            sink.start()

    async def stop(self) -> None:
        """
        Send what waits.
        """
        for sink in self._sinks:
            await sink.stop()
