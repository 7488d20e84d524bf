"""
An edge for a server session under test: it decides by names, and keeps its own account of who the client is and how far
it has come.
"""

from __future__ import annotations

import random
from typing import Final

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
    Ending,
    Event,
    HeaderBlock,
    Hello,
    MailFrom,
    RcptTo,
    Refused,
    Reset,
    StartTls,
    Verb,
)
from empath.smtp.extension import Standing
from empath.smtp.server import ServerSession
from empath.smtp.server_rules import ServerRules
from empath.smtp.server_states import State

QUEUE_ID: Final = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
MECHANISMS: Final = ("PLAIN", "LOGIN")
WAITING: Final = (
    Hello,
    StartTls,
    AuthBegun,
    AuthAnswered,
    ClientAttributes,
    MailFrom,
    RcptTo,
    DataBegun,
    ChunkEnded,
    ContentEnded,
)
NO: Final = Reply.of("550 5.7.1 no")
LATER: Final = Reply.of("451 4.7.1 later")
BARE: Final = Reply.of("550 5.5.2 bare newline")


class Edge:
    """
    Feeds a session, decides by the names in the addresses, and records everything but the division of the content.

    It keeps its own account of who the client is and how far it has come, which the session must agree with.
    """

    def __init__(self, rules: ServerRules, normalize: bool, xclient: bool, cleartext_auth: bool) -> None:
        self.rules = rules
        self.cleartext_auth = cleartext_auth
        self.known = Standing(xclient=xclient)
        self.session = ServerSession(rules, normalize, self.known)
        self.session.latest_release = "2026-12-31T00:00:00Z"
        self.session.greet()
        self.replies = b""
        self.expected = 0
        self.told: list[object] = []
        self.greeted = False
        self.transaction: list[RcptTo] | None = None
        self.taking = False
        self._challenged = False
        self._content = b""
        self._header: HeaderBlock | None = None

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
            assert self.session.backlog <= self.rules.line_limit, "the buffer is not bounded"
            assert self.session.standing == self.known, "the session thinks the client somebody else"
            self.replies += self.session.output()
        self.replies += self.session.output()

    def shake_hands(self) -> None:
        """
        End the handshake if one was begun.
        """
        if self.session.state is State.HANDSHAKE:
            self.session.secured()
            self.known = Standing(secure=True)
            self._begin_anew()

    def _begin_anew(self) -> None:
        self.greeted, self.transaction = False, None

    def _take(self, event: Event) -> None:
        match event:
            case HeaderBlock():
                assert self.taking and self._header is None, "a header block out of place"
                self._header = event
                return
            case ContentChunk(data=data):
                assert self.taking and self._header is not None, "a body out of place"
                self._content += data
                return
        self.told.append(event)
        match event:
            case ContentEnded():
                self._ended(event)
            case Reset():
                self.expected += 1
                self.transaction = None
                self.taking, self._header, self._content = False, None, b""
            case Refused():
                self.expected += 1
            case Closed(ending=ending):
                self.expected += ending is not Ending.INJECTED
            case _:
                self._command(event)

    def _command(self, event: Event) -> None:
        """
        Answer a command that waits.
        """
        self.expected += 1
        standing, idle = self.known, self.transaction is None
        match event:
            case Hello():
                self.session.mechanisms = MECHANISMS if standing.secure or self.cleartext_auth else ()
                self.taking, self._header, self._content = False, None, b""
                self._begin_anew()
                self.greeted = self._decide("")
            case StartTls():
                assert self.greeted and idle and not standing.secure and self.rules.starttls, "STARTTLS out of place"
                self.session.accept()
                self.expected -= 1  # the greeting of TLS is not counted
            case AuthBegun(mechanism=mechanism, initial=initial):
                assert self.greeted and idle and self.rules.auth and not standing.login, "AUTH out of place"
                assert mechanism in self.session.mechanisms, "a mechanism that was not offered"
                self._challenged = False
                self._log_in(initial)
            case AuthAnswered(response=response):
                assert self._challenged, "a response without a challenge"
                self._log_in(response)
            case ClientAttributes(values=values):
                assert standing.xclient and idle, "XCLIENT out of place"
                self._decide("")
                self.expected -= 1  # nor is another greeting
                self._begin_anew()
                assert not any("\r" in value or "\n" in value for value in values.values() if value)
            case MailFrom(reverse_path=path, parameters=parameters):
                assert self.greeted and idle, "MAIL out of place"
                assert path is None or path.text.isascii() or "SMTPUTF8" in parameters, "UTF-8 that was not asked for"
                assert self.session.standing.secure or "REQUIRETLS" not in parameters, "TLS is promised in cleartext"
                if self._decide("" if path is None else path.local):
                    self.transaction = []
            case RcptTo(address=address):
                assert self.transaction is not None, "RCPT out of place"
                if self._decide(address.local):
                    self.transaction.append(event)
            case DataBegun():
                self._begun()
            case ChunkEnded():
                assert self.taking, "a chunk out of place"
                self.session.accept()

    def _log_in(self, response: bytes | None) -> None:
        if response is None or not response or (len(response) % 2 and b"good" not in response):
            self._challenged = True
            self.session.challenge(b"more")
        elif b"good" in response:
            self.known = Standing(self.known.secure, "good", xclient=self.known.xclient)
            self.session.logged_in("good")
        else:
            self.session.refuse(NO)

    def _begun(self) -> None:
        assert self.transaction and not self.taking, "content without a recipient"
        chunked = self.session.pending is Verb.BDAT
        if self._decide(self.transaction[0].address.local.replace("later", "busy")):
            self.taking = True
            self.expected -= chunked
        elif chunked:
            self.transaction = None

    def _decide(self, name: str) -> bool:
        if "forbidden" in name:
            self.session.refuse(NO)
        elif "busy" in name:
            self.session.refuse(LATER)
        else:
            self.session.accept()
            return True
        return False

    def _ended(self, event: ContentEnded) -> None:
        assert self.taking and self.transaction, "an end without content"
        self.expected += len(self.transaction) if self.rules.kind == "lmtp" else 1
        header, content = self._header, self._content
        spam = "spam" in self.transaction[-1].address.local
        self._header, self._content, self.transaction, self.taking = None, b"", None, False
        if event.bare_newline:
            self.session.refuse(BARE)
            return
        assert header is not None, "content without a header block"
        check_content(header, content, event)
        self.told.append((header, content))
        if spam:
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
    bare = not whole.count(b"\r") == whole.count(b"\n") == whole.count(b"\r\n")
    assert ended.binary or not bare, "a bare newline came through"
    assert not header.data or header.data.endswith(b"\r\n"), "the last line of the header block has no end"
    assert not header.nul or b"\0" in header.data
    assert not body or body.startswith(b"\r\n") or len(header.data) > 1000, "the body begins elsewhere"
