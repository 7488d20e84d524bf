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
from empath.modules.calls import Call, Marked
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
        content = subject[1] if self.hook == "data" else None
        marked = None if content is None else (content, content.mark())
        call = _call(session, subject[0], before, self.seconds(), marked, admitted)
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

    __slots__ = ("_guards", "_hook", "_seconds")

    def __init__(self, guards: tuple[TransactionGuard, ...]) -> None:
        self._guards = guards
        self._hook = guards[0].hook
        self._seconds = guards[0].seconds

    def __call__(self, session: Session, transaction: Transaction, *subject: Any) -> _Answer:
        """
        Ask all, until one of them has to be waited for.
        """
        mail, before = transaction, _copied(session, transaction)
        content = subject[0] if self._hook == "data" else None
        began = self._seconds()
        for number, guard in enumerate(self._guards, 1):
            breaker = guard.breaker
            if breaker.failures:
                return self._then(number, guard(session, mail, *subject), session, mail, *subject)
            marked = None if content is None else (content, content.mark())
            try:
                answer = guard.ask(session, mail, *subject)
                ended = self._seconds()
                took = ended - began
                if answer is None and 0.0 <= took < QUICK and before == _standing(session, mail):
                    counts = guard.counts
                    counts.quick += 1
                    counts.quick_seconds += took
                    began = ended
                    continue
            except BaseException:  # SystemExit is no way out for a module either
                told = guard.look(_call(session, mail, before, began, marked), Failure())
            else:
                told = guard.look(_call(session, mail, before, began, marked), answer)
            return self._then(number, told, session, mail, *subject)
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


def _standing(session: Session, mail: Transaction) -> tuple[Any, ...]:
    """
    Tell how everything stands that a hook might change; from the fourth on, what envelope.STATE names.
    """
    return (
        session.metadata,
        mail.metadata,
        mail.recipients,
        mail.reverse_path,
        mail.priority,
        mail.release,
        mail.held,
        mail.routes,
        mail.expanded,
        mail._rewritten,
        mail.queue_id,
        mail.started,
        mail.parameters,
        mail.declared_size,
        mail.accepted,
        mail.decisions,
        mail.steps,
    )


def _copied(session: Session, mail: Transaction) -> tuple[Any, ...]:
    """
    Keep how everything stands, whatever is changed in it.
    """
    metadata, mails, recipients, *rest = _standing(session, mail)
    return (metadata.copy(), mails.copy(), recipients.copy(), *rest)


def _call(
    session: Session,
    transaction: Transaction,
    before: tuple[Any, ...],
    began: float,
    marked: Marked,
    admitted: int = ADMITTED,
) -> Call:
    return Call(session, began, admitted, before[0], transaction, before[1], before[2], before[3:], marked)


def guard_of(watch: Watch, hook: str, ask: Callable[..., Any]) -> Guard:
    """
    Put a hook under guard.
    """
    return (TransactionGuard if hook in IN_TRANSACTION else Guard)(watch, hook, ask)
