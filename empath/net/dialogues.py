"""
Watching dialogues while they go on: who watches what, and the lines on their way to whoever does.

Fatal: nothing. Who reads too slowly misses lines, which are counted; no connection waits for a watch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from empath.mail.address import canonical_domain
from empath.policy.relay import UNIX, client_address

if TYPE_CHECKING:
    from empath.net.overhearing import Overhearing

MOST_LINES: Final = 2000  # that wait for who watches
MOST_WATCHES: Final = 16

Refresh = Callable[[], None]
"""
Have all connections of a part asked again whether somebody wants to overhear them.
"""


def _domain(text: str) -> str:
    return canonical_domain(text) if text else ""


def _name(text: str) -> str:
    return text.lower()


class TooManyWatches(Exception):
    """
    No more watches are taken.
    """


@attrs.frozen(slots=True)
class Overheard:
    """
    One thing that happened on a connection: `event` is "opened", "line", "tls", "closed", or "missed" for what the
    watch had no room for, at the time of the last of it. `side` is "server" where we are the server, else "client";
    `from_us` tells who said a line.
    """

    time: float
    connection: str
    side: str
    peer: str
    event: str
    from_us: bool
    text: str


@attrs.frozen(slots=True)
class Interest:
    """
    What is to be overheard: dialogues with a `peer`, that name a `domain`, or of an `id` of a connection or message;
    what is "" is of no interest, and all else has to hold. ValueError for a peer or domain that can be none.
    """

    peer: str = ""
    domain: str = attrs.field(default="", converter=_domain)
    id: str = attrs.field(default="", converter=_name)
    _is_peer: Callable[[str], bool] = attrs.field(init=False, repr=False, eq=False)

    @_is_peer.default
    def _make(self) -> Callable[[str], bool]:
        return peers(self.peer)

    def fits(self, one: Overhearing) -> bool:
        """
        Tell whether a connection, as it is now, is meant.
        """
        return (
            (not self.domain or self.domain in one.domains)
            and (not self.id or self.id in one.ids)
            and self.may_fit(one.peer)
        )

    def may_fit(self, peer: str) -> bool:
        """
        Tell whether a connection with this peer can be meant, whatever else it is.
        """
        return not self.peer or self._is_peer(peer)


class Watch:
    """
    What one who watches has not read so far. Close it at the end.
    """

    __slots__ = ("_close", "_last_missed", "_lines", "_missed", "_over", "_waiting", "dropped", "interest")

    def __init__(self, interest: Interest, close: Callable[[Watch], None]) -> None:
        self.interest = interest
        self.dropped = 0
        self._close = close
        self._lines: deque[Overheard] = deque()
        self._missed = 0
        self._last_missed: Overheard | None = None
        self._over = False
        self._waiting: Deferred[None] | None = None

    def add(self, line: Overheard) -> None:
        """
        Keep a line until it is read, if there is room.
        """
        if len(self._lines) >= MOST_LINES:
            self.dropped += 1
            self._missed, self._last_missed = self._missed + 1, line
            return
        self._lines.append(line)
        self._wake()

    async def take(self) -> tuple[Overheard, ...]:
        """
        Give what there is, as soon as there is something; nothing once it was ended and all was read. What was left out
        since is told at once, be it that nothing more is said.
        """
        while not self._lines and not self._over:
            self._waiting = Deferred()
            await self._waiting
        if self._missed and (last := self._last_missed) is not None:
            told, self._missed = f"{self._missed} lines were left out", 0
            self._lines.append(attrs.evolve(last, event="missed", connection="", peer="", from_us=False, text=told))
        lines = tuple(self._lines)
        self._lines.clear()
        return lines

    def end(self) -> None:
        """
        Overhear no more; what was overheard can still be read.
        """
        if not self._over:
            self._over = True
            self._close(self)
            self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.called:
            waiting.callback(None)


class Dialogues:
    """
    All who watch. `watches` is another tuple whenever they are others; the parts that have connections join with what
    refreshes theirs.
    """

    __slots__ = ("_made", "_parts", "clock", "watches")

    def __init__(self, clock: IReactorTime) -> None:
        self.clock = clock
        self.watches: tuple[Watch, ...] = ()
        self._parts: tuple[Refresh, ...] = ()
        self._made = 0

    def join(self, refresh: Refresh) -> None:
        """
        Have a part take part.
        """
        self._parts = (*self._parts, refresh)

    def next_name(self) -> str:
        """
        Name a connection that has no other name.
        """
        self._made += 1
        return f"out-{self._made}"

    def wanted(self, peer: str) -> bool:
        """
        Tell whether anybody watches whom a dialogue with this peer may concern.
        """
        return any(watch.interest.may_fit(peer) for watch in self.watches)

    def watch(self, interest: Interest) -> Watch:
        """
        Begin to watch, also what goes on already. TooManyWatches.
        """
        if len(self.watches) >= MOST_WATCHES:
            raise TooManyWatches
        watch = Watch(interest, self._forget)
        self._use((*self.watches, watch))
        return watch

    def _forget(self, watch: Watch) -> None:
        self._use(tuple(each for each in self.watches if each is not watch))

    def _use(self, watches: tuple[Watch, ...]) -> None:
        self.watches = watches
        for refresh in self._parts:
            refresh()


def peers(text: str) -> Callable[[str], bool]:
    """
    Make the question whether a peer is meant by an address, a network, "unix", or the path of a UNIX socket; ValueError
    for what is none of these.
    """
    if not text or text == UNIX or text.startswith("/"):
        return lambda peer: peer == text or (text == UNIX and peer.startswith("/"))
    if "/" not in text:
        text = str(client_address(text))
    network = ip_network(text, strict=False)

    def within(peer: str) -> bool:
        try:
            return client_address(peer) in network
        except ValueError:
            return False

    return within
