"""
The log of the real program: its levels, traces and repeats, and all the places that it goes to.
"""

from __future__ import annotations

import json
import os
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from empath.control.client import ControlClient
from empath.control.terms.system import GetStatus, NamespaceLevel, SetLogLevel
from empath.mail.trace_context import span_id_of, trace_id_of
from tests.e2e.dialogue import Dialogue
from tests.e2e.harness import EndToEndTestCase, smarthost
from tests.e2e.otlp_receiver import OtlpReceiver, attributes
from tests.e2e.ports import free_port
from tests.e2e.processes import require, wait_until
from tests.e2e.program import Empath, merged
from tests.e2e.rsyslog import Rsyslog
from tests.e2e.scripted import says

YOU = "you@one.test"
SYSLOG = Path("/dev/log")
TRACED = {"tracing": {"enabled": True, "sample_ratio": 0.0, "otlp_endpoint": "http://127.0.0.1:9"}}


class LogCase(EndToEndTestCase):
    """
    Reads logs.
    """

    def receiver(self) -> OtlpReceiver:
        """
        Start a collector.
        """
        receiver = OtlpReceiver()
        self.addCleanup(receiver.stop)
        receiver.start()
        return receiver

    def retried(self, settings: dict[str, Any]) -> tuple[Empath, str]:
        """
        Have a message deferred once, then delivered; gives its queue id.
        """
        peer = self.peer("127.0.0.11")
        peer.script.on("RCPT", says(451, "4.2.1 later"), times=1)
        empath = self.to_peer(peer, settings)
        identity = self.send(empath, [YOU])
        empath.wait_logged(identity, "status=sent" if settings["log"].get("format") != "json" else '"sent"')
        return empath, identity


class TraceTests(LogCase):
    """
    Messages of an MTA that traces them, though none whole.
    """

    def test_every_line_of_a_message_carries_its_trace(self) -> None:
        """
        In JSON, as fields: reception under the first span, attempts under their own.
        """
        empath, identity = self.retried({**TRACED, "log": {"format": "json"}})
        lines = [json.loads(line) for line in empath.logged(identity)]
        self.assertEqual([each["namespace"] for each in lines], ["empath.receive", "empath.deliver", "empath.deliver"])
        self.assertEqual({each["trace_id"] for each in lines}, {trace_id_of(identity)})
        spans = [span_id_of(identity), span_id_of(identity, "one.test", 1), span_id_of(identity, "one.test", 2)]
        self.assertEqual([each["span_id"] for each in lines], spans)

    def test_text_carries_it_at_the_end(self) -> None:
        """
        And nothing of it once tracing is off, for what comes then.
        """
        empath, identity = self.retried({**TRACED, "log": {}})
        for line in empath.logged(f" {identity}: "):
            self.assertIn(f" trace_id={trace_id_of(identity)} span_id=", line)
        empath.reload({"tracing": {"enabled": False}})
        empath.wait_logged("in use from now on", "tracing")
        other = self.send(empath, [YOU])
        [line] = empath.wait_logged(other, "status=sent")
        self.assertNotIn("trace_id", line)


class CollectorTests(LogCase):
    """
    Records that go to a collector besides.
    """

    def test_the_collector_gets_what_is_written(self) -> None:
        """
        Every record, with its level, fields and trace; from the start to the last words.
        """
        receiver = self.receiver()
        empath, identity = self.retried({**TRACED, "log": {"format": "json", "otlp_endpoint": receiver.endpoint}})
        self.assertEqual(empath.stop(), 0)
        written = [json.loads(line) for line in empath.log().splitlines() if line.startswith("{")]
        got = [each.body.string_value for each in receiver.records]
        started = next(at for at, each in enumerate(written) if each["event"].startswith("empath "))
        ended = next(at for at, each in enumerate(written) if each["event"].startswith("stopped: "))
        expected = [each["event"] for each in written[started : ended + 1] if ".export." not in each["namespace"]]
        self.assertCountEqual([each for each in got if each in expected], expected)
        [received, *attempts] = [each for each in receiver.records if each.body.string_value.startswith(identity)]
        self.assertEqual({each.trace_id.hex() for each in (received, *attempts)}, {trace_id_of(identity)})
        self.assertEqual(received.span_id.hex(), span_id_of(identity))
        self.assertEqual((received.severity_text, attributes(received)["queue_id"]), ("info", identity))

    def test_a_dead_collector_is_said_to_be_dead_and_no_more(self) -> None:
        """
        Mail goes on; what is said of the collector does not go to the collector; one that is named at reload gets what
        comes from then on.
        """
        empath, _ = self.retried({"log": {"otlp_endpoint": f"http://127.0.0.1:{free_port()}"}})
        empath.wait_logged("logs do not get to their collector")
        for _ in range(20):
            self.send(empath, [YOU])
        self.assertLess(len(empath.logged("collector")), 3)
        receiver = self.receiver()
        empath.reload({"log": {"otlp_endpoint": receiver.endpoint}})
        empath.wait_logged("in use from now on", "log.otlp_endpoint")
        identity = self.send(empath, [YOU])
        wait_until("it is there", lambda: any(identity in each.body.string_value for each in receiver.records))


