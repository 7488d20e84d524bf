"""
An edge for server sessions that decides by the names in the addresses, and records what it is told.
"""

from __future__ import annotations

from empath.mail.address import Address
from empath.mail.reply import Reply
from empath.smtp.events import (
    AuthAnswered,
    AuthBegun,
    ChunkEnded,
    ClientAttributes,
    Closed,
    ContentChunk,
    ContentEnded,
    DataBegun,
    Event,
    HeaderBlock,
    Hello,
    MailFrom,
    RcptTo,
    Refused,
    Reset,
    StartTls,
)
from empath.smtp.extension import Standing
from empath.smtp.server import ServerSession
from empath.smtp.server_rules import ServerRules

QUEUE_ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
REFUSALS = {
    "forbidden": Reply.of("550 5.7.1 go away"),
    "refused": Reply.of("553 5.7.1 not you"),
    "unknown": Reply.of("550 5.1.1 no such user"),
    "busy": Reply.of("451 4.7.1 later"),
}
NO_DATA = "no-data"  # a recipient to whom no content may be sent
NO_CHUNK = "no-chunk"  # one to whom no chunk may be sent but the last
NO_CONTENT = "no-content"  # one whose content is refused
PASSWORD = b"1234"
LATER = Reply.of("451 4.3.0 later")
BAD_LOGIN = Reply.of("535 5.7.8 authentication failed")


STRANGER = Standing()


def rules(**changes: object) -> ServerRules:
    """
    Make rules for tests.
    """
    whole = {"hostname": "mx.example.org", "banner": "mx.example.org ESMTP empath", "max_message_size": 1000000}
    return ServerRules(**(whole | changes))  # type: ignore[arg-type]  # checked where it matters, in the product


class Peer:
    """
    Drives a session. `events` are those of commands, `messages` the contents that were accepted, whole.

    It knows one password. `cleartext` offers AUTH without TLS, too.
    """

    def __init__(
        self,
        rules: ServerRules,
        normalize: bool = False,
        standing: Standing = STRANGER,
        mechanisms: tuple[str, ...] = (),
        cleartext: bool = False,
        latest_release: str = "",
    ) -> None:
        self.session = ServerSession(rules, normalize, standing)
        self.session.latest_release = latest_release
        self.mechanisms = mechanisms
        self.cleartext = cleartext
        self.events: list[Event] = []
        self.messages: list[bytes] = []
        self.refused_contents = 0
        self.ending = ""
        self._content = b""
        self._names: set[str] = set()
        self._said: list[bytes] = []
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
                offered = self.cleartext or self.session.standing.secure
                self.session.mechanisms = self.mechanisms if offered else ()
                self._decide(name)
            case ClientAttributes(values=values):
                self._decide(values.get("HELO") or "")
            case StartTls():
                self._decide("")
            case AuthBegun(mechanism=mechanism, initial=initial):
                self._said = [] if mechanism == "LOGIN" else [b""]
                self._log_in(initial)
            case AuthAnswered(response=response):
                self._log_in(response)
            case MailFrom(reverse_path=address):
                self._names.clear()
                self._decide(address.local if isinstance(address, Address) else "")
            case RcptTo(address=address):
                self._names.add(address.local)
                self._decide(address.local)
            case DataBegun():
                self._content = b""
                self._answer(NO_DATA)
            case ChunkEnded():
                self._answer(NO_CHUNK)
            case Closed(ending=ending):
                self.ending = ending.value
            case Refused() | Reset():
                pass
        self.events.append(event)

    def _log_in(self, response: bytes | None) -> None:
        """
        PLAIN takes one response, LOGIN takes two; the password is what follows the last NUL.
        """
        if response is None:
            self.session.challenge(b"" if self._said else b"Username:")
            return
        self._said.append(response)
        if len(self._said) < 2:
            self.session.challenge(b"Password:")
        elif response.rpartition(b"\0")[2] == PASSWORD:
            self.session.logged_in("test")
        else:
            self.session.refuse(BAD_LOGIN)

    def _answer(self, refused: str) -> None:
        if refused in self._names:
            self.session.refuse(LATER)
        else:
            self.session.accept()

    def _end(self, event: ContentEnded) -> None:
        if event.bare_newline:
            self.refused_contents += 1
            self.session.refuse(Reply.of("550 5.5.2 refused content"))
        elif NO_CONTENT in self._names:
            self.session.refuse(LATER)
        else:
            self.messages.append(self._content)
            self.session.accept_content(QUEUE_ID)

    def _decide(self, name: str) -> None:
        if name in REFUSALS:
            self.session.refuse(REFUSALS[name])
        else:
            self.session.accept()
