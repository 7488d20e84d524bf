"""
Connections to one milter: where it listens, how many there may be, and those that wait for their next session.

Fatal: an endpoint that is none. A milter that cannot be reached raises MilterError; nothing is retried here.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Awaitable
from pathlib import Path
from typing import Final, TypeVar

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, TimeoutError
from twisted.internet.endpoints import quoteStringArgument
from twisted.internet.protocol import Factory

from empath.modules import IServices
from empath.modules.builtin.milter.codec import Command, Flags, MilterError
from empath.modules.builtin.milter.dialogue import State
from empath.modules.builtin.milter.link import MilterLink

IDLE: Final = 60.0  # seconds that a connection is kept for the next session
_REUSED_SINCE: Final = 6  # the version of the protocol that knows QUIT_NC
_SPOKEN_OF_LATE: Final = ((Flags.NO_CONNECT, Flags.SILENT_CONNECT), (Flags.NO_HELO, Flags.SILENT_HELO))
_INET: Final = re.compile(r"inet6?:(\[[0-9A-Fa-f:.]+\]|[^:@\[\]]+):(\d{1,5})")
_PORT_FIRST: Final = re.compile(r"inet6?:(\d{1,5})@([^@]+)")
_LOCAL: Final = re.compile(r"(?:unix|local):(.+)", re.S)
_OTHER: Final = re.compile(r"[a-z][a-z0-9]*:.+", re.S)

T = TypeVar("T")


def read_endpoint(text: object) -> str:
    """
    Read where a milter listens, as a Twisted client endpoint: it may be one, or be written as for Postfix
    ("inet:host:port", "unix:/path") or for Sendmail ("inet:port@host", "local:/path"). ValueError if it is none.
    """
    if isinstance(text, str):
        if match := _INET.fullmatch(text) or None:
            return _tcp(match[1].strip("[]"), match[2])
        if match := _PORT_FIRST.fullmatch(text):
            return _tcp(match[2].strip("[]"), match[1])
        if not text.startswith("inet") and _OTHER.fullmatch(text):
            local = _LOCAL.fullmatch(text)
            return text if local is None else f"unix:{local[1]}"
    raise ValueError(f'endpoint: "tcp:host:port", "inet:host:port" or "unix:/path", not {ascii(text)[:80]}')


def below(endpoint: str, folder: Path) -> str:
    """
    Resolve the relative path of a UNIX socket against a folder.
    """
    kind, _, path = endpoint.partition(":")
    if kind != "unix" or path.startswith("/"):
        return endpoint
    return f"unix:{quoteStringArgument(str(folder))}/{path}"


class Links:
    """
    Opens connections to `endpoint`, at most `limit` at a time: who comes then waits, at most `seconds`. Up to `keep`
    connections stay open for the next session (QUIT_NC).
    """

    def __init__(self, services: IServices, endpoint: str, version: int, seconds: float, limit: int, keep: int) -> None:
        self._services = services
        self._endpoint = endpoint
        self._version = version
        self._seconds = seconds
        self._places = DeferredSemaphore(limit)
        self._keep = keep
        self._idle: deque[tuple[float, MilterLink]] = deque()
        self.late = False

    async def open(self) -> MilterLink:
        """
        Give a connection on which CONNECT comes next.
        """
        while self._idle:
            link = self._idle.pop()[1]
            if link.usable:
                return link
        await self._bounded(self._places.acquire(), "wait for a connection")
        link = MilterLink(self._services.clock, self._version, self._places.release)
        try:
            await self._bounded(self._services.connect(self._endpoint, _Once(link)), "connect")
        except BaseException:
            if link.connected:
                link.fail(MilterError("given up"))
            elif link.transport is None:
                self._places.release()
            raise
        return await self._negotiated(link)

    def release(self, link: MilterLink) -> None:
        """
        Take back a connection whose session is over.
        """
        again = link.usable and link.dialogue.agreed.version >= _REUSED_SINCE and len(self._idle) < self._keep
        if not again or link.dialogue.state is not State.SESSION or link.dialogue.awaiting is not None:
            link.leave()
            return
        link.tell(Command.QUIT_NEXT)
        self._idle.append((self._services.clock.seconds() + IDLE, link))

    def sweep(self) -> None:
        """
        Close what has been kept for too long.
        """
        now = self._services.clock.seconds()
        while self._idle and self._idle[0][0] <= now:
            self._idle.popleft()[1].leave()

    def close(self) -> None:
        """
        Close all that is kept.
        """
        while self._idle:
            self._idle.pop()[1].leave()

    async def _negotiated(self, link: MilterLink) -> MilterLink:
        """
        Agree with the milter upon what is said; `late` tells from then on that it has no say before MAIL.
        """
        try:
            agreed = await link.negotiate(self._seconds)
        except BaseException as error:
            link.fail(error if isinstance(error, MilterError) else MilterError("given up"))
            raise
        self.late = all(agreed.flags & (unsaid | silent) for unsaid, silent in _SPOKEN_OF_LATE)
        self._services.count("connections")
        return link

    async def _bounded(self, waiting: Awaitable[T], what: str) -> T:
        bounded: Deferred[T] = Deferred.fromCoroutine(_awaited(waiting))
        try:
            return await bounded.addTimeout(self._seconds, self._services.clock)
        except CancelledError:
            raise
        except TimeoutError:
            raise MilterError(f"{self._endpoint}: could not {what} within {self._seconds:g} s") from None
        except Exception as error:
            raise MilterError(f"{self._endpoint}: could not {what}: {error}") from error


class _Once(Factory):
    """
    Builds one connection.
    """

    noisy = False

    def __init__(self, link: MilterLink) -> None:
        self._link = link

    def buildProtocol(self, addr: object) -> MilterLink:
        self._link.factory = self
        return self._link


async def _awaited(waiting: Awaitable[T]) -> T:
    return await waiting


def _tcp(host: str, port: str) -> str:
    if not 0 < int(port) < 65536:
        raise ValueError(f"endpoint: no port: {port}")
    return f"tcp:{quoteStringArgument(host)}:{port}"
