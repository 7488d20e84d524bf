"""
The records of an attempt, and of what became of its recipients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from empath.audit.chain import VERSION, Record
from empath.audit.making import OURSELVES, Maker, milliseconds, short
from empath.mail.address import Address
from empath.mail.message import RecipientState, Status

ENDS: Final = {  # the event and the result that tell of a recipient after an attempt
    Status.COMPLETED: ("delivered", "ok"),
    Status.RETRY: ("retry", "deferred"),
    Status.FAILED: ("failed", "failed"),
    Status.EXPIRED: ("expired", "expired"),
    Status.HELD: ("retry", "held"),
    Status.PENDING: ("retry", "deferred"),
    Status.IN_PROGRESS: ("retry", "deferred"),
}
WORST: Final = (Status.FAILED, Status.EXPIRED, Status.RETRY, Status.COMPLETED)


class Phases(msgspec.Struct, gc=False, omit_defaults=True):
    """
    Milliseconds that each step took.
    """

    dns: float | None = None
    connect: float | None = None
    tls: float | None = None
    transaction: float | None = None


class AttemptTold(msgspec.Struct, gc=False, omit_defaults=True):
    """
    What the metadata tell of an attempt, and of how recipients came out of it.
    """

    address: str | None = None
    port: int | None = None
    site: str | None = None
    phases_ms: Phases | None = None
    tls: str = ""
    security: str = ""
    category: str = ""
    doubtful: bool = False
    next_attempt: str = ""
    trace_id: str = ""


def attempted(
    maker: Maker,
    when: float,
    queue_id: str,
    reverse_path: Address | None,
    domain: str,
    next_attempt: float | None,
    results: Sequence[RecipientState],
    number: int,
    started: float,
    resolved: float,
    connected: float,
    secured: float,
    ended: float,
    host: str,
    address: str,
    port: int,
    tls: str,
    security: str,
    site: str,
) -> list[Record]:
    """
    An attempt is over: a record of it, and one for each group of recipients that came out of it alike. Where all were
    delivered alike that one record tells of both.
    """
    stamp, resource = maker.stamp(when), f"delivery:{domain}"
    sender = "" if reverse_path is None else reverse_path.text
    everybody = [state.recipient.address.text for state in results]
    groups = _groups(results, everybody)
    duration = milliseconds((ended or when) - started)
    told = AttemptTold(address, port, site, _phases(started, resolved, connected, secured, ended), tls, security)
    records = []
    alone = len(groups) == 1 and groups[0][0][0] is Status.COMPLETED
    if not alone:
        result = ENDS[_worst(results)][1]
        records.append(
            Record(
                VERSION, stamp, "attempt", OURSELVES, resource, "attempt", result, queue_id, sender, everybody, host,
                "", duration, number, told,
            )
        )  # fmt: skip
    for (status, reply, at, category, doubtful), recipients in groups:
        event, result = ENDS[status]
        more = told if alone else AttemptTold()
        more.category, more.doubtful = category, doubtful
        if event == "retry" and next_attempt is not None:
            more.next_attempt = maker.stamp(next_attempt)
        said = "" if reply is None else short(str(reply))
        records.append(
            Record(
                VERSION, stamp, event, OURSELVES, resource, "deliver", result, queue_id, sender, recipients, at, said,
                duration, number, more,
            )
        )  # fmt: skip
    return records


def _groups(results: Sequence[RecipientState], texts: list[str]) -> list[tuple[Any, list[str]]]:
    """
    Put recipients together that came out alike.
    """
    if len(results) == 1:  # the usual one
        [state] = results
        return [((state.status, state.reply, state.host, state.category, state.doubtful), texts)]
    groups: dict[Any, list[str]] = {}
    for state, text in zip(results, texts, strict=True):
        outcome = (state.status, state.reply, state.host, state.category, state.doubtful)
        groups.setdefault(outcome, []).append(text)
    return list(groups.items())


def _worst(results: Sequence[RecipientState]) -> Status:
    statuses = {state.status for state in results}
    return next((each for each in WORST if each in statuses), Status.RETRY)


def _phases(started: float, resolved: float, connected: float, secured: float, ended: float) -> Phases:
    """
    Tell how long each step took that was taken.
    """
    told, since = Phases(), started
    if resolved:
        told.dns = milliseconds(resolved - since)
        since = resolved
    if connected:
        told.connect = milliseconds(connected - since)
        since = connected
    if secured:
        told.tls = milliseconds(secured - since)
        since = secured
    if ended:
        told.transaction = milliseconds(ended - since)
    return told
