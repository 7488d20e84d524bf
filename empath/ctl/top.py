"""
The verb that shows everything at once, as it changes.

The MTA is asked in a thread, so that keys work while it is silent; one that was restarted is found again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

import attrs
import click

from empath.control.terms.system import GetTop, Top
from empath.ctl.errors import Trouble
from empath.ctl.tool import Tool
from empath.ctl.verbs import verb

if TYPE_CHECKING:
    from rich.console import RenderableType

    from empath.ctl.top_view import Look, Snapshots

ASKED_FOR: Final = 200  # sites
_PAGE: Final = 10


@verb(
    """
    empathctl system top
    empathctl system top --interval 0.5
    empathctl system top --json    # one snapshot, for programs
    """
)
@click.option("--interval", type=click.FloatRange(min=0.1), default=2.0, show_default=True, help="Seconds between.")
def top(tool: Tool, interval: float) -> None:
    """
    Show rates, the queue and the busiest sites on a full screen.

    q ends it, s sorts by the next column (left and right go through them), p stands still, arrows scroll. Where no
    terminal is, one snapshot is shown.
    """
    if tool.json:
        tool.write_json(tool.ask(GetTop(ASKED_FOR)))
    elif not tool.console.is_terminal or not tool.around.typed.isatty():
        tool.write(_once(tool))
    else:
        _on_screen(tool, interval)


def _once(tool: Tool) -> RenderableType:
    from empath.ctl.top_view import HEAD, Look, Snapshots, screen

    answer = tool.ask(GetTop(ASKED_FOR))
    return screen(Snapshots(answer), Look(), tool.times, tool.console.width, HEAD + ASKED_FOR + 2)


def _on_screen(tool: Tool, interval: float) -> None:
    from rich.live import Live

    from empath.ctl.keys import Keys

    view = Screen(tool, tool.ask(GetTop(ASKED_FOR)))  # whoever is not there at the beginning is not waited for
    with (
        Keys(tool.around.typed.fileno()) as keys,
        Live(console=tool.console, screen=True, auto_refresh=False, vertical_overflow="crop") as live,
    ):
        asker = Asker(tool, interval, keys.rouse)
        asker.start()
        try:
            while not view.over:
                view.take(asker.came())
                live.update(view.drawn(), refresh=True)
                for key in keys.wait(1.0):
                    view.press(key)
        except KeyboardInterrupt:
            return


class Asker:
    """
    Asks for snapshots every `interval` seconds in a thread of its own, which ends with the program, and calls `rouse`
    when one is there.
    """

    def __init__(self, tool: Tool, interval: float, rouse: Callable[[], None]) -> None:
        self._tool = tool
        self._interval = interval
        self._rouse = rouse
        self._answers: SimpleQueue[Top | Trouble | BaseException] = SimpleQueue()

    def start(self) -> None:
        """
        Begin to ask, after the first interval.
        """
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        from empath.ctl.watching import poll

        while True:
            self._tool.around.sleep(self._interval)
            try:
                answer = poll(self._tool, GetTop(ASKED_FOR))
                self._answers.put(answer)
            except Exception as trouble:  # it ends the view, where it is raised
                self._answers.put(trouble)
            self._rouse()

    def came(self) -> list[Top | Trouble]:
        """
        Give what came since; raises what asking raised.
        """
        came: list[Top | Trouble] = []
        while not self._answers.empty():
            answer = self._answers.get()
            if isinstance(answer, BaseException):
                raise answer
            came.append(answer)
        return came


class Screen:
    """
    What is seen, and what keys make of it.
    """

    def __init__(self, tool: Tool, first: Top) -> None:
        from empath.ctl.top_view import Look, Snapshots

        self._tool = tool
        self.snapshots: Snapshots = Snapshots(first)
        self.look: Look = Look()
        self.trouble = ""
        self.over = False

    def take(self, came: list[Top | Trouble]) -> None:
        """
        Take what the MTA said; while it stands still, only whether it is there.
        """
        for answer in came:
            if isinstance(answer, Trouble):
                self.trouble = f"{answer.kind.upper()}: trying again"
            else:
                self.trouble = ""
                self.snapshots = self.snapshots if self.look.paused else self.snapshots.then(answer)

    def press(self, key: str) -> None:
        """
        Do what a key says.
        """
        match key:
            case "q" | "Q" | "\x03":
                self.over = True
            case "s" | "right":
                self._sort(1)
            case "left":
                self._sort(-1)
            case "p" | " ":
                self.look = attrs.evolve(self.look, paused=not self.look.paused)
            case "down" | "page-down":
                self._scroll(1 if key == "down" else _PAGE)
            case "up" | "page-up":
                self._scroll(-1 if key == "up" else -_PAGE)
            case "home":
                self.look = attrs.evolve(self.look, first=0)
            case _:
                return

    def _sort(self, step: int) -> None:
        from empath.ctl.top_view import SORTS

        following = SORTS[(SORTS.index(self.look.sort) + step) % len(SORTS)]
        self.look = attrs.evolve(self.look, sort=following, first=0)

    def _scroll(self, step: int) -> None:
        from empath.ctl.top_view import last_row

        last = last_row(self.snapshots, self._tool.console.height)
        self.look = attrs.evolve(self.look, first=min(last, max(0, self.look.first + step)))

    def drawn(self) -> RenderableType:
        """
        Draw it as large as the terminal is now.
        """
        from empath.ctl.top_view import screen
        from empath.ctl.wording import Times

        size = self._tool.console.size
        times = Times(self._tool.around.now())
        return screen(self.snapshots, self.look, times, size.width, size.height, self.trouble)
