"""
The pages for people: `/`, what it listens to, and the same for scripts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred

from empath.observe.status.broadcast import Broadcast
from empath.observe.status.shell import make_shell
from empath.observe.web.page import JSON, Asked, Feed, Page, Pages, Stream

_EVENTS: Final = "text/event-stream; charset=utf-8"


def shell_pages() -> Pages:
    """
    Make `/`, which tells nothing of the service.
    """
    shell = make_shell()
    return {b"/": lambda asked: shell}


def figures_pages(broadcast: Broadcast) -> Pages:
    """
    Make `/status/events`, server-sent events, and `/status.json`, all of it once.
    """

    def begin(feed: Feed) -> Callable[[], object]:
        return broadcast.watch(feed.write)

    events = Stream(_EVENTS, begin, {"x-accel-buffering": "no"})  # nginx holds back what it proxies otherwise

    def once(asked: Asked) -> Deferred[Page]:
        return broadcast.whole().addCallback(_page)

    return {b"/status/events": lambda asked: events, b"/status.json": once}


def _page(whole: dict[str, Any]) -> Page:
    return Page(200, JSON, json.dumps(whole).encode() + b"\n")
