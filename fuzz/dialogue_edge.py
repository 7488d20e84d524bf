"""
An edge for short dialogues: it relays as the real one does, by `RelayPolicy` and the session's standing, and keeps an
account of its own of what the client has proved, by which everything accepted is judged.

It is made for numbers: functions by the type of the event, and nothing that is compared is built twice.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Final

import attrs

from empath.smtp.events import Closed, HeaderBlock, Refused
from empath.smtp.extension import Standing
from empath.smtp.sasl_server_steps import Step
from empath.smtp.server import ServerSession
from empath.smtp.server_rules import ServerRules
from empath.smtp.server_states import State
from fuzz.dialogue_answers import PASSWORD, RELAY, TAKE
from fuzz.reach import HANDSHAKEN, RELAYED
from fuzz.server_edge import LATER, NO, WAITING

PEER: Final = "192.0.2.1"
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]{8,}={0,2}")


@attrs.frozen(slots=True)
class Listener:
    """
    One listener: its rules, whether it takes AUTH without TLS, and whether the client is a listed proxy.
    """

    name: str
    rules: ServerRules
    cleartext_auth: bool = False
    xclient: bool = False


class DialogueEdge:
    """
    One session and its edge. `told` and `replies` are what must not depend on the division; `reached` has the bits of
    REACHED, `expected` counts the replies that are owed.

    `known` is the edge's own account of the client, `said` what it has sent, `phase` that since the last handshake;
    `last` is the local part of the last recipient.
    """

    __slots__ = (
        "body",
        "expected",
        "greeted",
        "header",
        "known",
        "last",
        "listener",
        "messages",
        "peer",
        "phase",
        "reached",
        "replies",
        "said",
        "session",
        "step",
        "taking",
        "told",
        "transaction",
    )

    def __init__(self, listener: Listener, normalize: bool) -> None:
        self.listener = listener
        self.known = Standing(xclient=listener.xclient)
        self.session = ServerSession(listener.rules, normalize, self.known)
        self.session.latest_release = "2026-12-31T00:00:00Z"
        self.session.greet()
        self.told: list[Any] = []
        self.replies = b""
        self.expected = self.reached = self.messages = 0
        self.greeted = self.taking = False
        self.transaction: list[bool] | None = None  # of each recipient: whether only the trusted may send to it
        self.header: HeaderBlock | None = None
        self.body = b""
        self.step: Callable[[bytes], Step] | None = None
        self.peer = PEER
        self.last = ""
        self.said = self.phase = b""

    def feed(self, phase: bytes, parts: list[bytes], late: bool) -> None:
        """
        Give the session what comes before the next handshake, in pieces; with `late`, some while it waits.
        """
        session = self.session
        next_event = session.next_event
        if session.state is State.HANDSHAKE:
            self._shake_hands()
        self.phase += phase
        self.said += phase
        parts.reverse()
        while parts:
            session.receive(parts.pop())
            while (event := next_event()) is not None:
                while late and parts and len(parts[-1]) % 3 and isinstance(event, WAITING):
                    session.receive(parts.pop())
                    assert next_event() is None, "an event before the last one was answered"
                TAKE[type(event)](self, event)
        self.replies += session.output()
        assert session.pending is None, "an event that waits for an answer was never given"
        assert session.backlog <= self.listener.rules.line_limit, "the buffer is not bounded"
        assert session.standing == self.known, "the session thinks the client somebody else"

    def behaviour(self) -> set[object]:
        """
        Tell which events followed which; of a refusal what it says, but nothing that the client chose.
        """
        kinds: list[object] = [self.listener.name]
        for event in self.told:
            kind: object = type(event)
            if kind is Refused:
                kind = event.verb, event.reply.lines[0]
            elif kind is Closed:
                kind = event.ending
            kinds.append(kind)
        return {self.reached, *pairwise(kinds)}

    def decide(self, name: str) -> bool:
        """
        Answer by a name.
        """
        if "forbidden" in name:
            self.session.refuse(NO)
        elif "busy" in name:
            self.session.refuse(LATER)
        else:
            self.session.accept()
            return True
        return False

    def become(self, known: Standing) -> None:
        """
        Write down who the client is, and tell the session.
        """
        self.session.standing = self.known = known

    def forget_content(self) -> None:
        """
        Drop what came of a content.
        """
        self.taking, self.header, self.body = False, None, b""

    def _shake_hands(self) -> None:
        self.session.secured()
        assert self.session.standing == Standing(secure=True), "something outlived the handshake"
        assert not self.session.backlog and self.session.state is State.CONNECTED, "cleartext outlived the handshake"
        self.become(Standing(secure=True, trusted=RELAY.trusts(self.peer), xclient=self.listener.xclient))
        self.greeted, self.transaction, self.phase = False, None, b""
        self.reached |= HANDSHAKEN

    def check_relay(self) -> None:
        """
        What is accepted for others comes from who may relay: by this account, and by what the bytes themselves say.
        """
        self.reached |= RELAYED
        assert self.known.trusted, "a relay for a stranger"
        if self.listener.xclient and b"XCLIENT " in self.said.upper():
            return  # a listed proxy may present any client
        assert self.known.login, "a relay for who is nobody"
        assert any(map(_proves, _BASE64.findall(self.phase))), "a relay without the password in sight"


def _proves(token: bytes) -> bool:
    try:
        return PASSWORD.encode() in binascii.a2b_base64(token)
    except ValueError:
        return False
