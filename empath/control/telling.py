"""
Requests and answers as the audit trail tells of them: short, and without secrets.
"""

from __future__ import annotations

from typing import Any, Final

import attrs
import msgspec

from empath.control import protocol
from empath.control.terms.asking import Ask

MAX_TEXT: Final = 200  # characters of a text that is told as it is
MAX_DETAIL: Final = 500  # characters of what was done


@attrs.frozen(slots=True)
class Outcome:
    """
    What became of a request: `result` and `detail` as in ControlUsed.
    """

    result: str
    detail: str
    seconds: float


def arguments_of(request: Ask[Any]) -> str:
    """
    Tell the fields of a request as JSON: what it masks as "[masked]", and long texts by their length.
    """
    fields = msgspec.to_builtins(request)
    told = {name: "[masked]" if name in request.masked else _shortened(value) for name, value in fields.items()}
    return protocol.encoded(told).decode()


def done(request: Ask[Any], content: bytes) -> str:
    """
    Tell what a request changed: its answer as JSON, as far as there is room for it; "" for one that changes nothing.
    """
    if not request.changes:
        return ""
    text = content.decode()
    return text if len(text) <= MAX_DETAIL else text[:MAX_DETAIL] + "…"


def same(request: Ask[Any]) -> bytes:
    """
    Give what is equal for requests that ask the same, be it for another page.
    """
    fields = msgspec.to_builtins(request)
    fields.pop("after", None)
    return request.verb.encode() + b" " + protocol.encoded(fields)


def _shortened(value: object) -> object:
    match value:
        case str() if len(value) > MAX_TEXT:
            return f"[{len(value)} characters]"
        case dict():
            return {key: _shortened(each) for key, each in value.items()}
        case list() if len(value) > MAX_TEXT:
            return f"[{len(value)} items]"
    return value
