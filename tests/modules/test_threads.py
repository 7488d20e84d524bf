"""
What blocks holds up nobody, and no stop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Queue
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from empath.errors import ModuleError
from empath.modules.threads import MOST_THREADS, MOST_WAITING, STOP_BOUND, Workers

BOUND = 10.0  # seconds of real time after which a test has failed


class Reactor(Clock):
    """
    Keeps what threads want to tell until the test takes it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.told: Queue[Callable[[], object]] = Queue()

    def callFromThread(self, call: Callable[..., object], *arguments: object) -> None:
        self.told.put(lambda: call(*arguments))

    def take(self, number: int = 1) -> None:
        """
        Wait for so many calls, and make them.
        """
        for _ in range(number):
            self.told.get(timeout=BOUND)()


class WorkersTests(SynchronousTestCase):
    """
    Real threads, and a gate that holds them where a test wants it.
    """

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.workers = Workers("test", self.reactor)
        self.gate = threading.Event()
        self.addCleanup(self.end)

    def end(self) -> None:
        self.gate.set()
        Deferred.fromCoroutine(self.workers.stop())
        for thread in self.threads():
            thread.join(BOUND)

    def threads(self) -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name.startswith("empath-module-test-")]

    def held(self) -> str:
        """
        Block until the gate opens.
        """
        self.gate.wait(BOUND)
        return threading.current_thread().name

    def test_no_thread_before_there_is_a_call(self) -> None:
        """
        Most modules block nowhere.
        """
        self.assertEqual(self.threads(), [])
        self.assertIsNone(self.successResultOf(Deferred.fromCoroutine(self.workers.stop())))

    def test_tells_how_busy_they_are(self) -> None:
        """
        All of 8 threads, at first none of them.
        """
        self.assertEqual(self.workers.load, (MOST_THREADS, 0, 0))
        for _ in range(MOST_THREADS + 3):
            self.workers.run(self.held)
        self.assertEqual(self.workers.load, (MOST_THREADS, MOST_THREADS, 3))
        self.gate.set()
        for _ in range(MOST_THREADS + 3):
            self.reactor.take()
        self.assertEqual(self.workers.load, (MOST_THREADS, 0, 0))

    def test_tells_the_result(self) -> None:
        """
        Of a call that ran elsewhere, in a thread that would not keep the process.
        """
        self.gate.set()
        ran = self.workers.run(self.held)
        self.assertNoResult(ran)
        self.reactor.take()
        self.assertEqual(self.successResultOf(ran), "empath-module-test-1")
        self.assertTrue(all(thread.daemon for thread in self.threads()))

    def test_whatever_is_raised_the_thread_goes_on(self) -> None:
        """
        SystemExit too.
        """
        for error in (ValueError, SystemExit, KeyboardInterrupt):

            def call(error: type[BaseException] = error) -> None:
                raise error

            ran = self.workers.run(call)
            self.reactor.take()
            self.failureResultOf(ran, error)
        self.assertEqual(len(self.threads()), 1)

    def test_where_the_system_has_no_room_for_a_thread(self) -> None:
        """
        The call fails, unless there are other threads, which make it; later there may be room again.
        """
        no_room = self.patch(threading.Thread, "start", _no_room)
        self.failureResultOf(self.workers.run(self.held), ModuleError)
        no_room.restore()
        self.gate.set()
        first = self.workers.run(self.held)
        self.reactor.take()
        self.assertEqual(self.successResultOf(first), "empath-module-test-1")

    def test_a_deferred_from_a_thread_is_an_error(self) -> None:
        """
        It belongs to the reactor's thread.
        """
        ran = self.workers.run(lambda: succeed(None))
        self.reactor.take()
        self.failureResultOf(ran, TypeError)

    def test_so_many_at_once_so_many_wait_and_no_more(self) -> None:
        """
        What comes beyond hears so at once; when there is room again, the next is run.
        """
        running = [self.workers.run(self.held) for _ in range(MOST_THREADS + MOST_WAITING)]
        self.failureResultOf(self.workers.run(self.held), ModuleError)
        self.assertEqual(len(self.threads()), MOST_THREADS)
        self.gate.set()
        self.reactor.take(len(running))
        names = {thread.name for thread in self.threads()}
        self.assertLessEqual({self.successResultOf(each) for each in running}, names)
        again = self.workers.run(self.held)
        self.reactor.take()
        self.successResultOf(again)

    def test_who_lets_go_of_a_call(self) -> None:
        """
        One that has not begun never does; the end of one that has is heard by nobody.
        """
        running = [self.workers.run(self.held) for _ in range(MOST_THREADS)]
        called: list[object] = []
        waiting = self.workers.run(lambda: called.append(None))
        for each in (running[0], waiting):
            each.cancel()
            self.failureResultOf(each, CancelledError)
        self.gate.set()
        self.reactor.take(MOST_THREADS + 1)
        self.assertEqual((called, [len(self.successResultOf(each)) > 0 for each in running[1:]]), ([], [True] * 7))

    def test_a_stop_waits_a_little(self) -> None:
        """
        For a call that ends soon; then it takes no more.
        """
        ran = self.workers.run(self.held)
        stopped = Deferred.fromCoroutine(self.workers.stop())
        self.assertNoResult(stopped)
        self.gate.set()
        self.reactor.take()
        self.successResultOf(ran)
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.failureResultOf(self.workers.run(self.held), ModuleError)

    def test_a_stop_does_not_wait_for_what_hangs(self) -> None:
        """
        Not longer than its bound.
        """
        ran: Deferred[Any] = self.workers.run(self.held)
        stopped = Deferred.fromCoroutine(self.workers.stop())
        self.reactor.advance(STOP_BOUND)
        self.successResultOf(stopped)
        self.assertNoResult(ran)
        ended: list[Any] = []
        ran.addBoth(ended.append)
        self.gate.set()
        self.reactor.take()
        self.assertNotIsInstance(ended[0], Failure)


def _no_room(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")
