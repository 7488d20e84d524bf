"""
One dialogue that is traced: what was said, step by step.

Fatal: nothing. Steps and lines are bounded (see `empath.mail.step`), and so is each line.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from twisted.internet.interfaces import IReactorTime

from empath.mail.step import MOST_LINES, Said, Step, Steps
from empath.net.spoken import Spoken
from empath.smtp.masking import printable

REPLY_CODE: Final = "empath.reply.code"
CONTENT_SIZE: Final = "empath.content.size"
_NAMES: Final = {b"MAIL": "mail", b"RCPT": "rcpt", b"DATA": "data", b"BDAT": "data", b"QUIT": "quit"}


class _Awaited(NamedTuple):
    """
    An answer that is to come: which step it belongs to, and whether it is the one that ends it.
    """

    step: Step | None
    ends: bool


class Recording(Spoken):
    """
    A tap (see `empath.smtp.tap.Tap`) that keeps a dialogue in `steps`: each MAIL, RCPT, DATA (with all BDAT) and QUIT
    begins a step, which ends with its reply; a refusal, or the end of the connection before there was a reply, is its
    trouble. Replies belong to commands in their order, so pipelining changes nothing.

    Lines of other commands, and of the greeting, go to `aside`, a step that somebody else begins and ends; where that
    is None, to the step that was begun last, which they do not change, and before the first nowhere. `on_ended` hears
    of each step that ends. `unanswered`: so many commands were said before the first that is recorded, and are still to
    be answered. `lmtp`: content is answered once for each recipient that was accepted (RFC 2033 §4.2).
    """

    __slots__ = ("_accepted", "_answers", "_clock", "_latest", "_loose", "_over", "aside", "on_ended", "steps")

    def __init__(
        self,
        clock: IReactorTime,
        steps: Steps,
        side: str,
        *,
        joined: bool = False,
        password: str = "",
        unanswered: int = 0,
        lmtp: bool = False,
        on_ended: Callable[[Step], None] | None = None,
    ) -> None:
        super().__init__(side, joined, password)
        self.steps = steps
        self.aside: Step | None = None
        self.on_ended = on_ended
        self._clock = clock
        self._latest: Step | None = None
        self._answers: deque[_Awaited] = deque([_Awaited(None, False)] * unanswered)
        self._accepted: int | None = 0 if lmtp else None
        self._loose = 0  # lines of a server that ended no reply to a command
        self._over = False

    def finish(self) -> None:
        """
        Record no more commands, only the replies to those that were.
        """
        self._over = True

    # What the edge tells

    def opened(self, peer: str, where: str) -> None:
        """
        See `Tap.opened`: whoever connects has a step for that.
        """

    def presents(self, peer: str) -> None:
        """
        See `Tap.presents`.
        """

    def carries(self, queue_id: str, domains: Iterable[str]) -> None:
        """
        See `Tap.carries`.
        """

    def secured(self, words: str) -> None:
        """
        See `Tap.secured`: whoever shakes hands has a step for that.
        """

    def closed(self, words: str) -> None:
        """
        See `Tap.closed`.
        """
        super()._finish()
        trouble = f"no reply before the end: {self._masking.words(words)}"
        for step, ends in dict.fromkeys(self._answers):
            if ends and step is not None:
                self._end(step, step.trouble or trouble)
        self._answers.clear()
        self._over = True

    # ----

    def _line(self, line: bytes, *, from_us: bool) -> None:
        """
        Take a line. Of a server's that end no reply to a command there is room for so many; the others are not even
        looked at.
        """
        if not from_us and self.side == "client":
            ends = bool(self._answers) and line[3:4] != b"-" and line[:3].isdigit()
            self._loose += not ends
            if not ends and self._loose > MOST_LINES:
                self.steps.left_out += 1
                return
        super()._line(line, from_us=from_us)

    def _take(self, line: bytes, text: str, from_us: bool) -> None:
        if from_us is (self.side == "server"):
            self._answer(line, text, from_us)
            return
        verb = line[:4].upper()
        step = self._step_of(verb)
        if line != b".":  # the end of content that nobody wanted: its answer is the one that DATA still waits for
            ends = step is not None and _NAMES.get(verb) == step.name
            self._answers.append(_Awaited(step, ends))
        self._say(step, text, from_us)

    def _step_of(self, verb: bytes) -> Step | None:
        """
        Tell which step a command belongs to, a new one for most.
        """
        if self._over:
            return None
        name = _NAMES.get(verb)
        if name is None or (name == "quit" and self.side == "server"):  # whose transaction is over
            return self.aside or self._latest
        if verb != b"BDAT" or self._latest is None or self._latest.name != name:
            self._latest = self.steps.begin(name, self._clock.seconds())
        return self._latest

    def _answer(self, line: bytes, text: str, from_us: bool) -> None:
        """
        Take a line of a reply. One that answers no command (the greeting, LMTP's replies for further recipients, the
        last words of a server) belongs to what is under way.
        """
        latest = None if self._over else self.aside or self._latest
        step, ends = self._answers[0] if self._answers else (latest, latest is not self.aside)
        self._say(step, text, from_us)
        code = line[:3]
        if line[3:4] == b"-" or not code.isdigit():
            return
        if self._accepted is not None and step is not None and ends:
            self._owe(step, code, self._accepted)
        if code != b"354" and self._answers:
            self._answers.popleft()
        if step is None or not ends:
            return
        step.facts[REPLY_CODE] = int(code)
        if code != b"354":
            self._end(step, text if code >= b"400" else step.trouble)

    def _owe(self, step: Step, code: bytes, accepted: int) -> None:
        """
        Wait for as many answers to the content as recipients were `accepted`.
        """
        if step.name == "mail":
            self._accepted = 0
        elif step.name == "rcpt":
            self._accepted = accepted + (code[:1] == b"2")
        elif code == b"354":
            self._answers.extendleft([_Awaited(step, True)] * (accepted - 1))

    def _end(self, step: Step, trouble: str) -> None:
        step.ended = self._clock.seconds()
        if trouble:
            step.trouble = printable(trouble)
        if self.on_ended is not None:
            self.on_ended(step)

    def _take_words(self, text: str) -> None:
        step = None if self._over else self.aside or self._latest
        self._answers.append(_Awaited(step, False))
        self._say(step, text, False)

    def _take_content(self, octets: int) -> None:
        if self._latest is not None:
            before = self._latest.facts.get(CONTENT_SIZE, 0)
            self._latest.facts[CONTENT_SIZE] = octets + int(before)

    def _say(self, step: Step | None, text: str, from_us: bool) -> None:
        if step is not None:
            self.steps.say(step, Said(self._clock.seconds(), from_us, printable(text)))
