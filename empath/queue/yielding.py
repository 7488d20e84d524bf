"""
Work on many things that lets others have the reactor between some of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

S = TypeVar("S")
T = TypeVar("T")

AT_ONCE: Final = 100


async def in_turns(clock: IReactorTime, things: Sequence[S], make: Callable[[S], T]) -> list[T]:
    """
    Make something of each, in their order, a hundred in one turn of the reactor.
    """
    found: list[T] = []
    for begin in range(0, len(things), AT_ONCE):
        if begin:
            await deferLater(clock, 0)
        found += [make(each) for each in things[begin : begin + AT_ONCE]]
    return found
