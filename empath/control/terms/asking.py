"""
What all requests have in common.
"""

from __future__ import annotations

from typing import ClassVar, Generic, TypeVar

A = TypeVar("A")
P = TypeVar("P")


class Ask(Generic[A]):
    """
    A request whose answer is one `A`. `changes` tells whether it changes anything, `masked` names the fields that the
    audit trail does not tell.
    """

    __slots__ = ()

    verb: ClassVar[str]
    answer: ClassVar[type]
    changes: ClassVar[bool] = False
    masked: ClassVar[frozenset[str]] = frozenset()


class Follow(Ask[A], Generic[A, P]):
    """
    A request that takes its time: pieces of `P` come before the answer. Whoever hangs up ends it.
    """

    __slots__ = ()

    piece: ClassVar[type]
