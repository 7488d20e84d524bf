"""
Where reports about our mail come to: the addresses of our own making, those for complaints, and the place behind them.

A report is read at `PLACE`, which no one outside can name: what stands in front of its "@" was written by us when the
recipient was judged, so it is as good as known.
"""

from __future__ import annotations

from typing import Final

import attrs

from empath.mail.address import Address, parse_address
from empath.policy.mailbox import key_of
from empath.policy.srs import Srs
from empath.policy.verp import Verp

PLACE: Final = "empath-reports"  # a route of ours, and no domain: it has no dot
STRATEGY: Final = "reports"
_BOUNCE: Final = "bounce/"
_COMPLAINT: Final = "complaint"
_VOUCHED: Final = "complaint/vouched"


@attrs.frozen(slots=True)
class Reading:
    """
    How a report is to be read: as a bounce about `recipient`, or, None, as a complaint. `vouched`: whoever brought it
    may say of anybody that he complained.
    """

    recipient: Address | None
    vouched: bool = False

    @property
    def address(self) -> Address:
        """
        The place where a report is read so.
        """
        if self.recipient is not None:
            local = _BOUNCE + self.recipient.text
        else:
            local = _VOUCHED if self.vouched else _COMPLAINT
        return Address(local, PLACE, f"{local}@{PLACE}")


def read_place(address: Address) -> Reading | None:
    """
    Tell how a report that came to a place is to be read; None for what is no such place.
    """
    if address.domain != PLACE:
        return None
    if address.local in (_COMPLAINT, _VOUCHED):
        return Reading(None, address.local == _VOUCHED)
    try:
        return Reading(parse_address(address.local.removeprefix(_BOUNCE), utf8=True))
    except ValueError:
        return None


@attrs.frozen(slots=True)
class Incoming:
    """
    Which addresses lead where. `ours` are the domains of mailboxes that we answer for, `feedback` (`key_of`) the
    addresses for complaints, `postmaster` is ours.
    """

    ours: frozenset[str]
    srs: Srs | None = None
    verp: Verp | None = None
    feedback: frozenset[tuple[str, str]] = frozenset()
    postmaster: Address | None = None

    @property
    def idle(self) -> bool:
        """
        Whether there are none.
        """
        return self.srs is None and self.verp is None and not self.feedback

    def answers(self, address: Address, now: float) -> bool:
        """
        Tell whether somebody here answers for an address, even where its domain is none of `ours`.
        """
        if self.srs is not None and address.domain == self.srs.domain:
            return True
        if key_of(address) in self.feedback:
            return True
        return self.verp is not None and self.verp.read(address, now) is not None
