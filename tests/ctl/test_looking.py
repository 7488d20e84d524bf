"""
The verbs that look at a running empath, but for its queue.
"""

from __future__ import annotations

import os
from typing import Any, Final

from msgspec import json
from rich.text import Text
from twisted.trial.unittest import SynchronousTestCase

from empath.control.terms.asking import Ask
from empath.control.terms.config import (
    AuditRecords,
    ConfigDiff,
    DiffConfig,
    Difference,
    FindInAudit,
    GetConfig,
    ShownConfig,
)
from empath.control.terms.delivery import (
    CircuitRow,
    Circuits,
    ListCircuits,
    ListRateLimits,
    LookUpRoute,
    RateLimitRow,
    RateLimits,
    RouteAnswer,
)
from empath.control.terms.dns import (
    CachedAnswer,
    CachePage,
    DnsStats,
    GetDnsStats,
    ListCache,
    ListOverrides,
    OverrideRow,
    Overrides,
)
from empath.control.terms.explaining import HoldRow, HostRow
from empath.control.terms.safety import (
    ListStopped,
    ListSuppressed,
    StoppedRow,
    StoppedSenders,
    SuppressedPage,
    SuppressedRow,
)
from empath.control.terms.smtp import ListSessions, LiveSession, SessionPage
from empath.control.terms.spool import (
    Fault,
    GetSpoolStats,
    ListSpool,
    SpoolPage,
    SpoolStats,
    StoredMessage,
    Verified,
    VerifySpool,
)
from empath.control.terms.system import AuditState, GetStatus, ListenerState, LogLevel, Override, Status
from tests.ctl.asked import Ran, ran
from tests.ctl.samples import ago

HOSTILE: Final = "\x1b]0;boo\x07[bold]"

STATUS: Final = Status(
    version="1.0",
    hostname="mx.example.org",
    pid=4711,
    started=ago(hours=3),
    uptime=10800.0,
    config="/etc/empath/empath.toml",
    accepting=True,
    ready={"smtp": True, "dns": False},
    queue={"retry": 1200, "pending": 3},
    counted=ago(seconds=2),
    oldest=ago(hours=2),
    sessions=4,
    attempts=1,
    listeners=(ListenerState("tcp:25", "mta", "starttls", True, ago(days=-9)),),
    log_level=LogLevel("debug", "info"),
    overrides=(Override("mx-override", "example.org", "mx.example.net"),),
    open_circuits=1,
    audit=AuditState(True, "/var/log/empath/audit.jsonl", 12, 0, 3, "disk full"),
    troubles=("The certificate of tcp:25 expires in 9 days.",),
)
SESSION: Final = LiveSession(
    "01KAM0000000000000000000S1",
    "192.0.2.5",
    52113,
    "tcp:25",
    "mta",
    HOSTILE,
    "content",
    72.4,
    0.2,
    4096,
    300,
    2,
    1,
    "TLSv1.3",
    "",
    "a@example.org",
    3,
)
ROUTE: Final = RouteAnswer(
    "a@example.org",
    "example.org",
    "relay",
    "smtp",
    "by MX",
    True,
    "mx.example.org",
    (HostRow("mx1.example.org", 25, 10, ("192.0.2.1",), "required", "mta-sts"), HostRow("mx2", 25, 20, (), "none")),
    {"rate": "10/s"},
    HoldRow("frozen", ago(seconds=-60), "frozen by hand"),
    True,
    ("It is rewritten by SRS.",),
)
SPOOL: Final = SpoolStats("sqlite", "/spool", 5, 2, {"retry": 2}, 2048, 1, 1024, 8192, 4096, 100, 200, 0, 1, 2)


