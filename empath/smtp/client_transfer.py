"""
One transaction seen from the client: its commands, and what its replies mean for each recipient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from empath.mail.address import PRINTABLE
from empath.mail.outcome import Custody, Failure, Outcome, PermanentFailure, Scope, Success, TransientFailure
from empath.mail.reply import Reply
from empath.mail.wish import REQUIRE_TLS
from empath.smtp.client_commands import mail_command, rcpt_command
from empath.smtp.client_events import Consignment, TransactionEnded
from empath.smtp.client_findings import (
    NO_ADDRESS,
    NO_DEADLINE,
    NO_EIGHT_BIT,
    NO_REQUIRE_TLS,
    NO_UTF8_ADDRESS,
    NO_UTF8_MESSAGE,
    NOT_GUARDED,
    TOO_LATE,
    lowered,
    too_large,
)

if TYPE_CHECKING:
    from empath.smtp.client_offer import Offer

_TOO_MANY: Final = (452, 552)
_SYSTEM_STATUS: Final = ("4.3.", "4.4.")  # RFC 3463 §3.4, §3.5: the server's mail system, its network


class Transfer:
    """
    Collects an outcome for each recipient of one transaction.

    `asked` are the positions of the recipients that are offered to the server; one whose address cannot be said to it
    has its outcome from the beginning. `guarded`: REQUIRETLS counts in this session (RFC 8689 §2).
    """

    __slots__ = (
        "_again",
        "_consignment",
        "_custody",
        "_guarded",
        "_host",
        "_offer",
        "_outcomes",
        "_recipients",
        "_turn",
        "_untimed",
        "_utf8",
        "accepted",
        "answered",
        "asked",
        "probe",
    )

    def __init__(self, consignment: Consignment, host: str, offer: Offer, *, guarded: bool = False) -> None:
        self._consignment = consignment
        self._guarded = guarded
        self._host = host
        self._offer = offer
        self._recipients = consignment.recipients
        self._outcomes: list[Outcome | None] = [None] * len(consignment.recipients)
        self._again: list[int] = []
        self._turn = 0
        self._utf8 = consignment.utf8
        self._untimed = consignment.deliver_by is not None and _untimed(consignment.deliver_by[0], offer)
        self._custody = Custody.UNTIMED if self._untimed else Custody.PASSED_ON if offer.dsn else Custody.RELAYED
        self.answered = False
        self.accepted = 0
        self.probe = consignment.probe
        self.asked = list(range(len(self._recipients)))

    def check(self) -> None:
        """
        Settle what needs no talk: what the server cannot do (RFC 1870, RFC 6152 …), and addresses.
        """
        problem = self._problem()
        if problem is not None:
            self.fail_open(problem)
            self.asked = []
            return
        sender = self._consignment.reverse_path
        if sender is not None and not sender.text.isascii():
            self._utf8 = True
        for position, recipient in enumerate(self._recipients):
            text = recipient.address.text
            if not (text.isascii() and text.isprintable()):
                self._look_at(position, text)
        if any(self._outcomes):
            self.asked = [position for position, outcome in enumerate(self._outcomes) if outcome is None]

    def _problem(self) -> PermanentFailure | None:
        """
        Tell why this server can never take the message, None if it may.
        """
        unpromised = _unpromised(self._consignment, self._offer, self._guarded)
        return unfit(self._consignment, self._offer) if unpromised is None else unpromised

    def _look_at(self, position: int, text: str) -> None:
        refusal = _unsayable(text, self._offer)
        if refusal is None:
            self._utf8 = True
        else:
            self._outcomes[position] = PermanentFailure(refusal, Scope.RECIPIENT)

    @property
    def recipients_left(self) -> bool:
        """
        Whether a recipient's reply is still to come.
        """
        return self._turn < len(self.asked)

    def mail_command(self, *, authenticated: bool) -> str:
        """
        Say MAIL.
        """
        return mail_command(
            self._consignment, self._offer, utf8=self._utf8, authenticated=authenticated, guarded=self._guarded
        )

    def rcpt_command(self) -> str:
        """
        Say the RCPT whose turn it is.
        """
        recipient = self._recipients[self.asked[self._turn]]
        return rcpt_command(recipient, dsn=self._offer.dsn, utf8=self._utf8, untimed=self._untimed)

    def rcpt_commands(self) -> str:
        """
        Say all RCPTs.
        """
        if self._offer.dsn:
            known, utf8, untimed = self._recipients, self._utf8, self._untimed
            return "".join([rcpt_command(known[at], dsn=True, utf8=utf8, untimed=untimed) for at in self.asked])
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
            if self.probe:
                self._outcomes[position] = Success(reply, self._host)
            return
        if self.accepted and reply.code in _TOO_MANY:
            self._again.append(position)
            reply = lowered(reply, " ".join(reply.lines))
        kind = TransientFailure if reply.transient else PermanentFailure
        self._outcomes[position] = kind(reply, Scope.RECIPIENT, self._host)

    def content_refused(self, reply: Reply) -> None:
        """
        DATA, a chunk or the final dot was refused: so is every recipient that was accepted.
        """
        self.fail_open(_message_failure(reply, self._host))

    def delivered(self, reply: Reply) -> None:
        """
        The end of the content was answered with 2yz: whoever was accepted has the message.
        """
        self._settle_open(Success(reply, self._host, self._custody))

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


def convertible(consignment: Consignment, offer: Offer) -> bool:
    """
    Tell whether the server takes the content only once it is made 7-bit (RFC 6152 §3, RFC 3030 §3).
    """
    if consignment.binary:
        return not offer.binary
    return consignment.eight_bit and not offer.eight_bit


def unfit(consignment: Consignment, offer: Offer) -> PermanentFailure | None:
    """
    Tell why this server can never take such a message, None if it may.
    """
    if consignment.utf8 and not offer.utf8:
        return NO_UTF8_MESSAGE
    if convertible(consignment, offer):
        return NO_EIGHT_BIT
    if 0 < offer.max_size < consignment.size:
        return too_large(consignment.size, offer.max_size)
    refusal = None if consignment.reverse_path is None else _unsayable(consignment.reverse_path.text, offer)
    return None if refusal is None else PermanentFailure(refusal, Scope.MESSAGE)


def _unpromised(consignment: Consignment, offer: Offer, guarded: bool) -> PermanentFailure | None:
    """
    Tell why this server must not have the message, as it does not promise what the sender asked for; None if it may.
    Another host may do where it is for REQUIRETLS; a bounce is not lost for that (RFC 8689 §4.2.1, §5).
    """
    if REQUIRE_TLS in consignment.parameters and consignment.reverse_path is not None:
        if not guarded:
            return NOT_GUARDED
        if not offer.require_tls:
            return NO_REQUIRE_TLS
    return None if consignment.deliver_by is None else _overdue(*consignment.deliver_by, offer)


def _overdue(seconds: int, mode: str, offer: Offer) -> PermanentFailure | None:
    """
    Tell why mail that is to come back when it is late must not go on (RFC 2852 §4): the time is over, or the server
    does not keep times, or not such short ones.
    """
    if mode[:1] != "R":
        return None
    if seconds <= 0:
        return TOO_LATE
    return NO_DEADLINE if offer.deliver_by is None or seconds < offer.deliver_by else None


def _unsayable(text: str, offer: Offer) -> Reply | None:
    """
    Tell why an address cannot be sent; one with a control character could smuggle commands.
    """
    if text.isascii():
        return None if text.isprintable() else NO_ADDRESS
    if PRINTABLE.fullmatch(text) is None:
        return NO_ADDRESS
    return None if offer.utf8 else NO_UTF8_ADDRESS


def _untimed(seconds: int, offer: Offer) -> bool:
    """
    Tell whether the server was to keep a time that is still to come, and does not know how (RFC 2852 §4.1.4.2).
    """
    return seconds > 0 and offer.deliver_by is None


def _message_failure(reply: Reply, host: str) -> Failure:
    """
    Judge a refusal of MAIL, DATA, a chunk or the final dot: 5yz is for ever; 4yz is the host's where it blames its own
    system.
    """
    if not reply.transient:
        return PermanentFailure(reply, Scope.MESSAGE, host)
    own = reply.code == 452 or reply.status.startswith(_SYSTEM_STATUS)
    return TransientFailure(reply, Scope.HOST if own else Scope.MESSAGE, host)
