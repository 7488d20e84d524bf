"""
What all sessions of one listener share: limits, extensions, and the replies to what is accepted, ready to send.
"""

from __future__ import annotations

from typing import Final, Literal

import attrs

from empath.mail.reply import Reply
from empath.smtp.events import Verb
from empath.smtp.extension import Extension, Standing, line_limits, offered
from empath.smtp.xclient import ATTRIBUTES

_ACCEPTED: Final = {
    Verb.MAIL: Reply.of("250 2.1.0 Ok"),
    Verb.RCPT: Reply.of("250 2.1.5 Ok"),
    Verb.RSET: Reply.of("250 2.0.0 Ok"),
    Verb.NOOP: Reply.of("250 2.0.0 Ok"),
    Verb.VRFY: Reply.of("252 2.0.0 cannot verify, but will take mail and try to deliver it"),
    Verb.HELP: Reply.of("214 2.0.0 see RFC 5321"),
    Verb.AUTH: Reply.of("235 2.7.0 authentication successful"),
}
_HELLOS: Final = frozenset({Verb.EHLO, Verb.HELO})


@attrs.frozen(slots=True)
class Offering:
    """
    What one session is offered: the extensions it may use, and the lines of the reply to EHLO that list them.
    """

    extensions: frozenset[Extension]
    lines: bytes


@attrs.frozen(slots=True)
class ServerRules:
    """
    One listener's rules. `banner` is what the greeting says after 220. The limits are per session; 0 is no limit of
    size. `extensions_off` names EHLO keywords that are not offered, and then not done either.

    `max_commands` counts the commands that bring no mail forward: all but MAIL, RCPT, DATA and BDAT that were accepted
    (a chunk that is small and not the last counts, too).

    `starttls`: STARTTLS is done here. `auth`: AUTH is known here, whether or not it is offered now. `max_recipients` is
    only told (LIMITS, RFC 9422; 0: not told). `max_future_release` in seconds (RFC 4865; 0: not offered; only for
    submission).
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
    verbs: dict[str, Verb] = attrs.field(init=False)
    limits: dict[Verb, int] = attrs.field(init=False)
    line_limit: int = attrs.field(init=False)
    accepted: dict[Verb, bytes] = attrs.field(init=False)
    queued: bytes = attrs.field(init=False)
    greeting: bytes = attrs.field(init=False)
    greets: bytes = attrs.field(init=False)
    _offerings: dict[object, Offering] = attrs.field(init=False, factory=dict, eq=False, repr=False)

    @extensions.default
    def _extensions(self) -> frozenset[Extension]:
        """
        All that some session here may be offered.
        """
        here = {
            Extension.STARTTLS: self.starttls,
            Extension.AUTH: self.auth,
            Extension.FUTURE_RELEASE: self.kind == "submission" and self.max_future_release > 0,
            Extension.LIMITS: bool(self._limit_words()),
        }
        return frozenset(extension for extension in offered(self.extensions_off) if here.get(extension, True))

    @verbs.default
    def _verbs(self) -> dict[str, Verb]:
        """
        The commands that are done here; a BDAT that is not offered is one, too, since its chunk must be read.
        """
        absent = set(_HELLOS) if self.kind == "lmtp" else {Verb.LHLO}
        absent |= set() if self.starttls else {Verb.STARTTLS}
        absent |= set() if self.auth else {Verb.AUTH}
        return {verb.value: verb for verb in Verb if verb not in absent}

    @limits.default
    def _limits(self) -> dict[Verb, int]:
        return line_limits(self.extensions)

    @line_limit.default
    def _line_limit(self) -> int:
        return max(self.limits.values())

    @accepted.default
    def _accepted(self) -> dict[Verb, bytes]:
        goodbye = Reply(221, "2.0.0", (f"{self.hostname} closing connection",))
        return {
            **{verb: self.encode(reply) for verb, reply in _ACCEPTED.items()},
            Verb.DATA: Reply.of("354 End data with <CR><LF>.<CR><LF>").encode(),
            Verb.STARTTLS: Reply.of("220 ready to start TLS").encode(),
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

    def encode(self, reply: Reply) -> bytes:
        """
        Spell a reply out, without its enhanced status code where those are not offered (RFC 2034 §3).
        """
        if Extension.ENHANCED not in self.extensions and reply.enhanced is not None:
            reply = attrs.evolve(reply, enhanced=None)
        return reply.encode()

    def offering(self, standing: Standing, mechanisms: tuple[str, ...], latest_release: str) -> Offering:
        """
        Tell what a session is offered. It is kept: there are few kinds of sessions, and a new `latest_release` takes
        the place of the last one.
        """
        kind = (standing.secure, standing.xclient, mechanisms, bool(latest_release))
        known = self._offerings.get(kind)
        release = f"FUTURERELEASE {self.max_future_release} {latest_release}".encode()
        if known is None or (Extension.FUTURE_RELEASE in known.extensions and release not in known.lines):
            self._offerings[kind] = known = self._offer(standing, mechanisms, latest_release)
        return known

    def _offer(self, standing: Standing, mechanisms: tuple[str, ...], latest_release: str) -> Offering:
        now = {
            Extension.STARTTLS: not standing.secure,
            Extension.AUTH: bool(mechanisms),
            Extension.XCLIENT: standing.xclient,
            Extension.FUTURE_RELEASE: bool(latest_release),
            Extension.REQUIRE_TLS: standing.secure,
        }
        extensions = [each for each in Extension if each in self.extensions and now.get(each, True)]
        words = {
            Extension.SIZE: f"{self.max_message_size}",  # 0: no limit (RFC 1870 §3)
            Extension.AUTH: " ".join(mechanisms),
            Extension.FUTURE_RELEASE: f"{self.max_future_release} {latest_release}",
            Extension.LIMITS: self._limit_words(),
            Extension.XCLIENT: " ".join(ATTRIBUTES),
        }
        lines = [f"{each.value} {words[each]}" if each in words else each.value for each in extensions]
        return Offering(frozenset(extensions), Reply(250, None, tuple(lines)).encode() if lines else b"")

    def _limit_words(self) -> str:
        limits = {"MAILMAX": self.max_messages, "RCPTMAX": self.max_recipients}
        return " ".join(f"{name}={limit}" for name, limit in limits.items() if limit > 0)

    def greet(self, name: str, lines: bytes) -> bytes:
        """
        Spell out the reply to EHLO or HELO, with the `lines` that list extensions or b"".
        """
        return b"250%s%s%s\r\n%s" % (b"-" if lines else b" ", self.greets, name.encode(), lines)
