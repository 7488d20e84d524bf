"""
The suppression list in the session: whoever sends for our side hears at RCPT that an address gets no more mail.

Nothing is fatal or retried.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from zope.interface import implementer

from empath.mail.address import Address
from empath.modules import IModule, MaybeVerdict, Recipient, Session, Transaction, Verdict
from empath.policy.suppressed import refusal_of
from empath.policy.verdict import Action

NAME: Final = "suppression"


@implementer(IModule)
class SuppressedRecipients:
    """
    Refuses recipients for which `find` gives an entry of the list, with `why`, now or as an Awaitable. It is not
    configured with [[modules]].
    """

    __slots__ = ("_find",)

    name = NAME

    def __init__(self, find: Callable[[Address], Any]) -> None:
        self._find = find

    def rcpt_to(
        self, session: Session, transaction: Transaction, recipient: Recipient
    ) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        Refuse who is on the list; mail from outside is none of ours.
        """
        if not session.trusted:
            return None
        found = self._find(recipient.address)
        if found is None:
            return None
        return Deferred.fromCoroutine(_judged(found)) if isinstance(found, Awaitable) else _verdict(found)


async def _judged(found: Awaitable[Any]) -> MaybeVerdict:
    return _verdict(await found)


def _verdict(entry: Any) -> MaybeVerdict:
    return None if entry is None else Verdict(Action.REFUSE, refusal_of(entry.why), NAME)
