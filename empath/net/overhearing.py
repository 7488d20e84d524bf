"""
One connection that is overheard: its lines, as they may be seen, to those who watch it.

Fatal: nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from empath.mail.address import canonical_domain
from empath.net.dialogues import Dialogues, Overheard, Watch
from empath.net.spoken import Spoken

MOST_DOMAINS: Final = 1000  # that a session named
_NAMING: Final = (b"MAIL ", b"RCPT ")


class Overhearing(Spoken):
    """
    A tap (see `empath.smtp.tap.Tap`) on the connection `name`; `side` is "server" where we are the server. `joined`: it
    goes on for some time already; `password` is one that the session says, or has said.

    Whoever begins to watch it while it is open hears first that it is, and of a server's session the last line: it may
    be the one that made it interesting.
    """

    __slots__ = (
        "_announced",
        "_dialogues",
        "_last",
        "_queue_id",
        "_seen",
        "_watched_by",
        "_where",
        "domains",
        "ids",
        "name",
        "peer",
    )

    def __init__(self, dialogues: Dialogues, name: str, side: str, *, joined: bool = False, password: str = "") -> None:
        super().__init__(side, joined, password)
        self._dialogues = dialogues
        self.name = name
        self.peer = self._where = self._queue_id = ""
        self.ids = frozenset({name.lower()})
        self.domains: set[str] = set()
        self._last: Overheard | None = None
        self._seen: tuple[Watch, ...] = ()
        self._watched_by: tuple[Watch, ...] = ()
        self._announced: tuple[Watch, ...] = ()

    # What the edge tells

    def opened(self, peer: str, where: str) -> None:
        """
        See `Tap.opened`.
        """
        self.peer, self._where = peer, where
        self._match()

    def presents(self, peer: str) -> None:
        """
        See `Tap.presents`.
        """
        self.peer = peer
        self._match(again=True)

    def carries(self, queue_id: str, domains: Iterable[str]) -> None:
        """
        See `Tap.carries`. A session that comes in keeps the domains that it named.
        """
        self._flush()
        self.ids = frozenset({self.name.lower(), queue_id.lower()} - {""})
        if self.side == "client":
            self.domains = set(domains)
            self._match()
        else:
            self.domains.update(domains)
            self._match(again=True)

    def secured(self, words: str) -> None:
        """
        See `Tap.secured`.
        """
        self._tell("tls", self._masking.words(words))

    def closed(self, words: str) -> None:
        """
        See `Tap.closed`.
        """
        self._finish()
        self._tell("closed", self._masking.words(words))

    # ----

    def _take(self, line: bytes, text: str, from_us: bool) -> None:
        if not from_us and self.side == "server" and line[:5].upper() in _NAMING:
            self._name(line)
        self._tell("line", text, from_us=from_us)

    def _take_words(self, text: str) -> None:
        self._tell("line", text)

    def _take_content(self, octets: int) -> None:
        self._tell("line", f"[{octets} octets of content]", from_us=self.side == "client")

    def _name(self, line: bytes) -> None:
        """
        Note the domain of the address that MAIL or RCPT names.
        """
        path = line.partition(b"<")[2].partition(b">")[0] or line.partition(b":")[2].strip()
        _, at, domain = path.rpartition(b"@")
        if not at or len(self.domains) >= MOST_DOMAINS:
            return
        try:
            self.domains.add(canonical_domain(domain.decode()))
        except ValueError:
            return
        self._match()

    def _tell(self, event: str, text: str, *, from_us: bool = False) -> None:
        if self._seen is not self._dialogues.watches:
            self._match()
        now = self._dialogues.clock.seconds()
        self._last = line = Overheard(now, self.name, self.side, self.peer, event, from_us, text)
        for watch in self._watched_by:
            watch.add(line)

    def _match(self, *, again: bool = False) -> None:
        """
        Find who watches now; who did not before hears that the connection is open, and the last line `again` if that
        is to be.
        """
        self._seen = watches = self._dialogues.watches
        before, self._watched_by = self._watched_by, tuple(each for each in watches if each.interest.fits(self))
        for watch in self._watched_by:
            if self._where and watch not in self._announced:
                self._announce(watch)
            if again and self._last is not None and watch not in before:
                watch.add(attrs.evolve(self._last, peer=self.peer))

    def _announce(self, watch: Watch) -> None:
        now = self._dialogues.clock.seconds()
        watch.add(Overheard(now, self.name, self.side, self.peer, "opened", False, self._masking.words(self._where)))
        self._announced = (*(each for each in self._announced if each in self._seen), watch)
