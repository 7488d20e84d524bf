"""
Life events of what keeps mail safe: what operators, senders' stops and keys do to it, and what comes back of it later.
"""

from __future__ import annotations

import attrs

from empath.mail.address import Address
from empath.mail.session import Session


@attrs.define(slots=True, eq=False)
class DeliveryManaged:
    """
    An operator changed a delivery: `verb` is "held", "released", "retried", "bounced" or "deleted"; it is on disk.
    """

    queue_id: str
    domain: str
    verb: str
    why: str = ""


@attrs.define(slots=True, eq=False)
class DeliveryFrozen:
    """
    Delivery to a domain ("": to all) stopped, or (`frozen` is False) goes on, as an operator said.
    """

    domain: str
    frozen: bool


@attrs.define(slots=True, eq=False)
class SenderStopped:
    """
    Mail of a login, or of a sender's address where nobody logged in, is held and refused, or (`stopped` is False) goes
    on again; `detail` says why, in one clause.
    """

    sender: str
    stopped: bool
    detail: str


@attrs.define(slots=True, eq=False)
class CopyRefused:
    """
    A message came a second time under its idempotency key: its recipients, or some of them, were accepted with
    `queue_id` before, and get no second copy.
    """

    queue_id: str
    recipients: tuple[Address, ...]
    session: Session


@attrs.define(slots=True, eq=False)
class BounceReceived:
    """
    A host that had accepted our mail reported later what became of it: `address` is whom it was for, `action` the word
    of RFC 3464 §2.3.3, `status` its code ("5.1.1"), `category` its class, `queue_id` ours of that time ("" if unknown).
    """

    address: Address
    action: str
    status: str
    category: str
    detail: str
    queue_id: str = ""


@attrs.define(slots=True, eq=False)
class ComplaintReceived:
    """
    Somebody complained about our mail (ARF, RFC 5965): `kind` is the Feedback-Type, `address` the recipient where it is
    known, `reporter` the program or domain that reports.
    """

    address: Address | None
    kind: str
    reporter: str
    queue_id: str = ""


@attrs.define(slots=True, eq=False)
class AddressSuppressed:
    """
    An address gets no more mail, or (`suppressed` is False) gets it again; `why` is a category of failures,
    "complaint", or what an operator said.
    """

    address: str
    suppressed: bool
    why: str


@attrs.define(slots=True, eq=False)
class ControlUsed:
    """
    Somebody asked something of the control server: `caller` in words (user, token), `verb` ("queue.delete"), its
    arguments as JSON with secrets masked, `result` "ok", "refused", "not-found", "not-allowed", "failed", "cancelled",
    and `detail`, what was refused and why, or what was done. `changes` tells whether the verb changes anything.
    """

    caller: str
    verb: str
    arguments: str
    result: str
    detail: str
    seconds: float
    changes: bool
