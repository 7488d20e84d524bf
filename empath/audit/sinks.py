"""
Where records go beside the file, each as it can: what is not taken in time is counted, and stands in the file.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import attrs
from cryptography.x509 import load_pem_x509_certificates
from OpenSSL.crypto import X509
from twisted.internet.defer import Deferred
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from zope.interface import implementer

from empath.audit.otlp import OtlpSink
from empath.audit.syslog import FACILITIES, SyslogSink
from empath.audit.syslog_ways import target_of
from empath.config.schema import Audit
from empath.interfaces import InThread, IResolver
from empath.mail.answer import Answer
from empath.net.web_pool import WebPool


class Sink(Protocol):
    """
    One other place.
    """

    @property
    def lost(self) -> int:
        """
        How many records it did not get.
        """

    def send(self, lines: list[bytes]) -> None:
        """
        Take records soon.
        """

    def start(self) -> None:
        """
        Begin to send.
        """

    async def stop(self) -> None:
        """
        Send what waits, within a bound.
        """


@attrs.frozen(slots=True, eq=False)
class SinkTools:
    """
    What sinks need: `resolver` tells where a collector is; `hostname` is what we are called, `pid` our process.
    """

    reactor: Any
    in_thread: InThread[Any]
    hostname: str
    pid: int


class Sinks:
    """
    All other places that [audit] names. `resolver` has to be set before they start.
    """

    def __init__(self, tools: SinkTools) -> None:
        self._tools = tools
        self._section: Audit | None = None
        self._sinks: tuple[Sink, ...] = ()
        self._leaving: list[Sink] = []
        self._lost = 0
        self._running = False
        self.resolver: IResolver | None = None

    @property
    def wanted(self) -> bool:
        """
        Whether there are any.
        """
        return bool(self._sinks)

    @property
    def lost(self) -> int:
        """
        How many records they did not get.
        """
        return self._lost + sum(sink.lost for sink in (*self._sinks, *self._leaving))

    def prepare(self, section: Audit) -> Callable[[], list[Deferred[None]]]:
        """
        Read what they need, and give what has these used instead of those there are; tells what comes to its end then.
        ValueError for one that cannot be.
        """
        before = self._section
        if before is not None and _asked(before) == _asked(section):
            return list
        made = tuple(self._made(section))

        def use() -> list[Deferred[None]]:
            old, self._sinks, self._section = self._sinks, made, section
            if not self._running:
                return []
            for sink in made:
                sink.start()
            self._leaving += old
            return [Deferred.fromCoroutine(self._left(sink)) for sink in old]

        return use

    async def _left(self, sink: Sink) -> None:
        await sink.stop()
        self._leaving.remove(sink)
        self._lost += sink.lost

    def send(self, lines: list[bytes]) -> None:
        """
        Have all take records.
        """
        for sink in self._sinks:
            sink.send(lines)

    def start(self) -> None:
        """
        Begin to send.
        """
        self._running = True
        for sink in self._sinks:
            sink.start()

    async def stop(self) -> None:
        """
        Send what waits.
        """
        for sink in self._sinks:
            await sink.stop()

    def _made(self, section: Audit) -> Iterator[Sink]:
        tools = self._tools
        if not section.enabled:
            return
        if "syslog" in section.sinks:
            target, trust = target_of(section.syslog.address), trust_of(str(section.syslog.ca))
            facility = section.syslog.facility
            if facility not in FACILITIES:
                raise ValueError(f"syslog.facility: {facility!r}; allowed: {', '.join(FACILITIES)}")
            yield SyslogSink(tools.reactor, tools.in_thread, target, facility, tools.hostname, tools.pid, trust)
        if "otlp" in section.sinks:
            pool = WebPool(tools.reactor, _Late(self), ("ipv6", "ipv4"), True)
            yield OtlpSink(tools.reactor, pool, section.otlp.endpoint, tools.hostname)


@implementer(IResolver)
class _Late:
    """
    The resolver, which is made later than we are.
    """

    def __init__(self, sinks: Sinks) -> None:
        self._sinks = sinks

    def lookup(self, name: str, rdtype: str) -> Answer | Awaitable[Answer]:
        resolver = self._sinks.resolver
        assert resolver is not None
        return resolver.lookup(name, rdtype)


def trust_of(path: str) -> Any:
    """
    Read whom a server's certificate is judged by, None for the system's roots. ValueError if it cannot be read.
    """
    if not path:
        return None
    try:
        found = load_pem_x509_certificates(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"syslog.ca: {path}: {error}") from error
    return trustRootFromCertificates([Certificate(X509.from_cryptography(each)) for each in found])


def _asked(section: Audit) -> tuple[Any, ...]:
    return (section.enabled, section.sinks, section.syslog, section.otlp)
