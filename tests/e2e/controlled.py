"""
An empath that does what a test tells its Python interface to.
"""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

from tests.e2e.processes import wait_until
from tests.e2e.program import Empath

SCRIPT = Path(__file__).with_name("programs") / "controlled.py"


class Controlled(Empath):
    """
    The real program, with a socket for expressions over `service`.
    """

    def command(self) -> list[str]:
        """
        As `Empath.command`.
        """
        return [sys.executable, str(SCRIPT), str(self.file)]

    def ask(self, expression: str, seconds: float = 30.0) -> Any:
        """
        Evaluate an expression in the program; gives its value as JSON has it.
        """
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(seconds)
            asking.connect(str(self.folder / "control.sock"))
            asking.sendall(json.dumps(expression).encode() + b"\n")
            with asking.makefile("rb") as answers:
                answer = json.loads(answers.readline())
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer["value"]

    def wait_for(self, expression: str, seconds: float = 30.0) -> None:
        """
        Wait until an expression is true.
        """
        wait_until(expression, lambda: bool(self.ask(expression)), seconds)
