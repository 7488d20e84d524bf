"""
The server's half of an SMTP session (RFC 5321) or an LMTP session (RFC 2033), without I/O.

Bytes go in by `receive`, events come out of `next_event`, replies gather in `output`. Syntax and sequence errors are
answered here; what needs a decision is an event, and no further one is given before it is answered. That keeps the
replies to pipelined commands in order (RFC 2920).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from empath.errors import CommandRefused
from empath.mail.reply import Reply
from empath.smtp.command import (
    NOT_OFFERED,
    ForeignProtocol,
    check_bare,
    check_visible,
    check_vrfy,
    read_hello,
    read_mail,
    read_rcpt,
    split_line,
)
from empath.smtp.events import Closed, Ending, Event, Hello, Reset, Verb
from empath.smtp.extension import COMMAND_LINE, Standing
from empath.smtp.lines import LineFault
from empath.smtp.server_auth import AuthSession
from empath.smtp.server_rules import ServerRules
from empath.smtp.server_states import (
    BAD_LINE,
    NEXT,
    TOO_MANY_COMMANDS,
    TOO_MANY_MESSAGES,
    State,
    out_of_order,
)

_NOTHING_SAID: Final = Hello("", extended=False)
_UNKNOWN_CLIENT: Final = Standing()
_USUAL_LINE: Final = COMMAND_LINE - len("\r\n")


class ServerSession(AuthSession):
    """
    One session. `normalize` turns bare newlines in content into CRLF instead of refusing them.

    `standing` may be replaced at any time and counts from the next command on, `normalize` from the next content on.
    Two more are set before a Hello is accepted: `mechanisms` is what AUTH offers (none: AUTH is not offered),
    `latest_release` the latest date of FUTURERELEASE in UTC as RFC 3339 writes it ("": FUTURERELEASE is not offered).
    """

    __slots__ = ("_said", "_utf8")

    def __init__(self, rules: ServerRules, normalize: bool = False, standing: Standing = _UNKNOWN_CLIENT) -> None:
        super().__init__(rules, normalize, standing)
        self._said = _NOTHING_SAID
        self._utf8 = False

    def next_event(self) -> Event | None:
        """
        Give the next event; None until more bytes come or the last event is answered.
        """
        events = self._events
        while not events:
            if self._pending is not None or self.state is State.CLOSED:
                return None
            source = self._source
            if source is not None:
                if not source(self):
                    return None
                continue
            line = self._lines.next_line()
            if line is None:
                return None
            if self.tap is not None:
                self._overheard(self.tap, line)
            if (event := self._read(line)) is not None:
                return event
        return events.pop(0)

    def accept(self) -> None:
        """
        Answer Hello, StartTls, ClientAttributes, MailFrom, RcptTo, DataBegun or ChunkEnded: it is done.
        """
        verb = self._settle()
        if verb is Verb.RCPT:
            self._recipients += 1
        elif verb is Verb.DATA:
            self._begin_content()
        elif verb is not Verb.MAIL:
            _ACCEPTED[verb](self)
            return
        self._out.append(self._rules.accepted[verb])
        self._commands -= 1
        self.state = NEXT[self.state, verb]

    def refuse(self, reply: Reply) -> None:
        """
        Answer an event with a 4yz or 5yz reply. The state stays, but a refused content, or any refused chunk (DataBegun
        of a BDAT, too), ends its transaction.

        Only a 5yz counts as an error: who is asked to come back has done nothing wrong.
        """
        verb = self._settle()
        if self.state is State.CONTENT or verb is Verb.BDAT:
            self._refuse_content(verb, reply)
        else:
            self._say_refused(reply, whole=False)

    def _accept_hello(self) -> None:
        said = self._said
        self._drop_content()
        lines = b""
        if said.extended:
            offering = self._rules.offering(self.standing, self.mechanisms, self.latest_release)
            self._extensions = offering.extensions
            lines = offering.lines
        else:
            self._extensions = frozenset()
        self._out.append(self._rules.greet(said.name, lines))
        self.state = State.GREETED

    def _accept_auth(self) -> None:
        raise RuntimeError("AUTH is answered with challenge, logged_in or refuse")

    def _read(self, line: bytes | LineFault) -> Event | None:
        self._commands += 1
        if self._commands > self._rules.max_commands:
            return self._end(TOO_MANY_COMMANDS, Ending.LIMIT)
        if isinstance(line, LineFault):
            return self._fail("", BAD_LINE[line])
        try:
            verb, argument = split_line(line, self._rules.verbs)
        except ForeignProtocol as refusal:
            return self._end(refusal.reply, Ending.FOREIGN)
        except CommandRefused as refusal:
            return self._fail("", refusal.reply)
        if len(line) > _USUAL_LINE and len(line) > self._rules.limits.get(verb, COMMAND_LINE) - 2:
            return self._fail("", BAD_LINE[LineFault.TOO_LONG])
        if (self.state, verb) not in NEXT:
            return self._misplaced(verb, argument)
        try:
            return _READERS[verb](self, verb, argument)
        except CommandRefused as refusal:
            return self._fail(verb.value, refusal.reply)

    def _misplaced(self, verb: Verb, argument: str) -> Event | None:
        """
        Refuse a command that has no place in this state.
        """
        if verb is Verb.BDAT:
            return self._bdat(verb, argument)
        known = verb is not Verb.XCLIENT or self.standing.xclient
        return self._fail(verb.value, out_of_order(self.state, verb) if known else NOT_OFFERED)

    def _hello(self, verb: Verb, argument: str) -> Event:
        self._said = read_hello(argument, verb is not Verb.HELO)
        self._pending = verb
        return self._said

    def _mail(self, verb: Verb, argument: str) -> Event:
        rules = self._rules
        if self._messages >= rules.max_messages:
            return self._end(TOO_MANY_MESSAGES, Ending.LIMIT)
        event = read_mail(argument, self._extensions, rules.max_future_release)
        parameters = event.parameters
        self._utf8 = bool(parameters) and "SMTPUTF8" in parameters
        self._binary = bool(parameters) and parameters.get("BODY") == "BINARYMIME"
        self._recipients = 0
        self._pending = verb
        return event

    def _rcpt(self, verb: Verb, argument: str) -> Event:
        event = read_rcpt(argument, self._extensions, self._utf8)
        self._pending = verb
        return event

    def _rset(self, verb: Verb, argument: str) -> Event:
        check_bare(argument)
        self._drop_content()
        self._do(verb)
        return Reset()

    def _quit(self, verb: Verb, argument: str) -> Event:
        check_bare(argument)
        self._out.append(self._rules.accepted[verb])
        self.close()
        return Closed(Ending.QUIT)

    def _vrfy(self, verb: Verb, argument: str) -> None:
        check_vrfy(argument, self._extensions)
        self._do(verb)

    def _other(self, verb: Verb, argument: str) -> None:
        check_visible(argument)
        self._do(verb)

    def _do(self, verb: Verb) -> None:
        self._out.append(self._rules.accepted[verb])
        self.state = NEXT[self.state, verb]


_READERS: Final[dict[Verb, Callable[[ServerSession, Verb, str], Event | None]]] = {
    Verb.EHLO: ServerSession._hello,
    Verb.HELO: ServerSession._hello,
    Verb.LHLO: ServerSession._hello,
    Verb.STARTTLS: ServerSession._starttls,
    Verb.AUTH: ServerSession._auth,
    Verb.XCLIENT: ServerSession._xclient,
    Verb.MAIL: ServerSession._mail,
    Verb.RCPT: ServerSession._rcpt,
    Verb.DATA: ServerSession._data,
    Verb.BDAT: ServerSession._bdat,
    Verb.RSET: ServerSession._rset,
    Verb.QUIT: ServerSession._quit,
    Verb.NOOP: ServerSession._other,
    Verb.VRFY: ServerSession._vrfy,
    Verb.HELP: ServerSession._other,
}
_ACCEPTED: Final[dict[Verb, Callable[[ServerSession], None]]] = {
    Verb.EHLO: ServerSession._accept_hello,
    Verb.HELO: ServerSession._accept_hello,
    Verb.LHLO: ServerSession._accept_hello,
    Verb.STARTTLS: ServerSession._accept_starttls,
    Verb.AUTH: ServerSession._accept_auth,
    Verb.XCLIENT: ServerSession._accept_xclient,
    Verb.BDAT: ServerSession._accept_bdat,
}
