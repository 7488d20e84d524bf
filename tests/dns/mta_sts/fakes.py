"""
Policy hosts in memory, with real TLS, and a resolver that says what a test wants.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import attrs
import trustme
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from zope.interface import implementer

from empath.interfaces import IResolver
from empath.mail.answer import Answer, Found
from empath.testing.certificates import ServerCreator

POLICY = "version: STSv1\nmode: enforce\nmx: mx.example.org\nmax_age: 604800\n"


def answer_of(body: bytes, *headers: str, status: str = "200 OK", media_type: str = "text/plain") -> bytes:
    """
    Write an answer as an HTTP server does.
    """
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {media_type}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


class Authority:
    """
    Somebody who makes certificates: `trust` is for those who believe them.
    """

    def __init__(self) -> None:
        self._ca = trustme.CA()
        self.trust: Any = trustRootFromCertificates([Certificate.loadPEM(self._ca.cert_pem.bytes())])

    def creator(self, *names: str, version: int | None = None) -> ServerCreator:
        """
        Make what a server of these names begins TLS with, at most of a protocol version.
        """
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        issued = self._ca.issue_cert(*names)
        issued.configure_cert(context)
        if version is not None:
            context.set_options(SSL.OP_NO_TLSv1_2 | SSL.OP_NO_TLSv1_3)
        return ServerCreator(context)


@attrs.define(eq=False)
class PolicyHost(Factory):
    """
    An HTTPS server that gives `answer` to every request, None: none; then it ends the connection as `end` says ("":
    not at all, "close", "cut"). `begins` begins TLS.
    """

    clock: Any
    begins: ServerCreator
    answer: bytes | None = None
    end: str = ""
    requests: list[bytes] = attrs.field(factory=list)
    open: int = 0

    def buildProtocol(self, addr: Any) -> _Serving:
        """
        Take a connection.
        """
        return _Serving(self)


class _Serving(Protocol):
    def __init__(self, host: PolicyHost) -> None:
        self._host = host
        self._came = b""

    def connectionMade(self) -> None:
        """
        Begin TLS.
        """
        self._host.open += 1
        transport: Any = self.transport
        transport.startTLS(self._host.begins)

    def dataReceived(self, data: bytes) -> None:
        """
        Answer a whole request.
        """
        transport: Any = self.transport
        self._came += data
        if self._came.endswith(b"\r\n\r\n"):
            self._host.requests.append(self._came)
            if self._host.answer is not None:
                transport.write(self._host.answer)
            if self._host.end == "close":
                transport.loseConnection()
            elif self._host.end == "cut":
                self._host.clock.callLater(0, transport.abortConnection)  # behind what was written

    def connectionLost(self, reason: Any = None) -> None:
        """
        Count it.
        """
        self._host.open -= 1


@implementer(IResolver)
class FakeResolver:
    """
    Tells `answers` by name and type, NXDOMAIN for all others, and at once, unless `slow`: then each look-up waits in
    `waiting` for the test. `asked` are the names and types that were asked for.
    """

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], Answer] = {}
        self.asked: list[tuple[str, str]] = []
        self.slow = False
        self.waiting: list[tuple[Deferred[Answer], Answer]] = []

    def records(self, name: str, *values: str, rdtype: str = "TXT") -> None:
        """
        Set texts, or addresses.
        """
        texts, addresses = (values, ()) if rdtype == "TXT" else ((), values)
        self.answers[name, rdtype] = Answer(name, rdtype, Found.RECORDS, texts=texts, addresses=addresses)

    def fail(self, name: str, rdtype: str) -> None:
        """
        Have a look-up fail.
        """
        self.answers[name, rdtype] = Answer(name, rdtype, Found.FAILED, detail="timeout: no answer")

    def lookup(self, name: str, rdtype: str) -> Answer | Awaitable[Answer]:
        """
        As `IResolver.lookup`.
        """
        self.asked.append((name, rdtype))
        answer = self.answers.get((name, rdtype), Answer(name, rdtype, Found.NO_NAME))
        if not self.slow:
            return answer
        waiting: Deferred[Answer] = Deferred()
        self.waiting.append((waiting, answer))
        return waiting

    def tell(self) -> None:
        """
        Answer all who wait.
        """
        waiting, self.waiting = self.waiting, []
        for each, answer in waiting:
            each.callback(answer)
