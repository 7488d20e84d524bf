"""
What the active window holds: entries, and the copies of messages that they share.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import attrs

from empath.mail.attempt import Attempt
from empath.mail.message import Delivery, Message
from empath.policy.selection import Key as Key
from empath.policy.shaping import Told
from empath.policy.verbs import Verb

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from empath.policy.hold import Why
    from empath.queue.line import Gate, Line

LONGEST_ATTEMPT: Final = 3600.0
SLOWEST: Final = 1024  # bytes a second
LONGEST_REPLY: Final = 60.0  # seconds, to a recipient


class Place(Enum):
    """
    Where an entry is: in exactly one of these, and the watchdog sees to it.
    """

    READY = "ready"  # in its destination's line
    IN_FLIGHT = "in flight"  # being attempted, until its deadline
    SETTLING = "settling"  # attempted; the spool is writing the settlement
    TIMED = "timed"  # attempted; the spool failed, the settlement is written again at a set time
    GONE = "gone"  # no longer in the window; the spool alone knows it


@attrs.frozen(slots=True)
class Order:
    """
    What an operator wants done with a delivery, and why.
    """

    verb: Verb
    why: str = ""

    @property
    def word(self) -> str:
        """
        What it will have been.
        """
        verb = Verb.RETRY if self.verb is Verb.FORCE else self.verb
        return str(verb.value)

    def __str__(self) -> str:
        return f"{self.verb.value} {self.why}"

    @staticmethod
    def read(text: str) -> Order | None:
        """
        Read what `str` made; None for anything else.
        """
        word, _, why = text.partition(" ")
        verb = next((each for each in Verb if each.value == word), None)
        return None if verb is None else Order(verb, why)


@attrs.define(slots=True, eq=False)
class Copy:
    """
    A message in memory, shared by `users` entries; `size` is what it costs the window in bytes.
    """

    message: Message
    size: int
    users: int = 0


@attrs.define(slots=True, eq=False)
class Entry:
    """
    One delivery in the active window.

    `copy` is None where the message is read from the spool when the turn comes. `since` is when it came into the
    window. `gate` is where it went through once it has a slot; `late` are the seconds for which the limit `why` held
    it up before; `told` is what the attempt showed of its site. `deadline` (clock's seconds) counts while it is in
    flight; `running` is the attempt, `attempt` its timing record, `order` what is to be done once it has ended.
    """

    key: Key
    delivery: Delivery
    line: Line
    copy: Copy | None = None
    since: float = 0.0
    gate: Gate | None = None
    why: Why | None = None
    late: float = 0.0
    told: Told = Told.NOTHING
    place: Place = Place.READY
    deadline: float = 0.0
    running: Deferred[None] | None = None
    order: Order | None = None
    attempt: Attempt | None = None

    @property
    def named(self) -> dict[str, Any]:
        """
        The fields of a log record about it.
        """
        ids = None if self.attempt is None else self.attempt.ids
        return {"queue_id": self.key[0], "domain": self.key[1], "log_ids": ids}


def patience(message: Message, delivery: Delivery) -> float:
    """
    Tell the seconds after which an attempt counts as lost, though each of its steps has a time-out of its own: large
    content on a slow line, or many recipients at a host that delays its replies, may take more than the usual hour.
    """
    return LONGEST_ATTEMPT + message.size / SLOWEST + len(delivery.recipients) * LONGEST_REPLY
