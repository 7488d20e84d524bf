"""
A span as we know it, before it is OpenTelemetry's: made only once it is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import attrs

from empath.mail.step import Fact
from empath.mail.trace_context import TraceContext

Kind = Literal["internal", "server", "client", "producer", "consumer"]


@attrs.frozen(slots=True)
class Event:
    """
    Something at one moment of a span; `time` is in seconds since the epoch.
    """

    time: float
    name: str
    attributes: Mapping[str, Fact]


@attrs.frozen(slots=True)
class Span:
    """
    `context` is its own, `parent` the id of the span above it ("" for none); times are in seconds since the epoch.
    `links` are spans of other traces that it has to do with. `trouble` is why it failed, "" if it did not.
    """

    context: TraceContext
    parent: str
    name: str
    kind: Kind
    started: float
    ended: float
    attributes: Mapping[str, Fact]
    events: tuple[Event, ...] = ()
    links: tuple[TraceContext, ...] = ()
    trouble: str = ""


Make = Callable[[], Iterable[Span]]
"""
Makes some spans of what it holds; it is called in a thread, so that the reactor pays for no more than holding it.
"""

Add = Callable[[Make, int], None]
"""
Takes in what makes spans, and about how many octets of memory that takes until they are made.
"""
