"""
The answers to what a client says: each event of the server session is decided upon and answered.

Fatal: nothing but a verdict that disconnects, and an XCLIENT whose client may not come in. A decision that is not made
in time, and a spool that cannot begin, answer 4yz: the client retries.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, Literal

from twisted.internet.interfaces import IHalfCloseableProtocol, IHandshakeListener, IProtocol
from twisted.logger import Logger
from zope.interface import implementer

from empath.mail.address import parse_address
from empath.mail.envelope import Recipient
from empath.mail.queue_id import new_queue_id
from empath.mail.reply import Reply
from empath.mail.session import MOST_RECIPIENTS, Session, Transaction
from empath.mail.trace import with_protocol
from empath.policy.relay import ROUTED
from empath.receive.making import warn_of_crowd
from empath.receive.parameters import Granted, grant
from empath.receive.presented import NOWHERE, presented
from empath.receive.replies import TOO_MANY_RECIPIENTS
from empath.receive.sessions import ClientKey, Sessions
from empath.receive.storing import StoringConnection
from empath.receive.terms import Surroundings, Terms
from empath.receive.traced import record
from empath.smtp.events import (
    AuthAnswered,
    AuthBegun,
    ChunkEnded,
    ClientAttributes,
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
    StartTls,
)
from empath.smtp.extension import Standing

END_OF_DATA: Final = "."  # as the durations of commands name the wait for the answer to the final dot
AUTH_NEEDED: Final = Reply.of("530 5.7.0 authentication required")
_PIECES: Final = frozenset({HeaderBlock, ContentChunk})  # come before the end that waits for an answer
_REASONS: Final = {
    Ending.QUIT: "quit",
    Ending.ERRORS: "errors",
    Ending.LIMIT: "limit",
    Ending.FOREIGN: "errors",
    Ending.INJECTED: "tls",
}

log = Logger()


@implementer(IProtocol, IHalfCloseableProtocol, IHandshakeListener)
class SmtpProtocol(StoringConnection):
    """
    One session with one client, from the decision on its connection to its end.
    """

    __slots__ = ("_asked",)

    def __init__(
        self, terms: Terms, around: Surroundings, sessions: Sessions, session: Session, client: ClientKey
    ) -> None:
        super().__init__(terms, around, sessions, session, client)
        self._asked: tuple[str, float] | None = None

    def _serve(self) -> None:
        smtp = self._smtp
        if self._asked is not None and smtp.pending is None:
            self._took(self._asked)
        while not self._held and (event := smtp.next_event()) is not None:
            kind = type(event)
            asked = self._asked
            if asked is None and smtp.pending is not None and kind not in _PIECES:
                named = END_OF_DATA if kind is ContentEnded else smtp.pending.value
                self._asked = asked = (named, self._around.clock.seconds())
            _ANSWERS[kind](self, event)
            if asked is not None and smtp.pending is None:
                self._took(asked)

    def _took(self, asked: tuple[str, float]) -> None:
        """
        Tell how long a command waited for its answer.
        """
        self._asked = None
        self._around.command_took(asked[0], self._around.clock.seconds() - asked[1])

    # The session

    def _hello(self, event: Hello) -> None:
        self._decide(self._around.decisions.ehlo(self.session, event.name), self._hello_accepted, event)

    def _hello_accepted(self, event: Hello) -> None:
        smtp, terms = self._smtp, self._terms
        self.session.name = event.name
        self.session.protocol = "ESMTP" if event.extended else "SMTP"
        self._name_protocol()
        if terms.auth:
            smtp.mechanisms = self._mechanisms()
        if terms.rules.max_future_release:
            latest = self._around.clock.seconds() + terms.rules.max_future_release
            smtp.latest_release = f"{datetime.fromtimestamp(latest, UTC):%Y-%m-%dT%H:%M:%SZ}"
        smtp.accept()
        self._abandon_content()

    def _name_protocol(self) -> None:
        """
        Name what the client speaks, now that more is known of it (RFC 3848).
        """
        session = self.session
        if session.protocol != "SMTP":
            base: Literal["LMTP", "ESMTP"] = "LMTP" if session.kind == "lmtp" else "ESMTP"
            session.protocol = with_protocol(base, bool(session.tls), bool(session.login), False)

    def _attributes(self, event: ClientAttributes) -> None:
        """
        Take the client that a proxy presents in the place of the proxy. Who may relay, and present others, is told by
        its address, as in Postfix: a proxy may hand on whatever its client says.
        """
        proxy = self.session
        session, client = presented(proxy, self._client, event.values)
        session.trusted = bool(session.login) or (session.peer != NOWHERE and self._around.trusts(session.peer))
        self._sessions.leave(self, self._client)
        refusal = self._sessions.refusal(client)
        self._sessions.join(self, client)
        self._client, self.session = client, session
        self.overhear()
        log.info(
            "session {session}: {proxy} presents {peer}",
            session=session.session_id,
            proxy=proxy.peer,
            peer=session.peer,
        )
        if refusal is not None:
            self._end(refusal, "limit")
            return
        self._ready = False
        self._decide(self._around.decisions.connect(session), self._presented, None)

    def _presented(self, _: object) -> None:
        session = self.session
        if session.login:
            self._decide(self._around.decisions.auth(session, session.login), self._represented, None)
        else:
            self._represented(None)

    def _represented(self, _: object) -> None:
        session, smtp = self.session, self._smtp
        self._ready = True
        smtp.accept()
        again = session.peer != NOWHERE and self._terms.xclient(session.peer)
        smtp.standing = Standing(bool(session.tls), session.login, session.trusted, again)
        smtp.normalize = self._terms.normalizes(session)

    # The transaction

    def _mail(self, event: MailFrom) -> None:
        around, session, terms = self._around, self.session, self._terms
        now = around.clock.seconds()
        if now - session.opened >= terms.timeouts.connection:
            self._timed_out()
            return
        if terms.auth_required and not session.login:
            self._refuse(AUTH_NEEDED)
            return
        granted = grant(event.parameters, session.trusted, now, terms.rules.max_future_release, session.login)
        if not isinstance(granted, Granted):
            self._refuse(granted)
            return
        self._discarding = self._discard_all
        transaction = self._begin(event, granted, now)
        self._decide(around.decisions.mail_from(session, transaction), self._mail_accepted, transaction)

    def _begin(self, event: MailFrom, granted: Granted, now: float) -> Transaction:
        """
        Make a transaction, recorded where its trace is.
        """
        around, session = self._around, self.session
        transaction = Transaction(
            new_queue_id(now, around.chance),
            now,
            event.reverse_path,
            granted.parameters,
            metadata=dict(session.metadata),
            declared_size=event.declared_size,
            release=granted.release,
            priority=granted.priority,
            decisions=session.decisions,
        )
        if around.traces.on:
            transaction.steps = around.traces.steps(transaction.queue_id)
        if self._smtp.tap is not None or transaction.steps is not None:
            record(self._smtp, transaction, event, around.clock, session.kind == "lmtp")
        return transaction

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
        transaction = self._begun()
        if not recipient.address.domain and transaction.becomes(recipient) == (recipient,):
            recipient = self._postmaster(transaction, recipient)
        if transaction.accept(recipient, max(MOST_RECIPIENTS, self._terms.rules.max_recipients)):
            self._smtp.accept()
        else:
            warn_of_crowd(transaction)
            self._refuse(TOO_MANY_RECIPIENTS, recipient)

    def _postmaster(self, transaction: Transaction, named: Recipient) -> Recipient:
        """
        Tell who is meant by <Postmaster>, and let the route that a module gave it be theirs.
        """
        recipient = Recipient(parse_address(self._around.postmaster), named.parameters)
        if transaction.routes is not None and (route := transaction.routes.get(named.address)) is not None:
            transaction.redirect(route, recipient)
        return recipient

    def _reset(self, event: Reset) -> None:
        self._abandon_content()

    def _closed(self, event: Closed) -> None:
        self._reason = _REASONS[event.ending]
        if event.ending is Ending.INJECTED:
            self._tls_failed("cleartext came behind STARTTLS")
        if event.reply is not None:
            self._refused("", event.reply)


_ANSWERS: Final[dict[type, Callable[[SmtpProtocol, Any], None]]] = {
    Hello: SmtpProtocol._hello,
    StartTls: SmtpProtocol._starttls,
    AuthBegun: SmtpProtocol._auth_begun,
    AuthAnswered: SmtpProtocol._auth_answered,
    ClientAttributes: SmtpProtocol._attributes,
    MailFrom: SmtpProtocol._mail,
    RcptTo: SmtpProtocol._rcpt,
    DataBegun: SmtpProtocol._data,
    ChunkEnded: SmtpProtocol._chunk_ended,
    HeaderBlock: SmtpProtocol._header,
    ContentChunk: SmtpProtocol._chunk,
    ContentEnded: SmtpProtocol._ended,
    Reset: SmtpProtocol._reset,
    Refused: SmtpProtocol._answered_itself,
    Closed: SmtpProtocol._closed,
}
