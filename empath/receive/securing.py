"""
TLS on a connection: by STARTTLS (RFC 3207), or from the beginning (RFC 8314).

Fatal to the connection: a handshake that fails or takes too long, and cleartext behind STARTTLS. A client that leaves
in the middle of a handshake, or without a close_notify, is no trouble.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from OpenSSL import SSL
from twisted.logger import Logger

from empath.mail.life import TransactionEnded
from empath.receive.judging import JudgedConnection
from empath.receive.tls import channel_bindings, described
from empath.receive.traced import finish
from empath.smtp.events import StartTls
from empath.smtp.extension import Standing
from empath.smtp.server_states import State

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from empath.mail.reply import Reply
    from empath.mail.session import Transaction

log = Logger()


class SecuredConnection(JudgedConnection):
    """
    A connection that TLS can protect. While the handshake is under way, and until it is judged, nothing is served.
    """

    __slots__ = ()

    def _ask_in(self) -> None:
        if self._terms.implicit_tls:
            self._begin_handshake()
        else:
            self._ask_connect()

    def _ask_connect(self) -> None:
        self._decide(self._around.decisions.connect(self.session), self._connect_accepted, None)

    def _connect_accepted(self, _: object) -> None:
        if self.session.tls:
            self._ask_secured()
        else:
            self._let_in()

    def _starttls(self, event: StartTls) -> None:
        self._smtp.accept()
        if self._smtp.state is State.HANDSHAKE:  # not, if cleartext came behind it
            self._writer.write(self._smtp.output())
            self._forget()
            self._begin_handshake()

    def _begin_handshake(self) -> None:
        tls = self._terms.tls
        if tls is None:
            raise RuntimeError("a listener without certificates began TLS")
        self._ready = False
        self._handshaking = True
        self._set(self._terms.timeouts.command, self._handshake_timed_out)
        self._writer.secured()  # from now on every byte is the handshake's
        transport: Any = self.transport
        transport.startTLS(tls.creator())

    def handshakeCompleted(self) -> None:
        """
        TLS protects the connection: who may use it is decided anew (RFC 3207 §4.2).
        """
        self._handshaking = False
        if self._closing or self._gone:
            return
        try:
            self._learn()
            if self._greeted:
                self._ask_secured()
            else:
                self._ask_connect()
        except Exception:
            self._crashed()
        else:
            self._proceed()

    def _learn(self) -> None:
        """
        Take note of what the handshake told; what the client said before it counts no more.
        """
        session, smtp = self.session, self._smtp
        xclient = smtp.standing.xclient
        if self._greeted:
            smtp.secured()
        session.tls, session.cipher, session.tls_client_subject = described(self._tls)
        session.metadata |= {"tls": "true", "protocol": session.tls, "cipher": session.cipher}
        if smtp.tap is not None:
            smtp.tap.secured(f"{session.tls} {session.cipher}")
        if session.tls_client_subject:
            session.metadata["tls_client_subject"] = session.tls_client_subject
        session.name = session.login = session.mechanism = ""
        session.protocol = "SMTP"
        session.trusted = self._around.trusts(session.peer)
        smtp.standing = Standing(secure=True, trusted=session.trusted, xclient=xclient)
        smtp.normalize = self._terms.normalizes(session)

    def _ask_secured(self) -> None:
        self._decide(self._around.decisions.starttls(self.session), self._secured, None)

    def _secured(self, _: object) -> None:
        """
        Go on under TLS: with the greeting where there was none, else with what the client says.
        """
        if self._greeted:
            self._ready = True
            self._set(self._command_time(), self._timed_out)
        else:
            self._let_in()

    def _handshake_timed_out(self) -> None:
        self._tls_failed("the handshake took too long")
        self._smtp.close()
        self._hang_up()

    def _tls_failed(self, why: str) -> None:
        self._reason = "tls"
        session = self.session
        if self._smtp.tap is not None:
            self._smtp.tap.secured(f"no TLS: {why}")
        log.warn("session {session}: no TLS with {peer}: {why}", session=session.session_id, peer=session.peer, why=why)

    def connectionLost(self, reason: Failure) -> None:
        """
        The connection is gone, maybe since no handshake was possible.
        """
        if self._handshaking and isinstance(reason.value, SSL.Error):
            self._tls_failed(_why(reason.value))
        super().connectionLost(reason)

    @property
    def _tls(self) -> SSL.Connection:
        transport: Any = self.transport
        connection: SSL.Connection = transport.getHandle()
        return connection

    def _binding(self) -> Mapping[str, bytes]:
        """
        Give what ties a login to this TLS connection (RFC 5929, RFC 9266); nothing without TLS.
        """
        return channel_bindings(self._tls) if self.session.tls else {}

    def _forget(self) -> None:
        """
        Drop the transaction, and what has come of its content.
        """
        transaction, self._transaction = self._transaction, None
        intake, self._intake = self._intake, None
        if intake is not None:
            intake.withdraw()
        if transaction is not None and transaction.steps is not None:
            self._untrace(transaction, None)

    def _untrace(self, transaction: Transaction | None, reply: Reply | None) -> None:
        """
        Tell of a transaction that is over, if it is traced and nobody has: `reply` is the answer to its end, if there
        was one.
        """
        finish(self._smtp)
        if transaction is not None and (steps := transaction.steps) is not None:
            transaction.steps = None
            self._around.emit(TransactionEnded(self.session, transaction, reply, steps))


def _why(error: SSL.Error) -> str:
    """
    Say in words why OpenSSL gave up.
    """
    told = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return ", ".join(str(each[-1]) for each in told) or "the handshake failed"
