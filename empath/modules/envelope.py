"""
What a module may have made of a transaction: only what reception can go on with is left in it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from operator import attrgetter
from typing import Any, Final

from empath.mail.address import PRINTABLE, Address
from empath.mail.envelope import Recipient
from empath.mail.expansion import Expanded
from empath.mail.session import Transaction
from empath.modules.metadata import is_text

PRIORITIES: Final = range(-9, 10)  # RFC 6710

STATE: Final = (
    "reverse_path",
    "priority",
    "release",
    "held",
    "routes",
    "expanded",
    "_rewritten",
    "queue_id",
    "started",
    "parameters",
    "declared_size",
    "accepted",
    "decisions",
    "steps",
)
"""
What is put back of a transaction if a hook fails, beside its recipients and metadata.
"""

_state_of: Final = attrgetter(*STATE)

FIXED: Final = STATE.index("queue_id")  # nothing from there on is a module's to change


def put_back(transaction: Transaction, recipients: list[Recipient], state: tuple[Any, ...]) -> None:
    """
    Put a transaction back to these `recipients` (a copy) and this `state` (what STATE names).
    """
    transaction.recipients = recipients.copy()
    for name, value in zip(STATE, state, strict=True):
        setattr(transaction, name, value)


def unusable(
    transaction: Transaction, before: list[Recipient], state: tuple[Any, ...], routed: Callable[[str], bool]
) -> str:
    """
    Tell what in a transaction nobody could go on with, "" for nothing; `routed` tells whether there is a way to a name.
    Nobody looks again at recipients that are as `before`, and routes that are still those of `state`.
    """
    if state == _state_of(transaction) and transaction.recipients == before:
        return ""
    for name, value in zip(STATE[FIXED:], state[FIXED:], strict=True):
        now = getattr(transaction, name)
        if now is not value and now != value:
            return f"{name} is not a module's to change"
    reverse_path, recipients = transaction.reverse_path, transaction.recipients
    if not (reverse_path is None or _is_address(reverse_path)):
        return f"reverse_path is no Address but {_kind(reverse_path)}: parse_address() makes one"
    if not isinstance(recipients, list) or not (recipients == before or all(map(_is_recipient, recipients))):
        return "recipients is no list of Recipients: Recipient(parse_address(…)) makes one"
    if not isinstance(transaction.priority, int) or transaction.priority not in PRIORITIES:
        return f"priority is no whole number from -9 to 9 but {_kind(transaction.priority)}"
    if not _is_time(transaction.release):
        return f"release is no time in seconds but {_kind(transaction.release)}"
    if not is_text(transaction.held):
        return f"held is no text but {_kind(transaction.held)}"
    expanded = transaction.expanded
    if expanded is not state[STATE.index("expanded")] and not _is_expanded(expanded):
        return f"expanded is no list of what rewrite() notes but {_kind(expanded)}"
    known = transaction.routes is state[STATE.index("routes")]
    return (not known and _unusable_routes(transaction.routes, routed)) or _unusable_rewriting(transaction._rewritten)


def _unusable_routes(routes: object, routed: Callable[[str], bool]) -> str:
    if routes is None:
        return ""
    if not isinstance(routes, dict):
        return f"routes is no dict but {_kind(routes)}"
    if not all((key is None or isinstance(key, Address)) and is_text(name) for key, name in routes.items()):
        return "a recipient was redirected to what is no name of a route"
    missing = next((name for name in routes.values() if not routed(name)), None)
    return "" if missing is None else f'redirected to "{missing}", and there is no [delivery.domains."{missing}"]'


def _unusable_rewriting(rewritten: dict[Address, tuple[Recipient, ...]] | None) -> str:
    if rewritten is None or all(_is_recipient(each) for new in rewritten.values() for each in new):
        return ""
    return "a recipient was rewritten to what is no Address: parse_address() makes one"


def _is_recipient(value: object) -> bool:
    return isinstance(value, Recipient) and _is_address(value.address) and isinstance(value.parameters, dict)


def _is_expanded(value: object) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(each, Expanded) for each in value))


def _is_address(value: object) -> bool:
    """
    Tell whether it is an Address that can be sent: who makes one without `parse_address` may have put anything into it.
    """
    if not isinstance(value, Address):
        return False
    texts = value.local, value.domain, value.text
    return all(isinstance(text, str) and PRINTABLE.fullmatch(text) for text in texts)


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and isfinite(value) and value >= 0


def _kind(value: object) -> str:
    return repr(value) if isinstance(value, (float, bool)) else type(value).__name__
