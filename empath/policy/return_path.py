"""
With which reverse-path mail leaves: the sender's own, or one of ours that leads back to him, or tells of whom it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from empath.mail.address import Address
from empath.mail.envelope import Recipient
from empath.mail.message import Message
from empath.mail.origin import Source
from empath.policy.srs import Srs
from empath.policy.verp import Verp

Keep = Callable[[str, str], None]
"""
Keep a text under a token for as long as addresses last.
"""


@attrs.frozen(slots=True)
class ReturnPaths:
    """
    What is done, of `srs` and `verp`. Mail for `ours`, the domains that we are responsible for, does not leave.
    """

    ours: frozenset[str]
    srs: Srs | None = None
    verp: Verp | None = None

    def alone(self, message: Message, recipients: Iterable[Recipient]) -> bool:
        """
        Tell whether each of the recipients is to get a transaction of its own, with a reverse-path of its own.
        """
        return self._names(message) and any(each.address.domain not in self.ours for each in recipients)

    def of(self, message: Message, recipients: Iterable[Recipient], now: float, keep: Keep) -> Address | None:
        """
        Give the reverse-path of a transaction with some of the recipients; all but one where they are not `alone`.

        Outside mail whose sender is not ours is forwarded; what our own side sends names its recipient.
        """
        sender = message.envelope.reverse_path
        if sender is None:
            return None
        away = [each.address for each in recipients if each.address.domain not in self.ours]
        if not away:
            return sender
        if not message.origin.vouched:
            return sender if self.srs is None else self._forwarded(self.srs, sender, now, keep)
        if self.verp is None or len(away) > 1 or not self._names(message):
            return sender
        return _named(self.verp, sender, away[0], now, keep)

    def _names(self, message: Message) -> bool:
        """
        Tell whether reverse-paths of a message are to name recipients, as far as that goes by its sender.
        """
        sender, source = message.envelope.reverse_path, message.origin.source
        own = source is Source.LOGIN or source is Source.TRUSTED
        return own and sender is not None and self.verp is not None and self.verp.concerns(sender)

    def _forwarded(self, srs: Srs, sender: Address, now: float, keep: Keep) -> Address:
        if sender.domain in self.ours or sender.domain == srs.domain:
            return sender
        made = srs.forward(sender, now)
        if made is not None:
            return made
        token, made = srs.keep(sender, now)
        keep(token, sender.text)
        return made


def _named(verp: Verp, sender: Address, recipient: Address, now: float, keep: Keep) -> Address:
    made = verp.name(sender, recipient, now)
    if made is not None:
        return made
    kept = verp.keep(sender, recipient, now)
    if kept is None:
        return sender
    keep(kept[0], recipient.text)
    return kept[1]
