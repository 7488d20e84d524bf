"""
Many instances that start at the same instant on one control socket: exactly one has it, all others say why.

    python -m tests.proofs.control_starts [TIMES]

Each race is between two processes; meanwhile the socket's mode is looked at as often as can be. Every second one finds
a stale socket to take over.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.e2e.racing import Racer, race, stale

TIMES = 200


def main() -> None:
    """
    Race, and say how it went.
    """
    times = int(sys.argv[1]) if len(sys.argv) > 1 else TIMES
    with tempfile.TemporaryDirectory(prefix="empath-race-") as folder:
        path = Path(folder) / "control.sock"
        racers = [Racer(path), Racer(path)]
        for number in range(times):
            if number % 2:
                stale(path)
            race(path, racers)
        if any(each.end() for each in racers):
            sys.exit("a racer failed")
    print(f"{times} races: one had the socket each time, and the other one said why; never wider than 0600")


if __name__ == "__main__":
    main()
