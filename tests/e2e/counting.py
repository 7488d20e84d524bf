"""
A load with a known mix of outcomes, and what clients and peers counted of it, against the page of metrics.

Ten clients, one of them with TLS and one that may not relay. What becomes of a recipient is in its local part.
"""

from __future__ import annotations

import http.client
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as classic

from tests.e2e.dialogue import Dialogue, stuffed
from tests.e2e.scripted import Action, Script, says

CLIENTS: Final = 10
DOMAINS: Final = tuple(f"d{nth}.test" for nth in range(6))
SIZES: Final = (300, 5000, 70_000)
STRANGER: Final = "127.0.0.9"
PER_SESSION: Final = 25
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0"

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Fates(Script):
    """
    Takes mail as its recipients are called: "later" the second time, "never" not at all. `said` counts by domain.
    """

    def __init__(self) -> None:
        super().__init__()
        self._met: set[bytes] = set()
        self._own = threading.Lock()
        self.said: Counter[tuple[str, int]] = Counter()

    def take(self, step: str, line: bytes) -> Action | None:
        """
        As `Script.take`.
        """
        if step != "RCPT":
            return None
        with self._own:
            if b"<later" in line and line not in self._met:
                self._met.add(line)
                return self._say(line, 450, "4.2.1 soon")
            if b"<never" in line:
                return self._say(line, 550, "5.1.1 nobody")
        return None

    def _say(self, line: bytes, code: int, text: str) -> Action:
        domain = line[line.index(b"@") + 1 : line.index(b">")].decode()
        self.said[domain, code] += 1
        return says(code, text)


class TlsDialogue(Dialogue):
    """
    One over TLS from the first byte.
    """

    def __init__(self, port: int) -> None:
        super().__init__(port)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._reader.close()
        self._socket = context.wrap_socket(self._socket)
        self._reader = self._socket.makefile("rb")


class Client:
    """
    One client, in a thread of its own: sends `number` messages and counts what it hears. `heard` are the codes of
    refusals, `accepted` the sizes of what was taken.
    """

    def __init__(self, nth: int, number: int, dial: Callable[[], Dialogue], trusted: bool) -> None:
        self._nth = nth
        self._number = number
        self._dial = dial
        self._trusted = trusted
        self.sessions = 0
        self.commands: Counter[str] = Counter()
        self.heard: Counter[str] = Counter()
        self.accepted = 0
        self.recipients: Counter[tuple[str, str]] = Counter()
        self.trouble: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            for begin in range(0, self._number, PER_SESSION):
                self._session(range(begin, min(self._number, begin + PER_SESSION)))
        except BaseException as trouble:
            self.trouble = trouble

    def _session(self, messages: range) -> None:
        with self._dial() as dialogue:
            self.sessions += 1
            self.commands["EHLO"] += 1
            dialogue.greet()
            for at in messages:
                self._message(dialogue, at)
            dialogue.say("QUIT")
            dialogue.at_end()

    def _message(self, dialogue: Dialogue, at: int) -> None:
        for command in self._mistakes(at):
            self._say(dialogue, command)
        fate = "later" if at % 10 == 3 else "never" if at % 10 == 7 else "ok"
        domain = DOMAINS[(self._nth + at) % len(DOMAINS)]
        self.commands["MAIL"] += 1
        self._say(dialogue, "MAIL FROM:<sender@origin.test>")
        self.commands["RCPT"] += 1
        if self._say(dialogue, f"RCPT TO:<{fate}.{self._nth}.{at}@{domain}>") != 250:
            self._say(dialogue, "RSET")
            return
        self.commands["DATA"] += 1
        self._say(dialogue, "DATA")
        self.commands["."] += 1
        body = b"Subject: counted\r\n\r\n" + b"x" * 78 + b"\r\n"
        dialogue.send(stuffed(body + (b"y" * 78 + b"\r\n") * (SIZES[at % len(SIZES)] // 80)))
        if dialogue.reply().code == 250:
            self.accepted += 1
            self.recipients[fate, domain] += 1

    def _mistakes(self, at: int) -> Iterator[str]:
        """
        Give commands that are refused for what they are.
        """
        if at % 5 == 1:
            yield "NONSENSE"
        if at % 5 == 2:
            yield "MAIL FROM:<no address"
        if at % 5 == 3:
            yield "DATA"
        if at % 25 == 4:
            yield "MAIL FROM:<sender@origin.test> SIZE=999999999"
        if at % 25 == 9:
            yield "MAIL FROM:<sender@origin.test> WHAT=ever"

    def _say(self, dialogue: Dialogue, command: str) -> int:
        code = dialogue.say(command).code
        if code >= 400:
            self.heard[str(code)] += 1
        return code


class Scraper:
    """
    Reads the page again and again in a thread, in both formats, and notes what fell that may not.
    """

    def __init__(self, port: int, accept: str = "") -> None:
        self._port = port
        self._accept = accept
        self._over = threading.Event()
        self._last: Samples = {}
        self.pages = 0
        self.faults: list[str] = []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def finish(self) -> None:
        """
        Read no more.
        """
        self._over.set()
        self.thread.join(30)

    def _run(self) -> None:
        while not self._over.wait(0.05):
            try:
                self._compare(scraped(self._port, self._accept, totals=True))
            except Exception as trouble:
                self.faults.append(f"page {self.pages}: {trouble!r}")
            self.pages += 1

    def _compare(self, now: Samples) -> None:
        gone = self._last.keys() - now.keys()
        fell = [key for key, value in self._last.items() if now.get(key, value) < value]
        self.faults += [f"page {self.pages}: {key} fell" for key in fell] + [f"{key} is gone" for key in gone]
        self._last = now


def scraped(port: int, accept: str = "", totals: bool = False) -> Samples:
    """
    Read the page with Prometheus's own parsers; with `totals` only what may not fall.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/metrics", headers={"Accept": accept})
        answer = connection.getresponse()
        text = answer.read().decode()
    finally:
        connection.close()
    if answer.status != 200:
        raise AssertionError(f"{answer.status}: {text}")
    families = openmetrics(text) if accept else classic(text)
    return {
        (each.name, frozenset(each.labels.items())): each.value
        for family in families
        if not totals or family.type in ("counter", "histogram")
        for each in family.samples
        if not totals or not each.name.endswith("_created")
    }
