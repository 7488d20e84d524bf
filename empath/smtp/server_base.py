"""
What every part of a server session works with: the bytes that came, the replies that go, errors, and the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from empath.mail.reply import Reply
from empath.smtp.events import Closed, Ending, Event, Refused, Verb
from empath.smtp.extension import Extension, Standing
from empath.smtp.lines import LineBuffer, LineFault
from empath.smtp.server_rules import ServerRules
from empath.smtp.server_states import TOO_MANY_ERRORS, State
from empath.smtp.tap import Tap

_NO_EXTENSIONS: Final[frozenset[Extension]] = frozenset()


class SessionBase:
    """
    The input, the output and the counters of one session.

    `tap` overhears the session, if anybody does.

    `_source` reads what comes where it is no command: it takes the session, and tells whether there was anything to
    read. A function and no bound method, which would be a reference cycle.
    """

    __slots__ = (
        "_commands",
        "_errors",
        "_events",
        "_extensions",
        "_lines",
        "_messages",
        "_out",
        "_pending",
        "_recipients",
        "_rules",
        "_source",
        "latest_release",
        "mechanisms",
        "normalize",
        "standing",
        "state",
        "tap",
    )

    def __init__(self, rules: ServerRules, normalize: bool, standing: Standing) -> None:
        self.standing = standing
        self.mechanisms: tuple[str, ...] = ()
        self.latest_release = ""
        self._rules = rules
        self.normalize = normalize
        self._lines = LineBuffer(rules.line_limit)
        self._events: list[Event] = []
        self._out: list[bytes] = []
        self._pending: Verb | None = None
        self._source: Callable[[Any], bool] | None = None
        self._extensions = _NO_EXTENSIONS
        self._errors = self._commands = self._messages = self._recipients = 0
        self.state = State.CONNECTED
        self.tap: Tap | None = None

    @property
    def pending(self) -> Verb | None:
        """
        The command that waits for an answer (DATA and BDAT also for their content): no event is given meanwhile.
        """
        return self._pending

    @property
    def messages(self) -> int:
        """
        How many messages were accepted.
        """
        return self._messages

    @property
    def errors(self) -> int:
        """
        How many errors count against the limit: since the last message that was accepted.
        """
        return self._errors

    @property
    def backlog(self) -> int:
        """
        How many received bytes wait to be read.
        """
        return len(self._lines)

    @property
    def unsent(self) -> int:
        """
        How many replies wait for `output`.
        """
        return sum(line[3:4] == b" " for line in b"".join(self._out).split(b"\r\n"))

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
        if self.tap is not None:
            self.tap.said(joined)
        return joined

    def close(self, reply: Reply | None = None) -> None:
        """
        End the session, with a last reply or in silence.
        """
        if self.state is State.CLOSED:
            return
        if reply is not None:
            self._out.append(self._rules.encode(reply))
        self._events.clear()
        self._pending = self._source = None
        self._lines.take()
        self.state = State.CLOSED

    def _overheard(self, tap: Tap, line: bytes | LineFault) -> None:
        """
        Let a line be overheard as it came, or what is wrong with it.
        """
        if isinstance(line, bytes):
            tap.heard(line + b"\r\n")
        else:
            tap.faulty(line.value)

    def _settle(self) -> Verb:
        verb = self._pending
        if verb is None:
            raise RuntimeError("no event waits for an answer")
        self._pending = None
        return verb

    def _begin_anew(self) -> None:
        """
        Forget what the client said: it must say EHLO again.
        """
        self._extensions = _NO_EXTENSIONS
        self.state = State.CONNECTED

    def _fail(self, verb: str, reply: Reply) -> Event:
        self._out.append(self._rules.encode(reply))
        self._count_error()
        return Refused(verb, reply)

    def _count_error(self) -> None:
        self._errors += 1
        if self._errors >= self._rules.max_errors:
            self._events.append(self._end(TOO_MANY_ERRORS, Ending.ERRORS))

    def _end(self, reply: Reply | None, ending: Ending) -> Closed:
        self.close(reply)
        return Closed(ending, reply)
