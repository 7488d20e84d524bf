"""
`queue view`: a message as it is stored, for people.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from empath.control.terms.queue import DeliveryView, MessageView
from empath.ctl import pieces
from empath.ctl.colours import plain, reply, state
from empath.ctl.pieces import indented, labelled
from empath.ctl.wording import Times, octets, some


def viewed(message: MessageView, times: Times) -> RenderableType:
    """
    Show the envelope, the state of each recipient, attempts, headers and the beginning of the body.
    """
    parts: list[RenderableType] = [labelled(_envelope(message, times))]
    for delivery in message.deliveries[: pieces.MOST]:
        parts += ["", _delivery(delivery, times)]
    parts += pieces.more_of(len(message.deliveries[pieces.MOST :]) + message.more_deliveries)
    parts += [
        "",
        Text("Headers", "bold"),
        indented(labelled((f"{name}:", plain(value)) for name, value in message.headers)),
    ]
    parts += ["", Text("Body", "bold"), indented(_body(message.body))]
    return Group(*parts)


def _envelope(message: MessageView, times: Times) -> Iterator[tuple[str, RenderableType]]:
    yield "Id", plain(message.queue_id)
    yield "From", plain(f"<{message.sender}>")
    if message.parameters:
        yield "With", plain(" ".join(f"{key}={value}" if value else key for key, value in message.parameters.items()))
    yield "Size", Text(octets(message.size))
    yield "Queued", Text(f"{times.stamp(message.received)}, {times.relative(message.received)}")
    yield "Came", pieces.arrival(message.arrival)
    if message.priority:
        yield "Priority", Text(str(message.priority))
    for key, value in message.metadata.items():
        yield "Metadata", plain(f"{key}: {value}")


def _delivery(delivery: DeliveryView, times: Times) -> RenderableType:
    title = Text.assemble("To ", plain(delivery.domain, "bold"), ": ", state(delivery.status))
    title.append(f" after {some(delivery.attempts, 'attempt')}")
    if delivery.next_attempt is not None and delivery.status in {"pending", "retry"}:
        title.append(f", next {times.both(delivery.next_attempt)}")
    if delivery.held_since is not None:
        title.append(f", since {times.both(delivery.held_since)}")
    rows: list[tuple[str, RenderableType]] = [("For", pieces.recipients(delivery.recipients, delivery.more_recipients))]
    if delivery.history:
        rows.append(("Tried", pieces.attempts(delivery.history, times)))
    elif delivery.last_error:
        rows.append(("Tried", reply(delivery.last_error)))
    return Group(title, indented(labelled(rows)))


def _body(body: str) -> RenderableType:
    if not body:
        return plain("[empty]", "dim")
    return Group(*(plain(line.replace("\t", "    ")) for line in body.splitlines()))
