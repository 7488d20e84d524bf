"""
From DATA to the answer to the final dot: content goes into the spool as it comes, and becomes a message there.

Fatal: nothing. A full spool answers 452, any other trouble with it 451: the client retries. Once anything is refused
the rest of the content is read and ignored.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Literal, assert_never

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from empath.errors import SpoolError, SpoolFull
from empath.interfaces import MaybeVerdict
from empath.mail.envelope import Envelope
from empath.mail.life import MessageReceived
from empath.mail.message import Delivery, Message, deliveries_of
from empath.mail.reply import Reply
from empath.mail.session import Session, Transaction
from empath.mail.submission import fix_header
from empath.mail.trace import format_date, received_field, with_protocol
from empath.policy.verdict import Action, Verdict
from empath.receive.terms import Surroundings, Terms
from empath.smtp.events import ContentEnded, HeaderBlock

TOO_LARGE: Final = Reply.of("552 5.3.4 message too large")
TOO_MANY_HOPS: Final = Reply.of("554 5.4.6 too many hops, this message loops")
NUL_IN_HEADER: Final = Reply.of("550 5.6.0 NUL in the header of the message")
BARE_NEWLINE: Final = Reply.of("550 5.5.2 bare CR or LF in the message")
SPOOL_FULL: Final = Reply.of("452 4.3.1 not enough room to store the message")
SPOOL_TROUBLE: Final = Reply.of("451 4.3.0 the message could not be stored, try again later")
LOCAL_ERROR: Final = Reply.of("451 4.3.0 local error, try again later")
_BLANKS: Final = (b" ", b"\t")

log = Logger()


class Intake:
    """
    Takes one message in. `answered` is called once: with None if it is stored (or discarded), else with the reply that
    refuses it; and with whether that ends the session.

    `discarding` tells that a module wanted it dropped although the peer hears success, `refusal` what the final answer
    will be if it is known already.
    """

    __slots__ = (
        "_answered",
        "_around",
        "_header",
        "_session",
        "_size",
        "_terms",
        "_transaction",
        "_work",
        "_writer",
        "discarding",
        "refusal",
    )

    def __init__(
        self,
        terms: Terms,
        around: Surroundings,
        session: Session,
        transaction: Transaction,
        answered: Callable[[Reply | None, bool], None],
    ) -> None:
        self._terms = terms
        self._around = around
        self._session = session
        self._transaction = transaction
        self._answered = answered
        self._writer = around.begin(transaction.queue_id)
        self._header = b""
        self._size = 0
        self.refusal: Reply | None = None
        self._work: Deferred[None] | None = None
        self.discarding = False

    @property
    def begun(self) -> bool:
        """
        Whether any of the content has come so far.
        """
        return self._size > 0

    def take_header(self, event: HeaderBlock) -> Awaitable[None] | None:
        """
        Take the header block, and look for a loop (RFC 5321 §6.3). One that begins with a blank would continue our
        Received field, and so is body, behind an empty line. Gives what `write` gives.
        """
        if event.nul:
            self._refuse(NUL_IN_HEADER)
        elif event.hops > self._terms.max_hops:
            self._refuse(TOO_MANY_HOPS)
        elif event.data.startswith(_BLANKS):
            return self.write(b"\r\n" + event.data)
        else:
            self._header = event.data
            self._measure(len(event.data))
        return None

    def write(self, data: bytes) -> Awaitable[None] | None:
        """
        Take the next piece of the body. None: go on; else give no more before the Awaitable fires, if it does not fail.
        """
        if self.refusal is None:
            self._measure(len(data))
        if self.refusal is not None:
            return None
        try:
            return self._writer.write(data)
        except SpoolError as error:
            self.spool_failed(error)
            return None

    def spool_failed(self, error: Exception) -> None:
        """
        Take note that the spool could not write.
        """
        self._refuse(self._reply_to(error))

    def finish(self, event: ContentEnded) -> None:
        """
        The final dot was read: judge the message and store it.
        """
        if event.bare_newline:
            self._refuse(BARE_NEWLINE)
        if self.refusal is not None:
            self._answered(self.refusal, False)
            return
        message = self._message(event)
        verdict = self._around.decisions.data(self._session, self._transaction, message)
        if verdict is None or isinstance(verdict, Verdict):
            self._judge(verdict, message)
        else:
            waiting = Deferred.fromCoroutine(self._await(verdict, message)).addErrback(self._not_stored)
            if not waiting.called:
                self._work = waiting

    def withdraw(self) -> None:
        """
        Let go of the message wherever it stands, unless it is stored; who waits for the answer gets a 451.
        """
        work, self._work = self._work, None
        if work is not None:
            work.cancel()
        self._writer.abort()

    def _measure(self, more: int) -> None:
        self._size += more
        if self._size > self._terms.max_message_size > 0:
            self._refuse(TOO_LARGE)

    def _refuse(self, reply: Reply) -> None:
        if self.refusal is None:
            self.refusal = reply
            self._writer.abort()

    def _message(self, event: ContentEnded) -> Message:
        transaction, writer = self._transaction, self._writer
        now = self._around.clock.seconds()
        if self._terms.kind == "submission":
            self._mend_header(now)
        header = self._trace(now) + self._header
        parameters = transaction.parameters
        if parameters.get("BODY") == "BINARYMIME" and not event.binary:
            parameters = _unbinary(parameters, event.eight_bit)
        return Message(
            transaction.queue_id,
            now,
            Envelope(transaction.reverse_path, tuple(transaction.recipients), parameters),
            header,
            writer.body,
            writer.body_file,
            len(header) + writer.size,
            event.eight_bit,
            transaction.metadata,
            priority=transaction.priority,
        )

    def _mend_header(self, now: float) -> None:
        """
        Complete the header block of a new message (RFC 6409 §8).
        """
        message_id = f"<{self._transaction.queue_id}@{self._around.hostname}>"
        self._header = fix_header(self._header, date=format_date(now), message_id=message_id)

    def _trace(self, now: float) -> bytes:
        session, transaction = self._session, self._transaction
        recipients, protocol = transaction.recipients, session.protocol
        if "SMTPUTF8" in transaction.parameters:
            base: Literal["LMTP", "ESMTP"] = "LMTP" if session.kind == "lmtp" else "ESMTP"
            protocol = with_protocol(base, bool(session.tls), bool(session.login), True)
        return received_field(
            name=session.name,
            peer=session.peer,
            hostname=self._around.hostname,
            protocol=protocol,
            queue_id=transaction.queue_id,
            recipient=recipients[0].address.text if len(recipients) == 1 else "",
            seconds=now,
            tls=session.tls,
            cipher=session.cipher,
            priority=transaction.priority,
        )

    async def _await(self, verdict: Awaitable[MaybeVerdict], message: Message) -> None:
        self._judge(await verdict, message)

    def _judge(self, verdict: MaybeVerdict, message: Message) -> None:
        """
        Do what was decided about the message.
        """
        action = Action.ACCEPT if verdict is None else verdict.action
        match action:
            case Action.ACCEPT if not self.discarding:
                self._commit(message)
            case Action.REFUSE | Action.DISCONNECT:
                self._writer.abort()
                self._answered((verdict and verdict.reply) or LOCAL_ERROR, action is Action.DISCONNECT)
            case Action.ACCEPT | Action.DISCARD:
                self._discard(message, verdict.decided_by if verdict else "")
            case _:
                assert_never(action)

    def _discard(self, message: Message, decided_by: str) -> None:
        self._writer.abort()
        log.info("{queue_id}: discarded, decided by {by}", queue_id=message.queue_id, by=decided_by or "a module")
        self._answered(None, False)

    def _commit(self, message: Message) -> None:
        deliveries = deliveries_of(message, self._transaction.release)
        self._work = work = self._writer.commit(message, deliveries)
        work.addCallbacks(self._stored, self._not_stored, callbackArgs=(message, deliveries))

    def _stored(self, _: None, message: Message, deliveries: tuple[Delivery, ...]) -> None:
        """
        It is ours now, even if the client never hears of it.
        """
        self._work = None
        around = self._around
        around.emit(MessageReceived(message, self._session, around.clock.seconds() - self._transaction.started))
        self._answered(None, False)
        around.on_stored(message, deliveries)

    def _not_stored(self, failure: Failure) -> None:
        self._work = None
        self._writer.abort()
        error = failure.value
        if isinstance(error, (SpoolError, CancelledError)):
            self._answered(self._reply_to(error), False)
            return
        log.failure("{queue_id}: reception failed", failure, queue_id=self._transaction.queue_id)
        self._answered(LOCAL_ERROR, False)

    def _reply_to(self, error: BaseException) -> Reply:
        """
        Say what the spool's failure means to the client, and write it down.
        """
        log.warn(
            "{queue_id}: not stored: {error}",
            queue_id=self._transaction.queue_id,
            error=str(error) or type(error).__name__,
        )
        return spool_reply(error)


def spool_reply(error: BaseException) -> Reply:
    """
    Say what the spool's failure means to the client.
    """
    return SPOOL_FULL if isinstance(error, SpoolFull) else SPOOL_TROUBLE


def _unbinary(parameters: dict[str, str], eight_bit: bool) -> dict[str, str]:
    """
    Declare content as what it is, since it is no binary: more hosts take it then.
    """
    rest = {keyword: value for keyword, value in parameters.items() if keyword != "BODY"}
    return {**rest, "BODY": "8BITMIME"} if eight_bit else rest
