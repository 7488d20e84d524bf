"""
`queue explain`: a message's whole life and its next step, as a story on one screen.

First what it is and what it waits for, then how it came and who judged it; for each destination its recipients, the
attempts so far, what holds it, and where it goes next. Of a message that is gone the audit trail tells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from empath.control.terms.explaining import Explanation, HoldRow, HostRow, NextStep
from empath.control.terms.queue import DeliveryView, MessageView
from empath.ctl import pieces
from empath.ctl.auditing import told
from empath.ctl.colours import joined, plain, reply, state
from empath.ctl.pieces import indented, labelled
from empath.ctl.wording import Times, some

_LONGEST: Final = 300  # characters of a header field
_ENDS: Final = MappingProxyType(
    {
        "slots": "until one of them ends",
        "connections": "until one of them ends",
        "shaped": "until one of them ends",
        "breaker": "until one of them ends",
        "frozen": "until queue unfreeze",
        "held": "until queue release",
        "spool": "until it does",
    }
)


def explained(explanation: Explanation, times: Times) -> RenderableType:
    """
    Tell the whole story.
    """
    message = explanation.message
    if message is None:
        return _gone(explanation, times)
    steps = {step.domain: step for step in explanation.steps}
    chosen = _chosen(message, steps)
    ways = [_way(delivery, steps.get(delivery.domain), times) for delivery in chosen]
    told_of = [steps[delivery.domain] for delivery in chosen if delivery.domain in steps]
    parts: list[RenderableType] = [pieces.headline(message, times), *_summaries(told_of), ""]
    parts.append(labelled(_reception(message, explanation)))
    for way in ways:
        parts += ["", way]
    parts += pieces.more_of(len(message.deliveries) - len(chosen) + message.more_deliveries)
    if explanation.audit:
        parts += ["", Text("Audit", "bold"), indented(told(explanation.audit, times))]
    return Group(*parts)


def _gone(explanation: Explanation, times: Times) -> RenderableType:
    where = Text.assemble(plain(explanation.queue_id, "bold"), " is not in the queue any more. ")
    if not explanation.audit:
        return where.append("The audit trail, as far as it is kept, does not tell of it.")
    return Group(where.append("The audit trail tells:"), "", told(explanation.audit, times))


def _chosen(message: MessageView, steps: Mapping[str, NextStep]) -> Sequence[DeliveryView]:
    """
    Of very many destinations take some, those first to which mail is still to go.
    """
    if len(message.deliveries) <= pieces.MOST:
        return message.deliveries
    ended = {domain for domain, step in steps.items() if step.state == "ended"}
    return sorted(message.deliveries, key=lambda each: each.domain in ended)[: pieces.MOST]


def _summaries(steps: Sequence[NextStep]) -> Iterator[RenderableType]:
    for step in steps:
        summary = joined(
            Text.assemble(plain(step.domain, "bold"), ": ", state(step.state)), plain(step.summary), by=", "
        )
        yield indented(summary)


def _reception(message: MessageView, explanation: Explanation) -> Iterator[tuple[str, RenderableType]]:
    yield "Came", pieces.arrival(message.arrival)
    if message.parameters:
        yield "With", plain(" ".join(f"{key}={value}" if value else key for key, value in message.parameters.items()))
    for name, value in message.headers:
        if name.lower() in {"subject", "message-id"}:
            yield (
                name.capitalize() if name.islower() else name,
                plain(value if len(value) <= _LONGEST else f"{value[:_LONGEST]} …"),
            )
    yield "Judged", pieces.decisions(explanation.decisions) if explanation.decisions else plain("by no module", "dim")
    if message.metadata:
        yield "Metadata", plain(", ".join(f"{key}: {value}" for key, value in message.metadata.items()))
    if message.priority:
        yield "Priority", plain(str(message.priority))
    if explanation.trace:
        yield "Trace", plain(explanation.trace)


def _way(delivery: DeliveryView, step: NextStep | None, times: Times) -> RenderableType:
    title = Text.assemble("To ", plain(delivery.domain, "bold"), ": ", state(delivery.status))
    title.append(f" after {some(delivery.attempts, 'attempt')}")
    return Group(title, indented(labelled(_parts_of(delivery, step, times))))


def _parts_of(delivery: DeliveryView, step: NextStep | None, times: Times) -> Iterator[tuple[str, RenderableType]]:
    yield "For", pieces.recipients(delivery.recipients, delivery.more_recipients)
    if delivery.history:
        yield "Tried", pieces.attempts(delivery.history, times)
    elif delivery.last_error:
        yield "Tried", reply(delivery.last_error)
    if delivery.held_since is not None:
        yield "Held", Text(f"since {times.both(delivery.held_since)}", "magenta")
    if step is not None:
        yield from _future(step, times)


def _future(step: NextStep, times: Times) -> Iterator[tuple[str, RenderableType]]:
    if step.hold is not None and step.hold.why != "time":  # else it is told by when it is attempted
        yield "Waits", _held(step.hold, times)
    if step.state == "ended":
        return
    if step.next_attempt is not None and step.state == "waiting":
        due = step.next_attempt <= times.now
        yield (
            "Next",
            Text(f"due since {times.both(step.next_attempt)}" if due else f"due {times.both(step.next_attempt)}"),
        )
    by = joined(plain(f"site {step.site}" if step.site else ""), plain(f"by {step.strategy}" if step.strategy else ""))
    yield "Goes to", Group(by, *_hosts(step.hosts)) if len(by) else Group(*_hosts(step.hosts))
    yield "Expires", Text(times.both(step.expires) if step.expires is not None else "not as long as this lasts")


def _held(hold: HoldRow, times: Times) -> Text:
    until = _ENDS.get(hold.why, "") if hold.until is None else f"not before {times.both(hold.until)}"
    return joined(Text.assemble(plain(hold.why, "bold yellow"), ": ", plain(hold.detail)), until)


def _hosts(hosts: tuple[HostRow, ...]) -> Iterator[RenderableType]:
    for place, host in enumerate(hosts, 1):
        preference = "" if host.preference is None else f"preference {host.preference}"
        demanded = f"TLS {host.tls}" + (f" ({host.demanded_by})" if host.demanded_by else "") if host.tls else ""
        yield joined(
            plain(f"{place}. {host.host}:{host.port}"),
            plain(preference, "dim"),
            plain(demanded),
            plain(" ".join(host.addresses), "dim"),
            plain(host.trouble, "red"),
        )
