"""
One transaction seen from the client: its commands, and what its replies mean for each recipient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from empath.mail.outcome import Failure, Outcome, PermanentFailure, Scope, Success, TransientFailure
from empath.mail.reply import Reply
from empath.smtp.client_events import Consignment, TransactionEnded
from empath.smtp.client_findings import NO_ADDRESS, NO_EIGHT_BIT, NO_UTF8, lowered, too_large

if TYPE_CHECKING:
    from empath.mail.address import Address
    from empath.smtp.client_offer import Offer

_TOO_MANY: Final = (452, 552)
_SYSTEM_STATUS: Final = ("4.3.", "4.4.")  # RFC 3463 §3.4, §3.5: the server's mail system, its network


class Transfer:
    """
    Collects an outcome for each recipient of one transaction.

    `asked` are the positions of the recipients that are offered to the server; one whose address cannot be said in
    SMTP has its outcome from the beginning.
    """

    __slots__ = ("_again", "_host", "_outcomes", "_recipients", "_turn", "accepted", "answered", "asked", "opened")

    def __init__(self, consignment: Consignment, host: str) -> None:
        self._host = host
        self._recipients = consignment.recipients
        self._outcomes: list[Outcome | None] = [None] * len(consignment.recipients)
        self._again: list[int] = []
        self._turn = 0
        self.opened = False
        self.answered = False
        self.accepted = 0
        self.asked = list(range(len(self._recipients)))

    def check(self, consignment: Consignment, offer: Offer) -> None:
        """
        Settle what needs no talk: the server's announced limits (RFC 1870, RFC 6152) and addresses.
        """
        problem = _impossible(consignment, offer)
        if problem is not None:
            self.fail_open(problem)
        else:
            for position, recipient in enumerate(self._recipients):
                refusal = _unsayable(recipient.address)
                if refusal is not None:
                    self._outcomes[position] = PermanentFailure(refusal, Scope.RECIPIENT)
        if problem is not None or None not in self._outcomes:
            self.asked = []
        elif any(self._outcomes):
            self.asked = [position for position, outcome in enumerate(self._outcomes) if outcome is None]

    @property
    def recipients_left(self) -> bool:
        """
        Whether a recipient's reply is still to come.
        """
        return self._turn < len(self.asked)

    def rcpt_command(self) -> str:
        """
        Say the RCPT whose turn it is.
        """
        return f"RCPT TO:<{self._recipients[self.asked[self._turn]].address.text}>\r\n"

    def rcpt_commands(self) -> str:
        """
        Say all RCPTs.
        """
        return "".join([f"RCPT TO:<{self._recipients[position].address.text}>\r\n" for position in self.asked])

    def mail_refused(self, reply: Reply) -> None:
        """
        MAIL was refused: nothing of this transaction goes.
        """
        self.fail_open(_message_failure(reply, self._host))

    def rcpt_answered(self, reply: Reply) -> None:
        """
        The RCPT whose turn it is was answered. After a refused MAIL the answer means nothing.
        """
        position = self.asked[self._turn]
        self._turn += 1
        if self._outcomes[position] is not None:
            return
        if reply.positive:
            self.accepted += 1
            return
        if self.accepted and reply.code in _TOO_MANY:
            self._again.append(position)
            reply = lowered(reply, " ".join(reply.lines))
        kind = TransientFailure if reply.transient else PermanentFailure
        self._outcomes[position] = kind(reply, Scope.RECIPIENT, self._host)

    def content_refused(self, reply: Reply) -> None:
        """
        DATA or the final dot was refused: so is every recipient that was accepted.
        """
        self.fail_open(_message_failure(reply, self._host))

    def delivered(self, reply: Reply) -> None:
        """
        The final dot was answered with 2yz: whoever was accepted has the message.
        """
        self._settle_open(Success(reply, self._host))

    def fail_open(self, failure: Failure) -> None:
        """
        Give `failure` to every recipient that has no outcome.
        """
        self._settle_open(failure)

    def ended(self, *, session_over: bool = False) -> TransactionEnded:
        """
        Tell the outcomes; all recipients have one by now.
        """
        unanswered = session_over and not self.answered
        again = () if session_over else tuple(self._again)
        return TransactionEnded(cast("tuple[Outcome, ...]", tuple(self._outcomes)), again, unanswered)

    def _settle_open(self, outcome: Outcome) -> None:
        self._outcomes = [outcome if known is None else known for known in self._outcomes]


def mail_command(consignment: Consignment, offer: Offer) -> str:
    """
    Say MAIL, with SIZE where offered (RFC 1870) and BODY only where a byte needs it (RFC 6152).
    """
    sender = consignment.reverse_path
    return (
        f"MAIL FROM:<{'' if sender is None else sender.text}>"
        f"{f' SIZE={consignment.size}' if offer.size else ''}"
        f"{' BODY=8BITMIME' if consignment.eight_bit else ''}\r\n"
    )


def _impossible(consignment: Consignment, offer: Offer) -> PermanentFailure | None:
    """
    Tell why this server can never take the message, None if it may.
    """
    if consignment.eight_bit and not offer.eight_bit:
        return NO_EIGHT_BIT
    if 0 < offer.max_size < consignment.size:
        return too_large(consignment.size, offer.max_size)
    refusal = None if consignment.reverse_path is None else _unsayable(consignment.reverse_path)
    return None if refusal is None else PermanentFailure(refusal, Scope.MESSAGE)


def _unsayable(address: Address) -> Reply | None:
    """
    Tell why an address cannot be sent; one with a control character could smuggle commands.
    """
    text = address.text
    if text.isascii():
        return None if text.isprintable() else NO_ADDRESS
    return NO_UTF8 if text.isprintable() else NO_ADDRESS


def _message_failure(reply: Reply, host: str) -> Failure:
    """
    Judge a refusal of MAIL, DATA or the final dot: 5yz is for ever; 4yz is the host's where it blames its own system.
    """
    if not reply.transient:
        return PermanentFailure(reply, Scope.MESSAGE, host)
    own = reply.code == 452 or reply.status.startswith(_SYSTEM_STATUS)
    return TransientFailure(reply, Scope.HOST if own else Scope.MESSAGE, host)
