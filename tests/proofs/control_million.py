"""
A million queued messages, asked about through the real control socket while mail goes on.

    python -m tests.proofs.control_million [MESSAGES] [OCTETS]

All of it waits for tomorrow: half for one of 5,000 domains, a tenth for one dead one, some was held. Told are how long
each answer takes, the memory of both sides while all pages are walked, and how long a client waits for its 250
meanwhile. Wrong is what breaks the bounds: `queue stats` 1 s, a page of a domain 200 ms, a walk in 64 MiB more memory.
"""

from __future__ import annotations

import contextlib
import resource
import smtplib
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs

from empath.control.client import ControlClient
from empath.control.terms.asking import Ask, Follow
from empath.control.terms.managing import GetQueueStats
from empath.control.terms.queue import Filter, ListQueue, ViewMessage
from empath.control.terms.spool import GetSpoolStats, ListSpool, SpoolPage, Verified, VerifySpool
from empath.control.terms.system import GetStatus
from empath.mail.message import deliveries_of
from empath.mail.queue_id import new_queue_id
from empath.spool import rows, schema
from empath.spool.listing import LISTED
from tests.e2e.program import Empath
from tests.spool.support import Post

T = TypeVar("T")

STATS: Final = 1.0
PAGE: Final = 0.2
MEMORY: Final = 64 * 1024  # KiB
SETTINGS: Final = {
    "smtp": {"max_messages": 10_000_000, "max_commands": 100_000_000},
    "health": {"max_queue_size": 10_000_000},
    "relay": {"recipients": "any"},
    "delivery": {"domains": {"sink.test": {"strategy": "discard"}}},
}


def fill(spool: Path, messages: int, size: int) -> str:
    """
    Put the rows in directly, without waiting for the disk; tells the last queue id.
    """
    import random

    chance, now = random.Random(1), time.time()
    sample = Post().message(body=b"\r\n" + b"x" * size)
    message, delivery = rows.message_row(0, sample), rows.delivery_row(deliveries_of(sample)[0])
    connection = schema.connect(str(spool / "spool.sqlite"), "rw")
    connection.execute("PRAGMA synchronous = OFF")
    queue_id = ""
    for start in range(0, messages, 10_000):
        numbers = range(start, min(start + 10_000, messages))
        times = {number: now - 7200 + 3600 * number / messages for number in numbers}
        ids = {number: new_queue_id(times[number], chance) for number in numbers}
        queue_id = ids[numbers[-1]]
        connection.execute("BEGIN")
        stored = ((number + 1, ids[number], times[number], *message[3:]) for number in numbers)
        connection.executemany(schema.INSERT_MESSAGE, stored)
        waiting = ((ids[each], *_delivery(each, times[each], now + 86400), *delivery[6:]) for each in numbers)
        connection.executemany(schema.INSERT_DELIVERY, waiting)
        connection.execute("COMMIT")
        print(f"\rfilled {numbers[-1] + 1}", end="", flush=True)
    connection.close()
    print()
    return queue_id


def _delivery(number: int, received: float, tomorrow: float) -> tuple[str, float, str, int, float | None]:
    """
    Tell domain, received, status, attempts and next attempt of one.
    """
    if number % 10 == 4:
        return "dead.example", received, "retry", 3, tomorrow + number / 100
    if number % 5000 == 7:
        return "held.example", received, "held", 0, None
    return f"d{number % 5000}.example", received, "pending", 0, tomorrow + number / 100


