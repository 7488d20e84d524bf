"""
What one attempt, or one reception, did step by step: kept only where it is traced.
"""

from __future__ import annotations

from typing import Final

import attrs

MOST_STEPS: Final = 128
MOST_LINES: Final = 256  # of all steps together
LEFT_FREE: Final = 16, 32  # of those, by recipients: what comes behind many tells more than the last of them
OCTETS: Final = 1000, 200  # of memory, about: of a step, and of a line without its text

Fact = str | int | float | bool


@attrs.frozen(slots=True)
class Said:
    """
    One line of a dialogue, with what is secret masked; `time` is in seconds since the epoch.
    """

    time: float
    from_us: bool
    text: str


@attrs.define(slots=True, eq=False)
class Step:
    """
    One step, from `started` to `ended` (seconds since the epoch, 0.0 while it goes on). `name` is "dns", "connect",
    "tls", "mail", "rcpt", "data", "quit" (RFC 5321's commands and what comes before them), "store" or "module".
    `facts` tell about it in OpenTelemetry's words where it has some; `trouble` is why it failed, "" if it did not.
    `said` are the lines that belong to it. One that is not `kept` had no room, and goes on for nobody.
    """

    name: str
    started: float
    ended: float = 0.0
    facts: dict[str, Fact] = attrs.field(factory=dict)
    trouble: str = ""
    said: list[Said] = attrs.field(factory=list)
    kept: bool = True


class Steps:
    """
    The steps so far, in the order in which they began; beyond MOST_STEPS and MOST_LINES they are only counted. `octets`
    is about how much memory they take.
    """

    __slots__ = ("left_out", "lines", "octets", "steps")

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.lines = 0
        self.octets = 0
        self.left_out = 0

    def begin(self, name: str, now: float, **facts: Fact) -> Step:
        """
        Begin a step. Whoever began it ends it: `step.ended = now`.
        """
        step = Step(name, now, facts=facts)
        if len(self.steps) < MOST_STEPS - (LEFT_FREE[0] if name == "rcpt" else 0):
            self.steps.append(step)
            self.octets += OCTETS[0]
        else:
            step.kept = False
            self.left_out += 1
        return step

    def say(self, step: Step, line: Said) -> None:
        """
        Add a line to a step.
        """
        if step.kept and self.lines < MOST_LINES - (LEFT_FREE[1] if step.name == "rcpt" else 0):
            self.lines += 1
            self.octets += OCTETS[1] + len(line.text)
            step.said.append(line)
        else:
            self.left_out += 1
