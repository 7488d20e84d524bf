"""
Who is among the recipients of a transaction, told quickly however many there are.
"""

from __future__ import annotations

from collections.abc import Iterable

from empath.mail.address import Address
from empath.mail.envelope import Recipient


class Present:
    """
    The addresses of a list of recipients that anybody may change. Two spellings of one mailbox are one.
    """

    __slots__ = ("_numbers", "_seen")

    def __init__(self) -> None:
        self._seen: list[Recipient] = []
        self._numbers: dict[tuple[str, str], int] = {}

    def catch_up(self, recipients: list[Recipient]) -> None:
        """
        Look whether the list is as it was last: where it is, that takes a few nanoseconds for each.
        """
        if recipients != self._seen:
            self._seen = []
            self._numbers = {}
            self.put(0, 0, recipients)

    def put(self, start: int, end: int, new: list[Recipient]) -> None:
        """
        Follow the list, where `new` took the places from `start` to before `end`.
        """
        numbers = self._numbers
        for each in self._seen[start:end]:
            numbers[_mailbox(each.address)] -= 1
        self._seen[start:end] = new
        for each in new:
            mailbox = _mailbox(each.address)
            numbers[mailbox] = numbers.get(mailbox, 0) + 1

    def has(self, address: Address) -> bool:
        """
        Tell whether an address is there.
        """
        return self._numbers.get(_mailbox(address), 0) > 0

    def missing(self, new: Iterable[Recipient], instead: Recipient | None = None) -> list[Recipient]:
        """
        Give those that are not there yet, each once; `instead` is one of the list that does not count.
        """
        own = None if instead is None else _mailbox(instead.address)
        taken = set()
        once = []
        for each in new:
            mailbox = _mailbox(each.address)
            if mailbox not in taken and self._numbers.get(mailbox, 0) <= (mailbox == own):
                taken.add(mailbox)
                once.append(each)
        return once


def _mailbox(address: Address) -> tuple[str, str]:
    return address.local, address.domain
