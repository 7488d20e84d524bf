"""
Where a signal goes, and who we say we are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import attrs

Signal = Literal["traces", "metrics", "logs"]


@attrs.frozen(slots=True)
class Destination:
    """
    The collector at `endpoint` ("http://localhost:4318"), and the `headers` of each request to it, some of them secret;
    `hostname` is what we are called.
    """

    endpoint: str
    headers: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    hostname: str

    def url(self, signal: Signal) -> str:
        """
        Tell where this signal goes.
        """
        return f"{self.endpoint.rstrip('/')}/v1/{signal}"


class Late:
    """
    What is made by `make` when somebody says so, or at the first call, in the thread that calls it: reading
    OpenTelemetry's modules takes a third of a second.
    """

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], Callable[..., Any]]) -> None:
        self._make = make
        self._made: Callable[..., Any] | None = None

    def make(self) -> Callable[..., Any]:
        """
        Make it, unless that is done.
        """
        if self._made is None:
            self._made = self._make()
        return self._made

    def __call__(self, *arguments: Any) -> Any:
        """
        Call what was made.
        """
        return self.make()(*arguments)
