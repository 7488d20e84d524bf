"""
The server's half of a session: any bytes in any division give the same events and the same well-formed replies, and
no bytes at all make a client more than it has proved to be.

The first byte chooses the listener's rules, the rest is what the client sends; HANDSHAKE stands for one of TLS.
"""

from __future__ import annotations

import random
import re
from typing import Final

from empath.smtp.events import Closed, DataBegun, Ending, Reset
from empath.smtp.server_rules import ServerRules
from fuzz.divisions import chance_of, divisions
from fuzz.server_edge import Edge
from fuzz.tokens import HANDSHAKE, SMTP

TOKENS: Final = (*SMTP, HANDSHAKE, b"STARTTLS\r\n" + HANDSHAKE)
RULES: Final = (
    ServerRules("mx.example.org", "mx.example.org ESMTP empath", max_message_size=1_000_000),
    ServerRules("mx.example.org", "hello", max_errors=3, max_commands=10, max_messages=2),
    ServerRules("mx.example.org", "hello", extensions_off=("ENHANCEDSTATUSCODES", "SIZE")),
    ServerRules("mx.example.org", "hello", extensions_off=("PIPELINING", "8BITMIME", "SIZE")),
    ServerRules("mx.example.org", "hello", starttls=True, auth=True),
    ServerRules("mx.example.org", "hello", kind="submission", auth=True, max_future_release=3600, max_errors=50),
    ServerRules("mx.example.org", "hello", kind="lmtp", max_recipients=10),
    ServerRules("mx.example.org", "hello", extensions_off=("CHUNKING", "SMTPUTF8")),
)
CLEARTEXT_AUTH: Final = RULES[5]
XCLIENT: Final = RULES[1]
GREETS: Final = b"mx.example.org greets "
QUIET: Final = (b"250 2.0.0 Ok\r\n", b"252 2.0.0 ", b"214 2.0.0 ")  # of NOOP and RSET, VRFY, HELP
READY: Final = b"220 ready to start TLS\r\n"

_LINE: Final = re.compile(rb"([2-5][0-9][0-9])([ -])([^\r\n]*)\r\n")
_ENHANCED: Final = re.compile(rb"([245])\.[0-9]{1,3}\.[0-9]{1,3} ")


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
        elif code not in (b"354", b"334", b"220"):
            found = _ENHANCED.match(text)
            assert (found is not None) is enhanced, f"{text!r} and its enhanced status code"
            assert found is None or found[1] == code[:1], f"{code!r} and {text!r} do not agree"


def check_count(edge: Edge) -> None:
    """
    Every command has one reply, and a chunk that is still being passed over none so far.
    """
    replies = edge.replies
    if edge.rules.kind == "lmtp" or "ENHANCEDSTATUSCODES" in edge.rules.extensions_off:
        return  # more replies than one, and replies that look alike
    last = [code for code, mark, text in _LINE.findall(replies) if mark == b" " and code != b"220"]
    lines = replies.splitlines(keepends=True)
    quiet = sum(line.startswith(QUIET) for line in lines if not line.startswith((b"250 2.0.0 Ok: ",)))
    quiet -= sum(isinstance(event, Reset) for event in edge.told)
    owed = len(edge.told) > 0 and isinstance(edge.told[-1], DataBegun)
    assert len(last) - quiet in (edge.expected, edge.expected - owed), (
        f"{len(last)} replies, {quiet} quiet, {edge.expected}"
    )


def played(rules: ServerRules, normalize: bool, phases: list[list[bytes]], late: random.Random | None) -> Edge:
    """
    Play a client whose bytes come in these pieces, a handshake after each phase that began one.
    """
    edge = Edge(rules, normalize, xclient=rules is XCLIENT, cleartext_auth=rules is CLEARTEXT_AUTH)
    for parts in phases:
        edge.shake_hands()
        edge.feed(parts, late)
    return edge


def outcome(edge: Edge) -> tuple[list[object], bytes, object]:
    """
    Tell what must not depend on the division. Whether cleartext comes before or after 220 is chance.
    """
    injected = bool(edge.told) and edge.told[-1] == Closed(Ending.INJECTED)
    return edge.told, edge.replies.removesuffix(READY) if injected else edge.replies, edge.session.state


def one_input(data: bytes) -> None:
    """
    Play one client in several divisions.
    """
    chosen = data[0] ^ 0x30 if data else 0
    rules, normalize = RULES[chosen & 3 | (chosen & 8) >> 1], bool(chosen & 4)
    divided = [list(divisions(phase)) for phase in data[1:].split(HANDSHAKE)]
    edges = [
        played(rules, normalize, [ways[way % len(ways)] for ways in divided], None)
        for way in range(max(len(ways) for ways in divided))
    ]
    edges.append(played(rules, normalize, [ways[-1] for ways in divided], chance_of(data)))
    first = outcome(edges[0])
    for other in map(outcome, edges[1:]):
        assert other == first, f"depends on the division: {first_difference(first, other)}"
    check_replies(edges[0].replies, "ENHANCEDSTATUSCODES" not in rules.extensions_off)
    check_count(edges[0])


def first_difference(one: tuple[list[object], bytes, object], other: tuple[list[object], bytes, object]) -> str:
    """
    Tell where two sessions part.
    """
    for mine, yours in zip(one[0], other[0], strict=False):
        if mine != yours:
            return f"{mine!r} or {yours!r}"
    return f"{len(one[0])} or {len(other[0])} events, {one[1][-200:]!r} or {other[1][-200:]!r}"
