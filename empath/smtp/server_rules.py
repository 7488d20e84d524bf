"""
What all sessions of one listener share: limits, extensions, and the replies to what is accepted, ready to send.
"""

from __future__ import annotations

from typing import Final, Literal

import attrs

from empath.mail.reply import Reply
from empath.smtp.events import Verb
from empath.smtp.extension import Extension, keyword_lines, line_limit, offered

_ACCEPTED: Final = {
    Verb.MAIL: Reply.of("250 2.1.0 Ok"),
    Verb.RCPT: Reply.of("250 2.1.5 Ok"),
    Verb.RSET: Reply.of("250 2.0.0 Ok"),
    Verb.NOOP: Reply.of("250 2.0.0 Ok"),
    Verb.VRFY: Reply.of("252 2.0.0 cannot verify, but will take mail and try to deliver it"),
    Verb.HELP: Reply.of("214 2.0.0 see RFC 5321"),
}


@attrs.frozen(slots=True)
class ServerRules:
    """
    One listener's rules. `banner` is what the greeting says after 220. The limits are per session; 0 is no limit of
    size. `extensions_off` names EHLO keywords that are not offered, and then not done either.

    `starttls`: STARTTLS is done here. `auth`: AUTH is known here, whether or not it is offered now. `max_recipients` is
    only told (LIMITS, RFC 9422; 0: not told). `max_future_release` in seconds (RFC 4865; 0: not offered).

    `max_commands` counts the commands that bring no mail forward: all but MAIL, RCPT and DATA that were accepted.
    """

    hostname: str
    banner: str
    max_message_size: int = 0
    max_errors: int = 20
    max_commands: int = 1000
    max_messages: int = 1000
    extensions_off: tuple[str, ...] = ()
    kind: Literal["mta", "submission", "lmtp"] = "mta"
    starttls: bool = False
    auth: bool = False
    max_recipients: int = 0
    max_future_release: int = 0
    extensions: frozenset[Extension] = attrs.field(init=False)
    line_limit: int = attrs.field(init=False)
    accepted: dict[Verb, bytes] = attrs.field(init=False)
    queued: bytes = attrs.field(init=False)
    greeting: bytes = attrs.field(init=False)
    greets: bytes = attrs.field(init=False)
    keywords: bytes = attrs.field(init=False)

    @extensions.default
    def _extensions(self) -> frozenset[Extension]:
        return offered(self.extensions_off)

    @line_limit.default
    def _line_limit(self) -> int:
        return line_limit(self.extensions)

    @accepted.default
    def _accepted(self) -> dict[Verb, bytes]:
        goodbye = Reply(221, "2.0.0", (f"{self.hostname} closing connection",))
        return {
            **{verb: self.encode(reply) for verb, reply in _ACCEPTED.items()},
            Verb.DATA: Reply.of("354 End data with <CR><LF>.<CR><LF>").encode(),
            Verb.QUIT: self.encode(goodbye),
        }

    @queued.default
    def _queued(self) -> bytes:
        return self.encode(Reply.of("250 2.0.0 Ok: queued as ")).removesuffix(b"\r\n")

    @greeting.default
    def _greeting(self) -> bytes:
        return Reply(220, None, (self.banner,)).encode()

    @greets.default
    def _greets(self) -> bytes:
        return f"{self.hostname} greets ".encode()

    @keywords.default
    def _keywords(self) -> bytes:
        lines = keyword_lines(self.extensions, self.max_message_size)
        return Reply(250, None, tuple(lines)).encode() if lines else b""

    def encode(self, reply: Reply) -> bytes:
        """
        Spell a reply out, without its enhanced status code where those are not offered (RFC 2034 §3).
        """
        if Extension.ENHANCED not in self.extensions and reply.enhanced is not None:
            reply = attrs.evolve(reply, enhanced=None)
        return reply.encode()

    def greet(self, name: str, extended: bool) -> bytes:
        """
        Spell out the reply to EHLO or HELO.
        """
        keywords = self.keywords if extended else b""
        return b"250%s%s%s\r\n%s" % (b"-" if keywords else b" ", self.greets, name.encode(), keywords)
