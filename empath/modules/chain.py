"""
The checks and modules of a session, asked in their order: the provider of the decision seam.

A check that raises, or whose Awaitable fails, is a bug of that check: logged as such, and the step answers 451 4.3.0.
Nothing is fatal, nothing retried, nothing ignored.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from zope.interface import implementer

from empath.interfaces import IDecisions, MaybeVerdict
from empath.mail.envelope import Recipient
from empath.mail.message import Message
from empath.mail.reply import Reply
from empath.mail.session import Session, Transaction
from empath.policy.verdict import Action, Verdict

FAULT: Final = Verdict(Action.REFUSE, Reply.of("451 4.3.0 local error, try again later"), "chain")

_Check = Callable[..., MaybeVerdict | Awaitable[MaybeVerdict]]
_Answer = MaybeVerdict | Awaitable[MaybeVerdict]

log = Logger()


@implementer(IDecisions)
class Chain:
    """
    Asks `checks` stage by stage; a check has methods named as those of IDecisions, for the stages that it judges.

    The first verdict that is not an acceptance wins and nobody is asked after it. Plain calls until a check has to
    wait (hot-path rule P1); then the Awaitable is a Deferred, and cancelling it cancels what the check waits for.
    """

    __slots__ = ("_auth", "_connect", "_data", "_ehlo", "_mail_from", "_rcpt_to", "_starttls")

    def __init__(self, checks: Iterable[object]) -> None:
        ordered = tuple(checks)
        self._connect = _judging(ordered, "connect")
        self._ehlo = _judging(ordered, "ehlo")
        self._starttls = _judging(ordered, "starttls")
        self._auth = _judging(ordered, "auth")
        self._mail_from = _judging(ordered, "mail_from")
        self._rcpt_to = _judging(ordered, "rcpt_to")
        self._data = _judging(ordered, "data")

    def connect(self, session: Session) -> _Answer:
        """
        See `IDecisions.connect`.
        """
        return _ask(self._connect, session) if self._connect else None

    def ehlo(self, session: Session, name: str) -> _Answer:
        """
        See `IDecisions.ehlo`.
        """
        return _ask(self._ehlo, session, name) if self._ehlo else None

    def starttls(self, session: Session) -> _Answer:
        """
        See `IDecisions.starttls`.
        """
        return _ask(self._starttls, session) if self._starttls else None

    def auth(self, session: Session, login: str) -> _Answer:
        """
        See `IDecisions.auth`.
        """
        return _ask(self._auth, session, login) if self._auth else None

    def mail_from(self, session: Session, transaction: Transaction) -> _Answer:
        """
        See `IDecisions.mail_from`.
        """
        return _ask(self._mail_from, session, transaction) if self._mail_from else None

    def rcpt_to(self, session: Session, transaction: Transaction, recipient: Recipient) -> _Answer:
        """
        See `IDecisions.rcpt_to`.
        """
        return _ask(self._rcpt_to, session, transaction, recipient) if self._rcpt_to else None

    def data(self, session: Session, transaction: Transaction, message: Message) -> _Answer:
        """
        See `IDecisions.data`.
        """
        return _ask(self._data, session, transaction, message) if self._data else None


def _judging(checks: tuple[object, ...], stage: str) -> tuple[_Check, ...]:
    return tuple(getattr(check, stage) for check in checks if hasattr(check, stage))


def _ask(checks: tuple[_Check, ...], *subject: Any) -> _Answer:
    for number, check in enumerate(checks, 1):
        try:
            verdict = check(*subject)
        except Exception:
            return _fault(check)
        if verdict is None:
            continue
        if not isinstance(verdict, Verdict):
            return Deferred.fromCoroutine(_wait(check, verdict, checks[number:], subject))
        if verdict.action is not Action.ACCEPT:
            return verdict
    return None


async def _wait(
    check: _Check, waiting: Awaitable[MaybeVerdict], others: tuple[_Check, ...], subject: tuple[Any, ...]
) -> MaybeVerdict:
    """
    Wait for what `check` has to say, then ask the others.
    """
    try:
        verdict = await waiting
    except CancelledError:
        raise
    except Exception:
        return _fault(check)
    if verdict is not None and verdict.action is not Action.ACCEPT:
        return verdict
    later = _ask(others, *subject)
    return later if later is None or isinstance(later, Verdict) else await later


def _fault(check: _Check) -> Verdict:
    log.failure("{check} failed", check=getattr(check, "__qualname__", repr(check)))
    return FAULT
