"""
Guards in a row: the modules that are asked about a transaction, one after the other.

As long as they have nothing to say, and change nothing, all of them share one copy of what they might have changed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from empath.interfaces import MaybeVerdict
from empath.mail.session import Session, Transaction
from empath.modules.breaker import ADMITTED
from empath.modules.calls import Call
from empath.modules.guard import QUICK, Guard
from empath.modules.watch import Watch
from empath.policy.verdict import Verdict

IN_TRANSACTION: Final = frozenset({"mail_from", "rcpt_to", "data"})

_Answer = MaybeVerdict | Awaitable[MaybeVerdict]


class TransactionGuard(Guard):
    """
    The guard of a hook that is asked about a transaction; `Row` is the fast way to ask several.
    """

    __slots__ = ()

    def __call__(self, session: Session, *subject: Any) -> _Answer:
        """
        Ask about a transaction.
        """
        breaker, before = self.breaker, _copied(session, subject[0])
        admitted = breaker.admits(self.hook) if breaker.failures else ADMITTED
        call = _call(session, subject[0], before, self.seconds(), admitted)
        if not admitted:
            return self.unasked(call)
        try:
            answer = self.ask(session, *subject)
        except BaseException:  # SystemExit is no way out for a module either
            return self.look(call, Failure())
        return self.look(call, answer)


class Row:
    """
    Asks guards about a transaction in their order; the first verdict wins.
    """

    __slots__ = ("_guards", "_seconds")

    def __init__(self, guards: tuple[TransactionGuard, ...]) -> None:
        self._guards = guards
        self._seconds = guards[0].seconds

    def __call__(self, session: Session, transaction: Transaction, *subject: Any) -> _Answer:
        """
        Ask all, until one of them has to be waited for.
        """
        before = _copied(session, transaction)
        began = self._seconds()
        for number, guard in enumerate(self._guards, 1):
            breaker = guard.breaker
            if breaker.failures:
                return self._then(number, guard(session, transaction, *subject), session, transaction, *subject)
            try:
                answer = guard.ask(session, transaction, *subject)
                ended = self._seconds()
                took = ended - began
                if answer is None and 0.0 <= took < QUICK and before == _as_is(session, transaction):
                    counts = guard.counts
                    counts.quick += 1
                    counts.quick_seconds += took
                    began = ended
                    continue
            except BaseException:  # SystemExit is no way out for a module either
                told = guard.look(_call(session, transaction, before, began), Failure())
            else:
                told = guard.look(_call(session, transaction, before, began), answer)
            return self._then(number, told, session, transaction, *subject)
        return None

    def _then(self, number: int, told: _Answer, *subject: Any) -> _Answer:
        """
        Ask those behind the guard of that number, unless what it told ends it.
        """
        if number == len(self._guards) or isinstance(told, Verdict):
            return told
        others = Row(self._guards[number:])
        return others(*subject) if told is None else Deferred.fromCoroutine(_later(told, others, subject))


async def _later(told: Awaitable[MaybeVerdict], others: Row, subject: tuple[Any, ...]) -> MaybeVerdict:
    verdict = await told
    if verdict is not None:
        return verdict
    later = others(*subject)
    return later if later is None or isinstance(later, Verdict) else await later


def _as_is(session: Session, transaction: Transaction) -> tuple[Any, ...]:
    """
    Tell how everything stands that a hook might change; from the fourth on, what envelope.STATE names.
    """
    return (
        session.metadata,
        transaction.metadata,
        transaction.recipients,
        transaction.reverse_path,
        transaction.priority,
        transaction.release,
        transaction.held,
        transaction.routes,
        transaction._rewritten,
        transaction.queue_id,
        transaction.started,
        transaction.parameters,
        transaction.declared_size,
        transaction.accepted,
        transaction.decisions,
    )


def _copied(session: Session, transaction: Transaction) -> tuple[Any, ...]:
    """
    The same, to keep.
    """
    of_session, of_transaction, recipients, *state = _as_is(session, transaction)
    return (of_session.copy(), of_transaction.copy(), recipients.copy(), *state)


def _call(
    session: Session, transaction: Transaction, before: tuple[Any, ...], began: float, admitted: int = ADMITTED
) -> Call:
    return Call(session, began, admitted, before[0], transaction, before[1], before[2], before[3:])


def guard_of(watch: Watch, hook: str, ask: Callable[..., Any]) -> Guard:
    """
    Put a hook under guard.
    """
    return (TransactionGuard if hook in IN_TRANSACTION else Guard)(watch, hook, ask)
