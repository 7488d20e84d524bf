"""
The latest attempts that failed, told without saying who wrote to whom.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import Final

import attrs

from empath.mail import life
from empath.mail.address import Address
from empath.mail.message import RecipientState, Status
from empath.mail.reply import Reply
from empath.observe.life import LifeEvents
from empath.observe.logs.escaping import escaped

KEPT: Final = 50
LONGEST: Final = 300  # characters of a reply
_BAD: Final = frozenset({Status.RETRY, Status.FAILED, Status.EXPIRED})
_LOCAL_PARTS: Final = re.compile(r'(?:"(?:[^"\\]|\\.){0,128}"|[^\s<>()\[\]",;:@]{1,128})@')
_LOCAL_PART: Final = 128  # characters that one may have above
_HIDDEN: Final = "…"


@attrs.frozen(slots=True)
class Failure:
    """
    One attempt that failed, for people: `nth` since the start, `time` in seconds since the epoch, `status` retry,
    failed or expired, the destination's `domain`, the `host` that `reply` is of ("" where it is our own finding), and
    for how many recipients it stands.
    """

    nth: int
    time: float
    status: str
    queue_id: str
    domain: str
    host: str
    reply: str
    recipients: int


@attrs.frozen(slots=True)
class _Seen:
    """
    What is kept of an attempt until somebody looks.
    """

    nth: int
    time: float
    queue_id: str
    domain: str
    state: RecipientState
    sender: Address | None
    recipients: int


class Failures:
    """
    Keeps the latest.
    """

    __slots__ = ("_seen", "many")

    def __init__(self) -> None:
        self._seen: deque[_Seen] = deque(maxlen=KEPT)
        self.many = 0

    def listen(self, events: LifeEvents) -> Callable[[], None]:
        """
        Subscribe to attempts, until what is returned is called.
        """
        return events.subscribe(life.AttemptEnded, self._attempted)

    def since(self, nth: int) -> list[Failure]:
        """
        Tell those after the `nth`, the oldest first, as far as they are kept.
        """
        return [_told(seen) for seen in self._seen if seen.nth > nth]

    def _attempted(self, event: life.AttemptEnded) -> None:
        if event.delivery.status is Status.COMPLETED:
            return
        bad = [state for state in event.results if state.status in _BAD]
        if not bad:
            return
        self.many += 1
        message, ended = event.message, event.attempt.ended
        sender = message.envelope.reverse_path
        self._seen.append(_Seen(self.many, ended, message.queue_id, event.delivery.domain, bad[0], sender, len(bad)))


def _told(seen: _Seen) -> Failure:
    state = seen.state
    reply = "" if state.reply is None else _text(state.reply)
    said = without_local_parts(reply, state.address, seen.sender)
    return Failure(
        seen.nth, seen.time, state.status.value, seen.queue_id, seen.domain, state.host, said, seen.recipients
    )


def _text(reply: Reply) -> str:
    status = f"{reply.enhanced} " if reply.enhanced else ""
    return f"{reply.code} {status}{' '.join(reply.lines)}"


def without_local_parts(text: str, *known: Address | None) -> str:
    """
    Leave out of a text, shortened to one line of `LONGEST` characters, the local part of whatever looks like an
    address, and those of the `known` ones wherever they stand as words.
    """
    if len(text) > 2 * LONGEST:
        text = text[: 2 * LONGEST]
        text = text.rpartition(" ")[0] or text[:-_LOCAL_PART]  # half an address does not look like one
    text = _LOCAL_PARTS.sub(f"{_HIDDEN}@", text)
    for address in known:
        if address is not None and address.local:
            text = re.sub(rf"(?<!\w){re.escape(address.local)}(?!\w)", _HIDDEN, text, flags=re.IGNORECASE)
    text = escaped(text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + _HIDDEN
