"""
The checks that every session passes first: relay control, whose address a sender is, the limits of a transaction.

Fatal: nothing. A spool without room refuses for now (452), so the client retries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.logger import Logger
from zope.interface import implementer

from empath.config.schema import Smtp
from empath.modules import Action, Address, IModule, MaybeVerdict, Recipient, Reply, Session, Transaction, Verdict
from empath.policy.relay import RELAY_DENIED, RelayPolicy, relay_policy
from empath.policy.senders import ANYONE, Senders

TOO_LARGE: Final = Verdict(Action.REFUSE, Reply.of("552 5.3.4 message too large"), "core")
NO_ROOM: Final = Verdict(Action.REFUSE, Reply.of("452 4.3.1 not enough room to store the message"), "core")
STOPPED: Final = Verdict(Action.REFUSE, Reply.of("450 4.7.1 mail of this sender is stopped for now"), "core")
TOO_MANY_RECIPIENTS: Final = Verdict(Action.REFUSE, Reply.of("452 4.5.3 too many recipients"), "core")

NOTHING: Final = relay_policy((), (), None)

log = Logger()


def _nobody(_: Address) -> bool:
    return False


def _none_stopped(login: str, reverse_path: Address | None) -> bool:
    return False


@implementer(IModule)
class CoreChecks:
    """
    The first of every chain. It is not configured with [[modules]]: its options are [smtp], [relay] and [auth] senders.

    `has_room` tells whether the spool may receive a message of so many bytes; `senders` binds those who logged in.
    `answers` tells of an address in a domain that is not ours whether another check judges it, `stopped` of the
    login ("": none) and the reverse-path of a trusted client whether its mail is not taken for now.
    """

    __slots__ = ("_answers", "_has_room", "_max_message_size", "_max_recipients", "_relay", "_senders", "_stopped")

    name = "core"

    def __init__(
        self,
        smtp: Smtp,
        relay: RelayPolicy,
        has_room: Callable[[int], bool],
        senders: Senders = ANYONE,
        answers: Callable[[Address], bool] = _nobody,
        stopped: Callable[[str, Address | None], bool] = _none_stopped,
    ) -> None:
        self._stopped = stopped
        self._has_room = has_room
        self._answers = answers
        self._relay = NOTHING
        self.reconfigure(smtp, relay, senders)

    def reconfigure(self, smtp: Smtp, relay: RelayPolicy, senders: Senders = ANYONE) -> None:
        """
        Use these limits and policies from now on.
        """
        self._senders = senders
        self._max_message_size = smtp.max_message_size
        self._max_recipients = smtp.max_recipients
        before, self._relay = self._relay, relay
        if relay == before:
            return
        if relay.domains and relay.recipients is None and not relay.verified:
            log.warn(
                'relay: recipients = "any": mail to unknown users of {domains} will bounce (backscatter)',
                domains=", ".join(sorted(relay.domains)),
            )

    def mail_from(self, session: Session, transaction: Transaction) -> MaybeVerdict:
        """
        Refuse another's address, a sender that is stopped, and what is announced to be too large, ever (RFC 1870 §6.1)
        or for the room that is left now.
        """
        if session.login and (verdict := self._senders.judge(session.login, transaction.reverse_path)) is not None:
            return verdict
        if session.trusted and self._stopped(session.login, transaction.reverse_path):
            return STOPPED
        size = transaction.declared_size
        if size > self._max_message_size > 0:
            return TOO_LARGE
        return None if self._has_room(size) else NO_ROOM

    def rcpt_to(self, session: Session, transaction: Transaction, recipient: Recipient) -> MaybeVerdict:
        """
        Refuse one recipient too many, and mail that we are not to relay.
        """
        if transaction.accepted >= self._max_recipients:
            return TOO_MANY_RECIPIENTS
        verdict = self._relay.judge(session.trusted, recipient.address)
        return None if verdict is RELAY_DENIED and self._answers(recipient.address) else verdict
