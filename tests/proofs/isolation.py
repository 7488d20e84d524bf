"""
Proof: 100,000 messages for a dead site and 50,000 for one that accepts one a second delay nobody else: of 1,000
messages for a live site 95 % arrive within 100 ms, counted from before they are sent to empath.

The dead site takes connections and never says a word, which holds attempts for as long as may be, or refuses them, so
that its circuit breaker opens. EMPATH_DEAD, EMPATH_SLOW and EMPATH_LIVE change the numbers, EMPATH_LIVE_RATE how many
of the live ones are sent a second.
"""

from __future__ import annotations

import os
import socket
import socketserver
import sqlite3
import statistics
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

from empath.mail.message import deliveries_of
from empath.spool import rows, schema
from tests.e2e.dialogue import Dialogue
from tests.e2e.harness import EndToEndTestCase, message
from tests.e2e.program import Empath
from tests.spool.support import Post

DEAD: Final = int(os.environ.get("EMPATH_DEAD", "100000"))
SLOW: Final = int(os.environ.get("EMPATH_SLOW", "50000"))
LIVE: Final = int(os.environ.get("EMPATH_LIVE", "1000"))
LIVE_RATE: Final = float(os.environ.get("EMPATH_LIVE_RATE", "50"))
SETTLED: Final = 20.0  # seconds for the queue to fill all that it is willing to
BOUND: Final = 0.100
BATCH: Final = 10_000


class Sink(socketserver.ThreadingTCPServer):
    """
    Takes all mail, one message every `pause` seconds over all its connections; `arrived` has the time of each, by its
    first recipient.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, address: str, pause: float) -> None:
        super().__init__((address, 0), _Talk)
        self.pause = pause
        self.turn = threading.Lock()
        self.arrived: dict[str, float] = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def hop(self) -> str:
        """
        What a route names.
        """
        host, port = self.server_address[:2]
        return f"{host!s}:{port}"


class _Talk(socketserver.StreamRequestHandler):
    server: Sink

    def handle(self) -> None:
        """
        One session, step by step.
        """
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.wfile.write(b"220 sink\r\n")
        recipient = ""
        for line in self.rfile:
            verb = line[:4].upper()
            if verb == b"RCPT":
                recipient = line.decode().partition("<")[2].partition(">")[0]
            if verb == b"DATA":
                self.wfile.write(b"354 go\r\n")
                while self.rfile.readline() not in (b".\r\n", b""):
                    pass
                self._take(recipient)
            self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
            if verb == b"QUIT":
                return

    def _take(self, recipient: str) -> None:
        if self.server.pause:
            with self.server.turn:
                time.sleep(self.server.pause)
        self.server.arrived.setdefault(recipient, time.perf_counter())


class IsolationTests(EndToEndTestCase):
    """
    One program, three sites.
    """

    def setUp(self) -> None:
        super().setUp()
        self.dead = socket.create_server(("127.0.0.21", 0), backlog=4096)
        self.addCleanup(self.dead.close)
        self.slow, self.live = Sink("127.0.0.22", 1.0), Sink("127.0.0.23", 0.0)
        for sink in (self.slow, self.live):
            self.addCleanup(sink.shutdown)

    def routes(self) -> dict[str, Any]:
        hops = {
            "dead.test": f"127.0.0.21:{self.dead.getsockname()[1]}",
            "slow.test": self.slow.hop,
            "live.test": self.live.hop,
        }
        return {"delivery": {"domains": {domain: {"mx_override": [hop]} for domain, hop in hops.items()}}}

    def fill(self, empath: Empath) -> None:
        """
        Put all that waits into the spool, without going through the program.
        """
        post = Post()
        connection = sqlite3.connect(empath.spool / "spool.sqlite", isolation_level=None)
        connection.execute("PRAGMA synchronous = OFF")
        domains = ["dead.test"] * DEAD + ["slow.test"] * SLOW
        for start in range(0, len(domains), BATCH):
            connection.execute("BEGIN")
            for number, domain in enumerate(domains[start : start + BATCH], start + 1):
                mail = post.message(f"u{number}@{domain}", body=b"\r\n" + b"x" * 4000 + b"\r\n", received=time.time())
                connection.execute(schema.INSERT_MESSAGE, rows.message_row(number, mail))
                connection.execute(schema.INSERT_DELIVERY, rows.delivery_row(deliveries_of(mail)[0]))
            connection.execute("COMMIT")
        connection.close()

    def send(self, empath: Empath) -> Iterator[tuple[str, float]]:  # type: ignore[override]  # many, with their times
        """
        Send to the live site; tells each recipient and when it was begun.
        """
        with Dialogue(empath.port) as client:
            client.greet()
            begun = time.perf_counter()
            for number in range(LIVE):
                time.sleep(max(0.0, begun + number / LIVE_RATE - time.perf_counter()))
                recipient = f"l{number}@live.test"
                yield recipient, time.perf_counter()
                self.assertEqual(client.post("s@origin.test", [recipient], message()).code, 250)

    def test_nobody_waits_for_a_silent_site(self) -> None:
        self.prove("silent")

    def test_nobody_waits_for_a_site_that_refuses(self) -> None:
        routes = self.routes()
        self.dead.close()
        self.prove("refusing", routes)

    def prove(self, what: str, routes: dict[str, Any] | None = None) -> None:
        empath = self.empath(routes or self.routes())
        empath.start()
        empath.stop()
        self.fill(empath)
        empath.start()
        time.sleep(SETTLED)
        slow_before, then = len(self.slow.arrived), time.perf_counter()
        begun = dict(self.send(empath))
        time.sleep(1.0)
        slow_rate = (len(self.slow.arrived) - slow_before) / (time.perf_counter() - then)
        took = sorted(self.live.arrived[recipient] - when for recipient, when in begun.items())
        p95 = statistics.quantiles(took, n=20)[-1]
        median, slowest = took[len(took) // 2], took[-1]
        print(f"\n  behind {DEAD} for a {what} site and {SLOW} for a slow one, that got {slow_rate:.2f} a second:")
        print(f"  median {median * 1000:.1f} ms, p95 {p95 * 1000:.1f} ms, slowest {slowest * 1000:.1f} ms;", end=" ")
        print(f"{empath.memory() / 2**20:.0f} MiB")
        self.assertLess(p95, BOUND)
        self.assertGreater(slow_rate, 0.9)
