"""
`python -m fuzz.share KIND NUMBER COUNT SEED FOLDER`: one process's share of a run of millions of dialogues.

KIND "own" makes them by `Dialogues` and keeps what behaves in a new way; "guided" has Atheris make them, guided by the
coverage of empath's code. Both begin with FOLDER/corpus; what they keep goes there or to FOLDER/found, and their tally
to FOLDER/KIND-NUMBER.json. An input that breaks something goes to `fuzz/crashes`, and ends the share with exit code 1.
"""

from __future__ import annotations

import atexit
import gc
import hashlib
import importlib
import json
import random
import signal
import sys
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from fuzz.running import CORPUS, CRASHES, Hung, Target, load, save

TARGET: Final = "server_dialogue"
BITS: Final = 1 << 26  # of the map that estimates how many inputs were different
BATCH: Final = 256  # inputs to a look at the clock
HANG: Final = 60.0  # seconds that a batch may take
TOLD: Final = 20.0  # seconds between two lines of progress
KEPT: Final = 220  # octets above which an input is not built upon: they would all grow
MAX_LEN: Final = 400  # octets of a guided input


class Tally:
    """
    What a share has done so far; it is written down when the process ends, however it does.
    """

    def __init__(self, file: Path, seed: int) -> None:
        self.file = file
        self.seed = seed
        self.count = 0
        self.octets = 0
        self.longest = 0
        self.reached: Counter[int] = Counter()
        self.kept = 0
        self.crash = ""
        self._seen = bytearray(BITS >> 3)
        self._began = time.monotonic()
        self._next = TOLD
        atexit.register(self.write)

    def note(self, data: bytes, reached: int) -> None:
        """
        Count one input.
        """
        self.count += 1
        self.octets += len(data)
        self.reached[reached] += 1
        place = zlib.crc32(data) & BITS - 1
        self._seen[place >> 3] |= 1 << (place & 7)
        if not self.count % BATCH:
            signal.setitimer(signal.ITIMER_REAL, HANG)
            if self.seconds > self._next:
                self._next += TOLD
                print(f"{self.file.stem}: {self.count:,} inputs, {self.count / self.seconds:,.0f}/s", flush=True)

    @property
    def seconds(self) -> float:
        """
        How long it has run.
        """
        return time.monotonic() - self._began

    def broken(self, data: bytes, target: Target) -> None:
        """
        Keep an input that broke something.
        """
        self.crash = str(save(target, data, self.seed, traceback.format_exc(), CRASHES))

    def write(self) -> None:
        """
        Write the tally down.
        """
        signal.setitimer(signal.ITIMER_REAL, 0)
        told = {
            "count": self.count,
            "octets": self.octets,
            "seconds": self.seconds,
            "reached": {str(reached): count for reached, count in self.reached.items()},
            "kept": self.kept,
            "crash": self.crash,
        }
        self.file.with_suffix(".seen").write_bytes(self._seen)
        self.file.write_text(json.dumps(told))


def own(tally: Tally, count: int, folder: Path) -> None:
    """
    Try `count` inputs of our own making.
    """
    from fuzz.dialogues import Dialogues  # not before Atheris may instrument what it imports

    target = load(TARGET)
    played: Callable[[bytes], Any] = importlib.import_module(f"fuzz.targets.{TARGET}").played
    known = [*target.seeds.values(), *(file.read_bytes() for file in sorted(folder.iterdir()))]
    supply = Dialogues(random.Random(tally.seed), known)
    seen: set[object] = set()
    gc.freeze()
    gc.set_threshold(100_000)
    data = b""
    try:
        for turn in range(count):
            data = supply.next() if turn >= len(known) else known[turn]
            edge = played(data)
            tally.note(data, edge.reached)
            behaviour = edge.behaviour()
            if not behaviour <= seen:
                seen |= behaviour
                if turn >= len(known) and len(data) <= KEPT:
                    supply.known.append(data)
                    keep(data, folder.with_name("found"))
                    tally.kept += 1
    except (Exception, Hung):
        tally.broken(data, target)
        sys.exit(1)


def guided(tally: Tally, count: int, folder: Path) -> None:
    """
    Have Atheris try `count` inputs; never returns.
    """
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["empath"]):
        target = load(TARGET)
        played: Callable[[bytes], Any] = importlib.import_module(f"fuzz.targets.{TARGET}").played

    def one_input(data: bytes) -> None:
        try:
            tally.note(data, played(data).reached)
        except (Exception, Hung):
            tally.broken(data, target)
            raise

    from fuzz.dialogues import Dialogues

    supply = Dialogues(random.Random(tally.seed), list(target.seeds.values()))

    def changed(data: bytes, most: int, drawn: int) -> bytes:
        return bytes(atheris.Mutate(data, most)) if drawn & 1 else supply.damage(data or b"00")[:most]

    words = folder.with_name(f"{tally.file.stem}.dict")
    words.write_text("".join(f'"{escaped(word)}"\n' for word in target.tokens if len(word) < 60))
    options = [
        f"-artifact_prefix={folder.parent}/",
        f"-atheris_runs={count}",
        f"-max_len={MAX_LEN}",
        "-len_control=0",
        f"-seed={tally.seed % 2**31 or 1}",
    ]
    atheris.Setup([sys.argv[0], *options, f"-dict={words}", str(folder), str(CORPUS / TARGET)], one_input)
    atheris.Fuzz()


def escaped(word: bytes) -> str:
    """
    Spell a word as libFuzzer's dictionaries do.
    """
    return "".join(f"\\x{octet:02x}" for octet in word)


def keep(data: bytes, folder: Path) -> None:
    """
    Put an input among those found: not into the corpus, so that no share depends on how fast another one is.
    """
    (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)


def hung(_signal: int, _frame: object) -> None:
    """
    Stop what takes too long.
    """
    raise Hung(f"{BATCH} inputs took more than {HANG:g} s")


def main(arguments: list[str]) -> None:
    """
    Do one share.
    """
    kind, number, count, seed, place = arguments[0], arguments[1], int(arguments[2]), arguments[3], Path(arguments[4])
    folder = place / "corpus"
    folder.mkdir(exist_ok=True)
    folder.with_name("found").mkdir(exist_ok=True)
    signal.signal(signal.SIGALRM, hung)
    tally = Tally(place / f"{kind}-{number}.json", zlib.crc32(f"{seed} {kind} {number}".encode()))
    (guided if kind == "guided" else own)(tally, count, folder)


if __name__ == "__main__":
    main(sys.argv[1:])
