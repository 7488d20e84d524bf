"""
What a shell offers that only the MTA knows: destinations, queue ids, senders. Whoever presses the tab key waits for it,
so it is asked for briefly, and nothing is offered where there is no answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, TypeVar

import attrs
import click

from empath.control.terms.asking import Ask
from empath.control.terms.managing import GetQueueStats
from empath.control.terms.queue import Filter, ListQueue
from empath.ctl.tool import Tool
from empath.errors import EmpathError

A = TypeVar("A")

PATIENCE: Final = 0.5  # seconds
MOST: Final = 200  # deliveries or destinations that are looked at
_PLAIN: Final = re.compile(r"[\w.@:+=/-]+", re.ASCII)  # what no shell takes for anything else


def destinations(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """
    Offer the destinations with the most mail.
    """
    answer = _asked(ctx, GetQueueStats(MOST))
    return [] if answer is None else _fitting((row.domain for row in answer.destinations), incomplete)


def queue_ids(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """
    Offer the oldest messages.
    """
    page = _asked(ctx, ListQueue(Filter(all=True), MOST))
    return [] if page is None else _fitting((item.queue_id for item in page.items), incomplete.upper())


def senders(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """
    Offer the senders of the oldest messages.
    """
    page = _asked(ctx, ListQueue(Filter(all=True), MOST))
    return [] if page is None else _fitting((item.sender for item in page.items), incomplete)


def _asked(ctx: click.Context, request: Ask[A]) -> A | None:
    tool = ctx.find_object(Tool)
    if tool is None:
        return None
    tool.given = attrs.evolve(tool.given, timeout=PATIENCE)
    try:
        return tool.ask(request)
    except EmpathError:
        return None
    finally:
        tool.close()


def _fitting(values: Iterable[str], incomplete: str) -> list[str]:
    """
    Give those that begin so, each once; what a peer wrote so that it would mean something to a shell is left out.
    """
    return [value for value in dict.fromkeys(values) if value.startswith(incomplete) and _PLAIN.fullmatch(value)]
