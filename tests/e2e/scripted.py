"""
What a scripted SMTP server does instead of its usual answer.
"""

from __future__ import annotations

import threading
from typing import Final

import attrs


@attrs.frozen(slots=True)
class Say:
    """
    Answer these bytes, whatever they are; `lines` are given without line end, "451-4.3.0 …" and so on included.
    """

    raw: bytes


@attrs.frozen(slots=True)
class Hang:
    """
    Never answer, until the server stops or the client leaves.
    """


@attrs.frozen(slots=True)
class Close:
    """
    Close without an answer; at the final dot the message is kept first, as if the answer had been lost.
    """


@attrs.frozen(slots=True)
class Wait:
    """
    Answer as usual, `seconds` later.
    """

    seconds: float


Action = Say | Hang | Close | Wait

FOREVER: Final = 1_000_000_000


def says(code: int, text: str) -> Say:
    """
    A reply of one line.
    """
    return Say(f"{code} {text}\r\n".encode())


class Script:
    """
    The deviations of one server, looked up by step: CONNECT, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, BDAT, CONTENT,
    QUIT.

    CONTENT is the answer to the final dot or the last chunk, BDAT to another chunk. Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[_Rule] = []

    def on(self, step: str, action: Action, times: int = FOREVER, argument: str = "") -> None:
        """
        Deviate at the next `times` of `step` whose command line contains `argument`.
        """
        with self._lock:
            self._rules.append(_Rule(step, action, argument.encode().lower(), times))

    def clear(self) -> None:
        """
        Be ordinary again.
        """
        with self._lock:
            self._rules.clear()

    def take(self, step: str, line: bytes) -> Action | None:
        """
        Tell what to do now, counting it; None: as usual.
        """
        with self._lock:
            for rule in self._rules:
                if rule.step == step and rule.left > 0 and rule.argument in line.lower():
                    rule.left -= 1
                    return rule.action
        return None


@attrs.define(slots=True)
class _Rule:
    step: str
    action: Action
    argument: bytes
    left: int
