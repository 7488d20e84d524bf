"""
The recipients of a message while a milter changes them: however many changes there are, each takes its own time only.
"""

from __future__ import annotations

from empath.mail.xtext import original_recipient
from empath.modules import Address, Recipient, Transaction

_Key = tuple[str, str]


class Recipients:
    """
    The recipients of a transaction, which changes with `give`.
    """

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._by_address: dict[_Key, list[Recipient]] = {}
        self._by_original: dict[str, list[Recipient]] = {}
        self._changed = False
        for each in transaction.recipients:
            self._take(each)

    def add(self, recipient: Recipient) -> None:
        """
        Add one, unless it is there.
        """
        if _key(recipient.address) not in self._by_address:
            self._changed = True
            self._take(recipient)

    def remove(self, address: Address) -> None:
        """
        Remove a recipient, and those that an alias made of it.
        """
        self._changed = True
        self._by_address.pop(_key(address), None)
        for each in self._by_original.pop(original_recipient(address.text).lower(), ()):
            alike = self._by_address.get(_key(each.address), [])
            alike[:] = [other for other in alike if other is not each]
            if not alike:
                self._by_address.pop(_key(each.address), None)

    def give(self) -> None:
        """
        Give the transaction what has become of them.
        """
        if self._changed:
            self._transaction.recipients[:] = [each for alike in self._by_address.values() for each in alike]

    def _take(self, recipient: Recipient) -> None:
        self._by_address.setdefault(_key(recipient.address), []).append(recipient)
        original = recipient.parameters.get("ORCPT", "")
        if original:
            self._by_original.setdefault(original.lower(), []).append(recipient)


def _key(address: Address) -> _Key:
    return address.local, address.domain
