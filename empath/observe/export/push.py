"""
The metrics page, pushed to a collector every now and then.

Nothing is fatal. What cannot be pushed is not kept: the next push tells the same totals and more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from empath.interfaces import InThread
from empath.observe.export.losses import Losses
from empath.observe.export.outlet import LAST_WORDS, LONGEST_PAUSE
from empath.observe.export.sent import Sent

FIRST: Final = 5.0  # seconds until the first, at most: whoever looks wants to see that it goes

log = Logger()


class Page(Protocol):
    """
    What is pushed: see `Exposition`.
    """

    def look(self) -> Deferred[Any]:
        """
        Look at what takes a moment.
        """

    def read(self) -> Any:
        """
        Look at the rest.
        """

    def families(self, readings: Any) -> Any:
        """
        Make the families of what was seen.
        """


Send = Callable[[Any, float], Sent]


class MetricPush:
    """
    Pushes `page` by what `use` names; nothing until it names something.
    """

    def __init__(self, page: Page, clock: Any, in_thread: InThread[Sent]) -> None:
        self._page = page
        self._clock = clock
        self._in_thread = in_thread
        self._losses = Losses("metrics", clock)
        self._send: Send | None = None
        self._interval = 0.0
        self._asking: Deferred[Any] | None = None
        self._timer: IDelayedCall | None = None
        self._running = False

    def figures(self) -> dict[str, int]:
        """
        Tell how many pushes were taken (`sent`), and were not (`lost`, `failures`); none waits.
        """
        return self._losses.figures(0)

    def use(self, send: Send | None, interval: float) -> None:
        """
        Push by `send`, called in a thread with families and the time, every so many seconds; None: not at all.
        """
        self._send, self._interval = send, interval
        waiting = self._timer is not None and self._timer.active()
        due = self._timer.getTime() - self._clock.seconds() if waiting and self._timer is not None else FIRST
        self._wait(max(min(interval, FIRST, due), 0.0))  # reloads without end put off none

    def start(self) -> None:
        """
        Begin.
        """
        self._running = True
        self._wait(min(self._interval, FIRST))

    async def stop(self) -> None:
        """
        Push once more, within a bound, so that the last counts get there, too.
        """
        if self._running and self._send is not None:
            await self._ended()
        self._running = False
        self._wait(0.0)
        if self._asking is not None:
            self._losses.lose(1, "the last did not get there before the end")
        self._losses.tell(now=True)

    async def _ended(self) -> None:
        ended: Deferred[None] = Deferred()
        bound = self._clock.callLater(LAST_WORDS, _fire, ended)
        last = Deferred.fromCoroutine(self._last())
        last.addBoth(lambda _: _fire(ended))
        await ended
        if bound.active():
            bound.cancel()

    async def _last(self) -> None:
        if self._asking is not None:
            await self._asking
        self._go()
        if self._asking is not None:
            await self._asking

    def _wait(self, seconds: float) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._running and self._send is not None:
            self._timer = self._clock.callLater(seconds, self._go)

    def _go(self) -> None:
        self._losses.tell()
        self._wait(self._interval)
        if self._asking is not None or self._send is None or not self._running:
            return
        asking = self._asking = Deferred.fromCoroutine(self._pushed(self._send))
        asking.addErrback(lambda failure: log.failure("metrics could not be pushed", failure))
        asking.addBoth(self._over)
        if asking.called:
            self._asking = None

    def _over(self, _: object) -> None:
        self._asking = None

    async def _pushed(self, send: Send) -> None:
        await self._page.look()
        readings, now = self._page.read(), self._clock.seconds()
        sent = await self._in_thread(lambda: send(self._page.families(readings), now))
        if not self._running:
            return
        if not sent.trouble:
            self._losses.went(0 if sent.lost else 1)
            self._losses.lose(1 if sent.lost else 0, sent.reason)
            return
        self._losses.lose(1, sent.trouble)
        self._losses.failed(sent.trouble)
        if sent.after > self._interval:
            self._wait(min(sent.after, LONGEST_PAUSE))


def _fire(ended: Deferred[None]) -> None:
    if not ended.called:
        ended.callback(None)
