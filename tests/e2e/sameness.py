"""
Comparing messages: byte for byte, and what may stand on top of one that was relayed.
"""

from __future__ import annotations

import re
from typing import Final

TRACE: Final = re.compile(rb"Received: [^\r\n]*(?:\r?\n[ \t][^\r\n]*)*\r?\n")


def first_difference(one: bytes, other: bytes) -> str:
    """
    Say in a line where two contents part, "" if they are the same.
    """
    if one == other:
        return ""
    at = next((nth for nth, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
    place = min(len(one), len(other)) if at is None else at
    begin = max(0, place - 20)
    shown = f"{one[begin : place + 40]!r} against {other[begin : place + 40]!r}"
    return f"differ at byte {place} ({len(one)} and {len(other)} bytes): {shown}"


def relayed_difference(arrived: bytes, sent: bytes) -> str:
    """
    Say how `arrived` is not `sent` under exactly one Received header, "" if it is.
    """
    if not sent or not arrived.endswith(sent):
        found = TRACE.match(arrived)
        return "no Received header on top" if found is None else first_difference(arrived[found.end() :], sent)
    top = arrived[: len(arrived) - len(sent)]
    return "" if TRACE.fullmatch(top) else f"not one Received header on top: {top[:400]!r}"
