"""
An edge for server sessions that decides by the names in the addresses, and records what it is told.
"""

from __future__ import annotations

from empath.mail.address import Address
from empath.mail.reply import Reply
from empath.smtp.events import (
    Closed,
    ContentChunk,
    ContentEnded,
    DataBegun,
    Event,
    HeaderBlock,
    Hello,
    MailFrom,
    RcptTo,
)
from empath.smtp.server import ServerSession
from empath.smtp.server_rules import ServerRules

QUEUE_ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
REFUSALS = {
    "forbidden": Reply.of("550 5.7.1 go away"),
    "refused": Reply.of("553 5.7.1 not you"),
    "unknown": Reply.of("550 5.1.1 no such user"),
    "busy": Reply.of("451 4.7.1 later"),
}


def rules(**changes: object) -> ServerRules:
    """
    Make rules for tests.
    """
    whole = {"hostname": "mx.example.org", "banner": "mx.example.org ESMTP empath", "max_message_size": 1000000}
    return ServerRules(**(whole | changes))  # type: ignore[arg-type]  # checked where it matters, in the product


class Peer:
    """
    Drives a session. `events` are those of commands, `messages` the contents that were accepted, whole.
    """

    def __init__(self, rules: ServerRules, normalize: bool = False) -> None:
        self.session = ServerSession(rules, normalize)
        self.events: list[Event] = []
        self.messages: list[bytes] = []
        self.refused_contents = 0
        self.ending = ""
        self._content = b""
        self.session.greet()

    def send(self, data: bytes) -> bytes:
        """
        Give the session bytes and tell its replies.
        """
        self.session.receive(data)
        while (event := self.session.next_event()) is not None:
            self._take(event)
        return self.session.output()

    def _take(self, event: Event) -> None:
        match event:
            case HeaderBlock(data=data) | ContentChunk(data=data):
                self._content += data
                return
            case ContentEnded():
                self._end(event)
            case Hello(name=name):
                self._decide(name)
            case MailFrom(reverse_path=address):
                self._decide(address.local if isinstance(address, Address) else "")
            case RcptTo(address=address):
                self._decide(address.local)
            case DataBegun():
                self._content = b""
                self.session.accept()
            case Closed(ending=ending):
                self.ending = ending.value
        self.events.append(event)

    def _end(self, event: ContentEnded) -> None:
        if event.bare_newline:
            self.refused_contents += 1
            self.session.refuse(Reply.of("550 5.5.2 refused content"))
        else:
            self.messages.append(self._content)
            self.session.accept_content(QUEUE_ID)

    def _decide(self, name: str) -> None:
        if name in REFUSALS:
            self.session.refuse(REFUSALS[name])
        else:
            self.session.accept()
