"""
What reports about TLS are made with.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from empath.errors import StorageError
from empath.interfaces import IResolver, IStorage
from empath.mail.address import Address
from empath.mail.answer import Answer, Found
from empath.mail.life import TlsTried
from empath.report.tls_rpt.writing import Submitter

MIDNIGHT = 1_795_219_200.0  # 2026-11-21, UTC
DAY = 86400.0
SENDER = Address("tls-reports", "origin.test", "tls-reports@origin.test")
SUBMITTER = Submitter("Origin Inc.", "postmaster@origin.test", SENDER)
LINES = ("version: STSv1", "mode: enforce", "mx: *.one.test", "max_age: 86400")


def tried(domain: str = "one.test", result: str = "", **changes: Any) -> TlsTried:
    """
    Make one session under an MTA-STS policy.
    """
    known: dict[str, Any] = {
        "policy": "sts",
        "policy_string": LINES,
        "mx_patterns": ("*.one.test",),
        "host": "mx1.one.test",
        "address": "192.0.2.1",
        "source": "198.51.100.1",
        "reason": "it is too old" if result else "",
    }
    return TlsTried(domain=domain, result=result, **{**known, **changes})


@implementer(IStorage)
class FakeStorage:
    """
    Keeps what it is given, unless there is `trouble`; `expires` has what was said of it.
    """

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.expires: dict[str, float | None] = {}
        self.trouble: StorageError | None = None
        self.writes = 0

    def get(self, key: str) -> Deferred[str | None]:
        """
        Give a value.
        """
        return succeed(self.kept.get(key))

    def put(self, key: str, value: str, expires: float | None = None) -> Deferred[None]:
        """
        Keep a value.
        """
        if self.trouble is not None:
            return fail(self.trouble)
        self.writes += 1
        self.kept[key] = value
        self.expires[key] = expires
        return succeed(None)

    def delete(self, key: str) -> Deferred[None]:
        """
        Forget a value.
        """
        if self.trouble is not None:
            return fail(self.trouble)
        self.kept.pop(key, None)
        return succeed(None)

    def keys(self, prefix: str = "", limit: int = 1000) -> Deferred[list[str]]:
        """
        List keys.
        """
        return succeed([key for key in sorted(self.kept) if key.startswith(prefix)][:limit])

    def items(self, after: str = "", limit: int = 1000) -> Deferred[list[tuple[str, str]]]:
        """
        Give two values at a time.
        """
        if self.trouble is not None:
            return fail(self.trouble)
        return succeed([(key, self.kept[key]) for key in sorted(self.kept) if key > after][:2])


@implementer(IResolver)
class FakeResolver:
    """
    Answers with `texts` or `addresses` by name; None is a failure, and what is not there does not exist.
    """

    def __init__(self) -> None:
        self.texts: dict[str, tuple[str, ...] | None] = {}
        self.addresses: dict[tuple[str, str], tuple[str, ...]] = {}
        self.asked: list[tuple[str, str]] = []
        self.later = False

    def lookup(self, name: str, rdtype: str) -> Answer | Awaitable[Answer]:
        """
        Answer, at once or not.
        """
        self.asked.append((name, rdtype))
        answer = self._answer(name, rdtype)
        return succeed(answer) if self.later else answer

    def _answer(self, name: str, rdtype: str) -> Answer:
        if rdtype != "TXT":
            found = self.addresses.get((name, rdtype), ())
            return Answer(name, rdtype, Found.RECORDS if found else Found.NO_DATA, addresses=found)
        texts = self.texts.get(name, ())
        if texts is None:
            return Answer(name, rdtype, Found.FAILED, detail="no server answers")
        return Answer(name, rdtype, Found.RECORDS if texts else Found.NO_NAME, texts=texts)
