"""
Which deliveries an operator means, by what is known of them and of their messages.
"""

from __future__ import annotations

from typing import Final

import attrs

from empath.mail.address import Address, canonical_domain
from empath.mail.message import Delivery, Message, Status
from empath.mail.origin import Source

_LOWER: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def folded(text: str) -> str:
    """
    Give a text as it is compared: ASCII letters in lower case, as SQLite has them, and all others as they are.
    """
    return text.translate(_LOWER)


def _folded_or_none(text: str | None) -> str | None:
    return None if text is None else folded(text)


def destination(text: str) -> str:
    """
    Give a destination, as an operator writes it, as deliveries have it: a domain, perhaps with U-labels or a final dot,
    or what is no domain, as the name of a route may be.
    """
    try:
        return canonical_domain(text)
    except ValueError:
        return folded(text)


def _destination_or_none(text: str | None) -> str | None:
    return None if text is None else destination(text)


def _address(text: str | None) -> str | None:
    return None if text is None else folded("" if text == "<>" else text)


Key = tuple[str, str]
"""
What names a delivery: queue id and domain.
"""


@attrs.frozen(slots=True)
class Page:
    """
    Some of what was selected, in the order of its keys. `after` is where to go on, None if that was all: there may be
    more behind a page without any.
    """

    deliveries: tuple[Delivery, ...]
    after: Key | None


@attrs.frozen(slots=True)
class Selection:
    """
    All deliveries that fit each field which is given; with none, only `everything` selects, and means all.

    `domain` is the destination: a domain, or the name of a route; `site` is what hosts it, which only the queue knows.
    `sender` is a reverse-path ("" or "<>": the null one), `recipient` one of the delivery's; addresses are compared
    whole, without regard to the case of ASCII letters. `login` is that under which the message was handed in,
    `vouched`: only mail of our own side (of trusted clients, logins, and ours), `source`: only from that one.
    `held_for` is why it was held when it came, to the letter, `held_from` selects what an operator held then or later.
    This and `received_before` are in seconds since the epoch. `status` is the delivery's: what is being attempted is
    still pending or in retry.
    """

    queue_id: str | None = None
    domain: str | None = attrs.field(default=None, converter=_destination_or_none)
    site: str | None = attrs.field(default=None, converter=_folded_or_none)
    status: Status | None = None
    sender: str | None = attrs.field(default=None, converter=_address)
    recipient: str | None = attrs.field(default=None, converter=_folded_or_none)
    login: str | None = None
    vouched: bool = False
    source: Source | None = None
    held_for: str | None = None
    held_from: float | None = None
    received_before: float | None = None
    everything: bool = False

    def __attrs_post_init__(self) -> None:
        """
        ValueError for a selection that names nothing: a mistake must not mean the whole queue.
        """
        if not (self.everything or self._names_something):
            raise ValueError("a selection names something, or everything")

    @property
    def _names_something(self) -> bool:
        texts = (self.queue_id, self.domain, self.site, self.sender, self.recipient, self.login)
        others = (self.status, self.received_before, self.source, self.held_for, self.held_from)
        return self.vouched or any(each is not None for each in (*texts, *others))

    @property
    def needs_message(self) -> bool:
        """
        Whether the delivery alone does not tell.
        """
        asked = (self.sender, self.login, self.received_before, self.source)
        return self.vouched or any(each is not None for each in asked)

    def once_held(self, now: float) -> Selection | None:
        """
        Select what would fit once an operator held it now, None for nothing.
        """
        if self.held_for is not None or self.status not in (None, Status.HELD):
            return None
        if self.held_from is not None and self.held_from > now:
            return None
        return attrs.evolve(self, status=None, held_from=None, everything=True)

    def fits(self, delivery: Delivery) -> bool:
        """
        Tell whether a delivery fits, as far as it tells itself; `site` is left to who knows it.
        """
        if self.queue_id is not None and delivery.queue_id != self.queue_id:
            return False
        if self.domain is not None and delivery.domain != self.domain:
            return False
        if self.status is not None and delivery.status is not self.status:
            return False
        if self.held_for is not None and (delivery.status is not Status.HELD or delivery.last_error != self.held_for):
            return False
        if self.held_from is not None and (delivery.held_since is None or delivery.held_since < self.held_from):
            return False
        wanted = self.recipient
        return wanted is None or any(folded(state.address.text) == wanted for state in delivery.recipients)

    def fits_message(self, message: Message) -> bool:
        """
        Tell whether a message fits.
        """
        origin = message.origin
        if self.vouched and not origin.vouched:
            return False
        if self.source is not None and origin.source is not self.source:
            return False
        if self.login is not None and not (origin.source is Source.LOGIN and origin.login == self.login):
            return False
        if self.received_before is not None and message.received >= self.received_before:
            return False
        return self.sender is None or _text(message.envelope.reverse_path) == self.sender


def _text(reverse_path: Address | None) -> str:
    return "" if reverse_path is None else folded(reverse_path.text)


def page_of(deliveries: list[Delivery], limit: int) -> Page:
    """
    Make a page of the first `limit` of all that fit and are still to come.
    """
    found = sorted(deliveries, key=_key)[: limit + 1]
    page = tuple(found[:limit])
    return Page(page, _key(page[-1]) if len(found) > limit else None)


def _key(delivery: Delivery) -> Key:
    return delivery.queue_id, delivery.domain
