"""
The live sessions for people: which there are, ending some of them, and having them overheard.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import nsmallest
from operator import itemgetter
from typing import Protocol

from empath.mail.session import Session
from empath.receive.live import Live


class Showable(Protocol):
    """
    A session that people can look at.
    """

    session: Session

    def live(self) -> Live:
        """
        Tell how it is now.
        """

    def kill(self) -> None:
        """
        End now, whatever is under way, as an operator wants it.
        """

    def overhear(self) -> None:
        """
        Ask anew who wants to overhear it.
        """


class Shown:
    """
    The sessions whose clients were let in. Their names begin with `prefix`; behind it stands as which one they came, in
    hexadecimal digits.
    """

    __slots__ = ("_by_name", "_prefix")

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._by_name: dict[str, Showable] = {}

    def add(self, session: Showable) -> None:
        """
        Show a session.
        """
        self._by_name[session.session.session_id] = session

    def remove(self, session: Showable) -> None:
        """
        Show it no more.
        """
        self._by_name.pop(session.session.session_id, None)

    def page(self, after: str, limit: int, peer: Callable[[str], bool] | None = None) -> tuple[list[Live], str]:
        """
        Tell at most `limit` sessions, of some peers only if `peer` says which, in the order in which they came: those
        behind the one named `after`, "" for the first. Tells also behind which one to go on, "" at the end. ValueError
        for what names no session of ours.
        """
        number = self._number(after) if after else 0
        found = (
            (came, each)
            for name, each in self._by_name.items()
            if (came := self._number(name)) > number and (peer is None or peer(each.session.peer))
        )
        later = nsmallest(limit + 1, found, key=itemgetter(0))
        told = [each.live() for _, each in later[:limit]]
        return told, told[-1].session.session_id if len(later) > limit and told else ""

    def kill(self, name: str = "", peer: Callable[[str], bool] | None = None) -> tuple[str, ...]:
        """
        End the session of this name, and those of some peers; tells which they were.
        """
        ended = [
            (key, each)
            for key, each in self._by_name.items()
            if key == name or (peer is not None and peer(each.session.peer))
        ]
        for _, each in ended:
            each.kill()
        return tuple(key for key, _ in ended)

    def overhear(self) -> None:
        """
        Have each session asked anew who wants to overhear it.
        """
        for each in tuple(self._by_name.values()):
            each.overhear()

    def _number(self, name: str) -> int:
        """
        Tell as which session one came.
        """
        if not name.startswith(self._prefix):
            raise ValueError(f"there was no session {name}")
        return int(name.removeprefix(self._prefix), 16)
