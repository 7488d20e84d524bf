"""
`python -m fuzz [TARGET …]` fuzzes, `python -m fuzz TARGET --replay FILE …` tries saved inputs once more.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

from fuzz.running import CRASHES, Bounds, Target, broken, load, names, run


def main(arguments: list[str]) -> int:
    """
    Do what the command line says; gives 1 if anything broke.
    """
    given = parser().parse_args(arguments)
    chosen = [load(name) for name in given.target or names()]
    if given.replay:
        return replay(chosen[0], given.replay)
    seed = given.seed or random.SystemRandom().randrange(1, 10**9)
    print(f"seed {seed}")
    reports = []
    for target in chosen:
        reports.append(run(target, Bounds(given.count, given.seconds), seed, given.crashes))
        print(reports[-1].line(), reports[-1].trace, sep="\n" if reports[-1].trace else "", flush=True)
    return int(any(report.crasher for report in reports))


def replay(target: Target, files: list[Path]) -> int:
    """
    Try inputs from files.
    """
    traces = {file: broken(target, file.read_bytes()) for file in files}
    for file, trace in traces.items():
        print(f"{file}: {trace or 'nothing broke'}")
    return int(any(traces.values()))


def parser() -> argparse.ArgumentParser:
    """
    Describe the command line.
    """
    made = argparse.ArgumentParser(prog="python -m fuzz", fromfile_prefix_chars="@")
    made.add_argument("target", nargs="*", choices=[*names(), []], help=f"default: all of {', '.join(names())}")
    made.add_argument("--seconds", type=float, default=20.0, help="for each target")
    made.add_argument("--count", type=int, default=1_000_000_000, help="changed inputs for each target")
    made.add_argument("--seed", type=int, default=0, help="default: any")
    made.add_argument("--crashes", type=Path, default=CRASHES, help="where inputs are kept that broke something")
    made.add_argument("--replay", type=Path, nargs="+", metavar="FILE", help="only try these inputs")
    return made


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
