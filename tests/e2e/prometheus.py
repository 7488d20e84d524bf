"""
Debian's Prometheus and its promtool, which nobody of us wrote.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

from tests.e2e.ports import free_port
from tests.e2e.processes import Program, TooLate, require_program, wait_until

BOUND = 120.0
TRIES = 3


def promtool(*arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """
    Run promtool to its end, with `given` on its standard input.
    """
    command = [require_program("promtool"), *arguments]
    return subprocess.run(command, input=given, capture_output=True, timeout=BOUND, check=False)


class Prometheus:
    """
    One with its data in `folder`, from `start` with a configuration file to `stop`.
    """

    def __init__(self, folder: Path) -> None:
        self._program_path = require_program("prometheus")
        self._folder = folder
        self._port = 0
        self._program: Program | None = None

    def start(self, file: Path) -> None:
        """
        Read the configuration, and answer.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        for left in reversed(range(TRIES)):
            self._port = free_port()
            program = self._program = Program(self._command(file), self._folder / "prometheus.log", self._folder)
            try:
                program.wait_for(self._ready)
                return
            except TooLate:
                if not left or "address already in use" not in program.output():
                    raise

    def stop(self) -> None:
        """
        Be gone; harmless when repeated.
        """
        if self._program is not None:
            self._program.kill()

    def output(self) -> str:
        """
        What it logged.
        """
        return "" if self._program is None else self._program.output()

    def ask(self, path: str, **parameters: str) -> Any:
        """
        Ask its API; gives the data of its answer.
        """
        query = "&".join(f"{name}={quote(value)}" for name, value in parameters.items())
        with urlopen(f"http://127.0.0.1:{self._port}/api/v1/{path}?{query}", timeout=10) as answer:
            said = json.load(answer)
        if said["status"] != "success":
            raise AssertionError(f"{path} {parameters}: {said}")
        return said["data"]

    def query(self, expression: str) -> list[tuple[Mapping[str, str], float]]:
        """
        Evaluate an expression now: labels and value of each series.
        """
        found = self.ask("query", query=expression)["result"]
        return [(each["metric"], float(each["value"][1])) for each in found]

    def value(self, expression: str) -> float | None:
        """
        Evaluate an expression that has one value, or None.
        """
        found = self.query(expression)
        if len(found) > 1:
            raise AssertionError(f"{expression}: {found}")
        return found[0][1] if found else None

    def wait_value(self, expression: str, expected: float, seconds: float = 30.0) -> None:
        """
        Wait until an expression has this value.
        """
        wait_until(f"{expression} == {expected}", lambda: self.value(expression) == expected, seconds)

    def _command(self, file: Path) -> list[str]:
        return [
            self._program_path,
            f"--config.file={file}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--enable-feature=exemplar-storage",
        ]

    def _ready(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self._port}/-/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False
