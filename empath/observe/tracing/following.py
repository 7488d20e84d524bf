"""
Life events of messages that are traced, handed on to become spans.

Fatal, retried: nothing. Nothing is formatted here: what a span is made of is held until a thread makes it, and no
content is held with it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import attrs
from twisted.internet.interfaces import IReactorTime

from empath.mail.envelope import Envelope
from empath.mail.life import (
    AttemptEnded,
    CommandAnswered,
    MessageDiscarded,
    MessageReceived,
    ReportQueued,
    StepEnded,
    TransactionEnded,
)
from empath.mail.message import Message
from empath.mail.queue_id import time_of
from empath.mail.session import Session, Transaction
from empath.mail.step import Step
from empath.mail.trace_context import TraceContext, is_sampled
from empath.mail.traces import context_of, parent_of
from empath.observe.tracing.facts import FAILING, Facts
from empath.observe.tracing.making import Attempted, Late, Refused, Root
from empath.observe.tracing.showing import Showing
from empath.observe.tracing.span import Add

MOST_TOLD: Final = 10_000  # messages of which is remembered that their root span went out
_NOBODY: Final = Envelope(None, ())
MOST_CAUSES: Final = 10_000  # reports of which is remembered what they are about
GIVEN_UP: Final = "the client gave it up"

Subscribe = Callable[[Any, Callable[[Any], None]], Callable[[], None]]


class Following:
    """
    Hands what becomes spans to `add`. With `errors`, so are attempts of messages whose trace is not recorded, if they
    fail, and with the first of them that is heard of the message's root span: after a restart of what is older once
    more, the same. `showing` tells what of texts is shown.
    """

    def __init__(self, clock: IReactorTime, add: Add) -> None:
        self.errors = False
        self.showing = Showing()
        self._clock = clock
        self._add = add
        self._told: OrderedDict[str, None] = OrderedDict()
        self._causes: OrderedDict[str, tuple[TraceContext, Facts]] = OrderedDict()
        self._since = 0.0
        self._own: Root | None = None

    def use(self, errors: bool, showing: Showing) -> None:
        """
        Tell of what fails, or not, and show texts so from now on.
        """
        if errors and not self.errors:
            self._since = self._clock.seconds()
        self.errors, self.showing = errors, showing

    def listen(self, subscribe: Subscribe) -> list[Callable[[], None]]:
        """
        Subscribe to all that is told in spans; gives what ends that.
        """
        return [
            subscribe(MessageReceived, self._received),
            subscribe(MessageDiscarded, self._discarded),
            subscribe(TransactionEnded, self._refused),
            subscribe(CommandAnswered, self._answered),
            subscribe(ReportQueued, self._reported),
            subscribe(AttemptEnded, self._attempted),
            subscribe(StepEnded, self._step_ended),
        ]

    def _received(self, event: MessageReceived) -> None:
        message = event.message
        if not is_sampled(message.trace):
            return
        now = self._clock.seconds()
        told: Facts = {"empath.held": event.held} if event.held else {}
        root = Root(_bare(message), parent_of(message), now - event.seconds, now, self.showing, event.steps, told)
        if event.session is None:
            root.started, self._own = message.received, root
        self._add(root.spans, root.octets())

    def _reported(self, event: ReportQueued) -> None:
        """
        Link a report to what it is about; its root span waits for that until the end of this turn, or until it fails.
        """
        own, self._own = self._own, None
        cause, report_id = event.message, event.report.queue_id
        told: Facts = {"empath.report.action": event.action.value, "empath.report.about": cause.queue_id}
        if own is not None and own.message.queue_id == report_id:
            own.links.append(context_of(cause))
            own.told |= told
        elif self.errors:
            self._causes[report_id] = context_of(cause), told
            if len(self._causes) > MOST_CAUSES:
                self._causes.popitem(last=False)

    def _discarded(self, event: MessageDiscarded) -> None:
        message = event.message
        if is_sampled(message.trace):
            told: Facts = {"empath.discarded": event.why or "by a module", "empath.module": event.decided_by}
            steps = event.steps
            began = min([message.received] + ([] if steps is None else [step.started for step in steps.steps]))
            now, parent = self._clock.seconds(), parent_of(message)
            root = Root(_bare(message), parent, began, now, self.showing, steps, told)
            self._add(root.spans, root.octets())

    def _answered(self, event: CommandAnswered) -> None:
        """
        A refused MAIL begins no transaction that could end.
        """
        transaction = event.transaction
        if transaction is not None and transaction.steps is not None and event.verb == "MAIL":
            self._lost(event.session, transaction, str(event.reply))

    def _refused(self, event: TransactionEnded) -> None:
        reply, transaction = event.reply, event.transaction
        transaction.steps = event.steps
        taken = reply is not None and reply.code < 400
        self._lost(event.session, transaction, "" if taken else GIVEN_UP if reply is None else str(reply))

    def _lost(self, session: Session, transaction: Transaction, trouble: str) -> None:
        steps, transaction.steps = transaction.steps, None
        if steps is not None:
            now = self._clock.seconds()
            refused = Refused(session, transaction, now, trouble, steps, self.showing)
            self._add(refused.spans, refused.octets())

    def _attempted(self, event: AttemptEnded) -> None:
        message, attempt = event.message, event.attempt
        if is_sampled(message.trace):
            self._tried(event, None if attempt.steps is None else tuple(attempt.steps.steps))
        elif self.errors and any(each.status in FAILING for each in event.results):
            self._failed(event)

    def _failed(self, event: AttemptEnded) -> None:
        """
        Tell of an attempt that failed though nobody recorded it.
        """
        message, attempt = event.message, event.attempt
        unheard = attempt.number == 1 or message.received < self._since  # its first one may have been before that
        if unheard and message.queue_id not in self._told:
            self._told[message.queue_id] = None
            if len(self._told) > MOST_TOLD:
                self._told.popitem(last=False)
            root = self._made_again(message)
            self._add(root.spans, root.octets())
        self._tried(event, None)

    def _tried(self, event: AttemptEnded, steps: tuple[Step, ...] | None) -> None:
        attempt = event.attempt
        tried = Attempted(_alone(event.message), event.delivery, attempt, event.results, steps, self.showing)
        self._add(tried.spans, tried.octets())

    def _made_again(self, message: Message) -> Root:
        """
        Make the root span of a message by what is known of it now: the queue id knows when it began.
        """
        began, told = min(time_of(message.queue_id), message.received), Facts({"empath.sampled": "error"})
        root = Root(_bare(message), parent_of(message), began, message.received, self.showing, None, told)
        cause = self._causes.pop(message.queue_id, None)
        if cause is not None:
            root.links.append(cause[0])
            root.told |= cause[1]
        return root

    def _step_ended(self, event: StepEnded) -> None:
        if is_sampled(event.message.trace):
            late = Late(_alone(event.message), event.delivery, event.attempt, event.step, self.showing)
            self._add(late.spans, late.octets())


def _bare(message: Message) -> Message:
    """
    Give a message without its content, which would stay in memory for as long as no collector takes spans.
    """
    return attrs.evolve(message, header=b"", body=None, body_file=None, metadata={}, delivery=None)


def _alone(message: Message) -> Message:
    """
    Give it without its envelope, too: an attempt is about few of many recipients.
    """
    return attrs.evolve(message, envelope=_NOBODY, header=b"", body=None, body_file=None, metadata={}, delivery=None)
