"""
The trace that a message is followed under, from its reception to its last attempt (W3C Trace Context, version 00).

Ids are made of the queue id and of what a span is of, by nobody's chance: whoever holds a message can name its spans,
days and restarts later, and nothing has to be remembered for that.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import attrs

_CROCKFORD: Final = str.maketrans("0123456789ABCDEFGHJKMNPQRSTVWXYZ", "0123456789abcdefghijklmnopqrstuv")
_HEX: Final = frozenset("0123456789abcdef")
_LENGTH: Final = 55
_BELOW: Final = (1 << 64) - 1
_SAMPLED: Final = 1


@attrs.frozen(slots=True)
class TraceContext:
    """
    One span: `trace_id` (32 hexadecimal digits) and `span_id` (16) are never all zero; `sampled`: the whole trace is
    recorded.
    """

    trace_id: str
    span_id: str
    sampled: bool = False

    def __str__(self) -> str:
        """
        Write it as a traceparent field has it (§3.2).
        """
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


def parse_traceparent(text: str) -> TraceContext | None:
    """
    Read a traceparent; None for what is none (§3.2.2, §4.3): of a later version, what comes behind our fields counts
    for nothing.
    """
    if len(text) < _LENGTH or text[2] != "-" or text[35] != "-" or text[52] != "-":
        return None
    version, trace_id, span_id, flags = text[:2], text[3:35], text[36:52], text[53:55]
    if not _HEX.issuperset(version + trace_id + span_id + flags) or version == "ff":
        return None
    if len(text) > _LENGTH and (version == "00" or text[_LENGTH] != "-"):
        return None
    if not int(trace_id, 16) or not int(span_id, 16):
        return None
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))


def trace_id_of(queue_id: str) -> str:
    """
    Give the id of the trace that begins with a message: its ULID's 128 bits. ValueError for what is no queue id.
    """
    return f"{int(queue_id.translate(_CROCKFORD), 32) or 1:032x}"


def span_id_of(*names: str | int) -> str:
    """
    Give the id of the span of a message, named by its queue id alone, or of what belongs to it: of an attempt by the
    queue id, the destination and the number.
    """
    return blake2b("/".join(map(str, names)).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def is_chosen(trace_id: str, ratio: float) -> bool:
    """
    Tell whether a trace is among the `ratio` (0 to 1) that are recorded, by its lowest 64 bits, so that everybody who
    asks finds the same, and with a greater ratio more of the same.
    """
    return int(trace_id[16:], 16) < ratio * (_BELOW + 1)


def is_sampled(traceparent: str) -> bool:
    """
    Tell of a traceparent that we wrote whether its trace is recorded.
    """
    return traceparent.endswith("1")
