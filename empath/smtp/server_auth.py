"""
How a server session comes to know the client better: STARTTLS (RFC 3207), AUTH (RFC 4954), XCLIENT.
"""

from __future__ import annotations

import binascii
import re
from typing import Final

import attrs

from empath.errors import CommandRefused
from empath.mail.reply import Reply
from empath.smtp.command import NOT_OFFERED, check_bare
from empath.smtp.events import AuthAnswered, AuthBegun, Ending, Event, StartTls, Verb
from empath.smtp.extension import Standing
from empath.smtp.lines import LineFault
from empath.smtp.parameters import SYNTAX
from empath.smtp.server_content import ContentSession
from empath.smtp.server_states import BAD_LINE, NEXT, State
from empath.smtp.xclient import read_xclient

TLS_ACTIVE: Final = Reply.of("503 5.5.1 TLS is active already")
LOGGED_IN: Final = Reply.of("503 5.5.1 authenticated already")
NEEDS_TLS: Final = Reply.of("538 5.7.11 encryption required for authentication")
NO_MECHANISM: Final = Reply.of("504 5.5.4 authentication mechanism not offered")
CANCELLED: Final = Reply.of("501 5.7.0 authentication cancelled")
NO_BASE64: Final = Reply.of("501 5.5.2 cannot decode the response")
RESPONSE_TOO_LONG: Final = Reply.of("500 5.5.6 authentication exchange line is too long")
_MECHANISM: Final = re.compile(r"[A-Za-z0-9_-]{1,20}")  # RFC 4422 §3.1


class AuthSession(ContentSession):
    """
    The part of a session that learns who the client is, and protects what it says.
    """

    __slots__ = ()

    def challenge(self, data: bytes) -> None:
        """
        Answer AuthBegun or AuthAnswered with 334: AuthAnswered follows, or Refused("AUTH") if the client gives up.
        """
        self._settle_auth()
        self._out.append(b"334 %s\r\n" % binascii.b2a_base64(data, newline=False))
        self.state = State.AUTH
        self._source = AuthSession._read_response

    def logged_in(self, login: str) -> None:
        """
        Answer AuthBegun or AuthAnswered with 235: from now on it is `standing.login`.
        """
        verb = self._settle_auth()
        self.standing = attrs.evolve(self.standing, login=login)
        self._out.append(self._rules.accepted[verb])
        self.state = State.GREETED

    def secured(self) -> None:
        """
        Tell that the handshake after an accepted StartTls is done: the session begins anew, without a greeting, and
        of the standing only `secure` is left (RFC 3207 §4.2).
        """
        if self.state is not State.HANDSHAKE:
            raise RuntimeError("no handshake was begun")
        if self._read_cleartext():
            return
        self._source = None
        self.standing = Standing(secure=True)
        self._begin_anew()

    def _settle_auth(self) -> Verb:
        verb = self._settle()
        if verb is not Verb.AUTH:
            raise RuntimeError("no AUTH waits for an answer")
        return verb

    def _starttls(self, verb: Verb, argument: str) -> Event:
        check_bare(argument)
        if self.standing.secure:
            raise CommandRefused(TLS_ACTIVE)
        self._pending = verb
        return StartTls()

    def _accept_starttls(self) -> None:
        """
        Begin the handshake, unless there is cleartext already.
        """
        if self._read_cleartext():
            return
        self._out.append(self._rules.accepted[Verb.STARTTLS])
        self._source = AuthSession._read_cleartext
        self.state = NEXT[self.state, Verb.STARTTLS]

    def _read_cleartext(self) -> bool:
        """
        End the session if cleartext came behind STARTTLS, and tell whether it did: somebody put it there to have it
        read as if TLS had protected it (CVE-2011-0411).
        """
        if not len(self._lines):
            return False
        self._events.append(self._end(None, Ending.INJECTED))
        return True

    def _auth(self, verb: Verb, argument: str) -> Event:
        if self.standing.login:
            raise CommandRefused(LOGGED_IN)
        if not self.mechanisms and not self.standing.secure:
            raise CommandRefused(NEEDS_TLS)
        words = argument.split()
        if not 1 <= len(words) <= 2 or _MECHANISM.fullmatch(words[0]) is None:
            raise CommandRefused(SYNTAX)
        mechanism = words[0].upper()
        if mechanism not in self.mechanisms:
            raise CommandRefused(NO_MECHANISM)
        event = AuthBegun(mechanism, _initial(words[1]) if len(words) == 2 else None)
        self._pending = verb
        return event

    def _read_response(self) -> bool:
        """
        Read the response to a challenge; tell whether there was one.
        """
        line = self._lines.next_line()
        if line is None:
            return False
        self._source = None
        self.state = State.GREETED
        if self.tap is not None:
            self.tap.secret(line if isinstance(line, bytes) else b"")
        refusal = _refusal(line)
        if refusal is None and isinstance(line, bytes):
            try:
                self._events.append(AuthAnswered(_decoded(line)))
                self._pending = Verb.AUTH
                return True
            except ValueError:
                refusal = NO_BASE64
        self._events.insert(0, self._fail(Verb.AUTH.value, refusal or CANCELLED))
        return True

    def _xclient(self, verb: Verb, argument: str) -> Event:
        if not self.standing.xclient:
            raise CommandRefused(NOT_OFFERED)
        event = read_xclient(argument)
        self._pending = verb
        return event

    def _accept_xclient(self) -> None:
        self._out.append(self._rules.greeting)
        self._begin_anew()


def _refusal(line: bytes | LineFault) -> Reply | None:
    """
    Tell what is wrong with a response before it is decoded.
    """
    if line is LineFault.TOO_LONG:
        return RESPONSE_TOO_LONG
    if isinstance(line, LineFault):
        return BAD_LINE[line]
    return CANCELLED if line == b"*" else None


def _initial(text: str) -> bytes:
    """
    Decode an initial response; "=" is an empty one (RFC 4954 §4).
    """
    if text == "=":
        return b""
    try:
        return _decoded(text.encode("utf-8", "surrogateescape"))
    except ValueError:
        raise CommandRefused(NO_BASE64) from None


def _decoded(text: bytes) -> bytes:
    """
    Decode base64 and nothing that only resembles it; ValueError.
    """
    return binascii.a2b_base64(text, strict_mode=True)
