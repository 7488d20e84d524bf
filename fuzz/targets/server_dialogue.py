"""
The server's half of a session in short dialogues, for millions of inputs: whole, and in one division that the input
chooses, they end the same, and nothing is relayed for who has not proved who it is.

The first byte chooses the listener and what becomes of bare newlines, the second the division, the rest is what the
client sends; HANDSHAKE stands for one of TLS. `server_session` has long inputs in all divisions.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from empath.smtp.events import Closed, DataBegun, Ending
from empath.smtp.server_rules import ServerRules
from fuzz.dialogue_edge import DialogueEdge, Listener
from fuzz.targets.server_session import READY, first_difference
from fuzz.tokens import DIALOGUE, HANDSHAKE, SMTP

TOKENS: Final = (*SMTP, *DIALOGUE, HANDSHAKE)
MX: Final = "mx.example.org"
LISTENERS: Final = (
    Listener("mx", ServerRules(MX, "mx.example.org ESMTP empath", 1_000_000, starttls=True, auth=True)),
    Listener("proxied", ServerRules(MX, "hello", starttls=True, max_messages=3), xclient=True),
    Listener(
        "without codes",
        ServerRules(MX, "hello", extensions_off=("ENHANCEDSTATUSCODES", "SIZE"), auth=True),
        cleartext_auth=True,
    ),
    Listener(
        "submission",
        ServerRules(MX, "hello", kind="submission", starttls=True, auth=True, max_future_release=3600),
        cleartext_auth=True,
    ),
    Listener("lmtp", ServerRules(MX, "hello", kind="lmtp", max_recipients=10, max_errors=50)),
    Listener("narrow", ServerRules(MX, "hello", 0, 3, 10, 2, starttls=True, auth=True), cleartext_auth=True),
    Listener(
        "without chunks",
        ServerRules(MX, "hello", extensions_off=("CHUNKING", "SMTPUTF8", "PIPELINING"), starttls=True, auth=True),
    ),
    Listener("all", ServerRules(MX, "hello", starttls=True, auth=True), cleartext_auth=True, xclient=True),
)
SHORT: Final = 32  # what is not longer always comes byte by byte
_WINDOW: Final = 20
_GREETED: Final = rb"250[ -]mx\.example\.org greets [^\r\n]++\r\n(?:250[ -][A-Z0-9][ -~]*+\r\n)*+"
_PLAIN: Final = rb"220 [ -~]++\r\n|354 [ -~]++\r\n|334 [A-Za-z0-9+/=]*+\r\n"
_WITH: Final = re.compile(
    rb"(?:%s|%s|([245])[0-9][0-9][ -]\1\.[0-9]{1,3}\.[0-9]{1,3} [^\r\n]*+\r\n)*+" % (_GREETED, _PLAIN)
)
_WITHOUT: Final = re.compile(rb"(?:%s|%s|[245][0-9][0-9][ -](?![245]\.[0-9])[^\r\n]*+\r\n)*+" % (_GREETED, _PLAIN))


def one_input(data: bytes) -> None:
    """
    Play one dialogue twice.
    """
    played(data)


def played(data: bytes) -> DialogueEdge:
    """
    Play one dialogue whole and divided, compare, and give the whole one.
    """
    chosen, way = (data[0], data[1]) if len(data) > 1 else (0, 0)
    listener, normalize = LISTENERS[chosen & 7], bool(chosen & 8)
    whole, other = DialogueEdge(listener, normalize), DialogueEdge(listener, normalize)
    for phase in data[2:].split(HANDSHAKE):
        whole.feed(phase, [phase], False)
        other.feed(phase, divided(phase, way), way & 7 >= 6)
    replies, divided_replies = whole.replies, other.replies
    if whole.told and whole.told[-1] == _INJECTED:  # whether that comes before or after 220 is chance
        replies, divided_replies = replies.removesuffix(READY), divided_replies.removesuffix(READY)
    same = whole.told == other.told and replies == divided_replies and whole.session.state is other.session.state
    assert same, f"depends on the division: {_difference(whole, other)}"
    assert whole.known == other.known and whole.reached == other.reached, "who it is depends on the division"
    check_replies(whole)
    return whole


_INJECTED: Final = Closed(Ending.INJECTED)


def divided(phase: bytes, way: int) -> list[bytes]:
    """
    Divide what the client sends: byte by byte, so in one place only, at or in line ends, in pieces of one size, in two.
    """
    kind, much = way & 7, way >> 3
    length = len(phase)
    if (kind == 0 and much < 16) or (length <= SHORT and kind < 6):
        return [phase[at : at + 1] for at in range(length)]
    at = length * much >> 5
    match kind:
        case 0 | 1:
            middle = phase[at : at + _WINDOW]
            return [phase[:at], *(middle[at : at + 1] for at in range(len(middle))), phase[at + _WINDOW :]]
        case 2 | 6:
            return phase.splitlines(keepends=True) if much & 1 else _cut(phase, much >> 1)
        case 3 | 7:
            size = much + 3
            return [phase[at : at + size] for at in range(0, length, size)]
        case _:
            return [phase[:at], phase[at:]]


def _cut(phase: bytes, off: int) -> list[bytes]:
    """
    Cut so many octets behind the beginning of each CRLF; the first bits of `off` only.
    """
    borders = [0]
    at = phase.find(b"\r\n")
    while at >= 0:
        borders.append(at + (off & 3) + 1)
        at = phase.find(b"\r\n", at + 5)
    borders.append(len(phase))
    return [phase[start:end] for start, end in pairwise(borders)]


def check_replies(edge: DialogueEdge) -> None:
    """
    Replies are well-formed, their enhanced codes agree with them, and every command has one.
    """
    replies, rules = edge.replies, edge.listener.rules
    enhanced = "ENHANCEDSTATUSCODES" not in rules.extensions_off
    assert (_WITH if enhanced else _WITHOUT).fullmatch(replies) is not None, f"no replies: {replies!r}"
    if rules.kind == "lmtp" or not enhanced:
        return  # more replies than one, and replies that look alike
    said = b"\n" + replies
    several = said.count(b"\n250-") + said.count(b"\n220 ")  # of EHLO all but the last line, and greetings
    quiet = said.count(b"\n250 2.0.0 Ok\r") + said.count(b"\n252 2.0.0 ") + said.count(b"\n214 2.0.0 ")
    last = replies.count(b"\n") - several - quiet  # those of NOOP, RSET, VRFY and HELP are not told of one by one
    owed = bool(edge.told) and type(edge.told[-1]) is DataBegun  # a refused chunk is still being passed over
    assert last in (edge.expected, edge.expected - owed), f"{last} replies, {quiet} quiet, {edge.expected}"


def _difference(one: DialogueEdge, other: DialogueEdge) -> str:
    states = (one.told, one.replies, one.session.state), (other.told, other.replies, other.session.state)
    return first_difference(*states)