class LevelTests(LogCase):
    """
    Levels of namespaces.
    """

    def connect(self, empath: Empath) -> None:
        """
        Connect once, which is told at the level "debug" only.
        """
        with Dialogue(empath.port) as client:
            client.greet()

    def test_a_namespace_speaks_at_its_own_level(self) -> None:
        """
        By hand at once and across a restart, by configuration from a reload on, until it is reset.
        """
        empath = self.empath({"log": {"level": "warn"}})
        empath.start()
        client = ControlClient(empath.control_socket, "")
        now = client.ask(SetLogLevel("debug", "empath.receive"))
        self.assertEqual(now.namespaces, (NamespaceLevel("empath.receive", "debug", "warn", True),))
        self.connect(empath)
        empath.wait_logged("debug receive: connect from")
        self.assertEqual(empath.logged(" info "), empath.logged(" info receive: "))
        self.assertEqual(empath.stop(), 0)
        empath.start()
        empath.wait_logged("log level debug, set by hand, holds for empath.receive instead of warn")
        wait_until("it accepts", lambda: client.ask(GetStatus()).accepting)
        before = len(empath.logged("connect from"))
        self.connect(empath)
        wait_until("told", lambda: len(empath.logged("connect from")) > before)
        client.ask(SetLogLevel(None, "empath.receive"))
        self.assertEqual(client.ask(GetStatus()).overrides, ())
        empath.reload({"log": {"level": "info", "levels": {"empath.config": "error"}}})
        wait_until("info", lambda: client.ask(GetStatus()).log_level.level == "info")
        self.assertEqual(client.ask(GetStatus()).log_level.namespaces[0].by_hand, False)
        empath.reload({})
        identity = self.send(empath, [YOU])
        empath.wait_logged(identity)
        self.assertEqual(empath.logged("configuration read again"), [])


class RepeatTests(LogCase):
    """
    What is said again and again.
    """

    def test_is_counted_and_told_at_the_latest_at_the_end(self) -> None:
        """
        As it is said within the time that the configuration gives.
        """
        empath = self.empath({"log": {"repeat_interval": "1h"}})
        empath.start()
        with ExitStack() as stack:
            clients = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(3)]
            for client in clients:
                client.settimeout(30)
                client.connect(str(empath.control_socket))
                client.sendall(b"\xff" * 1000)
            self.assertEqual([client.recv(1) for client in clients], [b""] * 3)
        empath.reload({"log": {"repeat_interval": 0}})
        empath.wait_logged("in use from now on", "log.repeat_interval")
        self.assertEqual(empath.stop(), 0)
        self.assertEqual(len(empath.logged("warn control: control connection of uid")), 1)
        self.assertEqual(len(empath.logged("warn control: said 2 more times in the last", "control connection")), 1)


class PlaceTests(LogCase):
    """
    Where twistd's own options, and systemd, send it.
    """

    def test_the_journal_reads_the_priority_of_each_line(self) -> None:
        """
        Where standard output is what systemd says that the journal reads.
        """
        log = self.folder / "empath" / "empath.log"
        log.parent.mkdir()
        log.touch()
        found = log.stat()
        empath = self.empath(environment={"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"})
        empath.start()
        with Dialogue(empath.port) as client:
            client.greet()
            client.say("MAIL FROM:<")
        self.assertEqual(empath.stop(), 0)
        lines = empath.log().splitlines()
        self.assertTrue(lines)
        for line in lines:
            self.assertRegex(line, r"^<[2-6]>")
            level = line.partition("Z ")[2].partition(" ")[0]
            self.assertEqual(line[1], {"info": "6", "warn": "4", "error": "3", "critical": "2"}[level])

    def test_syslog_gets_each_record_with_its_priority(self) -> None:
        """
        By twistd's --syslog and --prefix: rsyslogd reads facility mail, our level, our name, and the text as it is.
        """
        require(not SYSLOG.exists() and os.access(SYSLOG.parent, os.W_OK), f"{SYSLOG} is somebody else's")
        rsyslog = Rsyslog(self.folder / "rsyslog", "unix")
        self.addCleanup(rsyslog.stop)
        rsyslog.start()
        SYSLOG.symlink_to(self.folder / "rsyslog" / "log")
        self.addCleanup(SYSLOG.unlink)
        peer = self.peer("127.0.0.11")
        empath = self.empath(merged(smarthost(peer), {}))
        first, *rest = empath.command()
        program = empath.launch([first, "--syslog", *rest])
        program.wait_for(empath.alive)
        identity = self.send(empath, ["you+%s@one.test"])
        self.assertEqual(self.attempt(empath, ["no address"]).code, 501)
        wait_until("delivered", lambda: any("status=sent" in each.text for each in rsyslog.got()))
        self.assertEqual(empath.stop(), 0)
        wait_until("the end", lambda: any("stopped: 1 received" in each.text for each in rsyslog.got()))
        got = rsyslog.got()
        [received] = [each for each in got if f"receive: {identity}: from=" in each.text]
        self.assertEqual((received.priority, received.program), (str(2 * 8 + 6), "empath"))
        self.assertEqual(received.process, str(program.pid))
        self.assertLessEqual({each.priority for each in got}, {str(2 * 8 + level) for level in (2, 3, 4, 6)})

    def test_a_full_disk_under_the_log_stops_nothing(self) -> None:
        """
        Mail goes on where every write of the log fails.
        """
        require(Path("/dev/full").exists(), "there is no /dev/full")
        peer = self.peer("127.0.0.11")
        empath = self.empath(merged(smarthost(peer), {}))
        first, *rest = empath.command()
        program = empath.launch([first, "--logfile", "/dev/full", *rest])
        program.wait_for(empath.alive)
        self.send(empath, [YOU])
        self.wait_arrived(peer, YOU)
        self.assertEqual(empath.stop(), 0)
