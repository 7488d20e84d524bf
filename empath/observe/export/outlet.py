"""
Spans and log records on their way to a collector: a bounded queue, sent some at a time, one request after the other.

Whoever hands something in never waits, and never hears of trouble. Nothing is fatal. Retried, with growing pauses: a
collector that cannot be reached, or answers 429, 502, 503 or 504, after as long as it asks for. Counted as lost: what
it refuses otherwise, and what the queue has no room for. Then the oldest goes: after an outage the last minutes are
worth more than the first, and one gap is easier to understand than many.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from empath.interfaces import InThread
from empath.observe.export.log_record import LogRecord, octets_of
from empath.observe.export.losses import Losses
from empath.observe.export.sent import Sent
from empath.observe.export.waiting import Waiting
from empath.observe.tracing.span import Make

T = TypeVar("T")

EVERY: Final = 0.5  # seconds between looks at what waits
PAUSE: Final = (1.0, 60.0)  # seconds before the next try: at first, and at most
LONGEST_PAUSE: Final = 600.0  # seconds, whatever a collector asks for
LAST_WORDS: Final = 3.0  # seconds that a stop waits
MOST_OCTETS: Final = 4 * 1024 * 1024  # of memory that what goes at once took: few collectors take more than some MiB

log = Logger()


class Outlet(Generic[T]):
    """
    What of one `signal` waits, as much as there is room for, and goes `at_once` at most. Until `use` names a
    destination, and after it was taken away, everything is dropped, and not counted.
    """

    def __init__(self, signal: str, clock: Any, in_thread: InThread[Sent], at_once: int, waiting: Waiting[T]) -> None:
        self._clock = clock
        self._in_thread = in_thread
        self._most_at_once = self._at_once = at_once
        self._waiting = waiting
        self._losses = Losses(signal, clock)
        self._send: Callable[[Sequence[T]], Sent] | None = None
        self._asking: Deferred[Any] | None = None
        self._tick: IDelayedCall | None = None
        self._ended: Deferred[None] | None = None
        self._under_way = 0
        self._pause = PAUSE[0]
        self._resting_until = 0.0
        self._running = False

    def add(self, item: T, octets: int = 0) -> None:
        """
        Take something in that takes about so much memory. It may be called in any thread, never raises, never waits.
        """
        if self._send is not None and (lost := self._waiting.add(item, octets)):
            self._losses.lose(lost, "")

    @property
    def wanted(self) -> bool:
        """
        Whether there is a destination.
        """
        return self._send is not None

    def figures(self) -> dict[str, int]:
        """
        Tell how many of those that were handed in got there (`sent`), did not (`lost`) and wait, and how many requests
        failed.
        """
        return self._losses.figures(len(self._waiting) + self._under_way)

    def use(self, send: Callable[[Sequence[T]], Sent] | None) -> None:
        """
        Have what waits, and what comes, go by another `send`, which is called in a thread; None: nowhere.
        """
        self._send = send
        self._pause, self._resting_until, self._at_once = PAUSE[0], 0.0, self._most_at_once
        if send is None:
            self._waiting.clear()
        self._look_later()

    def start(self) -> None:
        """
        Begin to send.
        """
        self._running = True
        self._look_later()

    async def stop(self, bound: float = LAST_WORDS) -> None:
        """
        Send what waits, as far as that goes within so many seconds, and take no more. The rest is lost, and told.
        """
        if self._send is not None and self._running:
            await self._emptied(bound)
        self._running = False
        left = len(self._waiting) + self._under_way
        if left:
            self._losses.lose(left, "they did not get there before the end")
        self._losses.tell(now=True)
        self._send = None
        self._waiting.clear()
        self._look_later()

    async def _emptied(self, seconds: float) -> None:
        """
        Wait until everything went, something did not, or time is up.
        """
        ended = self._ended = Deferred()
        bound = self._clock.callLater(seconds, _fire, ended)
        self._resting_until = 0.0
        self._go()
        if self._asking is None:
            _fire(ended)
        await ended
        if bound.active():
            bound.cancel()

    def _look_later(self) -> None:
        """
        Look again in a while, as long as there is somewhere to send to.
        """
        wanted = self._running and self._send is not None
        if self._tick is not None and self._tick.active():
            if not wanted:
                self._tick.cancel()
        elif wanted:
            self._tick = self._clock.callLater(EVERY, self._look)

    def _look(self) -> None:
        self._losses.tell()
        self._go()
        self._look_later()

    def _go(self) -> None:
        """
        Send some of what waits, unless some is under way, or the collector is to be left alone for a while.
        """
        send = self._send
        if not self._running or send is None or self._asking is not None or not self._waiting:
            return
        if self._clock.seconds() < self._resting_until:
            return
        items = self._waiting.take(self._at_once, MOST_OCTETS)
        self._under_way = len(items)
        asking = self._asking = self._in_thread(lambda: send([item for item, _ in items]))
        asking.addErrback(_crashed)
        asking.addCallback(self._answered, items, send)
        if asking.called:
            self._asking = None

    def _answered(self, sent: Sent, items: list[tuple[T, int]], send: object) -> None:
        self._asking, self._under_way = None, 0
        if not self._running or self._send is None:
            return
        if not sent.trouble:
            self._taken(sent, len(items))
        elif send is not self._send:  # there is another place by now, which has done nothing wrong
            self._put_back(items, sent.trouble)
        elif sent.again or (sent.too_large and len(items) > 1):
            self._again(sent, items)
        else:
            self._losses.failed(sent.trouble)
            self._losses.lose(len(items), sent.trouble)
            self._resting_until = self._clock.seconds() + PAUSE[0]
        self._clock.callLater(0.0, self._proceed, bool(sent.trouble) and not sent.too_large)

    def _taken(self, sent: Sent, count: int) -> None:
        self._pause = PAUSE[0]
        self._at_once = min(self._at_once * 2, self._most_at_once)
        self._losses.went(count - min(sent.lost, count))
        if sent.lost:
            self._losses.lose(min(sent.lost, count), sent.reason)

    def _again(self, sent: Sent, items: list[tuple[T, int]]) -> None:
        if sent.too_large:
            self._at_once = len(items) // 2
        else:
            self._losses.failed(sent.trouble)
            pause = min(max(self._pause, sent.after), LONGEST_PAUSE)
            self._resting_until = self._clock.seconds() + pause
            self._pause = min(self._pause * 2, PAUSE[1])
        self._put_back(items, sent.trouble)

    def _put_back(self, items: list[tuple[T, int]], why: str) -> None:
        """
        Put back what did not go, before what came since: as much of the latest as there is room for.
        """
        if lost := self._waiting.put_back(items):
            self._losses.lose(lost, why)

    def _proceed(self, trouble: bool) -> None:
        """
        Go on with what waits, if that fills another request: each costs as much as some messages do. A stop goes on
        with however little, and is over once nothing waits, or something did not go.
        """
        if self._ended is None:
            if self._waiting.fills(self._at_once, MOST_OCTETS):
                self._go()
        elif self._waiting and not trouble:
            self._go()
        elif self._asking is None:
            _fire(self._ended)


class SpanOutlet(Outlet[Make]):
    """
    Spans, a `Make` for those of one attempt or reception: what is counted as lost are these.
    """

    AT_ONCE: Final = 128
    MOST: Final = 4096, 32 * 1024 * 1024  # and octets

    def __init__(self, clock: Any, in_thread: InThread[Sent]) -> None:
        super().__init__("traces", clock, in_thread, self.AT_ONCE, Waiting(*self.MOST))


class LogOutlet(Outlet[LogRecord]):
    """
    Log records.
    """

    AT_ONCE: Final = 512
    MOST: Final = 8192, 32 * 1024 * 1024  # and octets

    def __init__(self, clock: Any, in_thread: InThread[Sent]) -> None:
        super().__init__("logs", clock, in_thread, self.AT_ONCE, Waiting(*self.MOST))

    def add(self, item: LogRecord, octets: int = 0) -> None:
        """
        See `Outlet.add`.
        """
        super().add(item, octets or octets_of(item))


def _crashed(failure: Failure) -> Sent:
    """
    Take what went wrong in the thread, which is ours to mend, as a refusal: the next ones may fare better.
    """
    log.failure("what waits for a collector could not be sent", failure)
    return Sent(trouble=f"{type(failure.value).__name__} of ours")


def _fire(ended: Deferred[None]) -> None:
    if not ended.called:
        ended.callback(None)
