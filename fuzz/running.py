"""
Runs a target: its seeds as they are, then changed ones, until the time or the number is used up or something breaks.

Only the standard library, so that it runs wherever empath does.
"""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
import random
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from fuzz import targets
from fuzz.mutation import Mutator

CORPUS: Final = Path(__file__).with_name("corpus")
CRASHES: Final = Path(__file__).with_name("crashes")
HANG: Final = 10.0  # seconds that one input may take


class Hung(BaseException):
    """
    An input took longer than HANG; no `except Exception` of a target catches it.
    """


@dataclass(frozen=True, slots=True)
class Target:
    """
    One thing to be fuzzed: `tokens` are the words of its language, `seeds` its corpus, by file name.
    """

    name: str
    one_input: Callable[[bytes], None]
    tokens: tuple[bytes, ...]
    seeds: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Bounds:
    """
    How long a run is: so many changed inputs, or so many seconds, whatever comes first.
    """

    count: int = 1_000_000_000
    seconds: float = 3600.0


@dataclass(frozen=True, slots=True)
class Report:
    """
    What came of a run; `crasher` is the file that holds the input on which it ended, `trace` what was raised.
    """

    target: str
    seed: int
    execs: int
    seconds: float
    slowest: float
    crasher: Path | None = None
    trace: str = ""

    def line(self) -> str:
        """
        Put it into a line.
        """
        rate = self.execs / max(self.seconds, 1e-9)
        told = f"{self.target:16} {self.execs:>9,} execs {rate:>8,.0f}/s  slowest {1000 * self.slowest:7.1f} ms"
        return told if self.crasher is None else f"{told}  CRASH: {self.crasher} (seed {self.seed})"


def names() -> list[str]:
    """
    Tell the names of all targets.
    """
    return sorted(found.name for found in pkgutil.iter_modules(targets.__path__))


def load(name: str) -> Target:
    """
    Find a target and its seeds.
    """
    module = importlib.import_module(f"fuzz.targets.{name}")
    files = sorted((CORPUS / name).iterdir())
    return Target(name, module.one_input, module.TOKENS, {file.name: file.read_bytes() for file in files})


def inputs(target: Target, seed: int) -> Iterator[bytes]:
    """
    Give the seeds, then changed ones without end; the same for the same `seed`.
    """
    yield from target.seeds.values()
    mutator = Mutator(random.Random(f"{target.name} {seed}"), list(target.seeds.values()), target.tokens)
    while True:
        yield mutator.next()


def run(target: Target, bounds: Bounds, seed: int, crashes: Path = CRASHES) -> Report:
    """
    Fuzz a target within bounds; the corpus itself is always tried.
    """
    began = time.monotonic()
    slowest = 0.0
    execs = 0
    for execs, data in enumerate(inputs(target, seed), 1):
        before = time.monotonic()
        trace = broken(target, data)
        now = time.monotonic()
        slowest = max(slowest, now - before)
        if trace:
            crasher = save(target, data, seed, trace, crashes)
            return Report(target.name, seed, execs, now - began, slowest, crasher, trace)
        tried = execs - len(target.seeds)
        if tried >= bounds.count or (tried >= 0 and now - began >= bounds.seconds):
            break
    return Report(target.name, seed, execs, time.monotonic() - began, slowest)


def broken(target: Target, data: bytes) -> str:
    """
    Try one input; gives the traceback of what it raised, "" if nothing.
    """
    try:
        with watched():
            target.one_input(data)
    except (Exception, Hung):
        return traceback.format_exc()
    return ""


@contextmanager
def watched() -> Iterator[None]:
    """
    Raise Hung in what takes too long; only the main thread can be interrupted so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGALRM, _hung)
    signal.setitimer(signal.ITIMER_REAL, HANG)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def save(target: Target, data: bytes, seed: int, trace: str, crashes: Path) -> Path:
    """
    Keep the input that broke something, and beside it the seed and the traceback; gives the input's file.
    """
    crashes.mkdir(parents=True, exist_ok=True)
    file = crashes / f"{target.name}-{hashlib.sha256(data).hexdigest()[:12]}"
    file.write_bytes(data)
    file.with_suffix(".txt").write_text(f"seed {seed}\n\n{trace}")
    return file


def _hung(_signal: int, _frame: FrameType | None) -> None:
    raise Hung(f"took more than {HANG:g} s")
