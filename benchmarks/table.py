"""
Results as Markdown, with a description of the machine that names neither host nor path.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from cryptography.hazmat.backends.openssl import backend

from benchmarks.load import Load
from benchmarks.runs import Run, Spread

MIB = 1024 * 1024
HEAD = """\
| what | per connection | MTA | messages/s | accepted/s | CPU ms/message | peak RSS MiB | peak PSS MiB | runs |
|---|---|---|---|---|---|---|---|---|
"""


def rows(what: str, load: Load, runs: Iterable[Run]) -> str:
    """
    Write one line an MTA: medians, with least and greatest in brackets.
    """
    by_mta: dict[str, list[Run]] = {}
    for run in runs:
        by_mta.setdefault(run.mta, []).append(run)
    many = "many" if load.many else "one"
    return "".join(
        f"| {what} | {many} | {mta} | {_spread([run.rate for run in some], '.0f')} "
        f"| {_spread([run.accepted for run in some], '.0f')} "
        f"| {_spread([run.cpu * 1000 for run in some], '.3f')} "
        f"| {Spread.of([run.rss / MIB for run in some]).high:.0f} "
        f"| {Spread.of([run.pss / MIB for run in some]).high:.0f} | {len(some)} |\n"
        for mta, some in by_mta.items()
    )


def ratios(runs: Iterable[Run], other: str = "postfix", one: str = "empath") -> tuple[float, float] | None:
    """
    Tell the rate and the CPU per message of one MTA, empath, as multiples of another's; None unless both ran.
    """
    by_mta: dict[str, list[Run]] = {one: [], other: []}
    for run in runs:
        by_mta.setdefault(run.mta, []).append(run)
    ours, theirs = by_mta[one], by_mta[other]
    if not ours or not theirs:
        return None
    rate = Spread.of([run.rate for run in ours]).median / Spread.of([run.rate for run in theirs]).median
    cpu = Spread.of([run.cpu for run in ours]).median / Spread.of([run.cpu for run in theirs]).median
    return rate, cpu


def comparisons(what: str, load: Load, runs: Sequence[Run]) -> list[str]:
    """
    Say how empath did beside each of the others.
    """
    kind = "many" if load.many else "one"
    found = ((name, ratios(runs, other)) for other, name in (("postfix", "Postfix"), ("old", "the old commit")))
    beside = [
        f"- {what}, {kind}: empath at {ratio[0]:.2f} × {name}'s rate, {ratio[1]:.2f} × its CPU per message"
        for name, ratio in found
        if ratio
    ]
    return beside + [f"- {what}, {kind}: {line}" for line in [*signing(runs), *prices(runs), *onward(runs)]]


def prices(runs: Sequence[Run]) -> list[str]:
    """
    Say what modules cost, or signatures ("empath+six" beside "empath", or beside "empath+dark" without that).
    """
    told, ran = [], {run.mta for run in runs}
    for name in dict.fromkeys(run.mta for run in runs if "+" in run.mta):
        plain = name.partition("+")[0]
        plain = plain if plain in ran else f"{plain}+dark"
        if plain != name and (ratio := ratios(runs, plain, name)):
            bare = Spread.of([run.cpu for run in runs if run.mta == plain]).median
            cpu = Spread.of([run.cpu for run in runs if run.mta == name]).median - bare
            told.append(f"{name} at {ratio[0]:.2f} × {plain}'s rate, {cpu * 1e6:+.0f} µs of CPU per message")
    return told


def signing(runs: Sequence[Run]) -> list[str]:
    """
    Say how empath did beside Postfix with OpenDKIM, and what OpenDKIM used of that.
    """
    told = []
    for name in dict.fromkeys(run.mta.partition("+")[2] for run in runs if run.mta.startswith("postfix+")):
        if ratio := ratios(runs, f"postfix+{name}", f"empath+{name}"):
            beside = f"{ratio[0]:.2f} × the rate of Postfix with OpenDKIM, {ratio[1]:.2f} × its CPU per message"
            told.append(f"empath+{name} at {beside}")
        used = [run.signer * 1000 for run in runs if run.mta == f"postfix+{name}" and run.signer is not None]
        if used:
            told.append(f"of postfix+{name} OpenDKIM's process took {_spread(used, '.3f')} ms of CPU per message")
    return told


def onward(runs: Sequence[Run]) -> list[str]:
    """
    Say what 1,000 messages took on their way to the next hop, where it counted.
    """
    told = []
    for mta in dict.fromkeys(run.mta for run in runs):
        some = [run for run in runs if run.mta == mta]
        counted = [run.connections * 1000 for run in some if run.connections is not None]
        if counted:
            resumed = _spread([run.resumed * 1000 for run in some], ".0f")
            turns = _spread([run.turns * 1000 for run in some], ".0f")
            told.append(
                f"{mta} took {_spread(counted, '.0f')} connections, {resumed} of them with a resumed TLS session, and "
                f"{turns} round trips for 1,000 messages"
            )
    return told


def machine(folder: Path) -> Mapping[str, str]:
    """
    Describe what was measured on; `folder` is where the spools lie.
    """
    cpu = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    release = platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    return {
        "CPU": f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores",
        "memory": f"{int(memory[1]) // 1024 if memory else 0} MiB",
        "file system of the spools": _said("stat", "-f", "-c", "%T", str(folder)),
        "system": f"{release}, Linux {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "Twisted": metadata.version("twisted"),
        "cryptography": f"{metadata.version('cryptography')} with {backend.openssl_version_text()}",
        "Postfix": _said("postconf", "-dh", "mail_version"),
        "OpenDKIM": _said("sh", "-c", "opendkim -V | sed -n 's/^opendkim: //p; s/.*Compiled with/with/p' | xargs"),
    }


def _said(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "not installed"
    return done.stdout.strip() or "unknown"


def _spread(values: list[float], form: str) -> str:
    spread = Spread.of(values)
    return f"{spread.median:{form}} ({spread.low:{form}}–{spread.high:{form}})"
