"""
Proof: empath answers an operator quickly while it takes and relays 1,000 messages a second, of 4 KiB each.

Told are median, 95th percentile and worst answer of each verb on an open connection, and how much mail went through
meanwhile; wrong is a median of 50 ms or more. Mail comes from Postfix's smtp-source, four bursts a second, and goes to
its smtp-sink; some that cannot be delivered waits, so that there is something to list and to explain.

`python -m pytest -s tests/proofs/control_latency.py`; EMPATH_RATE and EMPATH_ASKED change rate and number of questions.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import threading
import time
from typing import Any, Final

from empath.control.client import ControlClient
from empath.control.terms.asking import Ask
from empath.control.terms.explaining import Explain
from empath.control.terms.managing import GetQueueStats
from empath.control.terms.queue import Filter, ListQueue
from empath.control.terms.smtp import ListSessions
from empath.control.terms.system import Ping
from tests.e2e.debian_peers import greets
from tests.e2e.dialogue import Dialogue, queue_id
from tests.e2e.harness import EndToEndTestCase
from tests.e2e.ports import free_port
from tests.e2e.processes import Program, require_program, wait_until

RATE: Final = int(os.environ.get("EMPATH_RATE", "1000"))  # messages a second
ASKED: Final = int(os.environ.get("EMPATH_ASKED", "200"))  # times each verb
WAITING: Final = 500  # messages that cannot be delivered
BURSTS: Final = 4  # a second
SESSIONS: Final = 10  # of a burst
MOST_BURSTS: Final = 4  # at the same time: where the machine cannot keep up, it is at least busy all the time
BETWEEN: Final = 0.01  # seconds between an answer and the next question
BOUND: Final = 0.05  # seconds


class Bursts:
    """
    Sends so many messages a second to `port`; each burst is a process that ends once all of it is taken.
    """

    def __init__(self, port: int) -> None:
        self._source = require_program("smtp-source")
        self._port = port
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._sources: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """
        Begin.
        """
        self._thread.start()

    def finish(self) -> None:
        """
        End with the burst at hand, and wait until all is taken. AssertionError if one was not.
        """
        self._over.set()
        self._thread.join(10.0)
        if any(each.wait(120) for each in self._sources):
            raise AssertionError("a burst was not taken")

    def send(self, count: int, domain: str) -> subprocess.Popen[bytes]:
        """
        Send one burst.
        """
        command = [self._source, "-d", "-s", str(SESSIONS), "-m", str(count), "-l", "4096", "-f", "a@origin.test"]
        return subprocess.Popen([*command, "-t", f"b@{domain}", f"127.0.0.1:{self._port}"])

    def _run(self) -> None:
        at = time.monotonic()
        while not self._over.is_set():
            if sum(each.poll() is None for each in self._sources) < MOST_BURSTS:
                self._sources.append(self.send(RATE // BURSTS, "sink.test"))
            at += 1 / BURSTS
            self._over.wait(max(0.0, at - time.monotonic()))


class LatencyProof(EndToEndTestCase):
    """
    One program under load, one connection to it.
    """

    def test_answers_come_at_once(self) -> None:
        """
        The verbs that an operator watches with.
        """
        empath = self.relay()
        source = Bursts(empath.port)
        self.assertEqual(source.send(WAITING, "dead.test").wait(60), 0)
        with ControlClient(empath.control_socket, timeout=60.0) as client:
            questions = [*self.questions(client), Explain(self.gone(empath))]
            source.start()
            time.sleep(3.0)
            began, before = time.monotonic(), self.figures(empath)
            took = self.asked(client, questions)
            seconds, after = time.monotonic() - began, self.figures(empath)
        source.finish()
        rates = {name: (after[name] - before[name]) / seconds for name in before}
        for verb, times in took.items():
            median, p95 = statistics.median(times), sorted(times)[int(len(times) * 0.95)]
            print(
                f"{verb:18} median {median * 1000:6.1f} ms  p95 {p95 * 1000:6.1f} ms  max {max(times) * 1000:6.1f} ms"
            )
        print(f"meanwhile {rates['received']:.0f} messages/s received and {rates['delivered']:.0f} delivered")
        self.assertEqual([verb for verb, times in took.items() if statistics.median(times) >= BOUND], [])
        self.assertNotIn("Traceback", empath.log())

    def relay(self) -> Any:
        """
        Start an empath that relays to a sink.
        """
        sink, dead = free_port(), free_port()
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        program = Program(
            [require_program("smtp-sink"), *user, f"127.0.0.1:{sink}", "1024"], self.folder / "sink.log", self.folder
        )
        self.addCleanup(program.kill)
        wait_until("the sink listens", lambda: greets("127.0.0.1", sink))
        routes = {"dead.test": {"mx_override": f"127.0.0.1:{dead}"}, "*": {"mx_override": f"127.0.0.1:{sink}"}}
        delivery = {"domains": routes, "base_retry_delay": "1h", "max_retry_delay": "2h"}
        empath = self.empath({"smtp": {"max_messages": 10_000_000, "max_commands": 100_000_000}, "delivery": delivery})
        empath.start()
        return empath

    def questions(self, client: ControlClient) -> list[Ask[Any]]:
        """
        Give what is asked, once something waits that can be explained.
        """
        stuck = ListQueue(Filter(domain="dead.test"), limit=1)
        wait_until("something waits", lambda: bool(client.ask(stuck).items))
        [item] = client.ask(stuck).items
        return [
            Ping(),
            GetQueueStats(),
            ListQueue(Filter(all=True), limit=50),
            ListQueue(Filter(domain="dead.test"), limit=50),
            Explain(item.queue_id),
            ListSessions(),
        ]

    def gone(self, empath: Any) -> str:
        """
        Send a message that is delivered at once, and of which only the audit trail tells; gives its queue id.
        """
        with Dialogue(empath.port) as session:
            session.greet()
            return queue_id(session.post("a@origin.test", ["b@sink.test"], b"Subject: gone\r\n\r\ngone\r\n"))

    def asked(self, client: ControlClient, questions: list[Ask[Any]]) -> dict[str, list[float]]:
        """
        Ask in turn; tell the seconds of each answer.
        """
        took: dict[str, list[float]] = {}
        for _ in range(ASKED):
            for number, question in enumerate(questions):
                began = time.monotonic()
                client.ask(question)
                took.setdefault(f"{question.verb} {number}", []).append(time.monotonic() - began)
                time.sleep(BETWEEN)
        return took

    def figures(self, empath: Any) -> dict[str, int]:
        """
        Tell how many messages have come and gone.
        """
        _, text = empath.get("/metrics", metrics=True)
        totals = {
            "received": r"empath_smtp_messages_received_total",
            "delivered": r"empath_delivery_messages_delivered_total",
        }
        return {
            name: sum(int(float(each)) for each in re.findall(rf"^{metric}(?:{{[^}}]*}})? (\S+)$", text, re.M))
            for name, metric in totals.items()
        }
