"""
From what was kept of receptions and attempts to their spans. This runs in a thread: nothing here changes what it reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs

from empath.mail.arrival import arrival_of
from empath.mail.attempt import Attempt
from empath.mail.message import Delivery, Message, RecipientState
from empath.mail.session import Session, Transaction
from empath.mail.step import OCTETS, Fact, Step, Steps
from empath.mail.trace_context import TraceContext, is_sampled, span_id_of, trace_id_of
from empath.mail.traces import attempt_span_of, context_of
from empath.observe.tracing.facts import (
    Facts,
    common,
    kind_of_root,
    of_all,
    of_attempt,
    of_client,
    of_envelope,
    of_message,
    trouble_of,
)
from empath.observe.tracing.showing import Showing
from empath.observe.tracing.span import Event, Span

LEFT_OUT: Final = "empath.left_out"
MESSAGE: Final = 4000  # octets of memory, about, that a message takes without its content, or a transaction
RECIPIENT: Final = 800  # and each of its recipients


@attrs.frozen(slots=True)
class Under:
    """
    What the spans of steps are under: `names` name their ids, `facts` are those that every one of them tells, as they
    are shown. `server`: we were the server.
    """

    context: TraceContext
    names: tuple[str | int, ...]
    facts: Mapping[str, Fact]
    server: bool = False


@attrs.define(slots=True, eq=False)
class Root:
    """
    The root span of a message that is ours from `ended` on, and whose transaction began at `started`, with the spans of
    what its reception did. `parent` is the span above it, "" for none; `told` are more facts, `links` may come until
    the spans are made.
    """

    message: Message
    parent: str
    started: float
    ended: float
    showing: Showing
    steps: Steps | None = None
    told: Facts = attrs.field(factory=dict)
    links: list[TraceContext] = attrs.field(factory=list)

    def spans(self) -> Iterator[Span]:
        """
        Make them.
        """
        message, steps = self.message, tuple(self.steps.steps) if self.steps is not None else ()
        context = attrs.evolve(context_of(message), sampled=True)
        ended = max([self.ended, *(step.ended for step in steps)])
        name, kind = kind_of_root(message)
        facts = self.showing.facts(of_message(message) | self.told | left_out(self.steps))
        links = tuple(self.links)
        began = min([self.started, *(step.started for step in steps)])  # each has looked at the clock for itself
        yield Span(context, self.parent, name, kind, began, ended, facts, links=links)
        under = Under(context, (message.queue_id, "receive"), self.showing.facts(of_all(message)), server=True)
        yield from step_spans(steps, under, ended, self.showing)

    def octets(self) -> int:
        """
        Tell about how much memory this takes until they are made.
        """
        return memory_of(len(self.message.envelope.recipients), self.steps)


@attrs.frozen(slots=True, eq=False)
class Refused:
    """
    The spans of a transaction that ended at `ended` without a message: `trouble` is why.
    """

    session: Session
    transaction: Transaction
    ended: float
    trouble: str
    steps: Steps
    showing: Showing

    def spans(self) -> Iterator[Span]:
        """
        Make them.
        """
        transaction, session = self.transaction, self.session
        queue_id, steps = transaction.queue_id, tuple(self.steps.steps)
        context = root_of(queue_id)
        shared = common(queue_id, session.peer, transaction.priority)
        whose = of_envelope(transaction.reverse_path, [each.address for each in transaction.recipients])
        facts = self.showing.facts(shared | whose | of_client(arrival_of(session)) | left_out(self.steps))
        trouble, started = (
            self.showing.text(self.trouble),
            min([transaction.started, *(step.started for step in steps)]),
        )
        ended = max([self.ended, *(step.ended for step in steps)])
        yield Span(context, "", "receive", "server", started, ended, facts, trouble=trouble)
        under = Under(context, (queue_id, "receive"), self.showing.facts(shared), server=True)
        yield from step_spans(steps, under, ended, self.showing)

    def octets(self) -> int:
        """
        Tell about how much memory this takes until they are made.
        """
        return memory_of(len(self.transaction.recipients), self.steps)


@attrs.frozen(slots=True, eq=False)
class Attempted:
    """
    The spans of an attempt and of its `steps`, or, where None were kept, of what its times tell.
    """

    message: Message
    delivery: Delivery
    attempt: Attempt
    results: tuple[RecipientState, ...]
    steps: Sequence[Step] | None
    showing: Showing

    def spans(self) -> Iterator[Span]:
        """
        Make them.
        """
        message, attempt, results = self.message, self.attempt, self.results
        under = under_attempt(message, self.delivery, attempt, self.showing)
        facts = of_all(message) | of_attempt(self.delivery, attempt, results)
        if not is_sampled(message.trace):
            facts["empath.sampled"] = "error"
        root, trouble = context_of(message).span_id, self.showing.text(trouble_of(results))
        times = attempt.started, max(attempt.ended, attempt.started)
        kept = self.showing.facts(facts | left_out(attempt.steps))
        yield Span(under.context, root, "deliver", "client", *times, kept, trouble=trouble)
        steps = phases(attempt) if self.steps is None else self.steps
        yield from step_spans(steps, under, times[1], self.showing)

    def octets(self) -> int:
        """
        Tell about how much memory this takes until they are made.
        """
        return memory_of(len(self.results), self.attempt.steps)


@attrs.frozen(slots=True, eq=False)
class Late:
    """
    The span of a step that ended after its attempt.
    """

    message: Message
    delivery: Delivery
    attempt: Attempt
    step: Step
    showing: Showing

    def spans(self) -> Iterator[Span]:
        """
        Make it.
        """
        under = under_attempt(self.message, self.delivery, self.attempt, self.showing)
        yield _span(self.step, repr(self.step.started), under, self.step.ended, self.showing)

    def octets(self) -> int:
        """
        Tell about how much memory this takes until they are made.
        """
        return memory_of(len(self.delivery.recipients), None) + sum(
            OCTETS[1] + len(line.text) for line in self.step.said
        )


def root_of(queue_id: str) -> TraceContext:
    """
    Give the root span of a trace that begins with a message, and is recorded.
    """
    return TraceContext(trace_id_of(queue_id), span_id_of(queue_id), True)


def under_attempt(message: Message, delivery: Delivery, attempt: Attempt, showing: Showing) -> Under:
    """
    Tell what the steps of an attempt are under.
    """
    span = attempt_span_of(message, delivery, attempt.number)
    return Under(TraceContext(context_of(message).trace_id, span, True), (span,), showing.facts(of_all(message)))


def phases(attempt: Attempt) -> list[Step]:
    """
    Tell the steps of an attempt by its times alone.
    """
    made: list[Step] = []
    began = attempt.started
    for name, ended in (("dns", attempt.resolved), ("connect", attempt.connected), ("tls", attempt.secured)):
        if ended >= began:
            made.append(Step(name, began, ended))
            began = ended
    if (attempt.connected or attempt.reused) and attempt.ended >= began:
        made.append(Step("transaction", began, attempt.ended))
    return made


def step_spans(steps: Sequence[Step], under: Under, ended: float, showing: Showing) -> Iterator[Span]:
    """
    Make the spans of steps; those that nobody ended are over at `ended`.
    """
    for number, step in enumerate(steps):
        yield _span(step, number, under, step.ended or ended, showing)


def memory_of(recipients: int, steps: Steps | None) -> int:
    """
    Tell about how many octets of memory so many recipients of a message take, and what was kept of steps.
    """
    return MESSAGE + RECIPIENT * recipients + (0 if steps is None else steps.octets)


def left_out(steps: Steps | None) -> Facts:
    """
    Tell how much there was no room for, if any.
    """
    return {LEFT_OUT: steps.left_out} if steps is not None and steps.left_out else {}


def _span(step: Step, name: str | int, under: Under, ended: float, showing: Showing) -> Span:
    above = under.context
    context = TraceContext(above.trace_id, span_id_of(*under.names, name, step.name), above.sampled)
    events = tuple(
        Event(line.time, "reply" if line.from_us is under.server else "command", {"text": showing.text(line.text)})
        for line in tuple(step.said)
    )
    facts, trouble = {**under.facts, **showing.facts(step.facts)}, showing.text(step.trouble)
    times = step.started, max(ended, step.started)
    return Span(context, above.span_id, step.name, "internal", *times, facts, events, trouble=trouble)
