"""
Which trace a message is followed under, and whether that is recorded: decided once, when it becomes ours.

The trace of a message from a client that is trusted goes on where a `traceparent` field of it says so. All others begin
with the message, and have their ids from its queue id.
"""

from __future__ import annotations

from collections import OrderedDict
from contextvars import ContextVar
from typing import Final

from empath.mail.header import Header
from empath.mail.message import Delivery, Message
from empath.mail.origin import Origin
from empath.mail.queue_id import is_queue_id, time_of
from empath.mail.step import Steps
from empath.mail.trace_context import (
    TraceContext,
    is_chosen,
    is_sampled,
    parse_traceparent,
    span_id_of,
    trace_id_of,
)

FIELD: Final = "traceparent"
MOST_CONTINUED: Final = 10_000  # messages of traces that others began whose ids are remembered
MOST_RECENT: Final = 1000  # messages whose ids need not be made again
MOST_ASKED: Final = 100  # traces a second that are recorded because others wish it
_FIELD: Final = FIELD.encode()

Ids = tuple[str, str]
"""
The id of a trace, and of the span in it that something belongs to.
"""

_ATTEMPT: ContextVar[tuple[str, Ids] | None] = ContextVar("attempt", default=None)  # by coroutine: its queue id and ids


class Traces:
    """
    Decides while `on`: the `ratio` (0 to 1) of all traces are recorded, and those that a trusted client had begun and
    records, MOST_ASKED a second at most of what we would not have chosen ourselves: whoever may send mail by us is not
    to decide what tracing costs.
    """

    __slots__ = ("_asked", "_continued", "_recent", "on", "ratio")

    def __init__(self, on: bool = False, ratio: float = 0.0) -> None:
        self._continued: OrderedDict[str, Ids] = OrderedDict()
        self._asked = (0, 0)  # a second, and how many came in it
        self._recent: dict[str, Ids] = {}  # each is asked for some five times in a second
        self.use(on, ratio)

    def use(self, on: bool, ratio: float) -> None:
        """
        Decide so about the messages that come from now on.
        """
        self.on = on
        self.ratio = ratio

    def steps(self, queue_id: str) -> Steps | None:
        """
        Tell at MAIL where a reception is to be recorded, None for nowhere. A trace that goes on is only known by the
        header: its reception is recorded if this one would have been.
        """
        return Steps() if self.on and is_chosen(self._begun(queue_id)[0], self.ratio) else None

    def received(self, queue_id: str, header: bytes, origin: Origin) -> str:
        """
        Give the traceparent of a message that came in with this header block, "" while nothing is traced.
        """
        if not self.on:
            return ""
        parent = parent_in(header) if origin.vouched else None
        if parent is None:
            trace_id, span_id = self._begun(queue_id)
            return f"00-{trace_id}-{span_id}-{'01' if is_chosen(trace_id, self.ratio) else '00'}"
        sampled = parent.sampled and (is_chosen(parent.trace_id, self.ratio) or self._grants(queue_id))
        root = TraceContext(parent.trace_id, span_id_of(queue_id), sampled)
        self._remember(queue_id, (root.trace_id, root.span_id))
        return str(root)

    def written(self, queue_id: str, cause: str = "") -> str:
        """
        Give the traceparent of a message that we write because of another one, whose traceparent is `cause`: it is
        recorded if that one is.
        """
        if not self.on:
            return ""
        trace_id = trace_id_of(queue_id)
        return str(TraceContext(trace_id, span_id_of(queue_id), is_sampled(cause) or is_chosen(trace_id, self.ratio)))

    def attempting(self, message: Message, delivery: Delivery, number: int) -> Ids | None:
        """
        Begin an attempt: what is said of the message from now on, in this coroutine and in those that it starts,
        belongs to its span. Gives its ids, None while nothing is traced. One that was stored before a restart may be of
        a trace that others began.
        """
        if not self.on:
            return None
        begun = self._begun(message.queue_id)[0]
        trace_id = message.trace[3:35] or begun
        if trace_id != begun and message.queue_id not in self._continued:
            self._remember(message.queue_id, (trace_id, message.trace[36:52]))
        ids = (trace_id, attempt_span_of(message, delivery, number))
        _ATTEMPT.set((message.queue_id, ids))
        return ids

    def between_attempts(self) -> None:
        """
        Leave the attempt in which this coroutine was started.
        """
        _ATTEMPT.set(None)

    def ids_of(self, queue_id: str) -> Ids | None:
        """
        Tell the ids of the trace of a message, and of the span in it that is under way: that of the attempt in which
        this is asked, else the root span. None while nothing is traced, and for what is no queue id. May be called in
        any thread.
        """
        if not self.on:
            return None
        attempt = _ATTEMPT.get()
        if attempt is not None and attempt[0] == queue_id:
            return attempt[1]
        found = self._continued.get(queue_id) or self._recent.get(queue_id)
        if found is None and is_queue_id(queue_id):
            return self._begun(queue_id)
        return found

    def _begun(self, queue_id: str) -> Ids:
        """
        Give the ids of a trace that begins with a message.
        """
        found = self._recent.get(queue_id)
        if found is None:
            if len(self._recent) >= MOST_RECENT:
                self._recent.clear()
            self._recent[queue_id] = found = (trace_id_of(queue_id), span_id_of(queue_id))
        return found

    def _grants(self, queue_id: str) -> bool:
        """
        Tell whether there is room for one more that others want to be recorded, in the second of this message.
        """
        second = int(time_of(queue_id))
        self._asked = asked = (second, self._asked[1] + 1 if self._asked[0] == second else 1)
        return asked[1] <= MOST_ASKED

    def _remember(self, queue_id: str, ids: Ids) -> None:
        continued = self._continued
        continued[queue_id] = ids
        if len(continued) > MOST_CONTINUED:
            continued.popitem(last=False)


def parent_in(header: bytes, ours: int = 0) -> TraceContext | None:
    """
    Find what a header block, below `ours` fields that we put on top, says its message continues. Only what the last
    hop wrote counts, which stands above all Received fields (anybody may have written the rest), and of that the
    topmost field; nothing if that is malformed.
    """
    if _FIELD not in header.lower():
        return None
    for name, value in Header(header).fields()[ours:]:
        match name.lower():
            case "received":
                return None
            case "traceparent":
                return parse_traceparent(value.strip())
    return None


def context_of(message: Message) -> TraceContext:
    """
    Tell the root span of a message, also of one that came in while nothing was traced.
    """
    context = parse_traceparent(message.trace)
    return context or TraceContext(trace_id_of(message.queue_id), span_id_of(message.queue_id))


def attempt_span_of(message: Message, delivery: Delivery, number: int) -> str:
    """
    Give the id of the span of an attempt. One that an operator had begin anew counts its attempts anew, but not from
    the same time.
    """
    anew = () if delivery.received == message.received else (f"{delivery.received:.3f}",)
    return span_id_of(message.queue_id, delivery.domain, number, *anew)


def parent_of(message: Message) -> str:
    """
    Tell the span that a message's root span is under, "" for none.
    """
    parent = parent_in(message.header, ours=1) if message.origin.vouched else None
    return parent.span_id if parent is not None and parent.trace_id == context_of(message).trace_id else ""
