"""
One measured run, and what several runs say together.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from benchmarks import signatures
from benchmarks.accounting import TICKS, Meter, stat_fields
from benchmarks.load import Load, LoadFailed, Totals, send, sink
from benchmarks.mtas import ONWARD, Onward, black_hole, free_port, running

WARM_UP = 200  # messages before the clock runs: processes are forked, modules are imported
AFTERWARDS = 0.5  # seconds in which what follows the last message is still counted, and in which a duplicate would show
PATIENCE = 300.0
T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """
    What one run gave. Memory in bytes; `accepted` and `rate` in messages a second, `cpu` in seconds a message.

    `connections`, `resumed` (of their TLS sessions) and `turns` (round trips) are those to the next hop for each
    message; None where nobody counted them. `signer` is the part of `cpu` that OpenDKIM used, where it signs.

    `rate` is until the last message reached the sink, or, where nothing leaves, until the last one was accepted.
    """

    mta: str
    accepted: float
    rate: float
    cpu: float
    rss: int
    pss: int
    counted_by: str
    connections: float | None = None
    resumed: float = 0.0
    turns: float = 0.0
    signer: float | None = None


@dataclass(frozen=True)
class Spread:
    """
    The median of some runs, and their ends.
    """

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """
        Sum up at least one value.
        """
        return cls(statistics.median(values), min(values), max(values))


def relay(mta: str, load: Load, folder: Path, patience: float, how: str = "", onward: Onward = ONWARD) -> Run:
    """
    Send through a fresh MTA to the sink; LoadFailed if any message is lost or comes twice.
    """
    with ExitStack() as stack:
        taking = stack.enter_context(sink(free_port(), how))
        under_test = stack.enter_context(running(mta, folder, taking.port, False, load.tls, onward))
        warm_up = Load(WARM_UP, load.size, load.sessions, load.many, load.tls)
        send(warm_up, under_test.port, patience)
        taking.wait_for(WARM_UP, patience)
        total, before, signed_by = WARM_UP + load.count, taking.totals, under_test.signer
        signing = signer_cpu(signed_by)
        with Meter(under_test.account) as meter:
            began = time.monotonic()
            accepted = send(load, under_test.port, patience)
            taking.wait_for(total, patience)
            time.sleep(AFTERWARDS)
        if taking.taken != total:
            raise LoadFailed(f"{mta}: {taking.taken} messages came of {total}")
        rate = load.count / (taking.last - began)
        run = _run(mta, load, accepted, rate, meter, under_test.account.how)
        if signed_by is not None:
            run = replace(run, signer=(signer_cpu(signed_by) - signing) / load.count)
    return with_totals(run, load, taking.totals.since(before)) if how else run


def signer_cpu(pid: int | None) -> float:
    """
    Tell the CPU seconds of a process so far; nothing if there is none.
    """
    return sum(map(int, stat_fields(pid)[11:13])) / TICKS if pid is not None else 0.0


def proof(mta: str, count: int, parent: Path | None) -> list[str]:
    """
    Have a fresh MTA that signs relay some messages; tells why they do not verify, a reason for each that does not.
    """

    def once(folder: Path) -> list[str]:
        kept = folder.parent / "kept"
        kept.mkdir()
        with ExitStack() as stack:
            taking = stack.enter_context(sink(free_port(), "plain", kept))
            under_test = stack.enter_context(running(mta, folder, taking.port, receive_only=False))
            send(Load(count, many=True), under_test.port, PATIENCE)
            taking.wait_for(count, PATIENCE)
            name = signatures.key_of(mta)
            return signatures.refusals(
                [file.read_bytes() for file in kept.iterdir()], name, signatures.record(folder, name)
            )

    return in_folder_of_its_own(once, mta, parent)


def receive(mta: str, load: Load, folder: Path, patience: float) -> Run:
    """
    Send to a fresh MTA that keeps everything.
    """
    with ExitStack() as stack:
        hole = stack.enter_context(black_hole())
        under_test = stack.enter_context(running(mta, folder, hole, receive_only=True, tls=load.tls))
        send(Load(WARM_UP, load.size, load.sessions, load.many, load.tls), under_test.port, patience)
        with Meter(under_test.account) as meter:
            accepted = send(load, under_test.port, patience)
            time.sleep(AFTERWARDS)
        return _run(mta, load, accepted, load.count / accepted, meter, under_test.account.how)


def ceiling(load: Load, patience: float) -> float:
    """
    Tell how many messages a second the generator and the sink do without an MTA between them.
    """
    with sink(free_port()) as taking:
        return load.count / send(load, taking.port, patience)


def _run(mta: str, load: Load, accepted: float, rate: float, meter: Meter, how: str) -> Run:
    return Run(
        mta.partition(":")[0], load.count / accepted, rate, meter.cpu / load.count, meter.peak_rss, meter.peak_pss, how
    )


def with_totals(run: Run, load: Load, seen: Totals) -> Run:
    """
    Add what the sink counted; LoadFailed unless each message has a signature, or none where nobody signs.
    """
    if seen.signatures != (load.count if signatures.key_of(run.mta) else 0):
        raise LoadFailed(f"{run.mta}: {seen.signatures} signatures came on {load.count} messages")
    return replace(
        run,
        connections=seen.connections / load.count,
        resumed=seen.resumed / load.count,
        turns=seen.turns / load.count,
    )


Measure = Callable[[str, Load, Path, float], Run]
MEASURES: dict[str, Measure] = {
    "relay": relay,
    "receive": receive,
    "receive-tls": receive,
    "relay-counted": partial(relay, how="plain"),
    "relay-tls": partial(relay, how="tls", onward=Onward(tls=True)),
    "relay-tls-new": partial(relay, how="tls-no-tickets", onward=Onward(tls=True, shared=False)),
    "relay-tls-resumed": partial(relay, how="tls", onward=Onward(tls=True, shared=False)),
}


def in_folder_of_its_own(measure: Callable[[Path], T], mta: str, parent: Path | None) -> T:
    """
    Call with a folder for an MTA that is removed afterwards.
    """
    outer = Path(tempfile.mkdtemp(prefix="empath-benchmark-", dir=parent))
    outer.chmod(0o755)  # Postfix's processes drop root and must pass
    try:
        return measure(outer / mta.partition(":")[0])
    finally:
        shutil.rmtree(outer, ignore_errors=True)


def interleaved(measure: Measure, mtas: Sequence[str], load: Load, rounds: int, parent: Path | None) -> list[Run]:
    """
    Measure the MTAs in turn, A B A B …, each time fresh in a folder of its own that is removed afterwards.
    """

    def once(mta: str) -> Run:
        return in_folder_of_its_own(lambda folder: measure(mta, load, folder, PATIENCE), mta, parent)

    return [once(mta) for _ in range(rounds) for mta in mtas]
