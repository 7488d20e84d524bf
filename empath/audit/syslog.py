"""
Records to a syslog server (RFC 5424), one a message: over a UNIX socket, UDP (RFC 5426), TCP (RFC 6587) or TLS
(RFC 5425), the last two with each message's length before it.

Nothing is fatal. Retried: a server that cannot be reached, or hangs up, with growing pauses. Counted as lost: a record
that no datagram can hold, and those for which the queue has no room. What a connection swallowed as it broke nobody
knows of.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from empath.audit.chain import read_seal
from empath.audit.outbox import STEADY, Outbox
from empath.audit.syslog_ways import MOST_DATAGRAM, Datagrams, Stream, Target
from empath.interfaces import InThread

FACILITIES: Final = {  # RFC 5424 §6.2.1
    name: number
    for number, name in enumerate(
        (
            *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"),
            *("ntp", "security", "console", "solaris-cron"),
            *(f"local{number}" for number in range(8)),
        )
    )
}
NOTICE: Final = 5
AT_ONCE: Final = 200  # records for one turn
PAUSE: Final = (1.0, 60.0)  # seconds before the next try: at first, and at most
FULL: Final = 0.1  # seconds until a socket that takes no more is tried again
LAST_WORDS: Final = 2.0  # seconds in which a stop lets out what waits


def message_of(line: bytes, priority: int, hostname: str, pid: int) -> bytes:
    """
    Make the message of a record: MSGID is "audit", MSG the record as it stands in the file.
    """
    return f"<{priority}>1 {read_seal(line).time} {hostname or '-'} empath {pid} audit - ".encode() + line.rstrip(b"\n")


class SyslogSink:
    """
    Sends records to `target`. `trust_root` judges the certificate of a TLS server.
    """

    def __init__(
        self,
        reactor: Any,
        in_thread: InThread[Any],
        target: Target,
        facility: str,
        hostname: str,
        pid: int,
        trust_root: Any = None,
    ) -> None:
        self._reactor = reactor
        self._outbox = Outbox("syslog")
        self._message: Callable[[bytes], bytes] = partial(
            message_of, priority=FACILITIES[facility] * 8 + NOTICE, hostname=hostname, pid=pid
        )
        if target.kind in ("unix", "udp"):
            self._way: Datagrams | Stream = Datagrams(reactor, in_thread, target, self)
        else:
            self._way = Stream(reactor, target, trust_root, self)
        self._timer: IDelayedCall | None = None
        self._pause = PAUSE[0]
        self._opened = 0.0
        self._went = False
        self._stopped = True

    @property
    def lost(self) -> int:
        """
        How many records did not go.
        """
        return self._outbox.lost

    def start(self) -> None:
        """
        See `Sink`.
        """
        self._stopped = False
        self._way.open()

    def send(self, lines: list[bytes]) -> None:
        """
        See `Sink`.
        """
        self._outbox.add(lines)
        self.go()

    async def stop(self) -> None:
        """
        See `Sink`.
        """
        deadline = self._reactor.seconds() + LAST_WORDS
        while self._outbox and self._way.usable and self._reactor.seconds() < deadline:
            waited: Deferred[None] = Deferred()
            self._reactor.callLater(FULL / 2, waited.callback, None)
            self.go()
            await waited
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._way.close()
        self._outbox.end()

    def opened(self) -> None:
        """
        The way is open.
        """
        self._opened, self._went = self._reactor.seconds(), False
        self.go()

    def failed(self, why: str) -> None:
        """
        The way is not open, or no more.
        """
        if self._stopped:
            return
        self._outbox.failed(why)
        self._later(self._pause, self._way.open)
        self._pause = min(self._pause * 2, PAUSE[1])

    def go(self) -> None:
        """
        Send what waits, as far as the way takes it.
        """
        while self._outbox and self._way.usable:
            lines = self._outbox.take(AT_ONCE)
            for at, line in enumerate(lines):
                if not self._way.usable or not self._way.put(self._message(line)):
                    self._outbox.put_back(lines[at:])
                    return
            self._settle()

    def _settle(self) -> None:
        """
        Believe that records go, once some went before, and the way held for a while since: a server that takes a
        connection may hang up at once, and of a closed UDP port one hears after the first datagram.
        """
        if self._went and self._reactor.seconds() - self._opened >= STEADY:
            self._pause = PAUSE[0]
            self._outbox.went()
        self._went = True

    def too_long(self) -> None:
        """
        A record does not fit.
        """
        self._outbox.skip(1, f"a record is longer than {MOST_DATAGRAM} octets")

    def full(self) -> None:
        """
        The way takes no more for a moment.
        """
        self._later(FULL, self.go)

    def _later(self, seconds: float, call: Callable[[], object]) -> None:
        if self._timer is None or not self._timer.active():
            self._timer = self._reactor.callLater(seconds, call)
