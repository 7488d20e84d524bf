"""
Content on its way into the spool: each piece is taken, the client waits while the spool writes, the end is answered.

Fatal: a spool that hangs. Any other trouble with it answers 4yz: the client retries.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from empath.errors import SpoolError
from empath.mail.reply import Reply
from empath.mail.session import Transaction
from empath.policy.verdict import Action, Verdict
from empath.receive.link import BUG
from empath.receive.login import LoginConnection
from empath.receive.replies import spool_reply
from empath.receive.transaction import Intake
from empath.smtp.events import ChunkEnded, ContentChunk, ContentEnded, DataBegun, HeaderBlock, Verb

TAKEN: Final = Reply.of("250 2.0.0 as a copy")  # where there is no message of its own
ANSWER_MARGIN: Final = 60.0  # seconds: what has not committed so long before data_termination ends is withdrawn

log = Logger()


class StoringConnection(LoginConnection):
    """
    A connection that takes messages in.
    """

    __slots__ = ()

    def _data(self, event: DataBegun) -> None:
        try:
            self._intake = Intake(self._terms, self._around, self.session, self._begun(), self._content_answered)
        except SpoolError as error:
            chunk = self._smtp.pending is Verb.BDAT
            self._refuse(spool_reply(error))
            if chunk:  # of a refused DATA the transaction goes on, of a refused BDAT not
                self._forget()
        else:
            self._intake.discarding = self._discarding
            self._smtp.accept()

    def _header(self, event: HeaderBlock) -> None:
        waiting = self._intake and self._intake.take_header(event)
        if waiting:
            self._hold(waiting)

    def _chunk(self, event: ContentChunk) -> None:
        waiting = self._intake and self._intake.write(event.data)
        if waiting:
            self._hold(waiting)

    def _chunk_ended(self, event: ChunkEnded) -> None:
        """
        Answer a chunk of BDAT with what is known of the message by now (RFC 3030 §2).
        """
        refusal = None if self._intake is None else self._intake.refusal
        if refusal is None:
            self._smtp.accept()
            return
        self._refuse(refusal)
        self._abandon_content()

    def _ended(self, event: ContentEnded) -> None:
        if self._intake is not None:
            whole = self._terms.timeouts.data_termination
            self._set(max(whole - ANSWER_MARGIN, whole / 2), self._too_slow)
            self._intake.finish(event)

    def _begun(self) -> Transaction:
        if self._transaction is None:
            raise RuntimeError("the session is in no transaction")
        return self._transaction

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
        said, session = "{queue_id}: session {session}: the spool failed", self.session.session_id
        log.failure(said, failure, queue_id=self._named(), session=session)
        self._stuck()

    def _stuck(self) -> None:
        self._end(BUG, "timeout")
        self._held = False
        self._proceed()

    def _too_slow(self) -> None:
        if self._intake is not None:
            self._intake.withdraw()

    def _content_answered(self, reply: Reply | None, verdict: Verdict | None) -> None:
        """
        The end of the content has its answer: None is 250; the verdict may end the session.
        """
        if self._gone or self._closing:
            return
        intake, self._intake = self._intake, None
        if reply is None:
            self._smtp.accept_content((intake and intake.queued_as) or self._begun().queue_id)
        elif verdict is not None and verdict.action is Action.DISCONNECT:
            self._end(reply, "module", verdict)
        else:
            self._refuse(reply, None, verdict)
        if self._smtp.tap is not None:
            self._untrace(self._transaction, reply or TAKEN)
        self._transaction = None
        if self._draining:
            self._shut_down()
        self._proceed()

    def _abandon_content(self) -> None:
        """
        The transaction is over before its content was.
        """
        stored = self._intake is not None
        self._forget()
        if stored and self._draining:
            self._shut_down()

    def _let_go(self) -> None:
        waiting, self._waiting = self._waiting, None
        self._forget()
        if waiting is not None:
            waiting.cancel()