class LookingTests(SynchronousTestCase):
    """
    Requirements on what is shown.
    """

    def asks(self, line: str, request: Ask[Any], answer: object) -> Ran:
        """
        Run a verb as text and as JSON: it must ask this, and as JSON give the answer.
        """
        got = ran(*line.split(), "--json", answers={type(request): answer})
        self.assertEqual((got.code, got.err, got.asked), (0, "", [request]))
        self.assertEqual(json.decode(got.out, type=request.answer), answer)
        got = ran(*line.split(), answers={type(request): answer})
        self.assertEqual((got.code, got.err, got.asked), (0, "", [request]))
        self.assertNotIn("\x1b", got.out)
        return got

    def lines(self, line: str, request: Ask[Any], answer: object) -> list[list[str]]:
        """
        Do so, and give the words of each line.
        """
        return [each.split() for each in self.asks(line, request, answer).out.splitlines()]

    def test_status(self) -> None:
        """
        One page: what is, what is not ready, what was set by hand, what to look at.
        """
        shown = self.asks("system status", GetStatus(), STATUS).out
        for part in (
            "1.0 on mx.example.org, process 4711, up 3h",
            "no: smtp, not dns",
            "3 pending, 1,200 retry, the oldest came 2h ago",
            "1 open: see 'delivery circuits'",
            "debug, set by hand; configured: info",
            "12 records, 3 lost, disk full",
            "in 9d",
            "mx-override",
            "- The certificate of tcp:25 expires in 9 days.",
        ):
            self.assertIn(part, shown)

    def test_connections(self) -> None:
        """
        A line a session; what the peer calls itself does not drive the terminal.
        """
        request = ListSessions("192.0.2.5")
        got = self.asks("smtp connections --peer 192.0.2.5", request, SessionPage((SESSION,), ""))
        head, line = got.out.splitlines()
        self.assertEqual(head.split()[:5], ["SESSION", "PEER", "STATE", "AGE", "/"])
        self.assertIn(r"\x1b]0;boo\x07[bold]", line)
        self.assertIn("<a@example.org> to 3", line)
        self.assertIn("1m 12s", line)

    def test_nothing_is_said_to_be_nothing(self) -> None:
        """
        Empty listings have a sentence.
        """
        got = ran("smtp", "connections", answers={ListSessions: SessionPage((), "")})
        self.assertEqual((got.out, got.err), ("", "No client is connected.\n"), "programs count lines")
        self.assertEqual(
            self.asks("dns list-overrides", ListOverrides(), Overrides(())).out, "No hosts were set by hand.\n"
        )

    def test_dns(self) -> None:
        """
        The cache, in numbers and line by line.
        """
        answer = CachedAnswer("example.org", "MX", "records", ("10 mx.example.org",), 300.0, 60.0, "insecure", False)
        shown = self.lines("dns list-cache --domain example.org", ListCache("example.org"), CachePage((answer,), ""))
        self.assertEqual(shown[1], ["example.org", "MX", "records", "5m", "insecure", "10", "mx.example.org"])
        stats = DnsStats(5, 10000, 3, 1, 0, 0, 2, 0.75, ("127.0.0.1:53",), None, "off")
        shown = self.lines("dns stats", GetDnsStats(), stats)
        self.assertIn(["hits", "3", "(75.0%)"], shown)
        self.assertIn(["last", "answer", "none", "yet"], shown)
        overrides = Overrides((OverrideRow("example.org", ("a:25", "b")),))
        self.assertEqual(self.lines("dns list-overrides", ListOverrides(), overrides)[1], ["example.org", "a:25,", "b"])

    def test_delivery(self) -> None:
        """
        Rates with what is configured, sites with their breakers.
        """
        answer = RateLimits((RateLimitRow("example.org", "10/s", True, "5/s"),), "none", "none")
        shown = self.asks("delivery rate-limits", ListRateLimits(), answer).out
        self.assertIn("set by hand; configured: 5/s", shown)
        row = CircuitRow("mx.example.org", ("example.org",), "open", ago(seconds=-300), 2, None, 1.5)
        rows = self.lines("delivery circuits --troubled", ListCircuits(True), Circuits((row,), ""))[1:]
        self.assertEqual(rows, [["mx.example.org", "open", "in", "5m", "2", "1.5/s", "example.org"]])

    def test_safety(self) -> None:
        """
        Who gets no mail, whose mail is stopped.
        """
        page = SuppressedPage((SuppressedRow("a@example.org", "complaint", ago(days=1)),), "")
        shown = self.lines("suppression list", ListSuppressed(), page)
        self.assertEqual(shown[1], ["a@example.org", "1d", "ago", "complaint"])
        senders = StoppedSenders((StoppedRow("alice", ago(hours=1), "password stolen"),))
        self.assertEqual(self.lines("senders list", ListStopped(), senders)[1][:3], ["alice", "stopped", "1h"])

    def test_route(self) -> None:
        """
        The hosts in their order, with their TLS, and what holds it now.
        """
        shown = self.asks("route a@example.org", LookUpRoute("a@example.org"), ROUTE).out
        for part in (
            "<a@example.org>, suppressed",
            "example.org, smtp, by MX, set by hand",
            "mx1.example.org:25",
            "required (mta-sts)",
            "no address",
            "rate 10/s",
            "frozen: frozen by hand, until 03:05:05, in 1m",
            "It is rewritten by SRS.",
        ):
            self.assertIn(part, shown)

    def test_spool(self) -> None:
        """
        What is stored, and that there is too little room.
        """
        row = StoredMessage("01KAM0000000000000000000Q1", ago(hours=1), 2048, "", 2, {"example.org": "retry"}, "")
        shown = self.lines("spool list", ListSpool(), SpoolPage((row,), ""))
        expected = [row.queue_id, "1h", "ago", "2.0", "KiB", "<>", "2", "example.org", "retry", "database"]
        self.assertEqual(shown[1], expected)
        self.assertIn("100 B; mail is refused below 200 B", self.asks("spool stats", GetSpoolStats(), SPOOL).out)

    def test_a_check_of_the_spool_that_finds_faults_is_no_success(self) -> None:
        """
        Each fault is listed; scripts see it by the exit code.
        """
        fine = Verified(2, 3, 1, (), 0.5)
        self.assertIn("all is as it has to be", self.asks("spool verify", VerifySpool(), fine).out)
        answer = Verified(2, 3, 1, (Fault("orphan", "x.eml", "no message has it"),), 0.5)
        got = ran("spool", "verify", answers={VerifySpool: answer})
        self.assertEqual((got.code, "no message has it" in got.out), (1, True))
        got = ran("spool", "verify", "--json", answers={VerifySpool: answer})
        self.assertEqual((got.code, json.decode(got.out, type=Verified)), (1, answer))

    def test_config(self) -> None:
        """
        It is TOML again; a difference says what applies it.
        """
        shown = ShownConfig("/e.toml", {"hostname": "mx", "log": {"level": "info"}}, STATUS.overrides)
        got = self.asks("config show", GetConfig(), shown).out
        self.assertIn('hostname = "mx"\n\n[log]\nlevel = "info"\n', got)
        self.assertIn("# set by hand: mx-override example.org = mx.example.net", got)

    def test_the_schema_of_the_configuration_is_printed(self) -> None:
        """
        Without any MTA.
        """
        got = ran("config", "schema")
        self.assertEqual((got.code, got.asked, "hostname" in json.decode(got.out)["properties"]), (0, [], True))

    def test_a_file_is_compared_with_the_running_one(self) -> None:
        """
        Its text travels, so that the MTA need not be allowed to read it; its problems are errors.
        """
        file = os.path.abspath(self.mktemp())
        with open(file, "w") as written:
            written.write('hostname = "b"\n')
        request = DiffConfig(file, 'hostname = "b"\n')
        differences = ConfigDiff((Difference("hostname", '"a"', '"b"', True),))
        got = self.asks(f"config diff {file}", request, differences)
        self.assertEqual(got.out, 'hostname, only a restart applies it\n  - "a"\n  + "b"\n')
        got = ran("config", "diff", file, answers={DiffConfig: ConfigDiff((), ("hostname: bad",))})
        self.assertEqual((got.code, got.err), (1, "empathctl: hostname: bad\n"))
        self.assertEqual(ran("config", "diff", "a", "b", "c").code, 2)

    def test_audit(self) -> None:
        """
        Records of a message, or that there is none.
        """
        record = {"time": "2026-11-22T02:00:00.000Z", "event": "received", "message_id": "Q1", "seq": 1}
        self.assertIn("received", self.asks("audit find Q1", FindInAudit("Q1"), AuditRecords((record,))).out)
        got = ran("audit", "find", "Q1", answers={FindInAudit: AuditRecords(())})
        self.assertEqual((got.code, got.out), (1, ""))

    def test_a_terminal_has_its_width(self) -> None:
        """
        Nothing is wider than the terminal, and every cell is there.
        """
        got = ran("smtp", "connections", answers={ListSessions: SessionPage((SESSION,), "")}, columns=80)
        self.assertLessEqual(max(len(Text.from_ansi(line)) for line in got.out.splitlines()), 80)
