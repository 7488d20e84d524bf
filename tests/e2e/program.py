"""
empath itself, as an operator runs it: a process with a configuration file, started, stopped, killed, started again.
"""

from __future__ import annotations

import http.client
import json
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.e2e.debian_peers import greets
from tests.e2e.ports import free_port
from tests.e2e.processes import START_BOUND, Program, TooLate, wait_until

HOSTNAME = "mx.empath.test"
TRIES = 3
Settings = Mapping[str, Any]
"""
The configuration as nested mappings; a list of mappings becomes an array of tables.
"""


def twistd() -> list[str]:
    """
    Find the `twistd` that belongs to this interpreter.
    """
    beside = Path(sys.executable).with_name("twistd")
    if beside.exists():
        return [str(beside)]
    return [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]


def toml(settings: Settings, path: Sequence[str] = ()) -> str:
    """
    Write settings as TOML.
    """
    plain = {key: value for key, value in settings.items() if not _is_table(value)}
    lines = [f"[{'.'.join(path)}]"] if path and plain else []
    lines += [f"{json.dumps(key)} = {_value(value)}" for key, value in plain.items()]
    for key, value in settings.items():
        here = [*path, json.dumps(key)]
        if isinstance(value, Mapping):
            lines.append(toml(value, here))
        elif _is_table(value):
            for each in value:
                lines += [f"[[{'.'.join(here)}]]", *(f"{json.dumps(k)} = {_value(v)}" for k, v in each.items())]
    return "\n".join(lines) + "\n"


