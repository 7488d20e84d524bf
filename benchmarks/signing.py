"""
What DKIM signatures cost, in this process: one message of 4 KiB after the other, and very long bodies.

Run as `python -m benchmarks.signing`. "at once" is the time of a signature that nothing else waits for; "together" the
CPU time of each where many wait, with the threads and the reactor that a service has.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from empath.config.schema import Dkim, DkimKey
from empath.config.units import File
from empath.mail.address import parse_address
from empath.mail.dkim.signature import Form, body_of
from empath.mail.envelope import Envelope, Recipient
from empath.mail.message import Message
from empath.mail.origin import TRUSTED
from empath.sign.signer import Signer

DOMAIN = "example.org"
HEADER = (
    b"Received: from client.example (unknown [192.0.2.7])\r\n by mx.example.org (empath) with ESMTP id 01JD0000\r\n"
    b" for <b@example.net>; Sat, 21 Nov 2026 23:00:00 +0000\r\nFrom: A <a@example.org>\r\nTo: b@example.net\r\n"
    b"Subject: hello there\r\nDate: Sat, 21 Nov 2026 23:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n"
)
LINE = b"All work and no play makes Jack a dull boy, day by day.\r\n"
BODY = b"\r\n" + LINE * (4096 // len(LINE))
CALLS = 500
ROUNDS = 5
PIECE = 65536
PIECES = 160  # 10 MiB


def keys(folder: Path) -> dict[str, tuple[DkimKey, ...]]:
    """
    Write keys; gives the sections that use them.
    """
    made: dict[str, Any] = {
        "rsa2048": generate_private_key(65537, 2048),
        "rsa4096": generate_private_key(65537, 4096),
        "ed25519": Ed25519PrivateKey.generate(),
    }
    sections: dict[str, tuple[DkimKey, ...]] = {}
    for name, key in made.items():
        path = folder / f"{name}.pem"
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        sections[name] = (DkimKey(DOMAIN, name, File(str(path))),)
    sections["rsa2048 and ed25519"] = (*sections["rsa2048"], *sections["ed25519"])
    return sections


def message(number: int) -> Message:
    """
    Make a message.
    """
    envelope = Envelope(parse_address("a@example.org"), (Recipient(parse_address("b@example.net")),))
    size = len(HEADER) + len(BODY)
    return Message(str(number), 0.0, envelope, HEADER, BODY, None, size, eight_bit=False, origin=TRUSTED)


def at_once(signer: Signer) -> float:
    """
    Tell the CPU time of one signature, in microseconds: the best of some rounds.
    """
    carried = message(0)
    rounds = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        for _ in range(CALLS):
            signer.sign(carried, cast(Any, None))
        rounds.append((time.process_time() - begun) / CALLS * 1e6)
    return min(rounds)


async def together(make: Callable[[Any], Signer], reactor: Any) -> tuple[float, float]:
    """
    Tell wall-clock and CPU time of one signature of many, in microseconds: the median of some rounds.
    """
    pool = ThreadPool(2, 4)
    pool.start()
    try:
        signer = make(lambda call: deferToThreadPool(reactor, pool, call))
        rounds = []
        for _ in range(ROUNDS):
            begun, used = time.perf_counter(), time.process_time()
            asked = [signer.sign(message(number), cast(Any, None)) for number in range(CALLS)]
            await gatherResults([each for each in asked if isinstance(each, Deferred)])
            rounds.append(((time.perf_counter() - begun) / CALLS * 1e6, (time.process_time() - used) / CALLS * 1e6))
    finally:
        pool.stop()
    return statistics.median(wall for wall, _ in rounds), statistics.median(used for _, used in rounds)


def hashing(form: Form, piece: bytes) -> float:
    """
    Tell how fast a long body is hashed, in MB/s.
    """
    begun = time.process_time()
    body = body_of(form)
    for _ in range(PIECES):
        body.update(piece)
    body.digest()
    return len(piece) * PIECES / (time.process_time() - begun) / 1e6


async def run(reactor: Any) -> None:
    """
    Measure, and print tables.
    """
    print("| keys | at once, CPU µs | together, µs | together, CPU µs |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, section in keys(Path(folder)).items():

            def make(in_thread: Any, section: tuple[DkimKey, ...] = section) -> Signer:
                return Signer(Dkim(section), reactor, in_thread)

            alone = at_once(make(lambda call: succeed(call())))
            wall, used = await together(make, reactor)
            print(f"| {name} | {alone:.0f} | {wall:.0f} | {used:.0f} |")
    print("\n| body | relaxed, MB/s | simple, MB/s |\n|---|---|---|")
    for what, line in (("text", LINE), ("base64", b"A" * 76 + b"\r\n"), ("tabs and rows of blanks", b"a \t b  c \r\n")):
        piece = (line * (PIECE // len(line) + 1))[:PIECE]
        print(f"| {what} | {hashing('relaxed', piece):.0f} | {hashing('simple', piece):.0f} |")


def main() -> None:
    """
    Run under the reactor.
    """
    reactor: Any = installed
    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(run(reactor)).addBoth(lambda _: reactor.stop()))
    reactor.run()


if __name__ == "__main__":
    main()
