"""
The way to one client: replies out, time, and back-pressure.

Fatal to the connection: time-outs, 421 of any kind, and our own bugs (421 4.3.0, logged).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger

from empath.mail.address import Address
from empath.mail.life import CommandAnswered
from empath.mail.reply import Reply
from empath.mail.session import Session, Transaction
from empath.net.deadline import Deadline
from empath.net.writer import PromptWriter
from empath.policy.verdict import Verdict
from empath.receive.sessions import ClientKey, Sessions
from empath.receive.terms import Surroundings, Terms
from empath.receive.transaction import Intake
from empath.smtp.extension import Standing
from empath.smtp.server import ServerSession
from empath.smtp.server_states import State

if TYPE_CHECKING:
    from twisted.internet.interfaces import ITransport

BACKLOG: Final = 65536  # bytes that may wait unread before the client is made to wait
LINGER: Final = 30.0  # seconds for the last reply to leave
BUG: Final = Reply.of("421 4.3.0 local error, closing connection")

log = Logger()


class Link:
    """
    One server session over one transport. `_greeted`: the client was spoken to; `_ready`: what it says is served now,
    since nothing about the connection as a whole is under way.
    """

    __slots__ = (
        "_around",
        "_busy",
        "_client",
        "_closing",
        "_deadline",
        "_draining",
        "_expires",
        "_finished",
        "_gone",
        "_greeted",
        "_handshaking",
        "_held",
        "_intake",
        "_octets_in",
        "_octets_out",
        "_paused",
        "_ready",
        "_reason",
        "_sessions",
        "_smtp",
        "_terms",
        "_transaction",
        "_writer",
        "session",
        "transport",
    )

    transport: ITransport
    _writer: PromptWriter

    def __init__(
        self, terms: Terms, around: Surroundings, sessions: Sessions, session: Session, client: ClientKey
    ) -> None:
        self._terms = terms
        self._around = around
        self._sessions = sessions
        self._client = client
        self.session = session
        standing = Standing(trusted=session.trusted, xclient=terms.xclient(session.peer))
        self._smtp = ServerSession(terms.rules, terms.normalizes(session), standing)
        self._deadline = Deadline(around.clock, self._expired)
        self._expires: Callable[[], None] = self._timed_out
        self._transaction: Transaction | None = None
        self._intake: Intake | None = None
        self._reason = "lost"
        self._busy = self._closing = self._gone = self._held = self._paused = self._draining = self._finished = False
        self._greeted = self._ready = self._handshaking = False
        self._octets_in = self._octets_out = 0

    # For subclasses to fill in

    _serve: Callable[[], None]  # answer the session's events while there are any
    _let_go: Callable[[], None]  # drop all that is under way

    def abort(self) -> None:
        """
        Cut the connection, whatever has not been sent.
        """
        transport: Any = self.transport
        transport.abortConnection()

    # The session goes on

    def _proceed(self) -> None:
        """
        Serve what can be served now; a call from within that (an answer that came at once) is part of it.
        """
        if self._busy or self._gone:
            return
        self._busy = True
        try:
            if self._ready:
                self._serve()
            elif not self._greeted:
                self._check_silence()
            self._flush()
        except Exception:
            self._crashed()
        finally:
            self._busy = False

    _check_silence: Callable[[], None]  # end the session if the client speaks before its turn

    def _flush(self) -> None:
        """
        Send the replies of this turn with one write, and set the time for what the client is to do now.
        """
        smtp = self._smtp
        replies = smtp.output()
        if replies:
            self._octets_out += len(replies)
            self._writer.write(replies)
        if smtp.state is State.CLOSED or (self._finished and self._all_served):
            self._hang_up()
            return
        if self._ready and smtp.pending is None and not self._held:
            intake = self._intake
            if intake is not None:
                timeouts = self._terms.timeouts
                self._set(timeouts.data_init if replies and not intake.begun else timeouts.data_block, self._timed_out)
            elif replies:
                self._set(self._command_time(), self._timed_out)
            if not self._paused:
                return
        self._regulate()

    @property
    def _all_served(self) -> bool:
        """
        Whether nothing is left of what the client said that could still be answered.
        """
        return not self._held and self._smtp.pending is None and (self._ready or not self._smtp.backlog)

    def _regulate(self) -> None:
        """
        Read from the client only while there is room for what it sends, and never beyond its end.
        """
        paused = self._held or self._finished or self._smtp.backlog > BACKLOG
        if paused is not self._paused:
            self._paused = paused
            transport: Any = self.transport
            if paused:
                transport.pauseProducing()
            else:
                transport.resumeProducing()

    # Time

    def _set(self, seconds: float, expires: Callable[[], None]) -> None:
        self._expires = expires
        self._deadline.set(seconds)

    def _expired(self) -> None:
        self._expires()

    def _command_time(self) -> float:
        """
        Tell how long to wait for a command; outside a transaction the whole session's time counts too.
        """
        timeouts = self._terms.timeouts
        return timeouts.command if self._transaction is not None else min(timeouts.command, self._session_time())

    def _session_time(self) -> float:
        """
        Tell how many seconds are left of the session's time, not less than 0.
        """
        return max(0.0, self.session.opened + self._terms.timeouts.connection - self._around.clock.seconds())

    def _timed_out(self) -> None:
        self._end(Reply(421, "4.4.2", (f"{self._around.hostname} timeout, closing connection",)), "timeout")
        self._proceed()

    # The end

    def _refused(
        self, verb: str, reply: Reply, recipient: Address | None = None, verdict: Verdict | None = None
    ) -> None:
        """
        Tell the world that a 4yz or 5yz went out, and whose `verdict` it was.
        """
        decided_by, why = ("", "") if verdict is None else (verdict.decided_by, verdict.why)
        self._around.emit(CommandAnswered(self.session, verb, reply, self._transaction, recipient, decided_by, why))

    def _end(self, reply: Reply, reason: str, verdict: Verdict | None = None) -> None:
        """
        Say a last reply; the next `_flush` closes.
        """
        self._reason = reason
        self._refused(self._verb(), reply, None, verdict)
        self._smtp.close(reply)

    def _verb(self) -> str:
        pending = self._smtp.pending
        return "" if pending is None else pending.value

    def _named(self) -> str:
        """
        Name, for the log, the transaction under way.
        """
        return "NOQUEUE" if self._transaction is None else self._transaction.queue_id

    def _crashed(self) -> None:
        """
        A bug of ours ends the session, and only it.
        """
        log.failure("{queue_id}: session {session} failed", queue_id=self._named(), session=self.session.session_id)
        self._smtp.close(BUG)
        self._writer.write(self._smtp.output())
        self._hang_up()

    def _hang_up(self) -> None:
        """
        Close once everything is sent; a client that does not read it, or stays away from its handshake, is cut off.
        """
        if self._closing:
            return
        self._closing = True
        self._let_go()
        if self._handshaking:
            self.abort()
            return
        self._set(LINGER, self.abort)
        self.transport.loseConnection()
