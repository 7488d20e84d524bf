"""
The threads of one module: a few, so that what blocks holds up neither the service nor another module.

Nothing is fatal: a call that never returns keeps its thread, which ends with the process.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from empath.errors import ModuleError

MOST_THREADS: Final = 8
MOST_WAITING: Final = 100
STOP_BOUND: Final = 2.0  # seconds that a stop waits for calls that run

Call = Callable[[], Any]


class _Task:
    """
    One call; `wanted` until whoever asked has let go of it.
    """

    __slots__ = ("call", "deferred", "wanted")

    def __init__(self, call: Call) -> None:
        self.call = call
        self.wanted = True
        self.deferred: Deferred[Any] = Deferred(self._let_go)

    def _let_go(self, _: Deferred[Any]) -> None:
        self.wanted = False


class Workers:
    """
    Runs blocking calls in at most 8 threads, begun when they are needed; 100 more calls may wait for one.

    Cancelling takes back a call that has not begun, and forgets what comes of one that has.
    """

    __slots__ = ("_empty", "_name", "_queue", "_reactor", "_stopped", "_threads", "_under_way")

    def __init__(self, name: str, reactor: Any) -> None:
        self._name = name
        self._reactor = reactor
        self._queue: SimpleQueue[_Task | None] = SimpleQueue()
        self._threads = 0
        self._under_way = 0  # that wait or run, those let go of among them
        self._stopped = False
        self._empty: Deferred[None] | None = None

    @property
    def load(self) -> tuple[int, int, int]:
        """
        How many threads there may be, how many of them work, and how many calls wait for one.
        """
        busy = min(self._under_way, self._threads)
        return MOST_THREADS, busy, self._under_way - busy

    def run(self, call: Call) -> Deferred[Any]:
        """
        Run a call; fails with ModuleError where too many wait already.
        """
        if self._stopped:
            return fail(ModuleError(f"module {self._name} has been stopped"))
        if self._under_way >= MOST_THREADS + MOST_WAITING:
            return fail(ModuleError(f"all {MOST_THREADS} threads are busy, and {MOST_WAITING} calls wait for one"))
        task = _Task(call)
        if self._under_way >= self._threads < MOST_THREADS and not self._begin() and not self._threads:
            return fail(ModuleError("no thread can be begun"))
        self._under_way += 1
        self._queue.put(task)
        return task.deferred

    async def stop(self) -> None:
        """
        Take no more, wait a little for what runs, and let the threads end.
        """
        self._stopped = True
        for _ in range(self._threads):
            self._queue.put(None)
        if not self._under_way:
            return
        empty: Deferred[None] = Deferred()
        self._empty = empty
        bound = self._reactor.callLater(STOP_BOUND, empty.callback, None)
        await empty
        self._empty = None
        if bound.active():
            bound.cancel()

    def _begin(self) -> bool:
        """
        Begin one thread more; where the system has no room for it, those that there are have to do.
        """
        thread = Thread(target=self._work, name=f"empath-module-{self._name}-{self._threads + 1}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return False
        self._threads += 1
        return True

    def _work(self) -> None:
        """
        The life of a thread.
        """
        while (task := self._queue.get()) is not None:
            result: object = None
            try:
                if task.wanted:
                    result = task.call()
            except BaseException:  # whatever a module's code raises, SystemExit too: the thread goes on
                result = Failure()
            self._reactor.callFromThread(self._ended, task, result)
            del task, result

    def _ended(self, task: _Task, result: object) -> None:
        self._under_way -= 1
        if task.wanted:
            task.deferred.callback(_plain(result))  # a Failure too
        if self._empty is not None and not self._under_way and not self._empty.called:
            self._empty.callback(None)


def _plain(result: object) -> object:
    """
    Refuse a result that belongs to the reactor's thread.
    """
    if not isinstance(result, Deferred):
        return result
    result.addErrback(lambda _: None)
    return Failure(TypeError("a call in a thread returned a Deferred"))
