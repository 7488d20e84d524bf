"""
The load: Postfix's smtp-source sends (over TLS our own `tls_source`), its smtp-sink takes and counts (over TLS, and
where connections are counted, our own `counting_sink`).
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

COUNTER = re.compile(rb"mesg=(\d+)(?!\d)")
TOTALS = re.compile(rb"conn=(\d+) resumed=(\d+) turns=(\d+) signed=(\d+) ")


@dataclass(frozen=True)
class Load:
    """
    How many messages of how many bytes, over how many sessions at a time; `many`: a session sends more than one, `tls`:
    after STARTTLS.
    """

    count: int
    size: int = 4096
    sessions: int = 20
    many: bool = False
    tls: bool = False


class LoadFailed(Exception):
    """
    The generator or the sink did not do what was asked.
    """


def send(load: Load, port: int, patience: float) -> float:
    """
    Send it all to a port; tells how many seconds until the last message was accepted. LoadFailed if not all were.
    """
    command = tls_source(load, port) if load.tls else smtp_source(load, port)
    began = time.monotonic()
    try:
        done = subprocess.run(command, capture_output=True, timeout=patience, check=False)
    except subprocess.TimeoutExpired:
        raise LoadFailed(f"{load.count} messages were not accepted within {patience:.0f} s") from None
    took = time.monotonic() - began
    if done.returncode != 0:
        raise LoadFailed(done.stderr.decode(errors="replace").strip()[-500:])
    return took


def smtp_source(load: Load, port: int) -> list[str]:
    """
    Make the command that sends in cleartext.
    """
    sessions = str(min(load.sessions, load.count))
    command = [
        "smtp-source",
        "-4",
        "-s",
        sessions,
        "-m",
        str(load.count),
        "-l",
        str(load.size),
        "-M",
        "source.bench.test",
    ]
    command += ["-f", "sender@source.bench.test", "-t", "recipient@sink.bench.test"]
    command += ["-d"] if load.many else []
    return [*command, f"127.0.0.1:{port}"]


def tls_source(load: Load, port: int) -> list[str]:
    """
    Make the command that sends over STARTTLS.
    """
    numbers = (port, load.count, load.size, min(load.sessions, load.count))
    return [sys.executable, "-m", "benchmarks.tls_source", *map(str, numbers), "many" if load.many else "one"]


@dataclass(frozen=True)
class Totals:
    """
    What a counting sink saw: connections, resumed TLS sessions, round trips, DKIM signatures.
    """

    connections: int = 0
    resumed: int = 0
    turns: int = 0
    signatures: int = 0

    def since(self, before: Totals) -> Totals:
        """
        Take what was there before away.
        """
        return Totals(
            self.connections - before.connections,
            self.resumed - before.resumed,
            self.turns - before.turns,
            self.signatures - before.signatures,
        )


class Sink:
    """
    A running sink: how many messages it has taken, and when the last of them came. `how` is that of a counting sink, ""
    for smtp-sink; `folder` is where a counting sink keeps what it gets.
    """

    def __init__(self, port: int, how: str = "", folder: Path | None = None) -> None:
        self.port = port
        self.taken = 0
        self.last = 0.0
        self.totals = Totals()
        self._news = threading.Condition()
        command = counting_sink(port, how, folder) if how else smtp_sink(port)
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def ready(self) -> None:
        """
        Wait until it listens; LoadFailed if it ended instead.
        """
        while True:
            if self._process.poll() is not None:
                raise LoadFailed(f"the sink does not run on port {self.port}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)

    def wait_for(self, count: int, patience: float) -> None:
        """
        Wait until `count` messages have come; LoadFailed if they do not.
        """
        with self._news:
            if not self._news.wait_for(lambda: self.taken >= count, patience):
                raise LoadFailed(f"{self.taken} of {count} messages came within {patience:.0f} s")

    def close(self) -> None:
        """
        End it.
        """
        self._process.terminate()
        self._process.wait()
        self._reading.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        kept = b""
        while piece := os.read(self._process.stdout.fileno(), 65536):
            now = time.monotonic()
            kept += piece
            if told := TOTALS.findall(kept):
                self.totals = Totals(*map(int, told[-1]))
            taken, kept = last_count(kept)
            if taken is not None and taken > self.taken:
                with self._news:
                    self.taken, self.last = taken, now
                    self._news.notify_all()


def smtp_sink(port: int) -> list[str]:
    """
    Make the command that takes mail in cleartext.
    """
    unprivileged = ["-u", "nobody"] if os.getuid() == 0 else []
    return ["smtp-sink", "-4", *unprivileged, "-c", "-m", "1000", f"127.0.0.1:{port}", "1024"]


def counting_sink(port: int, how: str, folder: Path | None = None) -> list[str]:
    """
    Make the command that takes mail and counts connections, too.
    """
    return [sys.executable, "-m", "benchmarks.counting_sink", str(port), how, *([str(folder)] if folder else [])]


def last_count(output: bytes) -> tuple[int | None, bytes]:
    """
    Find the last whole `mesg=` counter in the sink's output; tells it and what may be the beginning of a next one.

    A number at the very end may go on in the next piece, so only one that something follows is whole.
    """
    cut = max(output.rfind(b"\r"), output.rfind(b"\n")) + 1
    found = COUNTER.findall(output[:cut])
    return (int(found[-1]) if found else None), output[cut:]


@contextmanager
def sink(port: int, how: str = "", folder: Path | None = None) -> Iterator[Sink]:
    """
    Run a sink on a port.
    """
    running = Sink(port, how, folder)
    try:
        running.ready()
        yield running
    finally:
        running.close()
