"""
Records at other places than the file: Debian's rsyslogd in every way, an OTLP collector; places that are dead, slow,
refuse, and come back, while mail goes on.
"""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any

import trustme

from empath.audit.verifying import verify
from tests.e2e.collector import Collector
from tests.e2e.harness import EndToEndTestCase
from tests.e2e.ports import free_port
from tests.e2e.processes import wait_until
from tests.e2e.program import HOSTNAME, Empath
from tests.e2e.rsyslog import Got, Rsyslog

LONG = [f"recipient-{number}-{'x' * 50}@one.test" for number in range(900)]
"""
So many that their record is longer than a datagram may be.
"""


class SinkTestCase(EndToEndTestCase):
    """
    One instance, which discards what it takes, and another place for its records.
    """

    def audited(self, **audit: Any) -> Empath:
        settings: dict[str, Any] = {
            "delivery": {"domains": {"*": {"strategy": "discard"}}},
            "audit": audit,
        }
        empath = self.empath(settings)
        empath.start()
        return empath

    def lines(self, empath: Empath) -> list[str]:
        path = empath.folder / "audit.jsonl"
        self.assertEqual(verify(path).findings, ())
        return path.read_text().splitlines()

    def lost(self, empath: Empath) -> int:
        _, page = empath.get("/metrics", metrics=True)
        [line] = [each for each in page.splitlines() if each.startswith("empath_audit_sink_lost_total ")]
        return int(float(line.split()[1]))


class SyslogTests(SinkTestCase):
    """
    Debian's rsyslogd reads what we send as RFC 5424 has it.
    """

    def rsyslog(self, way: str) -> tuple[Rsyslog, str]:
        folder, port = Path(self.folder) / "rsyslog", free_port()
        folder.mkdir()
        if way == "tls":
            authority = trustme.CA()
            authority.cert_pem.write_to_path(str(folder / "ca.pem"))
            certificate = authority.issue_cert("localhost")
            certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
            certificate.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
        server = Rsyslog(folder, way, port)
        self.addCleanup(server.stop)
        server.start()
        return server, f"unix:{folder}/log" if way == "unix" else f"{way}:localhost:{port}"

    def assert_same(self, got: list[Got], lines: list[str]) -> None:
        self.assertEqual([each.text for each in got], lines)
        for each in got:
            told = json.loads(each.text)
            header = (each.priority, each.hostname, each.program, each.message_id, each.structured)
            self.assertEqual(header, (str(16 * 8 + 5), HOSTNAME, "empath", "audit", "-"))
            self.assertEqual(each.time, told["time"])
            self.assertTrue(each.process.isdecimal())

    def brought(self, way: str, **syslog: str) -> None:
        """
        All but the end of the trail, which nobody is told of, gets there as it stands in the file.
        """
        server, address = self.rsyslog(way)
        empath = self.audited(sinks=["file", "syslog"], syslog={"address": address, "facility": "local0", **syslog})
        for number in range(3):
            self.send(empath, [f"nr{number}@one.test"])
        self.send(empath, LONG if way in ("tcp", "tls") else ["long@one.test"])
        wait_until("delivered", lambda: sum('"event":"delivered"' in each.text for each in server.got()) == 4)
        self.assertEqual(self.lost(empath), 0)
        self.assertEqual(empath.stop(), 0)
        server.stop()
        lines = [line for line in self.lines(empath) if '"resource":"audit"' not in line]
        self.assert_same(server.got(), lines)

    def test_over_udp(self) -> None:
        self.brought("udp")

    def test_over_a_unix_socket(self) -> None:
        self.brought("unix")

    def test_over_tcp(self) -> None:
        self.brought("tcp")

    def test_over_tls(self) -> None:
        self.brought("tls", ca=str(Path(self.folder) / "rsyslog" / "ca.pem"))

    def test_a_record_too_long_for_a_datagram_is_counted_and_holds_up_no_other(self) -> None:
        server, address = self.rsyslog("udp")
        empath = self.audited(sinks=["file", "syslog"], syslog={"address": address})
        self.send(empath, LONG)
        self.send(empath, ["short@one.test"])
        wait_until("got", lambda: any("short@one.test" in each.text for each in server.got()))
        self.assertGreaterEqual(self.lost(empath), 1)
        self.assertEqual(len(empath.logged("do not go to syslog")), 1)

    def test_nothing_goes_to_a_server_that_cannot_prove_its_name_and_that_is_told_once(self) -> None:
        server, address = self.rsyslog("tls")
        other = Path(self.folder) / "other.pem"
        trustme.CA().cert_pem.write_to_path(str(other))
        empath = self.audited(sinks=["file", "syslog"], syslog={"address": address, "ca": str(other)})
        self.send(empath, ["one@one.test"])
        empath.wait_logged("no records go to syslog")
        self.send(empath, ["two@one.test"])
        threading.Event().wait(4.0)
        self.assertEqual((len(empath.logged("go to syslog")), server.got()), (1, []))
        self.assertEqual(empath.stop(), 0)
        empath.wait_logged("records did not get to syslog before the end")

    def test_a_server_that_returns_gets_what_waited_and_trouble_is_told_once(self) -> None:
        server, address = self.rsyslog("tcp")
        empath = self.audited(sinks=["file", "syslog"], syslog={"address": address})
        self.send(empath, ["one@one.test"])
        server.wait_got("delivered")
        server.stop()
        empath.wait_logged("no records go to syslog")
        queue_id = self.send(empath, ["two@one.test"])
        threading.Event().wait(2.5)
        server.start()
        wait_until("what waited", lambda: sum(queue_id in each.text for each in server.got()) == 2)
        self.assertEqual(len(empath.logged("no records go to syslog")), 1)
        self.assertEqual(self.lost(empath), 0)


