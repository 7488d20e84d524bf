"""
The server's half of an SMTP session (RFC 5321), without I/O.

Bytes go in by `receive`, events come out of `next_event`, replies gather in `output`. Syntax and sequence errors are
answered here; what needs a decision is an event, and no further one is given before it is answered. That keeps the
replies to pipelined commands in order (RFC 2920).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from empath.errors import CommandRefused
from empath.mail.reply import Reply
from empath.smtp.command import ForeignProtocol, check_bare, check_visible, read_hello, read_mail, read_rcpt, split_line
from empath.smtp.events import Closed, DataBegun, Ending, Event, Hello, Refused, Reset, Verb
from empath.smtp.extension import Extension, Standing
from empath.smtp.incoming import IncomingContent
from empath.smtp.lines import LineBuffer, LineFault
from empath.smtp.server_rules import ServerRules
from empath.smtp.server_states import (
    BAD_LINE,
    NEXT,
    TOO_MANY_COMMANDS,
    TOO_MANY_ERRORS,
    TOO_MANY_MESSAGES,
    State,
    out_of_order,
)

_NO_EXTENSIONS: Final[frozenset[Extension]] = frozenset()
_NOTHING_SAID: Final = Hello("", extended=False)


class ServerSession:
    """
    One session. `normalize` turns bare newlines in content into CRLF instead of refusing them.

    `standing` may be replaced at any time and counts from the next command on. Two more are set before a Hello is
    accepted: `mechanisms` is what AUTH offers (none: AUTH is not offered), `latest_release` the latest date of
    FUTURERELEASE in UTC as RFC 3339 writes it ("": FUTURERELEASE is not offered).
    """

    __slots__ = (
        "_commands",
        "_content",
        "_errors",
        "_events",
        "_extensions",
        "_lines",
        "_messages",
        "_normalize",
        "_out",
        "_pending",
        "_rules",
        "_said",
        "latest_release",
        "mechanisms",
        "standing",
        "state",
    )

    def __init__(self, rules: ServerRules, normalize: bool = False, standing: Standing = Standing()) -> None:
        self.standing = standing
        self.mechanisms: tuple[str, ...] = ()
        self.latest_release = ""
        self._rules = rules
        self._normalize = normalize
        self._lines = LineBuffer(rules.line_limit)
        self._content: IncomingContent | None = None
        self._events: list[Event] = []
        self._out: list[bytes] = []
        self._pending: Verb | None = None
        self._said = _NOTHING_SAID
        self._extensions: frozenset[Extension] = _NO_EXTENSIONS
        self._errors = self._commands = self._messages = 0
        self.state = State.CONNECTED

    @property
    def pending(self) -> Verb | None:
        """
        The command that waits for an answer (DATA also for its content): no event is given meanwhile.
        """
        return self._pending

    @property
    def backlog(self) -> int:
        """
        How many received bytes wait to be read.
        """
        return len(self._lines)

    def greet(self) -> None:
        """
        Open the session with the greeting.
        """
        self._out.append(self._rules.greeting)

    def receive(self, received: bytes) -> None:
        """
        Take bytes from the client; what comes after the end of the session is dropped.
        """
        if self.state is not State.CLOSED:
            self._lines.append(received)

    def output(self) -> bytes:
        """
        Give the replies that are to be sent, each only once.
        """
        out = self._out
        if not out:
            return b""
        joined = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return joined

    def next_event(self) -> Event | None:
        """
        Give the next event; None until more bytes come or the last event is answered.
        """
        events = self._events
        while not events:
            if self._pending is not None or self.state is State.CLOSED:
                return None
            if self._content is not None:
                if not self._read_content(self._content):
                    return None
                continue
            line = self._lines.next_line()
            if line is None:
                return None
            if (event := self._read(line)) is not None:
                return event
        return events.pop(0)

    def accept(self) -> None:
        """
        Answer Hello, MailFrom, RcptTo or DataBegun: it is done.
        """
        verb = self._settle()
        if verb is Verb.EHLO or verb is Verb.HELO:
            self._greet_back()
        else:
            self._out.append(self._rules.accepted[verb])
            self._commands -= 1
            if verb is Verb.DATA:
                self._content = IncomingContent(self._normalize)
        self.state = NEXT[self.state, verb]

    def accept_content(self, queue_id: str) -> None:
        """
        Answer ContentEnded: the message is ours, under this queue id.
        """
        self._settle()
        self._content = None
        self._messages += 1
        self._errors = 0
        self.state = State.GREETED
        self._out.append(b"%s%s\r\n" % (self._rules.queued, queue_id.encode()))

    def refuse(self, reply: Reply) -> None:
        """
        Answer an event with a 4yz or 5yz reply. The state stays, but a refused content ends its transaction.

        Only a 5yz counts as an error: who is asked to come back has done nothing wrong.
        """
        self._settle()
        if self._content is not None:
            self._content = None
            self.state = State.GREETED
        self._out.append(self._rules.encode(reply))
        if not reply.transient:
            self._count_error()

    def challenge(self, data: bytes) -> None:
        """
        Answer AuthBegun or AuthAnswered with 334: AuthAnswered follows, or Refused if the client gives up.
        """
        raise NotImplementedError

    def logged_in(self, login: str) -> None:
        """
        Answer AuthBegun or AuthAnswered with 235: from now on it is `standing.login`.
        """
        raise NotImplementedError

    def secured(self) -> None:
        """
        Tell that the handshake after an accepted StartTls is done: the session begins anew, without a greeting, and
        of the standing only `secure` is left (RFC 3207 §4.2).
        """
        raise NotImplementedError

    def close(self, reply: Reply | None = None) -> None:
        """
        End the session, with a last reply or in silence.
        """
        if self.state is State.CLOSED:
            return
        if reply is not None:
            self._out.append(self._rules.encode(reply))
        self._events.clear()
        self._pending = self._content = None
        self._lines.take()
        self.state = State.CLOSED

    def _settle(self) -> Verb:
        verb = self._pending
        if verb is None:
            raise RuntimeError("no event waits for an answer")
        self._pending = None
        return verb

    def _greet_back(self) -> None:
        self._out.append(self._rules.greet(self._said.name, self._said.extended))
        self._extensions = self._rules.extensions if self._said.extended else _NO_EXTENSIONS

    def _read_content(self, content: IncomingContent) -> bool:
        """
        Turn what has come of the content into events; tell whether there was anything.
        """
        received = self._lines.take()
        if not received:
            return False
        self._events += content.receive(received)
        if content.ended:
            self._lines.append(content.rest)
            self._pending = Verb.DATA
        return True

    def _read(self, line: bytes | LineFault) -> Event | None:
        self._commands += 1
        if self._commands > self._rules.max_commands:
            return self._end(TOO_MANY_COMMANDS, Ending.LIMIT)
        if isinstance(line, LineFault):
            return self._fail("", BAD_LINE[line])
        try:
            verb, argument = split_line(line)
        except ForeignProtocol as refusal:
            return self._end(refusal.reply, Ending.FOREIGN)
        except CommandRefused as refusal:
            return self._fail("", refusal.reply)
        if (self.state, verb) not in NEXT:
            return self._fail(verb.value, out_of_order(self.state, verb))
        try:
            return _READERS[verb](self, verb, argument)
        except CommandRefused as refusal:
            return self._fail(verb.value, refusal.reply)

    def _hello(self, verb: Verb, argument: str) -> Event:
        self._said = read_hello(argument, verb is Verb.EHLO)
        self._pending = verb
        return self._said

    def _mail(self, verb: Verb, argument: str) -> Event:
        if self._messages >= self._rules.max_messages:
            return self._end(TOO_MANY_MESSAGES, Ending.LIMIT)
        event = read_mail(argument, self._extensions)
        self._pending = verb
        return event

    def _rcpt(self, verb: Verb, argument: str) -> Event:
        event = read_rcpt(argument)
        self._pending = verb
        return event

    def _data(self, verb: Verb, argument: str) -> Event:
        check_bare(argument)
        self._pending = verb
        return DataBegun()

    def _rset(self, verb: Verb, argument: str) -> Event:
        check_bare(argument)
        self._do(verb)
        return Reset()

    def _quit(self, verb: Verb, argument: str) -> Event:
        check_bare(argument)
        self._out.append(self._rules.accepted[verb])
        self.close()
        return Closed(Ending.QUIT)

    def _vrfy(self, verb: Verb, argument: str) -> None:
        check_visible(argument, needed=True)
        self._do(verb)

    def _other(self, verb: Verb, argument: str) -> None:
        check_visible(argument)
        self._do(verb)

    def _do(self, verb: Verb) -> None:
        self._out.append(self._rules.accepted[verb])
        self.state = NEXT[self.state, verb]

    def _fail(self, verb: str, reply: Reply) -> Event:
        self._out.append(self._rules.encode(reply))
        self._count_error()
        return Refused(verb, reply)

    def _count_error(self) -> None:
        self._errors += 1
        if self._errors >= self._rules.max_errors:
            self._events.append(self._end(TOO_MANY_ERRORS, Ending.ERRORS))

    def _end(self, reply: Reply, ending: Ending) -> Closed:
        self.close(reply)
        return Closed(ending, reply)


_READERS: Final[dict[Verb, Callable[[ServerSession, Verb, str], Event | None]]] = {
    Verb.EHLO: ServerSession._hello,
    Verb.HELO: ServerSession._hello,
    Verb.MAIL: ServerSession._mail,
    Verb.RCPT: ServerSession._rcpt,
    Verb.DATA: ServerSession._data,
    Verb.RSET: ServerSession._rset,
    Verb.QUIT: ServerSession._quit,
    Verb.NOOP: ServerSession._other,
    Verb.VRFY: ServerSession._vrfy,
    Verb.HELP: ServerSession._other,
}
