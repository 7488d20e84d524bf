"""
What is asked of the spool, made into operations: all rows are prepared here, on the reactor's side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from empath.errors import SpoolError
from empath.mail.idempotency import Claim
from empath.mail.message import Delivery, Message
from empath.mail.settlement import Change, Settlement
from empath.spool.changes import manage
from empath.spool.commit import Operation
from empath.spool.delayed import warn
from empath.spool.rows import END, UNFIT, Row, delivery_row, managed_row, message_row, standing, update_row

Mark = Callable[[str], "int | None"]
"""
Tell what the new deliveries of a queue id have as `listed` (`empath.spool.listing`).
"""


def storing(
    number: int, mark: Mark, message: Message, deliveries: tuple[Delivery, ...], claim: Claim | None = None
) -> Operation:
    """
    Store a new message under this number, and what it claims; SpoolError for what cannot be stored.
    """
    listed = mark(message.queue_id)
    try:
        return Operation(
            messages=(_new_row(number, message, deliveries),),
            deliveries=tuple([delivery_row(delivery, listed) for delivery in deliveries]),
            claims=() if claim is None else ((claim.digest, message.queue_id, claim.recipients, claim.until),),
            number=number,
            body_file=message.body_file,
            size=size_inline(message),
        )
    except UNFIT as failure:  # such as a lone surrogate
        raise SpoolError(f"the message cannot be stored: {failure}") from failure


def settling(number: int, mark: Mark, settlement: Settlement) -> Operation:
    """
    Record a settlement, and its report under this number; SpoolError for what cannot be stored.
    """
    delivery, report = settlement.delivery, settlement.report
    ended = delivery.status in END and settlement.keep_until is None
    listed = None if report is None else mark(report.queue_id)
    try:
        return Operation(
            messages=() if report is None else (_new_row(number, report, settlement.report_deliveries),),
            deliveries=tuple([delivery_row(each, listed) for each in settlement.report_deliveries]),
            updates=() if ended else (update_row(delivery, settlement.keep_until),),
            ends=((delivery.queue_id, delivery.domain),) if ended else (),
            urgent=True,
            size=0 if report is None else size_inline(report),
        )
    except UNFIT as failure:
        raise SpoolError(f"the settlement cannot be stored: {failure}") from failure


def managing(changes: Sequence[Change]) -> Operation:
    """
    Do what an operator wants of deliveries; SpoolError for what cannot be stored.
    """
    try:
        wanted = [None if each.after is None else managed_row(each.after) for each in changes]
        stands = [standing(each.before) for each in changes]
    except UNFIT as failure:
        raise SpoolError(f"the change cannot be stored: {failure}") from failure
    return Operation(work=partial(manage, wanted, stands), urgent=True)


def warning(
    number: int, mark: Mark, late: Sequence[Delivery], report: Message | None, deliveries: tuple[Delivery, ...]
) -> Operation:
    """
    Note that the sender was told of a delay, and store the report under this number; SpoolError for what cannot be
    stored.
    """
    try:
        row = None if report is None else _new_row(number, report, deliveries)
        listed = None if report is None else mark(report.queue_id)
        reports = [delivery_row(each, listed) for each in deliveries]
        work = partial(warn, [standing(each) for each in late], row, reports)
    except UNFIT as failure:
        raise SpoolError(f"the report cannot be stored: {failure}") from failure
    return Operation(work=work, urgent=True, size=0 if report is None else size_inline(report))


def size_inline(message: Message) -> int:
    """
    Tell how many bytes of a message go into its row.
    """
    return len(message.header) + (0 if message.body is None or message.body_file else len(message.body))


def _new_row(number: int, message: Message, deliveries: tuple[Delivery, ...]) -> Row:
    if not deliveries:
        raise SpoolError("a message needs a delivery")
    if message.body is None and message.body_file is None:
        raise SpoolError("a message needs a body")
    return message_row(number, message)