class ListeningOnly(threading.Thread):
    """
    A server that takes connections; `hang_up`: closes each at once, else it never reads a thing.
    """

    def __init__(self, hang_up: bool) -> None:
        super().__init__(daemon=True)
        self._hang_up = hang_up
        self._kept: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.taken = 0

    def run(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.taken += 1
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            if self._hang_up:
                connection.close()
            else:
                self._kept.append(connection)

    def stop(self) -> None:
        """
        Be gone.
        """
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for each in self._kept:
            each.close()


class TroubleTests(SinkTestCase):
    """
    Places that cannot be written to harm nothing else.
    """

    def server(self, hang_up: bool) -> ListeningOnly:
        server = ListeningOnly(hang_up)
        self.addCleanup(server.stop)
        server.start()
        return server

    def test_one_that_never_reads_costs_bounded_memory_and_no_mail(self) -> None:
        server = self.server(hang_up=False)
        syslog = {"address": f"tcp:127.0.0.1:{server.port}"}
        empath = self.audited(sinks=["file", "syslog"], syslog=syslog)
        self.send(empath, ["one@one.test"])
        before = empath.memory()
        for _ in range(220):
            self.send(empath, LONG)
        wait_until("lost", lambda: self.lost(empath) > 0)
        self.assertLess(empath.memory() - before, 100 * 1024 * 1024)
        self.assertEqual(len(empath.logged("no records go to syslog")), 1)
        self.assertEqual(empath.stop(), 0)
        lines = self.lines(empath)
        self.assertEqual(sum('"event":"delivered"' in line for line in lines), 221)

    def test_one_that_hangs_up_at_once_is_left_alone_for_longer_and_longer_and_told_once(self) -> None:
        server = self.server(hang_up=True)
        syslog = {"address": f"tcp:127.0.0.1:{server.port}"}
        empath = self.audited(sinks=["file", "syslog"], syslog=syslog)
        for _ in range(8):
            self.send(empath, ["one@one.test"])
            threading.Event().wait(1.0)
        self.assertLessEqual(server.taken, 5)
        self.assertEqual(len(empath.logged("go to syslog")), 1)

    def test_a_closed_udp_port_is_told_once(self) -> None:
        empath = self.audited(sinks=["file", "syslog"], syslog={"address": f"udp:127.0.0.1:{free_port()}"})
        for _ in range(8):
            self.send(empath, ["one@one.test"])
            threading.Event().wait(0.5)
        self.assertEqual(len(empath.logged("go to syslog")), 1)

    def test_nobody_there_and_the_program_stops_in_time(self) -> None:
        audit = {
            "sinks": ["file", "syslog", "otlp"],
            "syslog": {"address": f"tcp:127.0.0.1:{free_port()}"},
            "otlp": {"endpoint": f"http://127.0.0.1:{free_port()}"},
        }
        empath = self.audited(**audit)
        self.send(empath, ["one@one.test"])
        empath.wait_logged("no records go to the OTLP collector")
        self.assertEqual(empath.stop(10.0), 0)
        self.assertEqual(len(empath.logged("before the end")), 2)


class OtlpTests(SinkTestCase):
    """
    OpenTelemetry's own definitions read what we send.
    """

    def collector(self) -> Collector:
        collector = Collector(free_port())
        self.addCleanup(collector.stop)
        collector.start()
        return collector

    def reporting(self, collector: Collector) -> Empath:
        return self.audited(sinks=["file", "otlp"], otlp={"endpoint": f"http://127.0.0.1:{collector.port}"})

    def wait_brought(self, collector: Collector, text: str) -> None:
        wait_until(f"brought: {text}", lambda: any(text in each.body.string_value for each in collector.records))

    def test_records_are_read_as_they_stand_in_the_file(self) -> None:
        collector = self.collector()
        empath = self.reporting(collector)
        queue_id = self.send(empath, ["one@one.test"])
        self.wait_brought(collector, '"event":"delivered"')
        self.assertEqual(empath.stop(), 0)
        lines = [line for line in self.lines(empath) if '"resource":"audit"' not in line]
        self.assertEqual([each.body.string_value for each in collector.records], lines)
        self.assertEqual(collector.faults, [])
        told = {each.key: each.value.string_value for each in collector.resources[0].attributes}
        self.assertEqual(told, {"service.name": "empath", "host.name": HOSTNAME})
        for each, line in zip(collector.records, lines, strict=True):
            record = json.loads(line)
            named = {one.key: one.value for one in each.attributes}
            self.assertEqual(named["empath.audit.message_id"].string_value, queue_id)
            self.assertEqual(named["empath.audit.seq"].int_value, record["seq"])
            self.assertEqual((each.severity_number, each.severity_text), (9, "INFO"))
            self.assertEqual(each.time_unix_nano // 10**6 % 1000, int(record["time"][20:23]))

    def test_one_in_trouble_is_told_once_and_gets_all_when_it_returns(self) -> None:
        collector = self.collector()
        collector.code = 503
        empath = self.reporting(collector)
        for number in range(3):
            self.send(empath, [f"nr{number}@one.test"])
            threading.Event().wait(1.0)
        collector.code = 200
        self.wait_brought(collector, "nr2@one.test")
        self.assertEqual(len(empath.logged("no records go to the OTLP collector")), 1)
        self.assertEqual(self.lost(empath), 0)
        seen = [json.loads(each.body.string_value)["seq"] for each in collector.records]
        self.assertEqual(seen, sorted(set(seen)))

    def test_what_one_refuses_or_rejects_is_counted_and_told_once(self) -> None:
        collector = self.collector()
        collector.code = 400
        empath = self.reporting(collector)
        self.send(empath, ["one@one.test"])
        wait_until("counted", lambda: self.lost(empath) >= 2)
        self.send(empath, ["two@one.test"])
        wait_until("counted", lambda: self.lost(empath) >= 4)
        collector.code, collector.body = 200, b'{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"no"}}'
        self.send(empath, ["three@one.test"])
        wait_until("counted", lambda: self.lost(empath) >= 5)
        self.assertEqual(len(empath.logged("it answers 400")), 1)
        self.assertEqual(len(empath.logged("rejects some")), 1)

    def test_one_that_does_not_answer_holds_up_neither_mail_nor_the_end(self) -> None:
        collector = self.collector()
        collector.pause.clear()
        empath = self.reporting(collector)
        for number in range(3):
            self.send(empath, [f"nr{number}@one.test"])
        wait_until("asked", lambda: collector.asked == 1)
        self.assertEqual(empath.stop(15.0), 0)
        empath.wait_logged("did not get to the OTLP collector before the end")
        self.assertEqual(verify(empath.folder / "audit.jsonl").findings, ())
