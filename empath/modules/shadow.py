"""
Modules in shadow mode: what one would have done is recorded, and done to copies.

A copy lives as long as what it is of, so that a module finds again what it left there. What happens to the original
meanwhile, happens to the copy.
"""

from __future__ import annotations

from collections.abc import Awaitable
from operator import attrgetter
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from empath.interfaces import MaybeVerdict
from empath.mail.decision import MOST, Decision
from empath.mail.envelope import Recipient
from empath.mail.session import Session, Transaction
from empath.modules.guard import Guard
from empath.modules.row import Row, TransactionGuard

T = TypeVar("T", Session, Transaction)

_GROWING: Final = frozenset({"metadata", "decisions", "recipients", "accepted"})
_SESSION: Final = tuple(field.name for field in attrs.fields(Session) if field.init)
_TRANSACTION: Final = tuple(field.name for field in attrs.fields(Transaction) if field.init)
_of_session: Final = attrgetter(*_SESSION)
_of_transaction: Final = attrgetter(*_TRANSACTION)

log = Logger()


@attrs.define(slots=True, eq=False)
class _Copy:
    """
    A copy, and how the original was when they were last alike.
    """

    subject: Any
    seen: tuple[Any, ...]


class Shadows:
    """
    The copies that one module works on, by what they are of.
    """

    __slots__ = ("_copies",)

    def __init__(self) -> None:
        self._copies: WeakKeyDictionary[Session | Transaction, _Copy] = WeakKeyDictionary()

    def of(self, original: T) -> T:
        """
        Find or make the copy of a session or transaction, without decisions, up to date.
        """
        copy = self._copies.get(original)
        if copy is None:
            copy = self._copies[original] = _Copy(_copied(original), _kept(_values(original)))
        else:
            _follow(original, copy)
        copy.subject.decisions = ()
        return copy.subject  # type: ignore[no-any-return]  # of the original's type

    def forget(self, original: Session | Transaction) -> None:
        """
        Make another copy next time: this one cannot be used any more.
        """
        self._copies.pop(original, None)


class ShadowGuard:
    """
    Asks a guarded hook about copies. Whatever comes of it is noted with the original, and is no opinion.
    """

    __slots__ = ("_ask", "_guard", "_module", "_shadows")

    def __init__(self, module: str, guard: Guard, shadows: Shadows) -> None:
        self._module = module
        self._guard = guard
        self._ask = Row((guard,)) if isinstance(guard, TransactionGuard) else guard
        self._shadows = shadows

    def __call__(self, session: Session, *subject: Any) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        Ask, in its place in the order: who asks waits as it would for any module. Never raises.
        """
        original = subject[0] if subject and isinstance(subject[0], Transaction) else session
        try:
            ours = self._shadows.of(session)
            theirs = self._copied(*subject)
            answer = self._ask(ours, *theirs)
        except Exception:  # what the module made of a copy when nobody looked
            self._fault(session, original)
            return None
        copy = ours if original is session else theirs[0]
        if isinstance(answer, Deferred):
            return answer.addCallback(self._noted, session, original, copy)
        return self._noted(None, session, original, copy)

    def _copied(self, *subject: Any) -> tuple[Any, ...]:
        """
        Give what the module is asked about, but nothing that is anybody else's.
        """
        if not subject or not isinstance(subject[0], Transaction):
            return subject
        transaction = self._shadows.of(subject[0])
        if self._guard.hook == "data":
            return transaction, subject[1].shadow()
        return (transaction, *[Recipient(each.address, each.parameters.copy()) for each in subject[1:]])

    def _noted(
        self, _: object, session: Session, original: Session | Transaction, copy: Session | Transaction
    ) -> MaybeVerdict:
        """
        Hand on what the guard noted with the copy.
        """
        try:
            for decision in copy.decisions:
                if decision.verdict in ("refuse", "disconnect", "discard"):
                    self._tell(original, decision)
                if len(original.decisions) < MOST:
                    original.decisions = (*original.decisions, attrs.evolve(decision, shadow=True))
        except Exception:
            self._fault(session, original)
        return None

    def _fault(self, session: Session, original: Session | Transaction) -> None:
        log.failure(
            "{queue_id}: module {module}: {hook} could not be shadowed",
            queue_id=_name_of(original),
            module=self._module,
            hook=self._guard.hook,
        )
        self._shadows.forget(session)
        self._shadows.forget(original)

    def _tell(self, original: Session | Transaction, decision: Decision) -> None:
        log.info(
            "{queue_id}: module {module} would have decided {verdict} at {hook}: {reply}; {why}",
            queue_id=_name_of(original),
            module=self._module,
            verdict=decision.verdict,
            hook=decision.hook,
            reply=decision.reply or "no reply",
            why=decision.why or "no reason given",
        )


def _copied(original: T) -> T:
    """
    Copy, containers too.
    """
    return type(original)(*_kept(_values(original)))


def _values(original: Session | Transaction) -> tuple[Any, ...]:
    return (_of_transaction if isinstance(original, Transaction) else _of_session)(original)


def _kept(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple([_own(value) for value in values])


def _own(value: Any) -> Any:
    return value.copy() if isinstance(value, (dict, list)) else value


def _follow(original: Session | Transaction, copy: _Copy) -> None:
    """
    Let a copy catch up with what has changed since.
    """
    values = _values(original)
    if values == copy.seen:
        return
    names = _TRANSACTION if isinstance(original, Transaction) else _SESSION
    subject, seen, now = copy.subject, dict(zip(names, copy.seen, strict=True)), dict(zip(names, values, strict=True))
    for name, value in now.items():
        if name not in _GROWING and value != seen[name]:
            setattr(subject, name, _own(value))
    _follow_metadata(subject.metadata, seen["metadata"], now["metadata"])
    if isinstance(subject, Transaction):
        _follow_recipients(subject, seen["recipients"], now["recipients"])
        subject.accepted = now["accepted"]
    copy.seen = _kept(values)


def _follow_metadata(copy: dict[str, str], seen: dict[str, str], now: dict[str, str]) -> None:
    for key in seen.keys() - now.keys():
        copy.pop(key, None)
    for key, value in now.items():
        if seen.get(key) != value:
            copy[key] = value


def _follow_recipients(copy: Transaction, seen: list[Recipient], now: list[Recipient]) -> None:
    """
    Take in new recipients as the copy would have, with what they were rewritten to there.
    """
    if now[: len(seen)] != seen:
        copy.recipients = list(now)
        return
    for recipient in now[len(seen) :]:
        copy.accept(recipient)


def _name_of(original: Session | Transaction) -> str:
    return original.queue_id if isinstance(original, Transaction) else f"session {original.session_id}"
