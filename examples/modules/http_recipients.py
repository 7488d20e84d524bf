"""
A recipient check over HTTP: an application that knows the mailboxes is asked about each recipient of our domains.

`GET <url>?address=user%40example.org`: 200 and 204 say that the mailbox exists, 404 and 410 that it does not. Whatever
else happens, the client is told to come back. Answers are remembered, so that a burst of mail is one question.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any
from urllib.parse import quote, urlsplit

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.endpoints import quoteStringArgument
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.web.client import URI, Agent, ResponseFailed
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from empath.modules import IModule, IServices, Recipient, Session, Transaction, Verdict, refuse, tempfail

TROUBLE = (ConnectError, ConnectionClosed, ResponseFailed, TimeoutError)

log = Logger()


@implementer(IModule)
class HttpRecipients:
    """
    `url` is what is asked, `timeout` the seconds for an answer. An answer is kept for `known` seconds where the mailbox
    exists, for `unknown` where it does not, and at most `most` answers are.
    """

    name = "http-recipients"

    def __init__(
        self, url: str, timeout: float = 3.0, known: float = 300.0, unknown: float = 30.0, most: int = 10_000
    ) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise ValueError(f"url has to begin with http:// or https://, not {url!r}")
        self.url = url
        self.timeout = timeout
        self.known, self.unknown, self.most = known, unknown, most
        self.answers: OrderedDict[str, tuple[bool, float]] = OrderedDict()  # exists, and until when that is believed

    def start(self, services: IServices) -> None:
        """
        Prepare to ask; each question has a connection of its own, which ends with it.
        """
        self.services = services
        self.clock = services.clock
        self.agent: Any = Agent.usingEndpointFactory(self.clock, Endpoints(services))

    async def rcpt_to(self, session: Session, transaction: Transaction, recipient: Recipient) -> Verdict | None:
        """
        Refuse who does not exist. The domains of others are none of our business: relay control judges them.
        """
        if not self.services.local(recipient.address):
            return None
        address = recipient.address.text
        exists = self.remembered(address)
        if exists is None:
            exists = await self.ask(address)
        if exists is None:
            return tempfail("451 4.4.3 cannot look up the recipient now, try again later", why=f"no answer: {self.url}")
        return None if exists else refuse("550 5.1.1 no such mailbox here")

    async def ask(self, address: str) -> bool | None:
        """
        Ask the application; None where it did not say.
        """
        url = f"{self.url}?address={quote(address, safe='')}"
        try:
            response = await self.agent.request(b"GET", url.encode("ascii")).addTimeout(self.timeout, self.clock)
        except TROUBLE as trouble:
            log.warn("{url} does not answer: {trouble}", url=self.url, trouble=trouble)
            return None
        response.deliverBody(Protocol())  # which lets the body pass
        if response.code in (200, 204, 404, 410):
            return self.remember(address, response.code < 400)
        log.warn("{url} answered {code}", url=self.url, code=response.code)
        return None

    def remembered(self, address: str) -> bool | None:
        """
        Tell what was answered a short while ago.
        """
        exists, expires = self.answers.get(address, (False, 0.0))
        return exists if expires > self.clock.seconds() else None

    def remember(self, address: str, exists: bool) -> bool:
        """
        Keep an answer; the oldest makes room.
        """
        self.answers.pop(address, None)
        self.answers[address] = (exists, self.clock.seconds() + (self.known if exists else self.unknown))
        if len(self.answers) > self.most:
            self.answers.popitem(last=False)
        return exists


@implementer(IAgentEndpointFactory)
class Endpoints:
    """
    Lets Twisted's HTTP client connect as modules do: what a test connects to itself needs no network.
    """

    def __init__(self, services: IServices) -> None:
        self.services = services

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """
        Tell how to reach a server.
        """
        kind = "tls" if uri.scheme == b"https" else "tcp"
        return Endpoint(self.services, f"{kind}:{quoteStringArgument(uri.host.decode('ascii'))}:{uri.port}")


@implementer(IStreamClientEndpoint)
class Endpoint:
    """
    One server.
    """

    def __init__(self, services: IServices, endpoint: str) -> None:
        self.services = services
        self.endpoint = endpoint

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        """
        Connect.
        """
        connected: Deferred[Any] = self.services.connect(self.endpoint, factory)
        return connected
