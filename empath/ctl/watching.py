"""
What goes on in front of the operator's eyes: progress, and views that are drawn again and again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from empath.control.terms.asking import Ask, Follow
from empath.ctl.errors import Exit, Trouble, trouble
from empath.ctl.wording import Times, number
from empath.observe.logs.escaping import escaped

if TYPE_CHECKING:
    from empath.ctl.tool import Tool

A = TypeVar("A")
P = TypeVar("P")


class Counted(ProgressColumn):
    """
    How many are done, and of how many, as far as that is known.
    """

    def render(self, task: Task) -> Text:
        """
        Tell it.
        """
        return Text(number(task.completed) + ("" if task.total is None else f" of {number(task.total)}"))


def bar(tool: Tool) -> Progress:
    """
    Make a progress bar on standard error, which is gone at the end.
    """
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        Counted(),
        TimeElapsedColumn(),
        console=tool.errors,
        transient=True,
    )


def following(tool: Tool, request: Follow[A, P], title: str, progress: Callable[[P], tuple[int, int | None]]) -> A:
    """
    Follow a request with a bar on standard error, which is gone at the end.
    """
    with bar(tool) as shown:
        task = shown.add_task(escaped(title), total=None)

        def moved(piece: P) -> None:
            done, total = progress(piece)
            shown.update(task, completed=done, total=total)

        return tool.client.follow(request, moved)


def poll(tool: Tool, request: Ask[A]) -> A | Trouble:
    """
    Ask on the open connection, on a new one if there is none; tell what keeps the MTA from answering as a value, so
    that a live view goes on. Anything else is raised: not allowed stays not allowed.
    """
    try:
        return tool.ask(request)
    except Exception as error:
        tool.close()
        known = trouble(error)
        if known is None or known.code != Exit.UNREACHABLE:
            raise
        return known


def watching(tool: Tool, request: Ask[A], render: Callable[[A, Times], RenderableType], interval: float) -> None:
    """
    Show the answer every `interval` seconds until ^C.
    """
    try:
        if tool.json:
            _as_lines(tool, request, interval)
        elif tool.console.is_terminal:
            _in_place(tool, request, render, interval)
        else:
            _one_below_another(tool, request, render, interval)
    except KeyboardInterrupt:
        return


def _as_lines(tool: Tool, request: Ask[A], interval: float) -> None:
    while True:
        answer = poll(tool, request)
        if isinstance(answer, Trouble):
            tool.around.err.write(f"{'; '.join(answer.problems)}\n")
        else:
            tool.write_json(answer, line=True)
        tool.around.sleep(interval)


def _one_below_another(
    tool: Tool, request: Ask[A], render: Callable[[A, Times], RenderableType], interval: float
) -> None:
    while True:
        answer = poll(tool, request)
        tool.write(_view(tool, answer, render), "")
        tool.around.out.flush()
        tool.around.sleep(interval)


def _in_place(tool: Tool, request: Ask[A], render: Callable[[A, Times], RenderableType], interval: float) -> None:
    last: RenderableType = ""
    with Live(console=tool.console, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            answer = poll(tool, request)
            view = _view(tool, answer, render)
            if isinstance(answer, Trouble):
                view = Group(last, view)
            else:
                last = view
            live.update(view, refresh=True)
            tool.around.sleep(interval)


def _view(tool: Tool, answer: A | Trouble, render: Callable[[A, Times], RenderableType]) -> RenderableType:
    if isinstance(answer, Trouble):
        return Text(escaped(" ".join((*answer.problems, "Trying again."))), style="yellow")
    return render(answer, Times(tool.around.now()))
