"""
The pages for those who watch over the service: `/health/live`, `/health/ready` and `/health/detailed`.
"""

from __future__ import annotations

import json

import attrs
from twisted.internet.defer import Deferred

from empath.observe.health import Findings, Readiness
from empath.observe.page import JSON, TEXT, Asked, Page, Pages


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


def _readiness_page(found: Findings) -> Page:
    if found.ready:
        return Page(200, TEXT, b"OK")
    return Page(503, JSON, json.dumps(attrs.asdict(found)).encode() + b"\n")