@attrs.define
class Asking:
    """
    Asks, and remembers how long that took and what was too long.
    """

    client: ControlClient
    broken: list[str] = attrs.field(factory=list)

    def ask(self, name: str, request: Ask[T], bound: float = 10.0) -> T:
        """
        Ask three times, and tell the longest.
        """
        longest = 0.0
        for _ in range(3):
            before = time.perf_counter()
            answer = self.client.ask(request)
            longest = max(longest, time.perf_counter() - before)
        self.tell(name, longest, bound)
        return answer

    def tell(self, name: str, seconds: float, bound: float) -> None:
        """
        Say how long it took.
        """
        print(f"  {name}: {seconds * 1000:.0f} ms")
        if seconds > bound:
            self.broken.append(f"{name} took {seconds:.2f} s, more than {bound:g} s")

    def walk(self, name: str, request: Ask[Any], server: Callable[[], int]) -> int:
        """
        Walk all pages; tells how many rows there were.
        """
        before, client, mta = time.perf_counter(), _memory(), server() // 1024
        count, longest, last = 0, 0.0, before
        for page in self.client.walk(request):
            count += len(page.messages if isinstance(page, SpoolPage) else page.items)
            longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
        grown = (_memory() - client, server() // 1024 - mta)
        seconds = time.perf_counter() - before
        print(f"  {name}: {count} in {seconds:.1f} s, longest page {longest * 1000:.0f} ms, memory +{grown} KiB")
        if max(grown) > MEMORY:
            self.broken.append(f"{name} took {max(grown)} KiB")
        return count

    def follow(self, request: Follow[T, Any]) -> T:
        """
        Follow to the end; tells how long it took.
        """
        before, pieces = time.perf_counter(), list[object]()
        answer = self.client.follow(request, lambda piece: pieces.append(None))
        print(f"  {request.verb}: {time.perf_counter() - before:.1f} s, {len(pieces)} pieces")
        return answer


@contextlib.contextmanager
def mail_going_on(port: int) -> Iterator[list[float]]:
    """
    Send message after message meanwhile; gives the seconds that each 250 took.
    """
    took: list[float] = []
    over = threading.Event()

    def send() -> None:
        with smtplib.SMTP("127.0.0.1", port) as client:
            while not over.wait(0.01):
                before = time.perf_counter()
                client.sendmail("a@b.example", ["c@sink.test"], b"Subject: x\r\n\r\nhello\r\n")
                took.append(time.perf_counter() - before)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield took
    finally:
        over.set()
        sender.join()


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _taken_up(spool: Path, last: str) -> float:
    """
    Wait until all is in the index of domains; tells how long that took.
    """
    before = time.perf_counter()
    with contextlib.closing(schema.connect(str(spool / "spool.sqlite"), "ro")) as connection:
        while connection.execute(LISTED).fetchone()[0] < last:
            time.sleep(0.5)
    return time.perf_counter() - before


def main() -> None:
    """
    Fill, start, ask.
    """
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    with tempfile.TemporaryDirectory(prefix="empath-million-") as folder:
        mta = Empath(Path(folder), SETTINGS)
        mta.folder.mkdir(exist_ok=True)
        mta.start()
        mta.stop()
        last = fill(mta.spool, messages, size)
        before = time.perf_counter()
        mta.start()
        print(f"  ready in {time.perf_counter() - before:.2f} s")
        try:
            broken = ask_all(mta, last, messages)
        finally:
            mta.stop()
    if broken:
        sys.exit("\n".join(broken))


def ask_all(mta: Empath, last: str, messages: int) -> list[str]:
    """
    Ask everything; tells what took too long.
    """
    with ControlClient(str(mta.control_socket), timeout=60.0) as client, mail_going_on(mta.port) as took:
        asking = Asking(client)
        asking.ask("queue list --domain dead.example, not yet in the index", ListQueue(Filter(domain="dead.example")))
        print(f"  all taken up into the index of domains after {_taken_up(mta.spool, last):.0f} s")
        print(f"  longest 250 meanwhile: {max(took) * 1000:.0f} ms of {len(took)}")
        took.clear()
        stats = asking.ask("queue stats", GetQueueStats(), STATS)
        assert sum(stats.counts.values()) >= messages, stats
        for domain in ("dead.example", "held.example", "d8.example", "nowhere.example"):
            asking.ask(f"queue list --domain {domain}", ListQueue(Filter(domain=domain)), PAGE)
            for status in ("held", "retry", "failed"):
                request = ListQueue(Filter(domain=domain, status=status))
                asking.ask(f"queue list --domain {domain} --status {status}", request, PAGE)
        asking.ask("queue list --status held", ListQueue(Filter(status="held")), PAGE)
        asking.ask("queue list --status failed (none)", ListQueue(Filter(status="failed")), PAGE)
        asking.ask("queue list --all", ListQueue(Filter(all=True)), PAGE)
        asking.ask("queue view", ViewMessage(last), PAGE)
        asking.ask("spool list", ListSpool(), PAGE)
        asking.ask("spool stats", GetSpoolStats())
        asking.ask("system status", GetStatus())
        walked = asking.walk("queue list --all, every page", ListQueue(Filter(all=True), limit=1000), mta.memory)
        assert walked >= messages, walked
        asking.walk("spool list, every page", ListSpool(limit=1000), mta.memory)
        asking.walk("queue list --sender (none), every page", ListQueue(Filter(sender="no@one.example")), mta.memory)
        verified: Verified = asking.follow(VerifySpool())
        assert not verified.faults, verified.faults[:3]
        took.sort()
        median, longest = took[len(took) // 2] * 1000, took[-1] * 1000
        print(f"  250 meanwhile: median {median:.1f} ms, longest {longest:.0f} ms, of {len(took)}")
        return asking.broken


if __name__ == "__main__":
    main()
