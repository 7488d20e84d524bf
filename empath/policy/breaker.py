"""
The circuit breaker of a site: what fails again and again is left alone for a while, and then tried with few.

| state     | ends by                                           | and is then |
|-----------|---------------------------------------------------|-------------|
| closed    | `threshold` failures, no success between them     | open        |
| open      | the first attempt once `timeout` is over          | half-open   |
| open      | a success of an attempt that was still under way  | closed      |
| half-open | a success, or an answer that concerns the mail    | closed      |
| half-open | a failure                                         | open        |
| any       | `reset`                                           | closed      |
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from math import inf
from typing import Any


class State(Enum):
    """
    Whether mail flows.
    """

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """
    Opens after `threshold` failures within `window` seconds, with no success between them; after `timeout` seconds
    `half_open` attempts at a time try whether the site works again.

    What was under way when it opened and fails afterwards changes nothing.
    """

    __slots__ = ("_failures", "_half_open", "_threshold", "_timeout", "_window", "state", "until")

    def __init__(self, threshold: int, window: float, timeout: float, half_open: int) -> None:
        self.state = State.CLOSED
        self.until = 0.0  # when an open one lets the first one through
        self._failures: deque[float] = deque()  # those that may count, the oldest first
        self.use(threshold, window, timeout, half_open)

    def use(self, threshold: int, window: float, timeout: float, half_open: int) -> None:
        """
        Change the settings; the state stays, for no longer than the new timeout if it is open.
        """
        self._threshold = threshold
        self._window = window
        self._timeout = timeout
        self._half_open = half_open

    @property
    def failing(self) -> bool:
        """
        Whether the site has failed since it last succeeded.
        """
        return self.state is not State.CLOSED or bool(self._failures)

    def hold(self, now: float, in_flight: int) -> float | None:
        """
        Tell whether an attempt may begin: None if so, else until when it may not; infinity where one of those in
        flight has to end first.
        """
        if self.state is State.CLOSED:
            return None
        if self.state is State.OPEN and now < self.until:
            self.until = min(self.until, now + self._timeout)  # the clock may have been set back
            return self.until
        return inf if in_flight >= self._half_open else None

    def begun(self, now: float) -> bool:
        """
        Count that an attempt began that `hold` let through; True if the breaker is half-open by it.
        """
        if self.state is not State.OPEN or now < self.until:
            return False
        self.state = State.HALF_OPEN
        return True

    def succeeded(self, now: float) -> bool:
        """
        Count a success; True if the site has recovered by it.
        """
        self._failures.clear()
        if self.state is State.CLOSED:
            return False
        self.state = State.CLOSED
        return True

    def failed(self, now: float) -> bool:
        """
        Count a failure; True if the breaker has opened by it.
        """
        if self.state is State.OPEN:
            return False
        if self.state is State.CLOSED:
            while self._failures and not 0.0 <= now - self._failures[0] < self._window:
                self._failures.popleft()
            self._failures.append(now)
            if len(self._failures) < self._threshold:
                return False
        self._failures.clear()
        self.state = State.OPEN
        self.until = now + self._timeout
        return True

    def reset(self, now: float) -> None:
        """
        Close it, and forget what failed.
        """
        self.succeeded(now)

    def dump(self) -> dict[str, Any] | None:
        """
        Write down what has to survive a restart; None for a site whose mail flows.
        """
        return None if self.state is State.CLOSED else {"until": self.until}

    def restore(self, kept: dict[str, Any], now: float) -> None:
        """
        Take up what `dump` wrote: open, but for no longer than it would be had it opened now. Nonsense is ignored.
        """
        until = kept.get("until")
        if isinstance(until, int | float) and until == until:
            self.state = State.OPEN
            self.until = min(float(until), now + self._timeout)
