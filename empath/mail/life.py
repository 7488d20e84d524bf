"""
Life events: what happened to sessions, messages and look-ups, told once, to whoever listens.

Rooms tell them through one callable, `emit(event)`; logs, counters and later the audit trail and traces are made from
them. An event holds references, not copies: a listener must not change what it is shown and is done when it returns.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from empath.mail.address import Address
from empath.mail.answer import Answer
from empath.mail.attempt import Attempt
from empath.mail.life_safety import (
    AddressSuppressed,
    BounceReceived,
    ComplaintReceived,
    ControlUsed,
    CopyRefused,
    DeliveryFrozen,
    DeliveryManaged,
    SenderStopped,
)
from empath.mail.message import Delivery, Message, RecipientState
from empath.mail.notice import Action
from empath.mail.reply import Reply
from empath.mail.session import Session, Transaction
from empath.mail.step import Step, Steps


@attrs.define(slots=True, eq=False)
class ConnectionOpened:
    """
    A client connected; one that is over a limit is refused and gone in the same breath.
    """

    session: Session


@attrs.define(slots=True, eq=False)
class ConnectionClosed:
    """
    A session ended after `seconds`. `reason`: quit, lost, timeout, errors, limit, tls, refused, shutdown, module,
    killed (by an operator).
    """

    session: Session
    seconds: float
    reason: str


@attrs.define(slots=True, eq=False)
class CommandAnswered:
    """
    A session refused something: `reply` is the 4yz or 5yz that went out, `verb` the command ("" for none known).

    `recipient` is the forward-path that RCPT named, where one was understood: a refused one is in no transaction.
    `decided_by` names the module that refused, "" if it was none, and `why` is its reason.
    """

    session: Session
    verb: str
    reply: Reply
    transaction: Transaction | None
    recipient: Address | None = None
    decided_by: str = ""
    why: str = ""


@attrs.define(slots=True, eq=False)
class MessageDiscarded:
    """
    A message was dropped although its client heard 250: `decided_by` names the module that wanted it, `why` is its
    reason. `steps` are those of its reception, where it is traced.
    """

    message: Message
    session: Session
    decided_by: str
    why: str = ""
    steps: Steps | None = None


@attrs.define(slots=True, eq=False)
class MessageReceived:
    """
    A message is on stable storage and is ours (`session` is None for our own reports); `seconds` from MAIL on. `held`
    is why it is kept from delivery, "" if it is not. `recorded`: the audit trail has it already. `steps` are those of
    its reception, where it is traced.
    """

    message: Message
    session: Session | None
    seconds: float
    held: str = ""
    recorded: bool = False
    steps: Steps | None = None


@attrs.define(slots=True, eq=False)
class TransactionEnded:
    """
    A transaction whose reception is traced ended without a message of ours: `reply` is what its end was answered, None
    where the client or the connection gave it up.
    """

    session: Session
    transaction: Transaction
    reply: Reply | None
    steps: Steps


@attrs.define(slots=True, eq=False)
class AttemptEnded:
    """
    An attempt is over and its settlement is on disk.

    `delivery` is the state after it; `results` are the recipients that this attempt dealt with, as they now stand:
    completed (sent), retry (deferred), failed (bounced) or expired.
    """

    message: Message
    delivery: Delivery
    attempt: Attempt
    results: tuple[RecipientState, ...]


@attrs.define(slots=True, eq=False)
class StepEnded:
    """
    A step of an attempt that is traced ended after the attempt: the server's answer to QUIT.
    """

    message: Message
    delivery: Delivery
    attempt: Attempt
    step: Step


@attrs.define(slots=True, eq=False)
class ReportQueued:
    """
    A delivery status notification (RFC 3464) about `message` is stored under `report.queue_id`; `action` is the worst
    that it tells of.
    """

    message: Message
    report: Message
    action: Action = Action.FAILED


@attrs.define(slots=True, eq=False)
class ReportDropped:
    """
    A report that cannot be delivered, or would answer a null reverse-path, ends here: `reason` says why.
    """

    message: Message
    reason: str


@attrs.define(slots=True, eq=False)
class LookedUp:
    """
    A DNS look-up ended: from the cache, or after `seconds` from a server.
    """

    answer: Answer
    seconds: float
    cached: bool


@attrs.define(slots=True, eq=False)
class TlsTried:
    """
    One session with an MX host came as far as TLS, or should have (RFC 8460 §4.3): what TLS-RPT counts.

    `domain` is the recipients' domain, `policy` the word of §4.4 ("tlsa", "sts", "no-policy-found"), `policy_string`
    the TLSA records or the lines of the policy as §4.4 wants them, `mx_patterns` those of MTA-STS. `result` is "" for
    success, else a result type of §4.3, with `reason` in words. `host` is the MX host ("" where none was reached: a
    policy that cannot be fetched), `address` its IP address, `source` ours.
    """

    domain: str
    policy: str
    policy_string: tuple[str, ...]
    mx_patterns: tuple[str, ...]
    host: str
    address: str
    source: str
    result: str = ""
    reason: str = ""


@attrs.define(slots=True, eq=False)
class DeliveryLimited:
    """
    A delivery of `domain` that was due began `seconds` late, as a limit held it: `why` is a word of policy.hold.Why.
    """

    domain: str
    seconds: float
    why: str


@attrs.define(slots=True, eq=False)
class BreakerMoved:
    """
    A site's circuit breaker is now "open", "half-open" or "closed". `domain` is the one whose mail moved it, `domains`
    are all whose mail goes there as far as is known; `detail` says why, in one clause.
    """

    site: str
    domain: str
    domains: tuple[str, ...]
    state: str
    detail: str


@attrs.define(slots=True, eq=False)
class SiteShaped:
    """
    A site gets less mail at a time, or more again: `connections` at a time and `rate` a second (None: not limited by
    shaping); `detail` says why, in one clause with the reply that asked for it.
    """

    site: str
    domain: str
    connections: int | None
    rate: float | None
    detail: str


@attrs.define(slots=True, eq=False)
class GroupCommitted:
    """
    One group of `size` operations reached the disk in `seconds`; `error` is "" or why it did not.
    """

    size: int
    seconds: float
    error: str = ""


@attrs.define(slots=True, eq=False)
class CleanupGivenUp:
    """
    A content file could not be deleted in `attempts` tries, first at `first_failure` (seconds since the epoch); `error`
    is what the last one failed with.
    """

    name: str
    attempts: int
    first_failure: float
    error: str = ""


LifeEvent = (
    ConnectionOpened
    | ConnectionClosed
    | CommandAnswered
    | MessageDiscarded
    | MessageReceived
    | TransactionEnded
    | AttemptEnded
    | StepEnded
    | ReportQueued
    | ReportDropped
    | LookedUp
    | TlsTried
    | DeliveryLimited
    | BreakerMoved
    | SiteShaped
    | DeliveryManaged
    | DeliveryFrozen
    | SenderStopped
    | CopyRefused
    | BounceReceived
    | ComplaintReceived
    | AddressSuppressed
    | ControlUsed
    | GroupCommitted
    | CleanupGivenUp
)

Emit = Callable[[LifeEvent], None]
