"""
What systemd is told of us, where it started us and asks for it (sd_notify(3), Type=notify; sd_watchdog_enabled(3)).

Nothing here is fatal: a socket that does not take a word is said once in the log, and mail goes on.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

PER_SECOND: Final = 1_000_000  # microseconds, in which systemd counts

log = Logger()

Send = Callable[[str, bytes], None]


def send_datagram(address: str, said: bytes) -> None:
    """
    Send to a UNIX socket: a path, or a name in the abstract namespace, that begins with "@". OSError if it is not taken
    at once.
    """
    name = f"\0{address[1:]}" if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as way:
        way.setblocking(False)
        way.sendto(said, name)


class Supervisor:
    """
    Tells systemd when we are ready, read our configuration again, stop, and, where it watches, that we are alive: that
    the reactor turns, and the thread that writes the spool answers. Without $NOTIFY_SOCKET it tells nobody anything.

    It is made before twistd forks: systemd names the process that it started itself ($WATCHDOG_PID).
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        clock: Any,
        send: Send = send_datagram,
        monotonic: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = address if address[:1] in ("/", "@") else ""
        self._every = _interval(environ) if self._address else 0.0
        self._clock = clock
        self._send = send
        self._monotonic = monotonic
        self._alive: Callable[[], Awaitable[object]] | None = None
        self._asked: Deferred[object] | None = None
        self._stopping = self._unheard = False
        if self._address:
            clock.addSystemEventTrigger("before", "shutdown", self._stop)

    def started(self, alive: Callable[[], Awaitable[object]], _: object = None) -> None:
        """
        We take mail; from now on what `alive` gives fires, in whatever way, as long as we are alive. Our process may be
        another one than systemd knows.
        """
        if self._stopping:
            return
        self._alive = alive
        self._tell("READY=1", f"MAINPID={os.getpid()}", "STATUS=Takes mail")
        if self._every:
            self._watch()

    def reloading(self) -> None:
        """
        We read our configuration again, until `reloaded`.
        """
        if self._alive is not None:
            now = self._monotonic() // 1000
            self._tell("RELOADING=1", f"MONOTONIC_USEC={now}", "STATUS=Reads its configuration again")

    def reloaded(self) -> None:
        """
        We go on, with the new configuration or the old one.
        """
        if self._alive is not None:
            self._tell("READY=1", "STATUS=Takes mail")

    def _stop(self) -> None:
        """
        We stop. It may take its time: we go on to tell that we are alive.
        """
        self._stopping = True
        self._tell("STOPPING=1", "STATUS=Stops: what is under way comes to its end")

    def _watch(self) -> None:
        self._clock.callLater(self._every, self._watch)
        if self._asked is None and self._alive is not None:
            self._asked = Deferred.fromCoroutine(_answer(self._alive))
            self._asked.addBoth(self._heard)

    def _heard(self, result: object) -> None:
        """
        Any answer is a sign of life: what ails the spool is not mended by another start.
        """
        self._asked = None
        if not (isinstance(result, Failure) and result.check(CancelledError)):
            self._tell("WATCHDOG=1")

    def _tell(self, *said: str) -> None:
        if not self._address:
            return
        try:
            self._send(self._address, "\n".join(said).encode())
        except OSError as trouble:
            if not self._unheard:
                self._unheard = True
                log.warn("systemd is not told {said}: {trouble}", said=said[0], trouble=trouble)


async def _answer(alive: Callable[[], Awaitable[object]]) -> object:
    return await alive()


def _interval(environ: Mapping[str, str]) -> float:
    """
    Tell after how many seconds a sign of life is due: half of what systemd waits; 0.0 where it does not watch us.
    """
    microseconds = environ.get("WATCHDOG_USEC", "")
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()) or not microseconds.isdecimal():
        return 0.0
    return int(microseconds) / PER_SECOND / 2
