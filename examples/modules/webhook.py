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

from twisted.logger import Logger
from zope.interface import implementer

from empath.modules import Attempt, IModule, IServices, Message
from empath.modules.http import HttpClient, checked_url

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
        self.url = checked_url(url)
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
        self.http = HttpClient(services, self.timeout)
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
        headers = {"Content-Type": "application/json"}
        if self.secret:
            headers["X-Signature"] = "sha256=" + hmac.new(self.secret, body, hashlib.sha256).hexdigest()
        answer = await self.http.post(self.url, body, headers)
        if answer.code // 100 != 2:
            log.warn("{url} answered {code} {trouble}", url=self.url, code=answer.code, trouble=answer.trouble)
        return answer.code // 100 == 2
