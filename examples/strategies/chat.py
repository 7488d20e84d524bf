"""
A strategy of one's own: mail for a domain becomes messages in the rooms of a chat server.

The local part of an address is the room. Who mails a room that the chat does not have hears it in a bounce, and mail
waits while the chat is away. Text is all that a chat takes: the first 2,000 characters of the first text part.
"""

from __future__ import annotations

import json
from email import policy
from email.parser import BytesParser

from zope.interface import implementer

from empath.strategies import (
    Attempt,
    Custody,
    Delivery,
    IAgent,
    IStrategyServices,
    Message,
    Outcome,
    PermanentFailure,
    RecipientState,
    Reply,
    Scope,
    Success,
    TransientFailure,
)

LARGEST = 1 << 20  # octets of a mail that are read
LONGEST = 2000  # characters of a chat message


@implementer(IAgent)
class Chat:
    """
    Posts to the rooms of `server` with `token`.
    """

    def __init__(self, services: IStrategyServices, server: str, token: str = "") -> None:
        if not server.startswith(("https://", "http://")):
            raise ValueError("server: a URL")  # the configuration is refused, with this text
        self.services = services
        self.server = server.rstrip("/")
        self.fields = [("Content-Type", "application/json"), ("Authorization", f"Bearer {token}")]

    async def deliver(self, message: Message, delivery: Delivery, attempt: Attempt) -> tuple[Outcome, ...]:
        """
        Tell an outcome for each open recipient, in their order.
        """
        body = json.dumps({"text": await self.text_of(message)}).encode()
        outcomes = [await self.post(state, body) for state in delivery.open_recipients]
        attempt.ended = self.services.clock.seconds()
        return tuple(outcomes)

    def stop(self) -> None:
        """
        Nothing is held: connections are kept by `services.http`.
        """

    async def post(self, state: RecipientState, body: bytes) -> Outcome:
        """
        Post to one room.
        """
        url = f"{self.server}/rooms/{state.address.local}"
        answer = await self.services.http.request("POST", url, self.fields, body)
        if answer.code // 100 == 2:
            return Success(Reply.of("250 2.0.0 told"), "chat", Custody.DELIVERED)
        if answer.code == 404:
            return PermanentFailure(Reply.of("550 5.1.1 there is no such room"), Scope.RECIPIENT, "chat")
        why = answer.trouble or f"the chat answered {answer.code}"
        return TransientFailure(Reply.of(f"451 4.3.0 {why}"), Scope.HOST, "chat", doubtful=answer.doubtful)

    async def text_of(self, message: Message) -> str:
        """
        Read the mail, whatever its size, up to LARGEST octets, and find its text.
        """
        content, reader = b"", self.services.content(message).open()
        try:
            while len(content) < LARGEST and (piece := await reader.read()):
                content += piece
        finally:
            reader.close()
        mail = BytesParser(policy=policy.default).parsebytes(content[:LARGEST])
        text = mail.get_body(("plain",))
        return f"{mail['subject'] or ''}\n{text.get_content() if text is not None else ''}".strip()[:LONGEST]
