"""
A message in our care, and the state of its delivery to each destination domain.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import attrs

from empath.mail.address import Address
from empath.mail.arrival import Arrival
from empath.mail.decision import Decision
from empath.mail.envelope import Envelope, Recipient
from empath.mail.history import PastAttempt
from empath.mail.origin import OUTSIDE, Origin
from empath.mail.reply import Reply


class Status(Enum):
    """
    Where a recipient, or a delivery as a whole, stands. `IN_PROGRESS` is never stored: after a crash it is pending.
    """

    __hash__ = object.__hash__  # members are singletons; Enum's own hashes the name in Python, at each look-up

    PENDING = "pending"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    FAILED = "failed"
    RETRY = "retry"
    EXPIRED = "expired"
    HELD = "held"


LIVE = frozenset({Status.PENDING, Status.IN_PROGRESS, Status.RETRY, Status.HELD})


@attrs.frozen(slots=True)
class Message:
    """
    A message as it was accepted; nothing in it changes until its last delivery has ended.

    `header` is the header block with our trace headers on top, up to and with the line end of its last field; the
    empty line begins the body. The body is `body` where it is small or in memory, else in the spool's content file
    of the name `body_file`; `header + body` is, byte for byte, what goes to the next hop (CRLF line ends, no dots
    stuffed). `size` counts both in bytes. `eight_bit` tells whether any byte is ≥ 128, whatever was declared.
    `received` is in seconds since the epoch. `priority` is 0 for normal mail, greater is more urgent.
    `decisions` is what modules decided about it on its way in, `origin` who handed it to us, `arrival` how it came
    (None for what we wrote). `delivery` is the one that a listener is told of, as it now stands, else None; it is not
    stored with the message.
    """

    queue_id: str
    received: float
    envelope: Envelope
    header: bytes
    body: bytes | None
    body_file: str | None
    size: int
    eight_bit: bool
    metadata: dict[str, str] = attrs.field(factory=dict)
    trace: str = ""
    priority: int = 0
    decisions: tuple[Decision, ...] = ()
    delivery: Delivery | None = None
    origin: Origin = OUTSIDE
    arrival: Arrival | None = None

    @property
    def binary(self) -> bool:
        """
        Whether the content can only be carried by BDAT with BODY=BINARYMIME (RFC 3030): it holds a CR or an LF that
        stands alone, or a NUL. Reception keeps the declaration only where it is needed.
        """
        return self.envelope.parameters.get("BODY") == "BINARYMIME"


@attrs.frozen(slots=True)
class RecipientState:
    """
    A recipient of one delivery, how it stands, and the last reply that concerned it (None: no attempt so far).

    `late`: the time to deliver by is over, and the sender was told so if that was wanted (RFC 2852). `doubtful`: a
    host may have taken the mail although it never said so (the connection was lost after the final dot), so that a
    later success may be a duplicate. `category` is the class of the failure that `reply` tells of, "" if there is none
    (`empath.policy.bounce`).
    """

    recipient: Recipient
    status: Status = Status.PENDING
    reply: Reply | None = None
    host: str = ""
    late: bool = False
    doubtful: bool = False
    category: str = ""

    @property
    def address(self) -> Address:
        """
        The recipient's address.
        """
        return self.recipient.address


@attrs.frozen(slots=True)
class Delivery:
    """
    The unit of scheduling: one message on its way to one destination domain, with the state of each recipient there.

    `next_attempt` is in seconds since the epoch, None for what is not scheduled (held, or at its end). `attempts`
    counts finished passes over the destination's hosts. `priority` is the message's. `received` is when the clocks of
    retry and expiry began: the message's, or its release where that is later (RFC 4865). `held_since` is when an
    operator held it, None if nobody did: the clocks stand still until it is released. `history` tells of attempts that
    did not end it, as far as it is kept.
    """

    queue_id: str
    domain: str
    received: float
    recipients: tuple[RecipientState, ...]
    status: Status = Status.PENDING
    attempts: int = 0
    next_attempt: float | None = None
    last_error: str = ""
    priority: int = 0
    held_since: float | None = None
    history: tuple[PastAttempt, ...] = ()

    @property
    def open_recipients(self) -> tuple[RecipientState, ...]:
        """
        The recipients that still wait for an end.
        """
        return tuple([state for state in self.recipients if state.status in LIVE])


def deliveries_of(
    message: Message, release: float = 0.0, held: str = "", routes: Mapping[Address | None, str] | None = None
) -> tuple[Delivery, ...]:
    """
    Make the first state of a message's deliveries: one for each destination, in the order given, not before `release`
    (seconds since the epoch); where `held` tells why, they wait for an operator.

    The destination is a recipient's domain, or the name that `routes` has for its address, or, as None, for all others.
    """
    begins = max(message.received, release)
    status = Status.HELD if held else Status.PENDING
    due = None if held else begins
    recipients = message.envelope.recipients
    if len(recipients) == 1 and not routes:  # the usual one
        states = (RecipientState(recipients[0]),)
        domain = recipients[0].address.domain
        return (Delivery(message.queue_id, domain, begins, states, status, 0, due, held, message.priority),)
    domains: dict[str, list[RecipientState]] = {}
    for recipient in recipients:
        domain = recipient.address.domain
        if routes:
            domain = routes.get(recipient.address) or routes.get(None) or domain
        domains.setdefault(domain, []).append(RecipientState(recipient))
    return tuple(
        [
            Delivery(message.queue_id, domain, begins, tuple(those), status, 0, due, held, message.priority)
            for domain, those in domains.items()
        ]
    )
