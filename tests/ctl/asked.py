"""
empathctl as a function: arguments, and what a running empath would answer, make output and exit code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import attrs
from msgspec import json

from empath.control.terms.asking import Ask, Follow
from empath.ctl.main import run
from empath.ctl.tool import Surroundings
from tests.ctl.samples import NOW

Answerer = Callable[[Any], Any] | Any
"""
The answer to a request, or what makes it of the request; an exception is raised.
"""


class Terminal(StringIO):
    """
    A stream that says it is a terminal.
    """

    def isatty(self) -> bool:
        """
        Say so.
        """
        return True


class FakeClient:
    """
    Answers from a table and records what was asked. What travels is encoded and decoded, as it would be on the way.
    """

    def __init__(self, answers: Mapping[type[Ask[Any]], Answerer], pieces: Sequence[object] = ()) -> None:
        self._answers = answers
        self._pieces = pieces
        self.asked: list[Ask[Any]] = []
        self.closed = 0

    def ask(self, request: Ask[Any]) -> Any:
        """
        Answer.
        """
        kind = type(request)
        self.asked.append(json.decode(json.encode(request), type=kind))
        answer = self._answers[kind]
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        return json.decode(json.encode(answer), type=kind.answer)

    def follow(self, request: Follow[Any, Any], on_piece: Callable[[Any], object]) -> Any:
        """
        Tell the pieces, then answer.
        """
        for piece in self._pieces:
            on_piece(json.decode(json.encode(piece), type=request.piece))
        return self.ask(request)

    def close(self) -> None:
        """
        Count.
        """
        self.closed += 1


@attrs.frozen
class Ran:
    """
    What a command line did.
    """

    code: int
    out: str
    err: str
    asked: list[Ask[Any]]
    client: FakeClient


def ran(
    *arguments: str,
    answers: Mapping[Any, Answerer] | None = None,
    pieces: Sequence[object] = (),
    typed: str | None = None,
    columns: int | None = None,
    sleep: Callable[[float], None] = lambda seconds: None,
) -> Ran:
    """
    Run empathctl. With `typed`, somebody sits at its input and types that; with `columns`, its output is a terminal.
    """
    client = FakeClient(answers or {}, pieces)
    out, err = (StringIO(), StringIO()) if columns is None else (Terminal(), Terminal())
    around = Surroundings(
        out,
        err,
        StringIO() if typed is None else Terminal(typed),
        {"NO_COLOR": "1", "TERM": "xterm", "TZ": "UTC", **({} if columns is None else {"COLUMNS": str(columns)})},
        Path("/nonexistent"),
        lambda: NOW,
        sleep,
        lambda path, token, timeout: client,  # type: ignore[arg-type, return-value]  # it has the methods
    )
    code = run(arguments, around)
    return Ran(code, out.getvalue(), err.getvalue(), client.asked, client)
