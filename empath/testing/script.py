"""
What a scripted SMTP server does instead of its usual answer: pure values, read by the server's sessions.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import attrs

STEPS: Final = frozenset(
    "GREETING EHLO HELO STARTTLS AUTH MAIL RCPT DATA CONTENT BDAT RSET NOOP VRFY QUIT".split()  # noqa: SIM905
)
KEYWORDS: Final = ("mock.example", "PIPELINING", "SIZE 52428800", "8BITMIME", "ENHANCEDSTATUSCODES")
NONSENSE: Final = b"\0\xff\xfe nonsense\r\n"


@attrs.frozen(slots=True)
class Say:
    """
    Answer these bytes, whatever they are.
    """

    raw: bytes

    @property
    def code(self) -> int:
        """
        The reply's code, 0 if it is none.
        """
        return int(self.raw[:3]) if self.raw[:3].isdigit() else 0


@attrs.frozen(slots=True)
class Silence:
    """
    Never answer, and hear nothing more.
    """


@attrs.frozen(slots=True)
class Cut:
    """
    Close without an answer; what was asked for is done first, so a message whose final dot is answered so is kept.
    """


Act = Say | Silence | Cut


@attrs.frozen(slots=True)
class Rule:
    """
    Do `act` at a step: at its `nth` time on this server (1 is the first, 0: each time), if the command line contains
    `containing` in any case.
    """

    step: str
    act: Act
    nth: int = 0
    containing: str = ""


@attrs.frozen(slots=True)
class Script:
    """
    How a server behaves. `ehlo` are the lines of its reply to EHLO, `slow` the seconds that an answer takes by step.

    `tls` makes server connections, None offers no STARTTLS; with `breaks_handshake` it is offered all the same, and
    what follows the 220 is no TLS. `cut_after` answered commands the connection breaks (-1: never). `piece` is how
    many bytes are written at a time, 0 for all at once. `logins` may log in, by name.
    """

    ehlo: tuple[str, ...] = KEYWORDS
    rules: tuple[Rule, ...] = ()
    slow: tuple[tuple[str, float], ...] = ()
    tls: Any = None
    breaks_handshake: bool = False
    cut_after: int = -1
    piece: int = 0
    logins: tuple[tuple[str, str], ...] = ()

    @property
    def offers_tls(self) -> bool:
        """
        Whether STARTTLS is among the keywords.
        """
        return self.tls is not None or self.breaks_handshake

    def keywords(self) -> frozenset[str]:
        """
        The EHLO keywords without their parameters, in upper case.
        """
        return frozenset(line.partition(" ")[0].upper() for line in self.ehlo[1:])

    def delay(self, step: str) -> float:
        """
        Tell how many seconds an answer takes.
        """
        return next((seconds for name, seconds in reversed(self.slow) if name == step), 0.0)

    def act(self, step: str, line: str, seen: Counter[str]) -> Act | None:
        """
        Tell what to do now, counting the step in `seen`; None: as usual. A rule for this very time goes before one for
        each time, and a later rule before an earlier one.
        """
        seen[step] += 1
        fitting = self._rules(step, line, seen[step])
        return min(fitting, key=lambda rule: not rule.nth).act if fitting else None

    def says(self, step: str, line: str, seen: Counter[str]) -> bool:
        """
        Tell whether a rule is for this time.
        """
        return bool(self._rules(step, line, seen[step] + 1))

    def _rules(self, step: str, line: str, time: int) -> list[Rule]:
        return [rule for rule in reversed(self.rules) if rule.step == step and _fits(rule, line, time)]


def _fits(rule: Rule, line: str, time: int) -> bool:
    return rule.nth in (0, time) and rule.containing.lower() in line.lower()


def reply(code: int, *lines: str) -> bytes:
    """
    Spell a reply of one or more lines.
    """
    *first, last = lines or ("",)
    return "".join([*(f"{code}-{line}\r\n" for line in first), f"{code} {last}\r\n"]).encode()
