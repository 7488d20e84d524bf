"""
A request to a hook as one step, where its message is traced. Of the URL only where it leads is told: the rest may be a
secret.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.interfaces import IReactorTime

from empath.deliver.propagated import baggage_of, context_of
from empath.deliver.traced import CUT_SHORT, told
from empath.mail.attempt import Attempt
from empath.mail.message import Delivery, Message
from empath.mail.outcome import Outcome, Success
from empath.mail.step import Steps
from empath.net.web_answer import WebAnswer
from empath.net.web_pool import PORTS

Told = tuple[WebAnswer | None, tuple[Outcome, ...]]


async def in_http_step(steps: Steps, clock: IReactorTime, url: str, posting: Coroutine[Any, Any, Told]) -> Told:
    """
    Post as one step, from the connecting to the answer.
    """
    parts = urlsplit(url)
    step = steps.begin("http", clock.seconds(), **{"http.request.method": "POST", "url.scheme": parts.scheme})
    step.facts |= {"server.address": parts.hostname or "", "server.port": parts.port or PORTS[parts.scheme]}
    step.trouble = CUT_SHORT
    try:
        answer, outcomes = await posting
        step.trouble = next((told(each) for each in outcomes if not isinstance(each, Success)), "")
    finally:
        step.ended = clock.seconds()
    if answer is not None and answer.address:
        step.facts["network.peer.address"] = answer.address
    if answer is not None and answer.code:
        step.facts["http.response.status_code"] = answer.code
    return answer, outcomes


def trace_fields(
    message: Message, delivery: Delivery, attempt: Attempt, written: Iterable[tuple[str, str]]
) -> list[tuple[str, str]]:
    """
    Give the header fields that tell of a message's trace, but for those that the operator has `written` there.
    """
    context = context_of(message, delivery, attempt)
    if context is None:
        return []
    names = {name.lower() for name, _ in written}
    fields = [("traceparent", str(context)), ("baggage", baggage_of(message))]
    return [field for field in fields if field[0] not in names]
