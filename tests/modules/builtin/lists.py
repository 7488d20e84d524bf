"""
Services with a DNS that a test writes and a storage in memory.
"""

from __future__ import annotations

from collections.abc import Awaitable

from twisted.internet.defer import Deferred, execute

from empath.mail.answer import Answer, Found
from empath.storage import Storages
from tests.modules.support import FakeServices


class ListServices(FakeServices):
    """
    `zones` are the records of the DNS, by name and type; what is in `silent` waits in `asked` until the test `tell`s.
    """

    def __init__(self, path: str | None = None) -> None:
        super().__init__()
        self.clock.advance(1_000_000)
        self.zones: dict[tuple[str, str], tuple[str, ...]] = {}
        self.failing: set[str] = set()
        self.silent: set[str] = set()
        self.asked: dict[tuple[str, str], list[Deferred[Answer]]] = {}
        self.questions: list[tuple[str, str]] = []
        self.storages = Storages(path, execute, self.clock)
        self.storages.open()
        self.storage = self.storages.of("module")

    def lookup(self, name: str, rdtype: str) -> Answer | Awaitable[Answer]:
        """
        Answer at once, unless the name is to be silent.
        """
        self.questions.append((name, rdtype))
        if name in self.silent:
            waiting: Deferred[Answer] = Deferred()
            self.asked.setdefault((name, rdtype), []).append(waiting)
            return waiting
        return self._answer(name, rdtype)

    def tell(self, name: str, rdtype: str = "A") -> None:
        """
        Let the answer come in for all that wait for it.
        """
        for waiting in self.asked.pop((name, rdtype)):
            waiting.callback(self._answer(name, rdtype))

    def _answer(self, name: str, rdtype: str) -> Answer:
        if name in self.failing:
            return Answer(name, rdtype, Found.FAILED, detail="timeout: nobody answered")
        records = self.zones.get((name, rdtype), ())
        found = Found.RECORDS if records else Found.NO_NAME
        if rdtype == "TXT":
            return Answer(name, rdtype, found, texts=records)
        return Answer(name, rdtype, found, addresses=records)
