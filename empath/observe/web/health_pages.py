"""
The pages for programs that watch over the service: `/health/live`, `/health/ready` and `/health/detailed`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import attrs
from twisted.internet.defer import Deferred

from empath.observe.health import Findings, Readiness
from empath.observe.web.page import JSON, TEXT, Asked, Page, Pages


def health_pages(readiness: Readiness) -> Pages:
    """
    Make `/health/live`, `/health/ready`, and `/health`, which is the first of them.
    """
    alive = Page(200, TEXT, b"OK")

    def live(asked: Asked) -> Page:
        return alive

    def ready(asked: Asked) -> Deferred[Page]:
        return readiness.look().addCallback(_readiness_page)

    return {b"/health": live, b"/health/live": live, b"/health/ready": ready}


@attrs.frozen(slots=True)
class Details:
    """
    How things stand, beyond readiness; the fields are JSON keys, as those of `Findings` before them. Durations are in
    seconds, rooms in bytes.

    `queue` has the deliveries by status, `oldest_seconds` the age of the oldest live message (None without one), as
    last counted. `success_rate` is that of the last 5 minutes, 0 if nothing was attempted. `breakers_open` are some of
    the `breakers_open_count` sites that are left alone. `resolver_latency_seconds` is how long the latest answer took
    to the question whether a name server is there.
    """

    version: str
    hostname: str
    pid: int
    uptime_seconds: float
    listeners: Mapping[str, bool]
    sessions: int
    attempts: int
    queue: Mapping[str, int]
    oldest_seconds: float | None
    success_rate: float
    breakers_open: tuple[str, ...]
    breakers_open_count: int
    disk_free: int
    disk_min_free: int
    resolver_latency_seconds: float | None
    loop_latency_seconds: float


def detailed_page(readiness: Readiness, details: Callable[[], Details]) -> Pages:
    """
    Make `/health/detailed`, which is told whether we are ready or not.
    """

    def page(found: Findings) -> Page:
        facts = {**attrs.asdict(found), "not_ready": found.wanting, **attrs.asdict(details())}
        return Page(200, JSON, json.dumps(facts).encode() + b"\n")

    return {b"/health/detailed": lambda asked: readiness.look().addCallback(page)}


def _readiness_page(found: Findings) -> Page:
    if found.ready:
        return Page(200, TEXT, b"OK")
    return Page(503, JSON, json.dumps(attrs.asdict(found)).encode() + b"\n")
