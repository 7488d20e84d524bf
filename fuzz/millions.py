"""
`python -m fuzz.millions [options]`: a run of millions of dialogues in several processes, and what it reached.

Atheris makes the first part, guided by coverage, where it is installed; its finds are the corpus of the second part,
which is of our own making and several times as fast. Then the coverage of all that was kept is measured.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any, Final

from fuzz.reach import REACHED
from fuzz.running import CORPUS
from fuzz.share import BITS, TARGET

MEASURED: Final = (
    "empath/smtp/server*.py",
    *(
        f"empath/smtp/{name}.py"
        for name in ("chunks", "command", "content", "extension", "grammar", "incoming", "lines")
    ),
    *(f"empath/smtp/{name}.py" for name in ("parameters", "xclient")),
    "empath/mail/address.py",
    "empath/policy/relay.py",
)
_STATUS: Final = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)")
_ROOT: Final = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Plan:
    """
    How many inputs, how many of them guided, in how many processes; what all chance comes from.
    """

    count: int
    guided: int
    processes: int
    seed: int


@dataclass(frozen=True, slots=True)
class Part:
    """
    What came of the shares of one kind.
    """

    kind: str
    count: int
    octets: int
    seconds: float
    reached: Counter[int]
    crashes: tuple[str, ...]

    def line(self) -> str:
        """
        Put it into a line.
        """
        rate = self.count / max(self.seconds, 1e-9)
        size = self.octets / max(self.count, 1)
        return (
            f"{self.kind:8} {self.count:>12,} inputs in {self.seconds:8,.0f} s: {rate:8,.0f}/s, {size:.0f} octets each"
        )


@dataclass(frozen=True, slots=True)
class Recorded:
    """
    What came of a run. `different` is an estimate, `failures` what the shares said that did not end well.
    """

    parts: tuple[Part, ...]
    different: int
    corpus: int
    failures: tuple[str, ...]

    @property
    def count(self) -> int:
        """
        All inputs.
        """
        return sum(part.count for part in self.parts)

    def reach(self) -> dict[str, int]:
        """
        Tell how many inputs reached what.
        """
        reached = sum((part.reached for part in self.parts), Counter[int]())
        return {
            name: sum(count for bits, count in reached.items() if bits >> bit & 1) for bit, name in enumerate(REACHED)
        }


def has_atheris() -> bool:
    """
    Tell whether Atheris is installed.
    """
    return importlib.util.find_spec("atheris") is not None


def record(plan: Plan, say: Callable[[str], None]) -> Recorded:
    """
    Do a run and say how it goes.
    """
    guided = min(plan.guided, plan.count) if has_atheris() else 0
    how = f"{guided:,} of them guided by Atheris" if guided else "none guided: Atheris is not installed or not wanted"
    say(f"{plan.count:,} inputs, {how}; {plan.processes} processes, seed {plan.seed}")
    with tempfile.TemporaryDirectory(prefix="empath-fuzz-") as name:
        place = Path(name)
        (place / "corpus").mkdir()
        parts: list[Part] = []
        failures: list[str] = []
        for kind, count in (("guided", guided), ("own", plan.count - guided)):
            if count and not failures:
                part, failures = shares(kind, count, plan, place)
                parts.append(part)
                kept = len(list(place.glob("corpus/*")) + list(place.glob("found/*")))
                say(f"{part.line()}{found(place) if kind == 'guided' else ''}; corpus {kept:,} inputs")
        corpus = [*place.glob("corpus/*"), *place.glob("found/*"), *(CORPUS / TARGET).iterdir()]
        recorded = Recorded(tuple(parts), different(place), len(corpus), tuple(failures))
        for line in told(recorded):
            say(line)
        say(covered(corpus, place) if not failures else "\n".join(failures))
    return recorded


def shares(kind: str, count: int, plan: Plan, place: Path) -> tuple[Part, list[str]]:
    """
    Let all processes do their shares of one kind.
    """
    began = time.monotonic()
    running = []
    for number in range(plan.processes):
        share = count // plan.processes + (number < count % plan.processes)
        words = [sys.executable, "-m", "fuzz.share", kind, str(number), str(share), str(plan.seed), str(place)]
        with (place / f"{kind}-{number}.log").open("w") as log:
            running.append(subprocess.Popen(words, cwd=_ROOT, stderr=log))
    codes = [process.wait() for process in running]
    seconds = time.monotonic() - began
    failures = [
        f"share {kind} {number} ended with {code}:\n{(place / f'{kind}-{number}.log').read_text()[-3000:]}"
        for number, code in enumerate(codes)
        if code
    ]
    tallies: list[dict[str, Any]] = [json.loads(file.read_text()) for file in sorted(place.glob(f"{kind}-*.json"))]
    part = Part(
        kind,
        sum(tally["count"] for tally in tallies),
        sum(tally["octets"] for tally in tallies),
        seconds,
        sum((Counter({int(bits): n for bits, n in tally["reached"].items()}) for tally in tallies), Counter[int]()),
        tuple(tally["crash"] for tally in tallies if tally["crash"]),
    )
    failures += [f"broken: {crash}" for crash in part.crashes]
    failures += [f"{kind}: {part.count:,} of {count:,} inputs only"] if part.count < count else []
    return part, failures


def found(place: Path) -> str:
    """
    Tell what Atheris says of its last state.
    """
    states = [_STATUS.findall(file.read_text(errors="replace")) for file in sorted(place.glob("guided-*.log"))]
    told = [
        f"{edges} edges, {features} features" for (edges, features, _corpus) in (each[-1] for each in states if each)
    ]
    return f" ({'; '.join(told)})" if told else ""


def different(place: Path) -> int:
    """
    Estimate how many inputs were different, of how many places in all maps are taken (linear counting).
    """
    maps = (int.from_bytes(file.read_bytes(), "little") for file in sorted(place.glob("*.seen")))
    return round(-BITS * math.log(1 - reduce(or_, maps, 0).bit_count() / BITS))


def told(recorded: Recorded) -> list[str]:
    """
    Put a run into lines.
    """
    count = max(recorded.count, 1)
    lines = [f"{number:>12,}  {number / count:6.2%}  {name}" for name, number in recorded.reach().items()]
    seconds = sum(part.seconds for part in recorded.parts)
    crashes = sum(len(part.crashes) for part in recorded.parts)
    return [
        *lines,
        f"{recorded.count:,} inputs, about {recorded.different:,} different, in {seconds:,.0f} s: "
        f"{recorded.count / max(seconds, 1e-9):,.0f}/s; corpus {recorded.corpus:,} inputs",
        f"{crashes} CRASHES" if crashes else "no crash" if not recorded.failures else "no crash, but see below",
    ]


def covered(corpus: Sequence[Path], place: Path) -> str:
    """
    Tell the branch coverage of what the corpus runs through.
    """
    environment = {**os.environ, "COVERAGE_FILE": str(place / "coverage")}
    coverage = [sys.executable, "-m", "coverage"]
    names = place / "names"
    names.write_text("\n".join(map(str, corpus)))
    run = [
        *coverage,
        "run",
        "--branch",
        f"--include={','.join(MEASURED)}",
        "-m",
        "fuzz",
        TARGET,
        "--replay",
        f"@{names}",
    ]
    tried = subprocess.run(run, cwd=_ROOT, env=environment, capture_output=True, text=True, check=False)
    if tried.returncode:
        return f"the corpus cannot be replayed: {tried.stdout[-2000:]}{tried.stderr[-2000:]}"
    report = subprocess.run(
        [*coverage, "report", "--show-missing", f"--include={','.join(MEASURED)}"],
        cwd=_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return f"coverage of the server's session by the corpus (statements and branches):\n{report.stdout}"


def main(arguments: list[str]) -> int:
    """
    Do what the command line says; gives 1 if anything broke.
    """
    made = argparse.ArgumentParser(prog="python -m fuzz.millions")
    made.add_argument("--count", type=int, default=10_000_000)
    made.add_argument(
        "--guided", type=int, default=1_000_000, help="how many of them Atheris makes, if it is installed"
    )
    made.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    made.add_argument("--seed", type=int, default=0, help="default: any")
    given = made.parse_args(arguments)
    seed = given.seed or random.SystemRandom().randrange(1, 10**9)
    plan = Plan(given.count, given.guided, given.processes, seed)
    return int(bool(record(plan, lambda line: print(line, flush=True)).failures))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
