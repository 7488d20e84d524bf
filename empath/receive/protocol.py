"""
The answers to what a client says: each event of the server session is decided upon and answered.

Fatal: nothing but a verdict that disconnects. A decision that is not made in time, and a spool that cannot begin,
answer 4yz: the client retries.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from empath.errors import SpoolError
from empath.mail.address import parse_address
from empath.mail.envelope import Recipient
from empath.mail.queue_id import new_queue_id
from empath.mail.reply import Reply
from empath.mail.session import Session, Transaction
from empath.policy.relay import ROUTED
from empath.receive.connection import BUG
from empath.receive.judging import JudgedConnection
from empath.receive.sessions import ClientKey, Sessions
from empath.receive.terms import Surroundings, Terms
from empath.receive.transaction import Intake, spool_reply
from empath.smtp.events import (
    Closed,
    ContentChunk,
    ContentEnded,
    DataBegun,
    Ending,
    HeaderBlock,
    Hello,
    MailFrom,
    RcptTo,
    Refused,
    Reset,
)
from empath.smtp.server_states import State

ANSWER_MARGIN: Final = 60.0  # seconds: what has not committed so long before data_termination ends is withdrawn
END_OF_DATA: Final = "."  # as the durations of commands name the wait for the answer to the final dot
_REASONS: Final = {
    Ending.QUIT: "quit",
    Ending.ERRORS: "errors",
    Ending.LIMIT: "limit",
    Ending.FOREIGN: "errors",
}

log = Logger()


@implementer(IProtocol, IHalfCloseableProtocol)
class SmtpProtocol(JudgedConnection):
    """
    One session with one client, from the decision on its connection to its end.
    """

    __slots__ = ("_asked", "_intake")

    def __init__(
        self, terms: Terms, around: Surroundings, sessions: Sessions, session: Session, client: ClientKey
    ) -> None:
        super().__init__(terms, around, sessions, session, client)
        self._intake: Intake | None = None
        self._asked: tuple[str, float] | None = None

    def readConnectionLost(self) -> None:
        """
        The client has said all: what it said is still answered.
        """
        self._finished = True
        self._proceed()

    def writeConnectionLost(self) -> None:
        """
        Never happens by itself: we do not close our side only.
        """

    # Events

    def _ask_in(self) -> None:
        self._decide(self._around.decisions.connect(self.session), self._let_in, None)

    def _serve(self) -> None:
        smtp = self._smtp
        if self._asked is not None and smtp.pending is None:
            self._took(self._asked)
        while not self._held and (event := smtp.next_event()) is not None:
            asked = self._asked
            if asked is None and smtp.pending is not None:
                named = END_OF_DATA if smtp.state is State.CONTENT else smtp.pending.value
                self._asked = asked = (named, self._around.clock.seconds())
            _ANSWERS[type(event)](self, event)
            if asked is not None and smtp.pending is None:
                self._took(asked)

    def _took(self, asked: tuple[str, float]) -> None:
        """
        Tell how long a command waited for its answer.
        """
        self._asked = None
        self._around.command_took(asked[0], self._around.clock.seconds() - asked[1])

    def _hello(self, event: Hello) -> None:
        self._decide(self._around.decisions.ehlo(self.session, event.name), self._hello_accepted, event)

    def _hello_accepted(self, event: Hello) -> None:
        self._transaction = None
        self.session.name = event.name
        self.session.protocol = "ESMTP" if event.extended else "SMTP"
        self._smtp.accept()

    def _mail(self, event: MailFrom) -> None:
        around = self._around
        now = around.clock.seconds()
        if now - self.session.opened >= self._terms.timeouts.connection:
            self._timed_out()
            return
        self._discarding = self._discard_all
        transaction = Transaction(
            new_queue_id(now, around.chance),
            now,
            event.reverse_path,
            event.parameters,
            metadata=dict(self.session.metadata),
            declared_size=event.declared_size,
        )
        self._decide(around.decisions.mail_from(self.session, transaction), self._mail_accepted, transaction)

    def _mail_accepted(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._smtp.accept()

    def _rcpt(self, event: RcptTo) -> None:
        recipient = Recipient(event.address, event.parameters)
        if event.route and not self.session.trusted:
            self._judge(ROUTED, self._rcpt_accepted, recipient)
            return
        transaction = self._begun()
        answer = self._around.decisions.rcpt_to(self.session, transaction, recipient)
        self._decide(answer, self._rcpt_accepted, recipient)

    def _rcpt_accepted(self, recipient: Recipient) -> None:
        if not recipient.address.domain:
            recipient = Recipient(parse_address(self._around.postmaster), recipient.parameters)
        self._begun().recipients.append(recipient)
        self._smtp.accept()

    def _data(self, event: DataBegun) -> None:
        try:
            self._intake = Intake(self._terms, self._around, self.session, self._begun(), self._content_answered)
        except SpoolError as error:
            self._refuse(spool_reply(error))
        else:
            self._intake.discarding = self._discarding
            self._smtp.accept()

    def _header(self, event: HeaderBlock) -> None:
        if self._intake is not None:
            self._intake.take_header(event)

    def _chunk(self, event: ContentChunk) -> None:
        waiting = self._intake and self._intake.write(event.data)
        if waiting:
            self._hold(waiting)

    def _ended(self, event: ContentEnded) -> None:
        if self._intake is not None:
            whole = self._terms.timeouts.data_termination
            self._set(max(whole - ANSWER_MARGIN, whole / 2), self._too_slow)
            self._intake.finish(event)

    def _reset(self, event: Reset) -> None:
        self._transaction = None

    def _answered_itself(self, event: Refused) -> None:
        self._refused(event.verb, event.reply)

    def _closed(self, event: Closed) -> None:
        self._reason = _REASONS[event.ending]
        if event.reply is not None:
            self._refused("", event.reply)

    def _begun(self) -> Transaction:
        if self._transaction is None:
            raise RuntimeError("the session is in no transaction")
        return self._transaction

    # Content

    def _hold(self, waiting: Awaitable[None]) -> None:
        """
        Take no more from the client until the spool has taken what it has.
        """
        self._held = True
        self._set(self._terms.timeouts.data_termination, self._stuck)
        self._keep(Deferred.fromCoroutine(self._resume(waiting)).addErrback(self._not_resumed))

    async def _resume(self, waiting: Awaitable[None]) -> None:
        try:
            await waiting
        except SpoolError as error:
            if self._intake is not None:
                self._intake.spool_failed(error)
        self._waiting = None
        self._held = False
        self._proceed()

    def _not_resumed(self, failure: Failure) -> None:
        if self._gone or self._closing:
            return
        log.failure("session {session}: the spool failed", failure, session=self.session.session_id)
        self._stuck()

    def _stuck(self) -> None:
        self._end(BUG, "timeout")
        self._held = False
        self._proceed()

    def _too_slow(self) -> None:
        if self._intake is not None:
            self._intake.withdraw()

    def _content_answered(self, reply: Reply | None, last: bool) -> None:
        """
        The final dot has its answer: None is 250; the `last` one ends the session.
        """
        if self._gone or self._closing:
            return
        self._intake = None
        if reply is None:
            self._smtp.accept_content(self._begun().queue_id)
        elif last:
            self._end(reply, "module")
        else:
            self._refuse(reply)
        self._transaction = None
        if self._draining:
            self._shut_down()
        self._proceed()

    def _let_go(self) -> None:
        waiting, self._waiting = self._waiting, None
        intake, self._intake = self._intake, None
        self._transaction = None
        if waiting is not None:
            waiting.cancel()
        if intake is not None:
            intake.withdraw()


_ANSWERS: Final[dict[type, Callable[[SmtpProtocol, Any], None]]] = {
    Hello: SmtpProtocol._hello,
    MailFrom: SmtpProtocol._mail,
    RcptTo: SmtpProtocol._rcpt,
    DataBegun: SmtpProtocol._data,
    HeaderBlock: SmtpProtocol._header,
    ContentChunk: SmtpProtocol._chunk,
    ContentEnded: SmtpProtocol._ended,
    Reset: SmtpProtocol._reset,
    Refused: SmtpProtocol._answered_itself,
    Closed: SmtpProtocol._closed,
}
