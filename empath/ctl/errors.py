"""
What went wrong, as the operator reads it, and as the shell hears it.

Exit codes: 0 done, 1 refused or not found, 2 usage, 69 the MTA cannot be reached, 77 not allowed.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import attrs
import click

from empath.control import faults
from empath.errors import ConfigError, EmpathError


class Exit(IntEnum):
    """
    The exit codes of the contract; 130 is a shell's for ^C.
    """

    DONE = 0
    REFUSED = 1
    USAGE = 2
    UNREACHABLE = 69
    NOT_ALLOWED = 77
    INTERRUPTED = 130


class CtlError(EmpathError):
    """
    Something that ends empathctl: `problems` in a sentence each, and what to do next.
    """

    kind = "refused"
    code = Exit.REFUSED

    def __init__(self, *problems: str) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


class Usage(CtlError):
    """
    What was typed makes no sense.
    """

    kind = "usage"
    code = Exit.USAGE


class NotThere(CtlError):
    """
    What was asked about is not there.
    """

    kind = "not-found"


class Interrupted(CtlError):
    """
    Somebody pressed ^C in the middle of something, and hears how far it came.
    """

    kind = "interrupted"
    code = Exit.INTERRUPTED


class Unread(Exception):
    """
    Whoever read us, such as `head`, has enough: no error.
    """


@attrs.frozen
class Trouble:
    """
    An error as it is told: a word for programs, sentences for people, the exit code.
    """

    kind: str
    problems: tuple[str, ...]
    code: int


_CLIENT: Final = (  # the first that fits
    (faults.NotFoundThere, "not-found", Exit.REFUSED),
    (faults.TooLarge, "too-large", Exit.REFUSED),
    (faults.RefusedByServer, "refused", Exit.REFUSED),
    (faults.NotPermitted, "not-allowed", Exit.NOT_ALLOWED),
    (faults.Unreachable, "unreachable", Exit.UNREACHABLE),
    (faults.TimedOut, "timed-out", Exit.UNREACHABLE),
    (faults.ConnectionLost, "connection-lost", Exit.UNREACHABLE),
    (faults.WrongVersion, "wrong-version", Exit.REFUSED),
    (faults.ControlError, "fault", Exit.REFUSED),
)


def trouble(error: Exception) -> Trouble | None:
    """
    Say what an error means; None for one that is a fault of ours.
    """
    match error:
        case CtlError():
            return Trouble(error.kind, error.problems, error.code)
        case click.UsageError():
            hint = f"Try '{error.ctx.command_path} --help'." if error.ctx is not None else ""
            return Trouble("usage", tuple(filter(None, (error.format_message(), hint))), Exit.USAGE)
        case click.exceptions.Abort():
            return Trouble("interrupted", ("interrupted",), Exit.INTERRUPTED)
        case click.ClickException():
            return Trouble("usage", (error.format_message(),), error.exit_code)
        case faults.ControlError():
            kind, code = next((kind, code) for cls, kind, code in _CLIENT if isinstance(error, cls))
            return Trouble(kind, error.problems, code)
        case ConfigError():
            return Trouble("bad-configuration", tuple(error.problems), Exit.REFUSED)
        case EmpathError():
            return Trouble("refused", (str(error),), Exit.REFUSED)
    return None
