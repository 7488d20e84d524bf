"""
What became of one recipient in one attempt, and how far a failure reaches.
"""

from __future__ import annotations

from enum import Enum

import attrs

from empath.mail.reply import Reply


class Scope(Enum):
    """
    How far a failure reaches, and so what is tried next.
    """

    SESSION = "session"  # this connection: the same host may do better on another one
    HOST = "host"  # this host: the next one is tried
    MESSAGE = "message"  # every recipient of this message at this destination
    RECIPIENT = "recipient"  # this recipient only


class Custody(Enum):
    """
    Who owes the sender a report of success (RFC 3461 §5.2), once the mail is accepted.
    """

    PASSED_ON = "passed on"  # the next hop: the DSN parameters went with the mail
    RELAYED = "relayed"  # we: the next hop does not know DSN
    UNTIMED = "untimed"  # we, whatever it knows of DSN: the next hop does not keep the time to deliver by (RFC 2852)
    DELIVERED = "delivered"  # we: the mail is in the recipient's mailbox


@attrs.frozen(slots=True)
class Success:
    """
    The recipient's mail was accepted by `host` ("" for a delivery on this machine) with `reply`.
    """

    reply: Reply
    host: str = ""
    custody: Custody = Custody.RELAYED


@attrs.frozen(slots=True)
class TransientFailure:
    """
    Not now: to be tried again. `host` is "" where `reply` is our own finding and no peer said it. `doubtful`: the host
    may have taken the mail all the same, as the connection was lost after the final dot (RFC 5321 §4.5.4.1, RFC 1047).
    `retry_after` is for how many seconds the host does not want to be asked again, 0 where it did not say.
    """

    reply: Reply
    scope: Scope
    host: str = ""
    doubtful: bool = False
    retry_after: float = 0.0


@attrs.frozen(slots=True)
class PermanentFailure:
    """
    Never: to be returned to the sender. `host` is "" where `reply` is our own finding and no peer said it.
    """

    reply: Reply
    scope: Scope
    host: str = ""


Failure = TransientFailure | PermanentFailure
Outcome = Success | TransientFailure | PermanentFailure


def doubts(outcomes: tuple[Outcome, ...]) -> int:
    """
    Tell for how many recipients nobody knows whether the host took the mail.
    """
    found = 0
    for outcome in outcomes:
        if isinstance(outcome, TransientFailure) and outcome.doubtful:
            found += 1
    return found
