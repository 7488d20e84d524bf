"""
One piece of work for all who want the same at a time.

Fatal, retried, ignored: nothing; what fails, fails for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure


@attrs.define(slots=True, eq=False)
class _Common:
    """
    Work under way, and who waits for it.
    """

    waiting: list[Deferred[bytes]] = attrs.field(factory=list)
    work: Deferred[bytes] | None = None


class Sharing:
    """
    Work by its name. It is given up when nobody waits for it any more.
    """

    def __init__(self) -> None:
        self._under_way: dict[Hashable, _Common] = {}

    def join(self, name: Hashable, begin: Callable[[], Coroutine[Any, Any, bytes]]) -> Deferred[bytes]:
        """
        Wait for the work of a name, which is begun if nobody waits for it yet.
        """
        common = self._under_way.get(name)
        fresh = common is None
        if common is None:
            common = self._under_way[name] = _Common()
        mine: Deferred[bytes] = Deferred(lambda _: self._leave(name, common, mine))
        common.waiting.append(mine)
        if fresh:
            common.work = Deferred.fromCoroutine(begin())
            common.work.addBoth(self._ended, name, common)
        return mine

    def _leave(self, name: Hashable, common: _Common, mine: Deferred[bytes]) -> None:
        if mine not in common.waiting:
            return  # it is being told to all
        common.waiting.remove(mine)
        if not common.waiting and common.work is not None:
            self._under_way.pop(name, None)
            common.work.cancel()

    def _ended(self, result: bytes | Failure, name: Hashable, common: _Common) -> None:
        if self._under_way.get(name) is common:
            del self._under_way[name]
        waiting, common.waiting = common.waiting, []
        for each in waiting:
            if not each.called:  # who hears of it may give up for another one
                each.callback(result)
