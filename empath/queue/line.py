"""
Lines and gates: where entries wait, one line for each destination, and one gate for each site that they lead to.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import attrs

from empath.policy.hold import Why
from empath.policy.rate import Bucket
from empath.policy.site import Limits, Site

if TYPE_CHECKING:
    from empath.queue.waiting import Waiting


@attrs.define(slots=True, eq=False)
class Line:
    """
    One destination's entries. `waiting` are those that are ready, `entries` counts all in the window.

    `queued`: it is in turn, parked at its gate, or its own rate (`bucket`) holds it `until` then. `debt` is what it
    started beyond its turns. `why` is what held its first entry, since it last started one, and `since` when a limit
    began to. `looked` is when its gate was looked up.
    """

    domain: str
    gate: Gate
    bucket: Bucket | None = None
    waiting: Waiting = attrs.field(factory=deque)
    entries: int = 0
    queued: bool = False
    until: float = 0.0
    debt: float = 0.0
    why: Why | None = None
    since: float = 0.0
    looked: float = 0.0


@attrs.define(slots=True, eq=False)
class Gate:
    """
    What all lines to one site go through. `known` is False while the site of its only line is looked up.

    `domains` are the destinations that lead here, as far as is known, and `limits` what they allow (None: as all);
    `lines` are those that have a line, `entries` count what they have in the window. `overflow` is how many there were
    when mail was left in the spool for lack of room, 0 if none was. `troubled`: whether the site failed last time, None
    if nothing is known. `shut`: its breaker is not closed, so that little of its mail is kept in the window.

    `parked` are the lines that wait for the site, in their order; `called` is the one of them that was sent to try.
    `why` is what held the last one, `until` when the next one is called. `hastened` is when its mail became due since
    it had recovered, `patience` for how many seconds that is enough.
    """

    site: Site
    known: bool = True
    domains: dict[str, None] = attrs.field(factory=dict)
    limits: Limits | None = None
    lines: dict[str, Line] = attrs.field(factory=dict)
    entries: int = 0
    overflow: int = 0
    troubled: bool | None = None
    shut: bool = False
    parked: deque[Line] = attrs.field(factory=deque)
    called: Line | None = None
    why: Why | None = None
    until: float = 0.0
    hastened: float = 0.0
    patience: float = 0.0
