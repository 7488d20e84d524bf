"""
A webhook on delivery events: an application is told what became of each message.

Events are collected and sent as a JSON array by POST, a hundred at most, every `interval` seconds or as soon as a
hundred are there. What the application does not take (any status but 2yz) is sent again with the next ones, so an event
may come twice; `id` tells. The memory for this is bounded: beyond `most` events the oldest are dropped, and counted. A
crash forgets what was not sent; the log has it all.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import deque
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred, TimeoutError, succeed
from twisted.internet.endpoints import quoteStringArgument
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.interfaces import IConsumer, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.web.client import URI, Agent, ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer
from zope.interface import implementer

from empath.modules import Attempt, IModule, IServices, Message

TROUBLE = (ConnectError, ConnectionClosed, ResponseFailed, TimeoutError)
AT_ONCE = 100

log = Logger()


@implementer(IModule)
class Webhook:
    """
    Tells `url`. With a `secret` each request has the field `X-Signature: sha256=<HMAC of the body in hex>`.
    """

    name = "webhook"

    def __init__(
        self, url: str, secret: str = "", interval: float = 1.0, timeout: float = 10.0, most: int = 10_000
    ) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise ValueError(f"url has to begin with http:// or https://, not {url!r}")
        self.url = url
        self.secret = secret.encode()
        self.interval = interval
        self.timeout = timeout
        self.most = most
        self.events: deque[dict[str, Any]] = deque()
        self.sending = False
        self.healthy = True

    def start(self, services: IServices) -> None:
        """
        Begin to send.
        """
        self.services = services
        self.clock = services.clock
        self.agent: Any = Agent.usingEndpointFactory(self.clock, Endpoints(services))
        services.every(self.interval, self.send)

    async def stop(self) -> None:
        """
        Send the last events, if the application takes them.
        """
        while self.events and await self.send():
            pass

    async def on_delivery_attempt(self, message: Message, attempt: Attempt) -> None:
        """
        Keep an event for each recipient that the attempt dealt with. Nothing waits for a listener: mail goes on.
        """
        for state in attempt.results:
            self.events.append(
                {
                    "id": f"{message.queue_id}/{attempt.number}/{state.address.text}",
                    "time": attempt.ended,
                    "status": state.status.value,
                    "queue_id": message.queue_id,
                    "recipient": state.address.text,
                    "reply": str(state.reply or ""),
                    "metadata": message.metadata,
                }
            )
        while len(self.events) > self.most:
            self.events.popleft()
            self.services.count("dropped")
        if len(self.events) >= AT_ONCE and self.healthy:
            await self.send()

    async def send(self) -> bool:
        """
        Send the oldest events, unless that is under way; tells whether they were taken.
        """
        if self.sending or not self.events:
            return False
        self.sending, self.healthy = True, False
        batch = [self.events.popleft() for _ in range(min(AT_ONCE, len(self.events)))]
        try:
            self.healthy = await self.post(json.dumps(batch).encode())
        finally:
            self.sending = False
            if not self.healthy:
                self.events.extendleft(reversed(batch))
        if self.healthy:
            self.services.count("sent", len(batch))
        return self.healthy

    async def post(self, body: bytes) -> bool:
        """
        Make one request.
        """
        headers = Headers({"Content-Type": ["application/json"]})
        if self.secret:
            headers.addRawHeader("X-Signature", "sha256=" + hmac.new(self.secret, body, hashlib.sha256).hexdigest())
        try:
            request = self.agent.request(b"POST", self.url.encode("ascii"), headers, Body(body))
            response = await request.addTimeout(self.timeout, self.clock)
        except TROUBLE as trouble:
            log.warn("{url} does not answer: {trouble}", url=self.url, trouble=trouble)
            return False
        response.deliverBody(Protocol())  # which lets the body pass
        if response.code // 100 != 2:
            log.warn("{url} answered {code}", url=self.url, code=response.code)
        return bool(response.code // 100 == 2)


@implementer(IBodyProducer)
class Body:
    """
    The body of a request, in one piece.
    """

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.length = len(body)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """
        Write it.
        """
        consumer.write(self.body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """
        It is written already.
        """

    def resumeProducing(self) -> None:
        """
        It is written already.
        """

    def stopProducing(self) -> None:
        """
        It is written already.
        """


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
