"""
When a sender is to be stopped: most of its mail fails, or it sends to too many. So a stolen password does harm for a
while only, and to nobody else's mail.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

import attrs

from empath.mail.address import Address
from empath.mail.message import RecipientState, Status
from empath.mail.origin import Origin, Source
from empath.policy.selection import Selection, folded
from empath.policy.verbs import BOUNCED

SLICES: Final = 12  # of a window: what is older than that goes slice by slice
MOST_SENDERS: Final = 10_000  # logins, and addresses, counted at a time; beyond, the longest quiet ones are forgotten
_LOGIN: Final = "login:"


def sender_of(origin: Origin, reverse_path: Address | None) -> str:
    """
    Name whom mail counts against: a login ("login:ann"), or the address in the reverse-path where a trusted client did
    not log in. "" for nobody: mail from outside, our own, and such with a null reverse-path.
    """
    if origin.source is Source.LOGIN:
        return _LOGIN + origin.login
    if origin.source is Source.TRUSTED and reverse_path is not None:
        return folded(reverse_path.text)
    return ""


def mail_of(sender: str) -> Selection:
    """
    Select the mail of a sender; ValueError for what names none.
    """
    login = sender.removeprefix(_LOGIN)
    if sender.startswith(_LOGIN) and login:
        return Selection(login=login)
    if "@" not in sender:
        raise ValueError(f"a sender is {_LOGIN}{login or '<login>'}, or an address")
    return Selection(sender=sender, source=Source.TRUSTED)


def to_release(sender: str, since: float, held_for: str) -> tuple[Selection, ...]:
    """
    Select what is to go on of a sender that was stopped at a time: what was to be held after its attempt, then what was
    held since, and what was held for that reason when it came; not what others held before.
    """
    mail = mail_of(sender)
    return (
        attrs.evolve(mail, status=Status.PENDING),
        attrs.evolve(mail, status=Status.RETRY),
        attrs.evolve(mail, held_from=since),
        attrs.evolve(mail, held_for=held_for),
    )


def canonical_sender(text: str) -> str:
    """
    Give a sender, as an operator writes it, as `sender_of` does.
    """
    return text if text.startswith(_LOGIN) else folded(text)


def failed_and_ended(results: Sequence[RecipientState]) -> tuple[int, int]:
    """
    Count the recipients that failed for good, and those that came to any end; not those that an operator bounced, which
    is no fault of their sender.
    """
    failed = ended = 0
    for state in results:
        if state.status is Status.FAILED:
            if state.reply != BOUNCED.reply:
                failed += 1
                ended += 1
        elif state.status is Status.COMPLETED or state.status is Status.EXPIRED:
            ended += 1
    return failed, ended


@attrs.frozen(slots=True)
class Limits:
    """
    Of which senders we stop: `max_failure_ratio` or more of at least `min_recipients` that came to an end within
    `window` seconds failed for good, or more than `max_recipients` (0: any number) were sent to.
    """

    window: float
    min_recipients: int
    max_failure_ratio: float
    max_recipients: int = 0


@attrs.define(slots=True)
class _Slice:
    number: int
    sent: int = 0
    ended: int = 0
    failed: int = 0


@attrs.define(slots=True)
class _Counted:
    slices: deque[_Slice] = attrs.field(factory=deque)
    sent: int = 0
    ended: int = 0
    failed: int = 0

    def at(self, number: int) -> _Slice:
        """
        Give the slice of this number, or of the last one where the clock went back, without what is too old, or was
        counted when the clock was wrong by more than a window.
        """
        slices = self.slices
        if slices and slices[-1].number > number + SLICES:
            slices.clear()
            self.sent = self.ended = self.failed = 0
        while slices and slices[0].number <= number - SLICES:
            old = slices.popleft()
            self.sent -= old.sent
            self.ended -= old.ended
            self.failed -= old.failed
        if not slices or slices[-1].number < number:
            slices.append(_Slice(number))
        return slices[-1]


class SenderBreaker:
    """
    Counts by sender, in sliding windows; of at most `most` logins and as many addresses: those anybody in a trusted
    network can make up, and logins must not be forgotten for it.
    """

    def __init__(self, limits: Limits, most: int = MOST_SENDERS) -> None:
        self._limits = limits
        self._most = most
        self._logins: dict[str, _Counted] = {}
        self._addresses: dict[str, _Counted] = {}

    def __len__(self) -> int:
        return len(self._logins) + len(self._addresses)

    def reconfigure(self, limits: Limits) -> None:
        """
        Go by other limits; what was counted in another window is forgotten.
        """
        if limits.window != self._limits.window:
            self._logins.clear()
            self._addresses.clear()
        self._limits = limits

    def sent(self, sender: str, recipients: int, now: float) -> str:
        """
        Count what was taken from a sender; tells why it is to be stopped, "" if it is not.
        """
        counted, part = self._counted(sender, now)
        part.sent += recipients
        counted.sent += recipients
        most = self._limits.max_recipients
        if 0 < most < counted.sent:
            return f"{counted.sent} recipients in {self._limits.window:g} s, and {most} are allowed"
        return ""

    def came_to_end(self, sender: str, failed: int, ended: int, now: float) -> str:
        """
        Count recipients of a sender that came to an end; tells why it is to be stopped, "" if it is not.
        """
        counted, part = self._counted(sender, now)
        part.failed += failed
        part.ended += ended
        counted.failed += failed
        counted.ended += ended
        limits = self._limits
        if counted.ended < limits.min_recipients or not counted.failed:
            return ""
        if counted.failed < limits.max_failure_ratio * counted.ended:
            return ""
        return f"{counted.failed} of {counted.ended} recipients failed in {limits.window:g} s"

    def forget(self, sender: str) -> None:
        """
        Begin anew with a sender.
        """
        self._those_like(sender).pop(sender, None)

    def _those_like(self, sender: str) -> dict[str, _Counted]:
        return self._logins if sender.startswith(_LOGIN) else self._addresses

    def _counted(self, sender: str, now: float) -> tuple[_Counted, _Slice]:
        senders = self._those_like(sender)
        counted = senders.pop(sender, None)
        if counted is None:
            counted = _Counted()
            if len(senders) >= self._most:
                del senders[next(iter(senders))]
        senders[sender] = counted
        return counted, counted.at(int(now * SLICES / self._limits.window))
