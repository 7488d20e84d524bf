"""
The server's half of a session: any bytes in any division give the same events and the same well-formed replies.

The first byte chooses the listener's rules, the rest is what the client sends.
"""

from __future__ import annotations

import random
import re
from typing import Final

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
    Refused,
    Reset,
)
from empath.smtp.server import ServerSession
from empath.smtp.server_rules import ServerRules
from fuzz.divisions import chance_of, divisions
from fuzz.tokens import SMTP

TOKENS: Final = SMTP
QUEUE_ID: Final = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
RULES: Final = (
    ServerRules("mx.example.org", "mx.example.org ESMTP empath", max_message_size=1_000_000),
    ServerRules("mx.example.org", "hello", max_errors=3, max_commands=10, max_messages=2),
    ServerRules("mx.example.org", "hello", extensions_off=("ENHANCEDSTATUSCODES", "SIZE")),
    ServerRules("mx.example.org", "hello", extensions_off=("PIPELINING", "8BITMIME", "SIZE")),
)
GREETS: Final = b"mx.example.org greets "
WAITING: Final = (Hello, MailFrom, RcptTo, DataBegun, ContentEnded)
NO: Final = Reply.of("550 5.7.1 no")
LATER: Final = Reply.of("451 4.7.1 later")
BARE: Final = Reply.of("550 5.5.2 bare newline")

_LINE: Final = re.compile(rb"([2-5][0-9][0-9])([ -])([^\r\n]*)\r\n")
_ENHANCED: Final = re.compile(rb"([245])\.[0-9]{1,3}\.[0-9]{1,3} ")


class Edge:
    """
    Feeds a session, decides by the names in the addresses, and records everything but the division of the content.
    """

    def __init__(self, rules: ServerRules, normalize: bool) -> None:
        self.session = ServerSession(rules, normalize)
        self.session.greet()
        self.limit = rules.line_limit
        self.replies = b""
        self.told: list[object] = []
        self._content = b""
        self._header: HeaderBlock | None = None
        self._refuse_content = False

    def feed(self, parts: list[bytes], late: random.Random | None) -> None:
        """
        Give the session the pieces; with `late`, some come while it waits for an answer.
        """
        waiting = list(reversed(parts))
        while waiting:
            self.session.receive(waiting.pop())
            while (event := self.session.next_event()) is not None:
                while late is not None and waiting and isinstance(event, WAITING) and late.random() < 0.3:
                    self.session.receive(waiting.pop())
                    assert self.session.next_event() is None, "an event before the last one was answered"
                self._take(event)
            assert self.session.pending is None, "an event that waits for an answer was never given"
            assert self.session.backlog <= self.limit, "the buffer is not bounded"
            self.replies += self.session.output()
        self.replies += self.session.output()

    def _take(self, event: Event) -> None:
        match event:
            case HeaderBlock():
                assert self._header is None, "two header blocks"
                self._header = event
            case ContentChunk(data=data):
                assert self._header is not None, "a body before its header block"
                self._content += data
            case ContentEnded():
                self._ended(event)
            case Hello() | DataBegun():
                self.told.append(event)
                self._decide("")
            case MailFrom(reverse_path=path):
                self.told.append(event)
                self._decide("" if path is None else path.local)
            case RcptTo(address=address):
                self.told.append(event)
                self._refuse_content = "spam" in address.local
                self._decide(address.local)
            case Reset() | Refused() | Closed():
                self.told.append(event)

    def _decide(self, name: str) -> None:
        if "forbidden" in name:
            self.session.refuse(NO)
        elif "busy" in name:
            self.session.refuse(LATER)
        else:
            self.session.accept()

    def _ended(self, event: ContentEnded) -> None:
        header, content = self._header, self._content
        self._header, self._content = None, b""
        self.told.append(event)
        if event.bare_newline:
            self.session.refuse(BARE)
            return
        assert header is not None, "content without a header block"
        check_content(header, content, event)
        self.told.append((header, content))
        if self._refuse_content:
            self.session.refuse(NO)
        else:
            self.session.accept_content(QUEUE_ID)


def check_content(header: HeaderBlock, body: bytes, ended: ContentEnded) -> None:
    """
    What was accepted is what its end says: every line ends with CRLF, and nothing else is a line end.
    """
    whole = header.data + body
    assert len(whole) == ended.size, "the size is wrong"
    assert whole.isascii() is not ended.eight_bit, "eight_bit is wrong"
    assert whole.count(b"\r") == whole.count(b"\n") == whole.count(b"\r\n"), "a bare newline came through"
    assert not whole or whole.endswith(b"\r\n"), "the last line has no end"
    assert not body or body.startswith(b"\r\n") or len(header.data) > 1000, "the body begins elsewhere"


def check_replies(replies: bytes, enhanced: bool) -> None:
    """
    Replies are lines of code and text; those after EHLO's have an enhanced status code of the code's class.
    """
    lines = _LINE.findall(replies)
    assert b"".join(b"%s%s%s\r\n" % line for line in lines) == replies, "a reply that is none"
    keywords = False
    for code, mark, text in lines[1:]:
        if keywords or text.startswith(GREETS):  # the reply to EHLO or HELO
            keywords = mark == b"-"
        elif code != b"354":
            found = _ENHANCED.match(text)
            assert (found is not None) is enhanced, f"{text!r} and its enhanced status code"
            assert found is None or found[1] == code[:1], f"{code!r} and {text!r} do not agree"


def one_input(data: bytes) -> None:
    """
    Play one client in several divisions.
    """
    chosen = data[0] ^ 0x30 if data else 0
    rules, normalize = RULES[chosen & 3], bool(chosen & 4)
    played = []
    for parts in divisions(data[1:]):
        edge = Edge(rules, normalize)
        edge.feed(parts, None)
        played.append((edge.told, edge.replies, edge.session.state))
    edge = Edge(rules, normalize)
    edge.feed(parts, chance_of(data))
    played.append((edge.told, edge.replies, edge.session.state))
    for other in played[1:]:
        assert other == played[0], f"depends on the division: {first_difference(played[0], other)}"
    check_replies(played[0][1], "ENHANCEDSTATUSCODES" not in rules.extensions_off)


def first_difference(one: tuple[list[object], bytes, object], other: tuple[list[object], bytes, object]) -> str:
    """
    Tell where two sessions part.
    """
    for mine, yours in zip(one[0], other[0], strict=False):
        if mine != yours:
            return f"{mine!r} or {yours!r}"
    return f"{len(one[0])} or {len(other[0])} events, {one[1][-200:]!r} or {other[1][-200:]!r}"
