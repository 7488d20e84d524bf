"""
Where text goes: colours on a terminal only, elsewhere plain lines that are never cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TextIO

from rich.console import Console, RenderableType

ENDLESS: Final = 10_000  # columns of what is no terminal: whoever reads it looks for lines


def console(stream: TextIO, environment: Mapping[str, str]) -> Console:
    """
    Make a console for a stream: with colours and the terminal's width if it is a terminal, and NO_COLOR is not set
    (no-color.org); else plain, and endlessly wide. Markup is never read.
    """
    terminal = stream.isatty()
    return Console(
        file=stream,
        force_terminal=terminal and environment.get("TERM", "") != "dumb",
        no_color=bool(environment.get("NO_COLOR")),
        width=None if terminal else ENDLESS,
        markup=False,
        emoji=False,
        highlight=False,
        _environ=dict(environment),
    )


def write(target: Console, *pieces: RenderableType) -> None:
    """
    Print each piece below the one before; what is no terminal gets no blanks at the ends of lines.
    """
    if target.is_terminal:
        target.print(*pieces, sep="\n")
        return
    with target.capture() as captured:
        target.print(*pieces, sep="\n")
    target.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
