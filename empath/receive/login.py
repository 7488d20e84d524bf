"""
AUTH (RFC 4954): the steps of a login, asked of whoever knows the logins, within bounds.

Fatal: nothing. A wrong login hears 535 after a moment, a client that was wrong too often 454 for a while, and so does
everybody while nobody can say who may log in. Passwords reach no log, and no login that may be one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, assert_never

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from empath.errors import AuthenticatorUnavailable
from empath.interfaces import IAuthenticator
from empath.mail.reply import Reply
from empath.mail.session import Session
from empath.receive.securing import SecuredConnection
from empath.receive.sessions import ClientKey, Sessions
from empath.receive.terms import Surroundings, Terms
from empath.smtp.events import AuthAnswered, AuthBegun, Verb
from empath.smtp.events import Refused as CommandRefused
from empath.smtp.sasl_server import begin, offered
from empath.smtp.sasl_server_steps import (
    BAD_LOGIN,
    Challenge,
    PasswordClaim,
    Proved,
    Refused,
    Step,
    TokenClaim,
    VerifierWanted,
)
from empath.smtp.scram import ScramVerifier

PENALTY: Final = 1.0  # seconds before a wrong login hears so
TOO_MANY_FAILURES: Final = Reply.of("454 4.7.0 too many failed logins, try again later")
UNAVAILABLE: Final = Reply.of("454 4.7.0 temporary authentication failure")

log = Logger()


class LoginConnection(SecuredConnection):
    """
    A connection that can log in. `_step` is where a login stands that is under way.
    """

    __slots__ = ("_step",)

    def __init__(
        self, terms: Terms, around: Surroundings, sessions: Sessions, session: Session, client: ClientKey
    ) -> None:
        super().__init__(terms, around, sessions, session, client)
        self._step: Step | None = None

    def _mechanisms(self) -> tuple[str, ...]:
        """
        Tell what AUTH offers now, the best first.
        """
        terms, authenticator = self._terms, self._around.authenticator
        if not terms.auth or authenticator is None or not (self.session.tls or terms.auth_cleartext):
            return ()
        return offered(authenticator.mechanisms(), self._binding())

    def _auth_begun(self, event: AuthBegun) -> None:
        self._step = None
        self.session.mechanism = event.mechanism
        self._take(begin(event.mechanism, event.initial, self._binding(), self._around.secret_chance))

    def _auth_answered(self, event: AuthAnswered) -> None:
        step, self._step = self._step, None
        if not isinstance(step, Challenge):
            raise RuntimeError("nobody was challenged")
        self._take(step.then(event.response))

    def _take(self, step: Step) -> None:
        """
        Do what the next step of a login is, unless the client is held off by now: of many guesses at once, those beyond
        the limit tell nothing, not even that one was right.
        """
        throttle = self._around.throttle
        if throttle is not None and throttle.holds_off(self._throttled, self._around.clock.seconds()):
            log.warn("session {session}: {peer} failed to log in too often", **self._who)
            self._refuse(TOO_MANY_FAILURES)
            return
        match step:
            case Challenge():
                self._step = step
                self._smtp.challenge(step.data)
            case PasswordClaim():
                self._inquire(self._authenticator.check_password(step.login, step.password), step.then)
            case TokenClaim():
                self._inquire(self._authenticator.check_token(step.login, step.token), step.then)
            case VerifierWanted():
                self._inquire(self._authenticator.scram_verifier(step.login), step.then)
            case Proved():
                answer = self._around.decisions.auth(self.session, step.login)
                self._decide(answer, self._login_accepted, step.login)
            case Refused():
                self._login_refused(step)
            case _:
                assert_never(step)

    def _inquire(self, answer: ScramVerifier | Awaitable[Any], then: Callable[[Any], Step]) -> None:
        """
        Go on with what the authenticator says, now or later.
        """
        if isinstance(answer, ScramVerifier):
            self._take(then(answer))
        else:
            self._set(self._terms.timeouts.command, self._undecided)
            self._keep(Deferred.fromCoroutine(self._await_answer(answer, then)).addErrback(self._not_answered))

    async def _await_answer(self, answer: Awaitable[Any], then: Callable[[Any], Step]) -> None:
        found = await answer
        self._waiting = None
        self._take(then(found))
        self._proceed()

    def _not_answered(self, failure: Failure) -> None:
        """
        Nobody can say now who this is: come back later.
        """
        self._waiting = None
        if self._gone or self._closing:
            return
        if failure.check(AuthenticatorUnavailable, CancelledError):
            why = str(failure.value) or "no answer in time"
            log.warn("session {session}: {peer} cannot log in now: {why}", why=why, **self._who)
        else:
            log.failure("session {session}: the login failed", failure, session=self.session.session_id)
        if self._smtp.pending is not None:
            self._refuse(UNAVAILABLE)
        self._proceed()

    def _login_accepted(self, login: str) -> None:
        session, throttle = self.session, self._around.throttle
        session.login = login
        session.trusted = True
        self._name_protocol()
        if throttle is not None:
            throttle.succeeded(self._throttled)
        log.info("session {session}: {peer} logged in as {login}", login=login, **self._who)
        self._smtp.logged_in(login)
        self._smtp.standing = attrs.evolve(self._smtp.standing, trusted=True)
        self._smtp.normalize = self._terms.normalizes(session)

    _name_protocol: Callable[[], None]  # tell the session what it speaks by now

    def _login_refused(self, step: Refused) -> None:
        """
        Count a wrong login, and let who guesses wait for the answer.
        """
        log.warn("session {session}: {peer} failed to log in: {reason}", reason=_told(step), **self._who)
        if step.reply != BAD_LOGIN:
            self._refuse(step.reply)
            return
        self._count_failure()
        self._step = step
        self._set(PENALTY, self._login_is_wrong)

    def _login_is_wrong(self) -> None:
        step, self._step = self._step, None
        if self._smtp.pending is Verb.AUTH and isinstance(step, Refused):
            self._refuse(step.reply)
        self._proceed()

    def _answered_itself(self, event: CommandRefused) -> None:
        if (
            self._step is not None and event.verb == "AUTH"
        ):  # given up: maybe since the challenge told that all was lost
            self._step = None
            self._count_failure()
        self._refused(event.verb, event.reply)

    def connectionLost(self, reason: Failure) -> None:
        """
        The connection is gone. Who leaves a login in the middle has failed: the check costs us the same, and a
        challenge may have told that all is lost.
        """
        asked = self._smtp.pending is Verb.AUTH and self._step is None
        if asked or isinstance(self._step, Challenge):
            self._count_failure()
        super().connectionLost(reason)

    def _count_failure(self) -> None:
        if self._around.throttle is not None:
            self._around.throttle.failed(self._throttled, self._around.clock.seconds())

    @property
    def _throttled(self) -> str:
        """
        By what name the throttle knows the client: as the limits count it.
        """
        return str(self._client)

    @property
    def _who(self) -> dict[str, str]:
        return {"session": self.session.session_id, "peer": self.session.peer}

    @property
    def _authenticator(self) -> IAuthenticator:
        authenticator = self._around.authenticator
        if authenticator is None:
            raise RuntimeError("AUTH was offered though nobody can log in")
        return authenticator


def _told(step: Refused) -> str:
    """
    Say why a login was refused, without the name: some type their password there.
    """
    return "wrong login" if step.reply == BAD_LOGIN else "malformed response"