def on_loopback(port: int) -> str:
    """
    Spell the endpoint of a listener on 127.0.0.1 that keeps up with a burst of clients.
    """
    return f"tcp:{port}:interface=127.0.0.1:backlog=1024"


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and bool(value) and isinstance(value[0], Mapping))


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_value(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    return json.dumps(value)


def merged(base: Settings, more: Settings) -> dict[str, Any]:
    """
    Lay `more` over `base`, table by table.
    """
    result = dict(base)
    for key, value in more.items():
        old = result.get(key)
        both = isinstance(value, Mapping) and isinstance(old, Mapping)
        result[key] = merged(old, value) if both and isinstance(old, Mapping) else value
    return result


class Empath:
    """
    One instance in `folder`, with `settings` laid over the ports and times that suit a test.
    """

    def __init__(self, folder: Path, settings: Settings, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self._settings = settings
        self._environment = dict(environment or {})
        self.program: Program | None = None
        self._listeners: list[dict[str, Any]] = []
        self._take_ports()

    def _take_ports(self) -> None:
        self.port, self.health_port, self.metrics_port = free_port(), free_port(), free_port()

    @property
    def file(self) -> Path:
        """
        The configuration file.
        """
        return self.folder / "empath.toml"

    @property
    def spool(self) -> Path:
        """
        Where it keeps messages unless told otherwise.
        """
        return self.folder / "spool"

    def configuration(self) -> dict[str, Any]:
        """
        The whole configuration that it starts with.
        """
        usual = {
            "hostname": HOSTNAME,
            "control_socket": str(self.control_socket),
            "audit": {"path": str(self.folder / "audit.jsonl")},
            "smtp": {"listeners": [{"endpoint": on_loopback(self.port)}, *self._listeners]},
            "spool": {"path": str(self.spool), "min_free": "1MiB"},
            "delivery": {
                "process_interval": "1s",
                "base_retry_delay": "1s",
                "max_retry_delay": "2s",
                "retry_jitter_factor": 0.0,
                "allow_private_mx": True,
                "shutdown_timeout": "10s",
                "dns": {"timeout": "1s", "min_cache_ttl": "0s", "max_cache_ttl": "1s"},
            },
            "metrics": {"endpoint": f"tcp:{self.metrics_port}:interface=127.0.0.1"},
            "health": {"endpoint": f"tcp:{self.health_port}:interface=127.0.0.1"},
        }
        return merged(usual, self._settings)

    @property
    def control_socket(self) -> Path:
        """
        Where `empathctl` finds it.
        """
        return self.folder / "empathctl.sock"

    def listen(self, **settings: Any) -> int:
        """
        Add a listener on a free port of 127.0.0.1, or where `endpoint` says, to the plain one; gives the free port.
        """
        port = free_port()
        self._listeners.append({"endpoint": on_loopback(port), **settings})
        return port

    def change(self, settings: Settings) -> None:
        """
        Lay more settings over these; they count from the next start on.
        """
        self._settings = merged(self._settings, settings)

    def command(self) -> list[str]:
        """
        The command line.
        """
        return [*twistd(), "-n", "empath", "--config", str(self.file)]

    def launch(self, command: Sequence[str] | None = None, inherited: Sequence[int] = ()) -> Program:
        """
        Start the process without waiting; `command` instead of the usual one, with the `inherited` descriptors.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write()
        arguments = self.command() if command is None else command
        self.program = Program(arguments, self.folder / "empath.log", self.folder, self._environment, inherited)
        return self.program

    def start(self) -> None:
        """
        Start and wait for the banner; with other ports if someone took ours meanwhile.
        """
        fresh = self.program is None
        for left in reversed(range(TRIES)):
            program = self.launch()
            try:
                program.wait_for(lambda: greets("127.0.0.1", self.port))
                return
            except TooLate:
                if not (fresh and left and "in use" in program.output()):
                    raise
                self._take_ports()

    def running(self) -> Program:
        """
        The process; AssertionError if none was started.
        """
        if self.program is None:
            raise AssertionError("not started")
        return self.program

    def stop(self, seconds: float = START_BOUND) -> int:
        """
        Stop it by SIGTERM; tell its exit code.
        """
        return self.running().terminate(seconds)

    def kill(self) -> None:
        """
        End it by SIGKILL.
        """
        self.running().kill()

    def alive(self) -> bool:
        """
        Tell whether the process runs and greets.
        """
        return self.running().exit_code is None and greets("127.0.0.1", self.port)

    def hang_up(self) -> None:
        """
        Send SIGHUP.
        """
        self.running().signal(signal.SIGHUP)

    def reload(self, settings: Settings, hang_up: bool = True) -> None:
        """
        Lay more settings over these, write them to the file, and send SIGHUP.
        """
        self.change(settings)
        self._write()
        if hang_up:
            self.hang_up()

    def reroute(self, domain: str, route: Settings) -> None:
        """
        Deliver to a domain in this way alone, without anything of the one before, and send SIGHUP.
        """
        delivery = self._settings["delivery"]
        others = {name: each for name, each in delivery["domains"].items() if name != domain}
        self._settings = {**self._settings, "delivery": {**delivery, "domains": {**others, domain: route}}}
        self.reload({})

    def _write(self) -> None:
        """
        Write the file in one step, as it may be read at any moment.
        """
        file = self.file.resolve()
        new = file.with_suffix(".new")
        new.write_text(toml(self.configuration()))
        new.replace(file)

    def log(self) -> str:
        """
        All that was logged, by all processes so far.
        """
        return self.running().output()

    def logged(self, *parts: str) -> list[str]:
        """
        The log lines that contain all of `parts`.
        """
        return [line for line in self.log().splitlines() if all(part in line for part in parts)]

    def wait_logged(self, *parts: str, seconds: float = 30.0) -> list[str]:
        """
        Wait for a log line with all of `parts`.
        """
        wait_until(f"logged: {parts}", lambda: bool(self.logged(*parts)), seconds)
        return self.logged(*parts)

    def get(self, path: str, metrics: bool = False) -> tuple[int, str]:
        """
        Ask the health port, or the metrics port, for a page: its status and text.
        """
        port = self.metrics_port if metrics else self.health_port
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def memory(self, field: str = "VmRSS") -> int:
        """
        Read VmRSS or VmHWM of the process, in bytes.
        """
        status = Path(f"/proc/{self.running().pid}/status").read_text()
        [line] = [each for each in status.splitlines() if each.startswith(field + ":")]
        return int(line.split()[1]) * 1024
