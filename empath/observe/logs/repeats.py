"""
What is logged again and again is told once, and then how often.

Nothing is fatal. What is to be told in the end is told at the end of its time, by whatever is logged then, or at the
stop.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, Final

import attrs
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import LogEvent, LogLevel

MOST: Final = 256  # texts that are remembered; beyond, the oldest is not waited for any longer
MOST_SAID: Final = 500  # characters of a text that are told again
AGAIN: Final = "log_again"  # the key of events that tell of repeats, which are none
ANSWER: Final = "log_answer"  # the key of events that answer somebody, who waits for it however often it was said
_TEXTS: Final = (
    "said once more in the last {seconds:.0f} s: {said}",
    "said {count} more times in the last {seconds:.0f} s: {said}",
)


@attrs.define(slots=True, eq=False)
class _Said:
    """
    What was said first at `begun`, and so many times `more` since.
    """

    level: str
    namespace: str
    text: str
    begun: float
    more: int = 0


class Repeats:
    """
    Counts what is said again within `interval` seconds, word by word, by the same speaker at the same level; 0 counts
    nothing. It is called by all threads that log.

    `reactor` has `callFromThread` besides a clock. `publish` gets the events that tell how often.
    """

    def __init__(self, interval: float, reactor: Any, publish: Callable[[LogEvent], object]) -> None:
        self._interval = interval
        self._reactor = reactor
        self._publish = publish
        self._said: dict[int, _Said] = {}
        self._lock = Lock()
        self._timer: IDelayedCall | None = None
        self._waking = False

    def use(self, interval: float) -> None:
        """
        Count for so many seconds from now on; what was counted is told.
        """
        if interval != self._interval:
            self._interval = interval
            self.flush()

    def hides(self, level: str, namespace: str, text: str, traceback: str) -> bool:
        """
        Tell whether this was said already, and is counted instead.
        """
        if not self._interval:
            return False
        key, now = hash((level, namespace, text, traceback)), self._reactor.seconds()
        over: list[_Said] = []
        with self._lock:
            said = self._said.get(key)
            known = said is not None and 0.0 <= now - said.begun < self._interval
            if said is not None and known:
                said.more += 1
            else:
                over = self._forget(key)
                self._said[key] = _Said(level, namespace, text[:MOST_SAID], now)
            wake = known and not self._waking
            self._waking = self._waking or wake
        for each in over:
            self._tell_of(each)
        if wake:
            self._reactor.callFromThread(self._wait)
        return known

    def flush(self) -> None:
        """
        Tell all that was counted, now.
        """
        with self._lock:
            said, self._said = list(self._said.values()), {}
            timer, self._timer, self._waking = self._timer, None, False
        if timer is not None and timer.active():
            timer.cancel()
        for each in said:
            self._tell_of(each)

    def stop(self) -> None:
        """
        Tell all that was counted, and count no more.
        """
        self._interval = 0.0
        self.flush()

    def _forget(self, key: int) -> list[_Said]:
        """
        Make room, with the lock held, and give what is over by that.
        """
        over = [self._said.pop(key)] if key in self._said else []
        if len(self._said) >= MOST:
            over.append(self._said.pop(next(iter(self._said))))
        return over

    def _wait(self) -> None:
        """
        Wait for the end of the first that was counted.
        """
        with self._lock:
            ends = [each.begun + self._interval for each in self._said.values() if each.more]
            self._waking = bool(ends)
            if self._timer is not None and self._timer.active():
                self._timer.cancel()
            if ends:
                rest = min(ends) - self._reactor.seconds()
                self._timer = self._reactor.callLater(min(max(rest, 0.0), self._interval), self._end)

    def _end(self) -> None:
        now = self._reactor.seconds()
        with self._lock:
            over = {key: each for key, each in self._said.items() if not 0.0 <= now - each.begun < self._interval}
            for key in over:
                del self._said[key]
        for each in over.values():
            self._tell_of(each)
        self._wait()

    def _tell_of(self, said: _Said) -> None:
        if not said.more:
            return
        now = self._reactor.seconds()
        event = {"log_level": LogLevel.levelWithName(said.level), "log_namespace": said.namespace, "log_time": now}
        told = {"said": said.text, "count": said.more, "seconds": max(now - said.begun, 1.0)}
        self._publish({**event, **told, "log_format": _TEXTS[said.more > 1], AGAIN: True})
