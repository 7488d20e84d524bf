"""
The client's half of an LMTP session (RFC 2033): what is not as in SMTP.

It begins with LHLO, and the end of the content is answered once for each recipient that was accepted (§4.2), so that
one recipient's mailbox cannot hold up or double the mail of the others. Whoever has the mail then has it for good: it
is the final delivery.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from empath.mail.outcome import Custody, PermanentFailure, Scope, Success, TransientFailure
from empath.mail.reply import Reply
from empath.smtp import client_findings as findings
from empath.smtp.client import ClientSession
from empath.smtp.client_carriage import NO_BDAT
from empath.smtp.client_events import Consignment, State, Trouble
from empath.smtp.client_findings import TOO_LATE
from empath.smtp.client_offer import Offer
from empath.smtp.client_transfer import Transfer, unfit

_GOODBYE: Final = 221
_SHUTTING_DOWN: Final = 421


class FinalTransfer(Transfer):
    """
    One transaction with the server that keeps the mailboxes.

    Nobody comes after it, so it need not promise what only a relay has to keep: a time to deliver by (RFC 2852), or TLS
    on the way further (RFC 8689; our own way to it is the edge's care). A server that knows DSN tells of success
    itself; for another one we do (RFC 3461 §5.2.2).
    """

    __slots__ = ("owed",)

    def __init__(self, consignment: Consignment, host: str, offer: Offer, *, guarded: bool = False) -> None:
        super().__init__(consignment, host, offer, guarded=guarded)
        self._untimed = False
        self._custody = Custody.PASSED_ON if offer.dsn else Custody.DELIVERED
        self.owed = 0  # answers to the end of the content that are still to come

    def rcpt_answered(self, reply: Reply) -> None:
        """
        Who is accepted has an answer of their own to wait for.
        """
        super().rcpt_answered(reply)
        self.owed = self.accepted

    def judged(self, reply: Reply) -> None:
        """
        Take the answer for the next recipient that was accepted, in the order of the RCPTs (RFC 2033 §4.2).
        """
        self.owed -= 1
        position = self._outcomes.index(None)
        if reply.positive:
            self._outcomes[position] = Success(reply, self._host, self._custody)
            return
        kind = TransientFailure if reply.transient else PermanentFailure
        self._outcomes[position] = kind(reply, Scope.RECIPIENT, self._host)

    def _problem(self) -> PermanentFailure | None:
        by = self._consignment.deliver_by
        if by is not None and by[1][:1] == "R" and by[0] <= 0:
            return TOO_LATE
        return unfit(self._consignment, self._offer)


class LmtpSession(ClientSession):
    """
    One session with an LMTP server. No chunk goes ahead of an answer: how many a last one gets behind a refused one is
    nowhere said.
    """

    __slots__ = ()

    ahead: ClassVar[bool] = False
    hello: ClassVar[State] = State.LHLO
    transfers: ClassVar[type[Transfer]] = FinalTransfer

    @property
    def _final(self) -> FinalTransfer:
        assert isinstance(self._transfer, FinalTransfer)
        return self._transfer

    def _answered(self, reply: Reply) -> None:
        """
        Take 421 for one recipient's answer where others are still owed one: those who come next may have the mail.
        """
        if reply.code == _SHUTTING_DOWN and self.in_doubt and self._final.owed > 1:
            self.replies += 1
            self._final.judged(reply)
        else:
            super()._answered(reply)

    def _content_wanted(self, reply: Reply) -> None:
        """
        Leave a server that wants content for nobody, where DATA must fail (RFC 2033 §4.2): it will answer that never.
        """
        if self._carried.accepted:
            super()._content_wanted(reply)
        else:
            self._end(findings.garbled(self.state, "content is wanted for nobody"), Trouble.GARBLED)

    def _recipient_judged(self, reply: Reply) -> None:
        """
        Take an answer to the end of the content. The one to a QUIT that went with it is nobody's: a server that gave
        too few before leaves the others in doubt.
        """
        if reply.code == _GOODBYE:
            self._end(findings.garbled(self.state, "an answer too few"), Trouble.GARBLED)
            return
        self._final.judged(reply)
        if not self._final.owed:
            self._dirty = False
            self._end_transaction()

    def _last_refused(self, reply: Reply) -> None:
        if reply.code in NO_BDAT and self._final.owed == self._final.accepted:
            self._bdat_unknown(reply)
        else:
            self._recipient_judged(reply)

    answers: ClassVar[Mapping[tuple[State, int], Callable[[Any, Reply], None]]] = {
        **ClientSession.answers,
        (State.DATA, 3): _content_wanted,
        (State.DOT, 2): _recipient_judged,
        (State.DOT, 4): _recipient_judged,
        (State.DOT, 5): _recipient_judged,
        (State.LAST, 2): _recipient_judged,
        (State.LAST, 4): _last_refused,
        (State.LAST, 5): _last_refused,
    }
