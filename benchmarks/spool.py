"""
What the spool costs: CPU microseconds a message for storing and for settling, and how long a commit takes.

Usage: python -m benchmarks.spool [--path DIR] [--count N] [--size BYTES] [--groups 1,5,20] [--repeat 3]

Runs the real thing: a reactor, a thread that writes, and N messages kept waiting at once; N is thus the size of the
groups. The CPU is that of the whole process, threads, reactor and system calls included. One JSON line for each size
of group: medians of the repetitions.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from empath.config.schema import Spool
from empath.config.units import Folder
from empath.mail.address import Address
from empath.mail.envelope import Envelope, Recipient
from empath.mail.life import GroupCommitted, LifeEvent
from empath.mail.message import Delivery, Message, Status, deliveries_of
from empath.mail.queue_id import new_queue_id
from empath.mail.settlement import Settlement
from empath.spool.sqlite import SqliteSpool

HEADER = b"Received: from client.example.org by mx.example.net with ESMTP; today\r\nSubject: benchmark\r\n" * 4


def make_messages(count: int, size: int) -> list[tuple[Message, Delivery]]:
    """
    Make messages of `size` bytes from one sender to one recipient each.
    """
    chance = random.Random(1)
    sender = Address("sender", "example.org", "sender@example.org")
    found = []
    for number in range(count):
        recipient = Recipient(Address(f"r{number}", "example.net", f"r{number}@example.net"))
        message = Message(
            new_queue_id(time.time(), chance),
            time.time(),
            Envelope(sender, (recipient,), {"SIZE": str(size)}),
            HEADER,
            b"x" * (size - len(HEADER)),
            None,
            size,
            False,
        )
        found.append((message, deliveries_of(message)[0]))
    return found


def in_pool(pool: ThreadPool) -> Callable[[Callable[[], Any]], Deferred[Any]]:
    """
    Tell how to call something in a thread of the pool.
    """
    return lambda call: deferToThreadPool(reactor, pool, call)  # type: ignore[arg-type]


async def keep_waiting(width: int, work: list[Callable[[], Awaitable[None]]]) -> tuple[float, float]:
    """
    Do the work with `width` pieces of it waiting at any time; tells CPU and wall seconds a piece.
    """
    pieces = iter(work)

    async def one_after_the_other() -> None:
        for piece in pieces:
            await piece()

    cpu, wall = time.process_time(), time.perf_counter()
    await gatherResults([Deferred.fromCoroutine(one_after_the_other()) for _ in range(width)])
    return (time.process_time() - cpu) / len(work), (time.perf_counter() - wall) / len(work)


async def measure(path: str, width: int, count: int, size: int, pools: list[ThreadPool]) -> dict[str, float]:
    """
    Store and settle `count` messages in a new spool.
    """
    commits: list[GroupCommitted] = []

    def listen(event: LifeEvent) -> None:
        if isinstance(event, GroupCommitted):
            commits.append(event)

    writer, reader, files = map(in_pool, pools)
    spool = SqliteSpool(
        Spool(path=Folder(path)),
        clock=reactor,
        in_writer=writer,
        in_reader=reader,
        in_thread=files,
        emit=listen,
    )
    spool.open()
    messages = make_messages(count, size)
    stored = await keep_waiting(width, [lambda m=m, d=d: spool.store(m, (d,)) for m, d in messages])  # type: ignore[misc]
    settlements = [Settlement(attrs.evolve(d, status=Status.COMPLETED, next_attempt=None)) for _, d in messages]
    settled = await keep_waiting(width, [lambda s=s: spool.settle(s) for s in settlements])  # type: ignore[misc]
    await spool.close()
    seconds = sorted(commit.seconds for commit in commits)
    return {
        "group": count * 2 / len(commits),
        "store_cpu_us": stored[0] * 1e6,
        "settle_cpu_us": settled[0] * 1e6,
        "stored_per_second": 1 / stored[1],
        "settled_per_second": 1 / settled[1],
        "commit_ms_median": statistics.median(seconds) * 1e3,
        "commit_ms_99": seconds[int(len(seconds) * 0.99)] * 1e3,
        "commit_ms_max": seconds[-1] * 1e3,
    }


async def run(options: argparse.Namespace) -> None:
    """
    Measure each size of group, several times, in turns.
    """
    pools = [ThreadPool(1, 1), ThreadPool(0, 1), ThreadPool(0, 4)]
    for pool in pools:
        pool.start()
    found: dict[int, list[dict[str, float]]] = {width: [] for width in options.groups}
    try:
        for _ in range(options.repeat):
            for width in options.groups:
                path = tempfile.mkdtemp(dir=options.path)
                count = min(options.count, 100 * width + options.count // 4)
                found[width].append(await measure(path + "/spool", width, count, options.size, pools))
                shutil.rmtree(path)
    finally:
        for pool in pools:
            pool.stop()
    for width, results in found.items():
        medians = {name: round(statistics.median(each[name] for each in results), 2) for name in results[0]}
        print(json.dumps({"waiting": width, "size": options.size, **medians}))


def main() -> None:
    """
    Read the command line, measure, print.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--path", default=".", help="a directory on the disk to be measured")
    parser.add_argument("--count", type=int, default=8000)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--groups", type=lambda text: [int(each) for each in text.split(",")], default=[1, 5, 20])
    options = parser.parse_args()

    def begin() -> None:
        done = Deferred.fromCoroutine(run(options))
        done.addErrback(lambda failure: failure.printTraceback())
        done.addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()


if __name__ == "__main__":
    main()
