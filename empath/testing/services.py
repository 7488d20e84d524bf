"""
What a module is given when it starts, for tests that call its hooks as functions.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dns.rdata
from twisted.internet.defer import Deferred, succeed

from empath.mail.address import Address
from empath.mail.answer import Answer, Found, MxRecord
from empath.mail.reply import Reply
from empath.modules.services import Services, Surroundings
from empath.testing.fake_dns import SERVFAIL
from empath.testing.kept import FakeStorage, KeptStorages
from empath.testing.machine import make_workers
from empath.testing.neighbourhood import Neighbourhood
from empath.testing.reactor import FakeReactor
from empath.testing.web import Replying, WebReply, WebServer
from empath.testing.world import BEGINS


class FakeServices(Services):
    """
    The real services in a world of their own: `dns` is what a test writes into it, `storage` a dict behind its calls,
    `counted` what the module counted, threads run at once, and time passes in `advance`.

    `replies` are what `verify` tells by address; of others it tells that they are fine.
    """

    storage: FakeStorage

    def __init__(
        self,
        domains: Sequence[str] = ("example.org",),
        hostname: str = "mx.empath.example",
        seed: int = 1,
        folder: Path | None = None,
        begins: float = BEGINS,
    ) -> None:
        self._around_it = around_it = Neighbourhood(begins)
        self.world, self.dns = around_it.world, around_it.dns
        self.counted: Counter[str] = Counter()
        self.replies: dict[str, Reply] = {}
        self._reactor = reactor = FakeReactor(self.world, lambda name: list(self.dns.texts(name, "A")))
        around = Surroundings(
            hostname=hostname,
            reactor=reactor,
            chance=random.Random(seed),
            domains=frozenset(domains),
            folder=folder or Path.cwd(),
            counts=lambda _: _Counted(self.counted),
            storages=KeptStorages(self.world.seconds),
            lookup=self._answer,
            verify=self._reply,
            workers=make_workers,
        )
        super().__init__("tested", around)

    def advance(self, seconds: float = 0.0) -> None:
        """
        Let time pass, and what is to happen in it happen.
        """
        self.world.advance(seconds)

    def close(self) -> None:
        """
        Stop what the module had called again and again; AssertionError if it left a timer of its own behind.
        """
        self.stop_rounds()
        left = self._reactor.getDelayedCalls()
        self._reactor.crash()
        if left:
            raise AssertionError("left behind by the module: " + ", ".join(map(str, left)))

    def web(self, name: str, reply: WebReply | Replying = 200) -> WebServer:
        """
        Give the HTTP server of a host, as `Mta.web` does.
        """
        return self._around_it.web(name, reply)

    def serve(self, address: str, port: int, factory: Any) -> None:
        """
        Let a Twisted protocol factory serve whoever connects to an address ("192.0.2.80"; a path with port 0 is a UNIX
        socket).
        """
        self.world.serve((address, port), factory)

    def _answer(self, name: str, rdtype: str) -> Answer:
        self.dns.asked.append((name, rdtype))
        found, texts = self.dns.find(name, rdtype)
        if found == SERVFAIL:
            return Answer(name, rdtype, Found.FAILED, detail="scripted")
        if not texts:
            return Answer(name, rdtype, Found.NO_DATA if found else Found.NO_NAME)
        if rdtype == "MX":
            hosts = (text.split() for text in texts)
            return Answer(name, rdtype, Found.RECORDS, mx=tuple(MxRecord(int(p), h.rstrip(".")) for p, h in hosts))
        if rdtype == "TXT":
            return Answer(name, rdtype, Found.RECORDS, texts=tuple(map(_unquoted, texts)))
        return Answer(name, rdtype, Found.RECORDS, addresses=texts)

    def _reply(self, address: Address) -> Deferred[Reply]:
        return succeed(self.replies.get(address.text, Reply.of("250 2.1.5 ok")))


def _unquoted(text: str) -> str:
    """
    Read a TXT record as it stands in a zone file.
    """
    record: Any = dns.rdata.from_text("IN", "TXT", text)
    return b"".join(record.strings).decode("utf-8", "replace")


class _Counted:
    """
    Counts what a module finds worth counting.
    """

    def __init__(self, counted: Counter[str]) -> None:
        self._counted = counted

    def event(self, name: str, amount: int = 1) -> None:
        """
        Count.
        """
        self._counted[name] += amount
