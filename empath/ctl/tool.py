"""
What every verb works with: the connection to the MTA, the terminal, the time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeVar

import attrs

from empath.control.terms.asking import Ask, Follow
from empath.ctl.connection import Found, find_socket, read_token
from empath.ctl.errors import Usage

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from empath.control.client import ControlClient
    from empath.ctl.wording import Times

A = TypeVar("A")
P = TypeVar("P")


@attrs.frozen
class Given:
    """
    The global options.
    """

    socket: str | None = None
    token_file: str | None = None
    json: bool = False
    timeout: float = 10.0


@attrs.frozen
class Surroundings:
    """
    The world around the program: streams, environment, working directory, the time, how to wait, and how to connect
    (socket, token, seconds).
    """

    out: TextIO
    err: TextIO
    typed: TextIO
    environment: Mapping[str, str]
    folder: Path
    now: Callable[[], datetime]
    sleep: Callable[[float], None]
    connect: Callable[[Path, str | None, float], ControlClient]


class Tool:
    """
    What every verb works with. `given` are the global options, once click has read them.
    """

    def __init__(self, around: Surroundings, given: Given | None = None) -> None:
        self.around = around
        self.given = given or Given()

    # The connection

    @cached_property
    def socket(self) -> Found:
        """
        Where the MTA is.
        """
        return find_socket(self.given.socket, self.around.environment, self.around.folder)

    @cached_property
    def client(self) -> ControlClient:
        """
        The connection, kept for all that a verb asks.
        """
        token = read_token(self.given.token_file, self.around.environment)
        return self.around.connect(self.socket.path, token, self.given.timeout)

    def close(self) -> None:
        """
        Let go of the connection, if there is one.
        """
        client = self.__dict__.pop("client", None)
        if client is not None:
            client.close()

    def ask(self, request: Ask[A]) -> A:
        """
        Ask, and give the answer.
        """
        return self.client.ask(request)

    # What is shown

    @property
    def json(self) -> bool:
        """
        Whether programs read what we write.
        """
        return self.given.json

    @cached_property
    def times(self) -> Times:
        """
        How times are told, as of now; a live view makes its own.
        """
        from empath.ctl.wording import Times

        return Times(self.around.now())

    @cached_property
    def console(self) -> Console:
        """
        Standard output.
        """
        from empath.ctl.output import console

        return console(self.around.out, self.around.environment)

    @cached_property
    def errors(self) -> Console:
        """
        Standard error, where questions, progress and notes go.
        """
        from empath.ctl.output import console

        return console(self.around.err, self.around.environment)

    def answer(self, request: Ask[A], render: Callable[[A], RenderableType]) -> A:
        """
        Ask, and show the answer.
        """
        answer = self.ask(request)
        self.show(answer, render)
        return answer

    def show(self, answer: A, render: Callable[[A], RenderableType]) -> None:
        """
        Show an answer: as one JSON document, or as it is rendered.
        """
        if self.json:
            self.write_json(answer)
        else:
            self.write(render(answer))

    def write(self, *pieces: RenderableType) -> None:
        """
        Print for people.
        """
        from empath.ctl.output import write

        write(self.console, *pieces)

    def say(self, line: str) -> None:
        """
        Print a line for people; nothing in it drives the terminal.
        """
        from empath.observe.logs.escaping import escaped

        print(escaped(line), file=self.around.out)

    def note(self, line: str) -> None:
        """
        Tell people beside the output, on standard error; nothing if programs read us.
        """
        from empath.observe.logs.escaping import escaped

        if not self.json:
            print(escaped(line), file=self.around.err)

    def write_json(self, value: object, line: bool = False) -> None:
        """
        Write a term as JSON: as a document that people can read too, or in one line.
        """
        from msgspec import json

        from empath.ctl.json_pages import masked

        text = json.encode(value) if line else json.format(json.encode(value), indent=2)
        self.around.out.write(masked(text.decode()) + "\n")
        self.around.out.flush()

    # What takes its time

    def follow(self, request: Follow[A, P], title: str, progress: Callable[[P], tuple[int, int | None]]) -> A:
        """
        Ask for something that takes its time, with a progress bar on a terminal. `progress` tells of a piece how much
        is done, and of how much (None: nobody knows).
        """
        if self.json or not self.errors.is_terminal:
            return self.client.follow(request, progress)
        from empath.ctl.watching import following

        return following(self, request, title, progress)

    def watch(self, request: Ask[A], render: Callable[[A, Times], RenderableType], interval: float) -> None:
        """
        Ask every `interval` seconds on one connection and show the answer in its place, until ^C; connect again when
        the MTA was restarted. Where no terminal is, answers follow one another; with `--json`, a line each.
        """
        from empath.ctl.watching import watching

        watching(self, request, render, interval)

    # Questions

    def confirm(self, question: str, yes: bool) -> None:
        """
        Have the operator confirm, unless `yes` did already; Usage where nobody can be asked, Declined for a no.
        """
        from empath.ctl.confirming import confirm

        confirm(self, question, yes)

    @cached_property
    def asks(self) -> bool:
        """
        Whether somebody sits there who can be asked.
        """
        return self.around.typed.isatty() and not self.json


def only(values: Iterable[object], words: str) -> None:
    """
    Check that just one of some options was given; Usage, which says `words`, otherwise.
    """
    if sum(value not in (None, "", False) for value in values) != 1:
        raise Usage(words)


def open_standard(connect: Callable[[Path, str | None, float], ControlClient]) -> Surroundings:
    """
    Take the streams, environment, folder and time of this process.
    """
    import os
    import time
    from datetime import UTC

    def now() -> datetime:
        return datetime.now(UTC)  # noqa: TID251 -- here the time comes from: a program of its own, without reactor

    return Surroundings(sys.stdout, sys.stderr, sys.stdin, os.environ, Path.cwd(), now, time.sleep, connect)
