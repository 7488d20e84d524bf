"""
The program `empathctl`.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from empath.ctl.errors import Exit, Trouble, Unread, trouble
from empath.ctl.registry import Root
from empath.ctl.tool import Surroundings, Tool, open_standard
from empath.observe.logs.escaping import escaped

if TYPE_CHECKING:
    from empath.control.client import ControlClient

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
HELP = """
Ask a running empath how it is, what it holds and why, and tell it what to do.

Exit codes: 0 done, 1 refused or not found, 2 usage, 69 the MTA cannot be reached, 77 not allowed.
"""
EXAMPLES = """
empathctl system status
empathctl queue stats --watch
empathctl queue explain 01JD3X5Q8VWZ0RNTB2M4C6E8GA
empathctl queue retry --domain example.org
empathctl route someone@example.org --json
"""


def main() -> None:
    """
    Run it on this process's arguments and terminal.
    """
    sys.exit(run(sys.argv[1:], open_standard(connect)))


def connect(path: Path, token: str | None, timeout: float) -> ControlClient:
    """
    Open the control socket.
    """
    from empath.control.client import ControlClient

    return ControlClient(path, token, timeout)


def root() -> click.Command:
    """
    Make the command with all that is below it.
    """
    command = Root(name="empathctl", help=HELP, epilog=EXAMPLES.strip())
    told = "Print the version."
    version = click.Option(["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_version, help=told)
    command.params.append(version)
    return command


def _version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from empath import __version__

        click.echo(f"empathctl {__version__}")
        ctx.exit()


def run(arguments: Sequence[str], around: Surroundings) -> int:
    """
    Run a command line and give its exit code; every error is told on standard error.
    """
    tool = Tool(around)
    try:
        done: Any = root().main(list(arguments), prog_name="empathctl", standalone_mode=False, obj=tool)
        around.out.flush()
        return done if isinstance(done, int) else Exit.DONE
    except (Exception, KeyboardInterrupt) as error:
        code = _ended(tool, arguments, error)
        if code is None:
            raise
        return code
    finally:
        tool.close()


def _ended(tool: Tool, arguments: Sequence[str], error: BaseException) -> int | None:
    """
    Tell what ended it, and give the exit code; None for a fault of ours.
    """
    match error:
        case Unread() | BrokenPipeError():
            _drop(tool.around)
            return Exit.DONE
        case OSError(errno=number) if number in FULL:
            _drop(tool.around)
            why = f"nothing can be written: {error.strerror}"
            return _told(tool, arguments, Trouble("fault", (why,), Exit.REFUSED))
        case KeyboardInterrupt():
            return _told(tool, arguments, Trouble("interrupted", ("interrupted",), Exit.INTERRUPTED))
        case click.exceptions.NoArgsIsHelpError():
            print(error.format_message(), file=tool.around.err)
            return Exit.USAGE
        case Exception() if (known := trouble(error)) is not None:
            return _told(tool, arguments, known)
    return None


def _told(tool: Tool, arguments: Sequence[str], known: Trouble) -> int:
    """
    Tell an error: in a line for each problem, or as JSON where that was asked for, even if it could not be parsed.
    """
    if tool.json or "--json" in arguments:
        error = {"kind": known.kind, "problems": known.problems, "exit": int(known.code)}
        print(json.dumps({"error": error}, indent=2), file=tool.around.err)
    else:
        lines = (escaped(problem) for problem in known.problems)
        print("empathctl: " + "\n  ".join(lines), file=tool.around.err)
    return known.code


def _drop(around: Surroundings) -> None:
    """
    Drop what is still to be written, or the interpreter complains at its end.
    """
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), around.out.fileno())
