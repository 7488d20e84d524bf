"""
What MAIL asks for beyond the address, and what of it a client gets.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import attrs

from empath.mail.reply import Reply

WEIGHED: Final = frozenset({"MT-PRIORITY", "HOLDFOR", "HOLDUNTIL", "AUTH"})
TOO_LATE: Final = Reply.of("501 5.5.4 the release is too far in the future")
AFTER_DEADLINE: Final = Reply.of("501 5.5.4 the release is not before the time to deliver by")


@attrs.frozen(slots=True)
class Granted:
    """
    The parameters that count, the `release` in seconds since the epoch (0.0: at once) and the `priority`.
    """

    parameters: dict[str, str]
    release: float = 0.0
    priority: int = 0


def grant(parameters: dict[str, str], trusted: bool, now: float, limit: float, login: str = "") -> Granted | Reply:
    """
    Weigh the parameters of MAIL; a Reply refuses the command.

    A priority counts from trusted clients only (RFC 6710 §5), as does what AUTH= says: from others, and from one that
    has a `login`, which speaks for itself only, it becomes "<>" (RFC 4954 §5). A release that is past is no release;
    one more than `limit` seconds away is refused, and one that is not before the time to deliver by (RFC 4865 §4,
    §5.2.2).
    """
    if not parameters or WEIGHED.isdisjoint(parameters):
        return Granted(parameters)
    left = dict(parameters)
    priority = int(left.get("MT-PRIORITY", "0")) if trusted else 0
    if not trusted:
        left.pop("MT-PRIORITY", None)
    if "AUTH" in left and (login or not trusted):
        left["AUTH"] = "<>"
    release = _release(parameters, now)
    if release > now + limit:
        return TOO_LATE
    if release > now and "BY" in parameters and release >= now + int(parameters["BY"].partition(";")[0]):
        return AFTER_DEADLINE
    return Granted(left, release if release > now else 0.0, priority)


def _release(parameters: dict[str, str], now: float) -> float:
    """
    Tell when the message is to be released; 0.0 where nothing was said.
    """
    if "HOLDFOR" in parameters:
        return now + int(parameters["HOLDFOR"])
    if "HOLDUNTIL" in parameters:
        return datetime.fromisoformat(parameters["HOLDUNTIL"].upper()).timestamp()
    return 0.0
