"""
Trials of size and number, small in the end-to-end tests and as large as promised in the proofs.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import statistics
import threading
import time
from collections.abc import Iterator

from tests.e2e.dialogue import Dialogue, queue_id
from tests.e2e.harness import SENDER, EndToEndTestCase, message
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath
from tests.e2e.storing_session import Options

MIB = 1024 * 1024
LINE = b"The quick brown fox jumps over the lazy dog, and on, until the line is full.\r\n"
HEAD = f"From: <{SENDER}>\r\nSubject: large\r\n\r\n".encode()
TRICKLERS = tuple(f"127.0.0.{nth}" for nth in range(41, 51))
TRICKLE = b"EHLO slow.test\r\nNOOP " + b"x" * 400  # never a whole second command
GREETED_BOUND = 30.0


def pieces(size: int) -> Iterator[bytes]:
    """
    Give a message of about `size` bytes, not less, in pieces; no line begins with a dot.
    """
    yield HEAD
    block = LINE * (MIB // len(LINE))
    for _ in range(-(-size // len(block))):
        yield block


class LargeMessageCase(EndToEndTestCase):
    """
    One message larger than the memory that empath may take for it.
    """

    def pass_through(self, size: int) -> int:
        """
        Relay a message of `size` bytes, compare its digest; tells by how many bytes the process's peak RSS rose.
        """
        server = self.peer("127.0.0.11", Options(keep_content=False, skip_trace=True))
        empath = self.to_peer(server, {"smtp": {"max_message_size": size + 10 * MIB}})
        for nth in range(20):
            self.send(empath, [f"warm{nth}@one.test"])
        wait_until("warm", lambda: len(server.stored) == 20)
        before = empath.memory()
        self.send_large(empath, size)
        stored = self.wait_arrived(server, "large@one.test", 300)
        risen = empath.memory("VmHWM") - before
        expected = hashlib.sha256()
        for piece in pieces(size):
            expected.update(piece)
        print(
            f"\n{stored.size} bytes arrived; RSS {before // MIB} MiB before, {(before + risen) // MIB} MiB at its peak"
        )
        self.assertGreaterEqual(stored.size, size)
        self.assertEqual(stored.digest, expected.hexdigest())
        self.assertEqual(len(server.arrived("large@one.test")), 1)
        return risen

    def send_large(self, empath: Empath, size: int) -> None:
        """
        Stream the message in.
        """
        with Dialogue(empath.port, timeout=300) as client:
            client.greet()
            client.say(f"MAIL FROM:<{SENDER}>")
            client.say("RCPT TO:<large@one.test>")
            self.assertEqual(client.say("DATA").code, 354)
            for piece in pieces(size):
                client.send(piece)
            client.send(b".\r\n")
            queue_id(client.reply())


class SiegeCase(EndToEndTestCase):
    """
    Many clients that send a byte a second, and one that just wants to send its mail.
    """

    def besiege(self, connections: int, samples: int, seconds: float) -> list[float]:
        """
        Time `samples` whole sessions of the normal client, spread over `seconds`, while `connections` others trickle.
        """
        server = self.peer("127.0.0.11")
        limits = {"max_connections": connections + 500, "max_connections_per_client": connections}
        empath = self.to_peer(server, {"smtp": limits})
        besiegers = [self.trickler(empath, nth) for nth in range(connections)]
        over = threading.Event()
        self.addCleanup(over.set)
        sender = threading.Thread(target=self.trickle, args=(besiegers, over), daemon=True)
        sender.start()
        wait_until("the trickle flows", lambda: self.flows(empath, connections), GREETED_BOUND)
        times = [self.paced(empath, nth, over, seconds / samples) for nth in range(samples)]
        over.set()
        sender.join(10)
        self.assertTrue(self.flows(empath, connections), "the trickling connections did not last")
        wait_until("all arrived", lambda: len(server.stored) == samples)
        self.assertGreaterEqual(self.trickled, int(seconds) * connections * 9 // 10, "less than a byte a second")
        return times

    def paced(self, empath: Empath, nth: int, over: threading.Event, pause: float) -> float:
        """
        Wait a little, then time a session.
        """
        over.wait(pause)
        return self.timed_session(empath, nth)

    def trickler(self, empath: Empath, nth: int) -> socket.socket:
        """
        Open one of the hostile connections, from one of several addresses.
        """
        source = TRICKLERS[nth % len(TRICKLERS)]
        connection = socket.create_connection(("127.0.0.1", empath.port), timeout=20, source_address=(source, 0))
        self.addCleanup(connection.close)
        return connection

    def trickle(self, connections: list[socket.socket], over: threading.Event) -> None:
        """
        Send each a byte a second, spread over the second, until it is `over`.
        """
        self.trickled = 0
        for byte in TRICKLE:
            began = time.monotonic()
            for nth, connection in enumerate(connections):
                with contextlib.suppress(OSError):
                    self.trickled += connection.send(bytes([byte]))
                ahead = began + nth / len(connections) - time.monotonic()
                if over.wait(ahead) if ahead > 0 else over.is_set():
                    return

    def flows(self, empath: Empath, connections: int) -> bool:
        """
        Tell whether so many connections are open, as the metrics page counts them.
        """
        for line in empath.get("/metrics", metrics=True)[1].splitlines():
            if line.startswith("empath_smtp_connections_active"):
                return float(line.split()[1]) >= connections
        return False

    def timed_session(self, empath: Empath, nth: int) -> float:
        """
        Send one message, from connecting to the reply to QUIT.
        """
        began = time.monotonic()
        with Dialogue(empath.port) as client:
            client.greet()
            queue_id(client.post(SENDER, [f"m{nth}@one.test"], message()))
            self.assertEqual(client.say("QUIT").code, 221)
        return time.monotonic() - began


def shown(times: list[float]) -> str:
    """
    Put times into a line: median, 95th percentile, maximum, in milliseconds.
    """
    cuts = statistics.quantiles(times, n=20)
    return "median {:.1f} ms, 95 % {:.1f} ms, max {:.1f} ms".format(
        *(1000 * each for each in (statistics.median(times), cuts[-1], max(times)))
    )
