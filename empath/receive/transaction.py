"""
From DATA to the answer to the final dot: content goes into the spool as it comes, and becomes a message there.

Fatal: nothing. A full spool answers 452, any other trouble with it, or with what a module made of the message, 451: the
client retries. Once anything is refused the rest of the content is read and ignored.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, assert_never

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from empath.errors import SpoolError
from empath.interfaces import MaybeVerdict
from empath.mail.idempotency import MOST_MESSAGES, Accepted, claimed, digests_of, divide, take_key
from empath.mail.life import MessageDiscarded, MessageReceived
from empath.mail.life_safety import CopyRefused
from empath.mail.message import Delivery, Message, deliveries_of
from empath.mail.origin import origin_of
from empath.mail.reply import Reply
from empath.mail.session import MOST_RECIPIENTS, Session, Transaction
from empath.mail.submission import fix_header
from empath.mail.trace import format_date
from empath.policy.verdict import Action, Verdict
from empath.receive.content import Content
from empath.receive.incoming import Incoming
from empath.receive.making import make_message, warn_of_crowd
from empath.receive.replies import BARE_NEWLINE, LOCAL_ERROR, SPOOL_TROUBLE, TOO_MANY_COPIES, TOO_MANY_RECIPIENTS
from empath.receive.terms import Surroundings, Terms
from empath.receive.traced import taken
from empath.smtp.events import ContentEnded

NOBODY_LEFT: Final = Verdict(Action.DISCARD, why="no recipient is left")

Answered = Callable[[Reply | None, Verdict | None], None]
"""
Hear what the final dot is answered: None for 250, else the refusal, and the verdict that it comes from, if any does.
"""

log = Logger()


class Intake(Incoming):
    """
    Takes one message in. `answered` is called once at its end, unless it was withdrawn before.

    `discarding` is the verdict of a module that wants it dropped although the peer hears success. `queued_as` is the
    queue id of the message that this one is a copy of, "" if it is none.
    """

    __slots__ = ("_answered", "_content", "_kept", "_key", "_over", "_work", "discarding", "queued_as")

    def __init__(
        self,
        terms: Terms,
        around: Surroundings,
        session: Session,
        transaction: Transaction,
        answered: Answered,
    ) -> None:
        Incoming.__init__(self, terms, around, session, transaction)
        self._answered = answered
        self._content: Content | None = None
        self._over = False
        self._kept = False
        self._work: Deferred[None] | None = None
        self._key = ""
        self.discarding: Verdict | None = None
        self.queued_as = ""

    def finish(self, event: ContentEnded) -> None:
        """
        The final dot was read: judge the message and store it.
        """
        if event.bare_newline:
            self._refuse(BARE_NEWLINE)
        once = self._around.idempotency
        if once is not None and once.window and self._session.trusted and not self._hops:
            self._take_key()
        if self.refusal is not None:
            self._answer(self.refusal)
            return
        if self._terms.kind == "submission":
            self._mend_header()
        decisions = self._around.decisions
        if not decisions.judges_data:
            self._take(self.discarding, None, event)
            return
        content = self._content = self._whole(event)
        verdict = decisions.data(self._session, self._transaction, content)
        if verdict is None or isinstance(verdict, Verdict):
            self._judge(verdict, content, event)
        else:
            waiting = Deferred.fromCoroutine(self._await(verdict, content, event)).addErrback(self._not_stored)
            if not self._over and self._work is None:
                self._work = waiting

    def withdraw(self) -> None:
        """
        Let go of the message wherever it stands, unless it is stored; who waits for the answer gets a 451, or the 250
        of what is.
        """
        if self._kept:
            self._answer(None)
        work, self._work = self._work, None
        if work is not None:
            work.cancel()
            self._answer(SPOOL_TROUBLE)  # whoever is asked may go on in spite of that
        self._over = True
        self._drop()

    def _mend_header(self) -> None:
        """
        Complete the header block of a new message (RFC 6409 §8).
        """
        date = format_date(self._around.clock.seconds())
        message_id = f"<{self._transaction.queue_id}@{self._around.hostname}>"
        self._header = fix_header(self._header, date=date, message_id=message_id)

    def _whole(self, event: ContentEnded) -> Content:
        """
        Put together what is to be judged.
        """
        eight_bit = event.eight_bit if self._eight is None else self._eight
        utf8 = "SMTPUTF8" in self._transaction.parameters
        return Content(self._header, self._writer, eight_bit, utf8, self._terms.max_message_size)

    async def _await(self, verdict: Awaitable[MaybeVerdict], content: Content, event: ContentEnded) -> None:
        decided = await verdict
        self._work = None
        self._judge(decided, content, event)

    def _judge(self, verdict: MaybeVerdict, content: Content, event: ContentEnded) -> None:
        """
        Do what was decided about the message.
        """
        if self._over:
            return
        content.close()
        discarding = self.discarding
        if verdict is not None:
            match verdict.action:
                case Action.REFUSE | Action.DISCONNECT:
                    self._drop()
                    self._answer(verdict.reply or LOCAL_ERROR, verdict)
                    return
                case Action.DISCARD:
                    discarding = verdict
                case Action.ACCEPT:
                    pass
                case _:
                    assert_never(verdict.action)
        self._take(discarding, content, event)

    def _take_key(self) -> None:
        """
        Take out of the header block under which key the message comes. What clients say there that nobody vouches for
        is nothing to us, nor what has travelled: a relay vouches for its mail, but anybody may have written it.
        """
        try:
            self._header, self._key = take_key(self._header)
        except ValueError as error:
            self._refuse(Reply(554, "5.6.0", (str(error),)))

    def _take(self, discarding: Verdict | None, content: Content | None, event: ContentEnded) -> None:
        """
        Store the message as it stands now, or drop it; what cannot be made one is to be tried again.
        """
        try:
            once = self._around.idempotency
            if once is None or not self._key or discarding is not None or not self._transaction.recipients:
                self._store(discarding, content, event)
                return
            session, transaction = self._session, self._transaction
            origin = origin_of(session.trusted, session.login)
            digest = claimed(origin, transaction.reverse_path, self._key)
            work = Deferred.fromCoroutine(once.in_turn(digest, partial(self._take_rest, digest, content, event)))
            if not work.called:
                self._work = work
            work.addErrback(self._not_stored)
        except Exception:
            self._not_stored(Failure())

    def _take_rest(
        self, digest: bytes, content: Content | None, event: ContentEnded, accepted: list[Accepted]
    ) -> Awaitable[None] | None:
        """
        Store the message for those who did not get it under its key before.
        """
        left, had, first = divide(self._transaction.recipients, accepted)
        if left and len(accepted) >= MOST_MESSAGES:
            self._drop()
            self._answer(TOO_MANY_COPIES)
            return None
        if had:
            self._around.emit(CopyRefused(first, tuple([each.address for each in had]), self._session))
        if not left:
            self._drop()
            self.queued_as = first
            self._answer(None)
            return None
        self._transaction.recipients = left
        return self._store(None, content, event, digest)

    def _store(
        self, discarding: Verdict | None, content: Content | None, event: ContentEnded, digest: bytes = b""
    ) -> Awaitable[None] | None:
        message = self._made(content, event)
        total = len(message.envelope.recipients)
        if discarding is not None or not total:
            self._discard(message, discarding or NOBODY_LEFT)
        elif content is not None and content.fault is not None:
            self._drop()
            self._answer(content.fault if isinstance(content.fault, Reply) else self._reply_to(content.fault))
        elif total > MOST_RECIPIENTS and total > self._terms.rules.max_recipients:
            warn_of_crowd(self._transaction)
            self._drop()
            self._answer(TOO_MANY_RECIPIENTS)
        else:
            return self._commit(message, digest)
        return None

    def _made(self, content: Content | None, event: ContentEnded) -> Message:
        if content is None:
            header, eight_bit, binary = self._header, event.eight_bit, event.binary
        else:
            header, eight_bit, binary = content.header, content.eight_bit, event.binary and not content.lines
        around, session, transaction = self._around, self._session, self._transaction
        return make_message(around, session, transaction, header, self._writer, eight_bit, binary)

    def _discard(self, message: Message, verdict: Verdict) -> None:
        self._drop()
        steps, decided_by = taken(self._transaction), verdict.decided_by
        self._around.emit(MessageDiscarded(message, self._session, decided_by, verdict.why, steps))
        self._answer(None)

    def _commit(self, message: Message, digest: bytes) -> Deferred[None]:
        transaction, once = self._transaction, self._around.idempotency
        transaction.held = transaction.held or self._around.held(message)
        deliveries = deliveries_of(message, transaction.release, transaction.held, transaction.routes)
        if digest and once is not None:
            claim = once.claim(digest, digests_of(message.envelope.recipients))
            work = self._writer.commit(message, deliveries, claim)
        else:
            work = self._writer.commit(message, deliveries)
        self._work = work
        recorded = self._around.record(message, self._session)  # while the spool stores it
        work.addCallbacks(self._stored, self._not_stored, callbackArgs=(message, deliveries, recorded))
        return work

    def _stored(
        self, _: None, message: Message, deliveries: tuple[Delivery, ...], recorded: Deferred[None] | None
    ) -> Deferred[None] | None:
        """
        It is ours now, even if the client never hears of it.
        """
        self._work = None
        around, transaction = self._around, self._transaction
        now, held = around.clock.seconds(), transaction.held
        steps, seconds = taken(transaction, message.received, now), now - transaction.started
        around.emit(MessageReceived(message, self._session, seconds, held, recorded is not None, steps))
        if held:
            log.info("{queue_id}: held: {why}", queue_id=message.queue_id, why=held)
        self._kept = True
        told = None if transaction.expanded is None else around.on_expanded(message, transaction.expanded)
        if recorded is not None:
            told = recorded if told is None else told.addCallback(lambda _: recorded)
        if told is None:
            self._answer(None)
        around.on_stored(message, deliveries)
        return None if told is None else told.addCallback(lambda _: self._answer(None))

    def _not_stored(self, failure: Failure) -> None:
        self._work = None
        self._drop()
        error = failure.value
        if isinstance(error, (SpoolError, CancelledError)):
            self._answer(self._reply_to(error))
            return
        log.failure("{queue_id}: reception failed", failure, queue_id=self._transaction.queue_id)
        self._answer(LOCAL_ERROR)

    def _answer(self, reply: Reply | None, verdict: Verdict | None = None) -> None:
        if not self._over:
            self._over = True
            self._answered(reply, verdict)

    def _drop(self) -> None:
        if self._content is not None:
            self._content.close()
        self._writer.abort()
