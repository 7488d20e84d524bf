"""
The checks and modules of a session, asked in their order: the provider of the decision seam.

A check that raises, or whose Awaitable fails, is a bug of that check: logged as such, and the step answers 451 4.3.0.
Nothing is fatal, nothing retried, nothing ignored.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from itertools import groupby
from math import inf
from typing import Any, Final

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from zope.interface import implementer

from empath.interfaces import IDecisions, IJudgedContent, MaybeVerdict
from empath.mail.envelope import Recipient
from empath.mail.reply import Reply
from empath.mail.session import Session, Transaction
from empath.modules.calls import name_of
from empath.modules.row import Row, TransactionGuard
from empath.policy.verdict import Action, Verdict

FAULT: Final = Verdict(Action.REFUSE, Reply.of("451 4.3.0 local error, try again later"), "chain")
CHANGED: Final = Verdict(Action.REFUSE, Reply.of("451 4.3.2 configuration changed, try again later"), "chain")

STAGES: Final = ("connect", "ehlo", "starttls", "auth", "mail_from", "rcpt_to", "data")

_Check = Callable[..., MaybeVerdict | Awaitable[MaybeVerdict]]
_Answer = MaybeVerdict | Awaitable[MaybeVerdict]

log = Logger()


@attrs.define(slots=True, eq=False)
class _Stages:
    """
    The checks by stage; and the end of their time, once others have taken their place.
    """

    connect: tuple[_Check, ...]
    ehlo: tuple[_Check, ...]
    starttls: tuple[_Check, ...]
    auth: tuple[_Check, ...]
    mail_from: tuple[_Check, ...]
    rcpt_to: tuple[_Check, ...]
    data: tuple[_Check, ...]
    until: float = attrs.field(default=inf, init=False)

    @classmethod
    def of(cls, checks: Iterable[object]) -> _Stages:
        """
        Sort out who judges what.
        """
        ordered = tuple(checks)
        return cls(**{stage: _judging(ordered, stage) for stage in STAGES})


@implementer(IDecisions)
class Chain:
    """
    Asks `checks` stage by stage; a check has methods named as those of IDecisions, for the stages that it judges.

    The first verdict that is not an acceptance wins and nobody is asked after it. Plain calls until a check has to
    wait (hot-path rule P1); then the Awaitable is a Deferred, and cancelling it cancels what the check waits for.

    Other checks can take their place: a transaction that has begun goes on with those that it began with.
    """

    __slots__ = ("_former", "_opened", "_stages")

    def __init__(self, checks: Iterable[object]) -> None:
        self._stages = _Stages.of(checks)
        self._former: tuple[_Stages, ...] = ()
        self._opened: list[Deferred[None]] | None = None

    @property
    def judges_data(self) -> bool:
        """
        See `IDecisions.judges_data`.
        """
        return bool(self._stages.data or self._former)

    def hold(self) -> None:
        """
        Let those who connect wait until `open`.
        """
        if self._opened is None:
            self._opened = []

    def open(self) -> None:
        """
        Let in who waits.
        """
        waiting, self._opened = self._opened or (), None
        for each in waiting:
            if not each.called:
                each.callback(None)

    def use(self, checks: Iterable[object], now: float) -> float:
        """
        Ask these from now on, but for transactions that began before; tells a mark for `refuse_before` and `forget`.
        """
        stages, self._stages = self._stages, _Stages.of(checks)
        stages.until = now
        self._former = (*self._former, stages)
        return now

    def refuse_before(self, mark: float) -> None:
        """
        Let transactions that began before be tried again later: their checks are not there any more.
        """
        for former in self._former:
            if former.until <= mark:
                former.rcpt_to = former.data = (_changed,)

    def forget(self, mark: float) -> None:
        """
        There are no transactions any more that began before.
        """
        self._former = tuple(former for former in self._former if former.until > mark)

    def connect(self, session: Session) -> _Answer:
        """
        See `IDecisions.connect`.
        """
        if self._opened is not None:
            return Deferred.fromCoroutine(self._when_open(session, self._opened))
        checks = self._stages.connect
        return _ask(checks, session) if checks else None

    def ehlo(self, session: Session, name: str) -> _Answer:
        """
        See `IDecisions.ehlo`.
        """
        checks = self._stages.ehlo
        return _ask(checks, session, name) if checks else None

    def starttls(self, session: Session) -> _Answer:
        """
        See `IDecisions.starttls`.
        """
        checks = self._stages.starttls
        return _ask(checks, session) if checks else None

    def auth(self, session: Session, login: str) -> _Answer:
        """
        See `IDecisions.auth`.
        """
        checks = self._stages.auth
        return _ask(checks, session, login) if checks else None

    def mail_from(self, session: Session, transaction: Transaction) -> _Answer:
        """
        See `IDecisions.mail_from`.
        """
        checks = (self._stages if not self._former else self._stages_of(transaction)).mail_from
        return _ask(checks, session, transaction) if checks else None

    def rcpt_to(self, session: Session, transaction: Transaction, recipient: Recipient) -> _Answer:
        """
        See `IDecisions.rcpt_to`.
        """
        checks = (self._stages if not self._former else self._stages_of(transaction)).rcpt_to
        return _ask(checks, session, transaction, recipient) if checks else None

    def data(self, session: Session, transaction: Transaction, content: IJudgedContent) -> _Answer:
        """
        See `IDecisions.data`.
        """
        checks = (self._stages if not self._former else self._stages_of(transaction)).data
        return _ask(checks, session, transaction, content) if checks else None

    def _stages_of(self, transaction: Transaction) -> _Stages:
        """
        Find the checks that a transaction began with.
        """
        return next((former for former in self._former if transaction.started <= former.until), self._stages)

    async def _when_open(self, session: Session, waiting: list[Deferred[None]]) -> MaybeVerdict:
        opened: Deferred[None] = Deferred()
        waiting.append(opened)
        await opened
        answer = self.connect(session)
        return answer if answer is None or isinstance(answer, Verdict) else await answer


def _changed(*_: object) -> Verdict:
    return CHANGED


def _judging(checks: tuple[object, ...], stage: str) -> tuple[_Check, ...]:
    """
    List who judges a stage; guards that stand side by side are one row.
    """
    judging = [getattr(check, stage) for check in checks if hasattr(check, stage)]
    rows = groupby(judging, lambda check: isinstance(check, TransactionGuard))
    return tuple(check for guards, row in rows for check in ((Row(tuple(row)),) if guards else row))


def _ask(checks: tuple[_Check, ...], *subject: Any) -> _Answer:
    for number, check in enumerate(checks, 1):
        try:
            verdict = check(*subject)
        except Exception:
            return _fault(check, subject)
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
        return _fault(check, subject)
    if verdict is not None and verdict.action is not Action.ACCEPT:
        return verdict
    later = _ask(others, *subject)
    return later if later is None or isinstance(later, Verdict) else await later


def _fault(check: _Check, subject: tuple[Any, ...]) -> Verdict:
    """
    Tell of a check that failed by a fault of its own, and of what it was asked about: of the innermost.
    """
    about = next(filter(None, map(name_of, reversed(subject))), "NOQUEUE")
    log.failure("{queue_id}: {check} failed", queue_id=about, check=getattr(check, "__qualname__", repr(check)))
    return FAULT
