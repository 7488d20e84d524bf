"""
Deliveries of one step, where their message is traced: into folders, to nowhere, by agents of others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import MappingProxyType
from typing import Final

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime

from empath.deliver.traced import CUT_SHORT, told
from empath.mail.outcome import Outcome, Success
from empath.mail.step import Steps
from empath.policy.route import Route
from empath.smtp.masking import printable

OF_MANY: Final = frozenset({"smtp", "lmtp", "webhook"})  # they write down their steps themselves
_NAMES: Final = MappingProxyType(dict.fromkeys(("maildir", "file", "discard"), "write"))

FAILED: Final = "the agent failed"

Deliver = Callable[[], Awaitable[tuple[Outcome, ...]]]


async def in_one_step(steps: Steps, clock: IReactorTime, route: Route, deliver: Deliver) -> tuple[Outcome, ...]:
    """
    Have something delivered by a route, as one step: "write", or "agent" for what we know no more of.
    """
    step = steps.begin(_NAMES.get(route.strategy, "agent"), clock.seconds())
    step.facts["empath.strategy"] = printable(route.strategy)
    if route.path:
        step.facts["file.directory"] = printable(route.path)
    step.trouble = FAILED
    try:
        outcomes = await deliver()
        step.trouble = next((told(each) for each in outcomes if not isinstance(each, Success)), "")
    except CancelledError:
        step.trouble = CUT_SHORT
        raise
    finally:
        step.ended = clock.seconds()
    return outcomes
