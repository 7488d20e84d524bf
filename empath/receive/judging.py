"""
Decisions about a session: asked for, waited for within bounds, and done.

Fatal: a verdict that disconnects, or that refuses the connection as a whole. A decision on a command that is not made
in time, or fails, answers 451: the client retries.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, assert_never

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from empath.interfaces import MaybeVerdict
from empath.mail.envelope import Recipient
from empath.mail.reply import Reply
from empath.mail.session import Session, Transaction
from empath.policy.verdict import Action, Verdict
from empath.receive.connection import Connection
from empath.receive.link import BUG
from empath.receive.replies import LOCAL_ERROR
from empath.receive.sessions import ClientKey, Sessions
from empath.receive.terms import Surroundings, Terms
from empath.smtp.events import Verb

log = Logger()


class JudgedConnection(Connection):
    """
    A connection whose steps are judged. `_discarding` is the verdict that drops the message though the peer hears
    success, `_discard_all` the one that drops all of the session's.
    """

    __slots__ = ("_discard_all", "_discarding", "_waiting")

    def __init__(
        self, terms: Terms, around: Surroundings, sessions: Sessions, session: Session, client: ClientKey
    ) -> None:
        super().__init__(terms, around, sessions, session, client)
        self._waiting: Deferred[None] | None = None
        self._discard_all: Verdict | None = None
        self._discarding: Verdict | None = None

    # For subclasses to fill in

    _untrace: Callable[[Transaction | None, Reply | None], None]  # tell of a transaction that is over, if it is traced

    # What is decided

    def _decide(
        self, answer: MaybeVerdict | Awaitable[MaybeVerdict], accepted: Callable[[Any], None], subject: object
    ) -> None:
        """
        Go on with `accepted(subject)` unless the answer, now or later, is against it.
        """
        if answer is None:
            accepted(subject)
        elif isinstance(answer, Verdict):
            self._judge(answer, accepted, subject)
        else:
            self._set(self._terms.timeouts.command, self._undecided)
            self._keep(
                Deferred.fromCoroutine(self._await(answer, accepted, subject)).addErrback(self._not_decided, subject)
            )

    async def _await(self, answer: Awaitable[MaybeVerdict], accepted: Callable[[Any], None], subject: object) -> None:
        verdict = await answer
        self._waiting = None
        if verdict is None:
            accepted(subject)
        else:
            self._judge(verdict, accepted, subject)
        self._proceed()

    def _judge(self, verdict: Verdict, accepted: Callable[[Any], None], subject: object) -> None:
        reply = verdict.reply or LOCAL_ERROR
        match verdict.action:
            case Action.ACCEPT:
                accepted(subject)
            case Action.REFUSE if self._ready:
                self._refuse(reply, subject, verdict)
            case Action.REFUSE:
                self._end(_closing(reply), "refused", verdict)
            case Action.DISCONNECT:
                if isinstance(subject, Transaction):
                    self._transaction = subject
                self._end(reply, "module", verdict)
            case Action.DISCARD:
                self._discarding = verdict
                if self._smtp.pending not in (Verb.MAIL, Verb.RCPT):
                    self._discard_all = verdict
                accepted(subject)
            case _:
                assert_never(verdict.action)

    def _refuse(self, reply: Reply, subject: object = None, verdict: Verdict | None = None) -> None:
        """
        Refuse what the session waits for; `subject` is what it would have brought, `verdict` whose refusal it is.
        """
        kept = self._transaction
        if isinstance(subject, Transaction):
            self._transaction = subject
        self._refused(self._verb(), reply, subject.address if isinstance(subject, Recipient) else None, verdict)
        self._transaction = kept
        self._smtp.refuse(reply)

    def _undecided(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()

    def _not_decided(self, failure: Failure, subject: object) -> None:
        """
        No decision, in time or at all: come back later.
        """
        self._waiting = None
        if self._gone or self._closing:
            if isinstance(subject, Transaction):
                self._untrace(subject, None)
            return
        if not failure.check(CancelledError):
            said, session = "{queue_id}: session {session}: no decision", self.session.session_id
            log.failure(said, failure, queue_id=self._named(), session=session)
        if self._ready and self._smtp.pending is not None:
            self._refuse(LOCAL_ERROR, subject)
        else:
            self._end(BUG, "refused")
        self._proceed()

    def _keep(self, waiting: Deferred[None]) -> None:
        """
        Remember what is waited for, so that it can be cancelled.
        """
        if not waiting.called:
            self._waiting = waiting


def _closing(reply: Reply) -> Reply:
    """
    Say with 421 what makes us close the connection for now (RFC 5321 §3.8): in place of the greeting, or after a
    handshake, no client looks for another 4yz.
    """
    return attrs.evolve(reply, code=421) if reply.transient else reply
