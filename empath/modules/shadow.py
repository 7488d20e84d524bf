"""
Modules in shadow mode: what one would have done is recorded, and done to copies.

A copy lives as long as what it is of, so that a module finds again what it left there. What happens to the original
meanwhile, happens to the copy.
"""

from __future__ import annotations

from collections.abc import Awaitable
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

T = TypeVar("T", Session, Transaction)

_GROWING: Final = frozenset({"metadata", "decisions", "recipients", "accepted"})

log = Logger()


@attrs.define(slots=True, eq=False)
class _Copy:
    """
    A copy, and how the original was when they were last alike.
    """

    subject: Any
    seen: dict[str, Any]


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
            copy = self._copies[original] = _Copy(_copied(original), _values(original))
        else:
            _follow(original, copy)
        copy.subject.decisions = ()
        return copy.subject  # type: ignore[no-any-return]  # of the original's type


class ShadowGuard:
    """
    Asks a guarded hook about copies. Whatever comes of it is noted with the original, and is no opinion.
    """

    __slots__ = ("_guard", "_module", "_shadows")

    def __init__(self, module: str, guard: Guard, shadows: Shadows) -> None:
        self._module = module
        self._guard = guard
        self._shadows = shadows

    def __call__(self, session: Session, *subject: Any) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        Ask, in its place in the order: who asks waits as it would for any module.
        """
        ours = self._shadows.of(session)
        if self._guard.hook == "data":
            theirs: tuple[Any, ...] = (self._shadows.of(subject[0]), subject[1].shadow())
        elif subject and isinstance(subject[0], Transaction):
            theirs = (self._shadows.of(subject[0]), *subject[1:])
        else:
            theirs = subject
        answer = self._guard(ours, *theirs)
        original = subject[0] if subject and isinstance(subject[0], Transaction) else session
        copy = theirs[0] if original is not session else ours
        if isinstance(answer, Deferred):
            return answer.addCallback(self._noted, original, copy)
        return self._noted(None, original, copy)

    def _noted(self, _: object, original: Session | Transaction, copy: Session | Transaction) -> MaybeVerdict:
        """
        Hand on what the guard noted with the copy.
        """
        for decision in copy.decisions:
            if decision.verdict in ("refuse", "disconnect", "discard"):
                self._tell(original, decision)
            if len(original.decisions) < MOST:
                original.decisions = (*original.decisions, attrs.evolve(decision, shadow=True))
        return None

    def _tell(self, original: Session | Transaction, decision: Decision) -> None:
        named = original.queue_id if isinstance(original, Transaction) else f"session {original.session_id}"
        log.info(
            "{queue_id}: module {module} would have decided {verdict} at {hook}: {reply}; {why}",
            queue_id=named,
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
    copy = attrs.evolve(original, metadata=original.metadata.copy())
    if isinstance(copy, Transaction):
        copy.recipients = list(copy.recipients)
        copy.parameters = dict(copy.parameters)
    return copy


def _values(original: Session | Transaction) -> dict[str, Any]:
    return {name: _kept(getattr(original, name)) for name in _names(original)}


def _names(original: Session | Transaction) -> tuple[str, ...]:
    return tuple(field.name for field in attrs.fields(type(original)) if field.init)


def _kept(value: Any) -> Any:
    return value.copy() if isinstance(value, (dict, list)) else value


def _follow(original: Session | Transaction, copy: _Copy) -> None:
    """
    Let a copy catch up with what has changed since.
    """
    now = _values(original)
    subject, seen = copy.subject, copy.seen
    for name, value in now.items():
        if name not in _GROWING and value != seen[name]:
            setattr(subject, name, _kept(value))
    _follow_metadata(subject.metadata, seen["metadata"], now["metadata"])
    if isinstance(subject, Transaction):
        _follow_recipients(subject, seen["recipients"], now["recipients"])
        subject.accepted = now["accepted"]
    copy.seen = now


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
