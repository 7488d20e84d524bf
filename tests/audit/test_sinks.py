"""
Other places than the file: records go there as they can, and what does not is counted.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from empath.audit.otlp import PAUSE, OtlpSink
from empath.audit.outbox import Outbox
from empath.audit.sinks import Sinks, SinkTools
from empath.audit.syslog import SyslogSink
from empath.audit.syslog_ways import Target, target_of
from empath.config.schema import Audit, AuditSyslog
from empath.net.web_answer import WebAnswer
from tests.audit.trails import happened, trail


def lines(count: int) -> list[bytes]:
    file = trail(None)
    file.wants_lines = True
    return file.write([happened(number) for number in range(count)], sync=False).lines


def in_thread(call: Callable[[], Any]) -> Deferred[Any]:
    return succeed(call())


class OutboxTests(SynchronousTestCase):
    def test_the_oldest_give_way_and_are_counted(self) -> None:
        box = Outbox("there", 3)
        box.add([b"1", b"2", b"3", b"4"])
        self.assertEqual((box.take(9), box.lost), ([b"2", b"3", b"4"], 1))
        box.add([b"5", b"6"])
        box.put_back([b"3", b"4"])
        self.assertEqual((box.take(9), box.lost), ([b"4", b"5", b"6"], 2))
        box.went()

    def test_records_of_many_recipients_are_bounded_by_their_octets(self) -> None:
        box = Outbox("there", 100, octets=1000)
        box.add([b"%d" % number * 300 for number in range(5)])
        self.assertEqual((len(box), box.lost), (3, 2))
        taken = box.take(9, 700)
        self.assertEqual([line[:1] for line in taken], [b"2", b"3"])
        box.put_back(taken)
        self.assertEqual((len(box), box.lost), (3, 2))
        box.add([b"x" * 2000])
        self.assertEqual((len(box), box.lost), (0, 6))

    def test_one_record_goes_however_long(self) -> None:
        box = Outbox("there")
        box.add([b"x" * 500, b"y"])
        self.assertEqual(box.take(9, 100), [b"x" * 500])

    def test_what_waits_at_the_end_is_counted(self) -> None:
        box = Outbox("there")
        box.add([b"1", b"2"])
        box.end()
        box.end()
        self.assertEqual((len(box), box.lost), (0, 2))


class TargetTests(SynchronousTestCase):
    def test_addresses_are_read(self) -> None:
        for text, target in (
            ("unix:/dev/log", Target("unix", path="/dev/log")),
            ("udp:logs.test:5514", Target("udp", "logs.test", 5514)),
            ("tcp:logs.test", Target("tcp", "logs.test", 514)),
            ("tls:[2001:db8::1]:6515", Target("tls", "2001:db8::1", 6515)),
            ("tls:[2001:db8::1]", Target("tls", "2001:db8::1", 6514)),
        ):
            self.assertEqual(target_of(text), target)
        for text in (
            "",
            "unix:",
            "unix:log",
            "tcp:",
            "tcp::1",
            "http:x:1",
            "udp:x:0",
            "udp:x:99999",
            "udp:x:y",
            "tcp:a..b:1",
            "udp:x:²",
        ):
            self.assertRaises(ValueError, target_of, text)


class DatagramTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.path = Path(self.mktemp()).absolute().parent / "s"
        if len(str(self.path)) > 100:
            self.path = Path("/tmp") / f"empath-{id(self)}"
        self.addCleanup(self.path.unlink, missing_ok=True)
        self.sink = SyslogSink(self.clock, in_thread, Target("unix", path=str(self.path)), "mail", "mx.test", 7)

    def server(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        made.bind(str(self.path))
        made.setblocking(False)
        self.addCleanup(made.close)
        return made

    def test_a_record_is_one_message(self) -> None:
        server = self.server()
        self.sink.start()
        [line] = lines(1)
        self.sink.send([line])
        header, _, message = server.recv(65536).partition(b" audit - ")
        self.assertEqual(message, line.rstrip(b"\n"))
        stamp = json.loads(line)["time"]
        self.assertEqual(header.decode(), f"<21>1 {stamp} mx.test empath 7")
        self.successResultOf(Deferred.fromCoroutine(self.sink.stop()))

    def test_a_server_that_comes_later_gets_what_waited(self) -> None:
        self.sink.start()
        self.sink.send(lines(3))
        server = self.server()
        self.clock.advance(1.0)
        self.assertEqual(len([server.recv(65536) for _ in range(3)]), 3)
        server.close()
        self.path.unlink()
        self.sink.send(lines(2))
        server = self.server()
        self.clock.advance(2.0)
        self.assertEqual(len([server.recv(65536) for _ in range(2)]), 2)
        self.assertEqual(self.sink.lost, 0)
        self.successResultOf(Deferred.fromCoroutine(self.sink.stop()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_record_that_no_datagram_holds_is_counted(self) -> None:
        self.server()
        self.sink.start()
        self.sink.send([lines(1)[0].replace(b"step-0", b"x" * 70_000)])
        self.assertEqual(self.sink.lost, 1)
        self.successResultOf(Deferred.fromCoroutine(self.sink.stop()))

    def test_a_stop_does_not_wait_for_a_server_that_is_not_there(self) -> None:
        self.sink.start()
        self.sink.send(lines(1))
        self.successResultOf(Deferred.fromCoroutine(self.sink.stop()))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class Pool:
    """
    Answers requests as a test wants.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answers: list[Deferred[WebAnswer]] = []

    def request(self, method: str, url: str, fields: Any, body: bytes, patience: Any) -> Deferred[WebAnswer]:
        self.asked.append((url, json.loads(body)))
        answer: Deferred[WebAnswer] = Deferred()
        self.answers.append(answer)
        return answer

    def stop(self) -> Deferred[None]:
        return succeed(None)


class OtlpTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.pool = Pool()
        self.sink = OtlpSink(self.clock, self.pool, "http://localhost:4318/", "mx.test")  # type: ignore[arg-type]

    def answer(self, code: int, trouble: str = "") -> None:
        self.pool.answers.pop(0).callback(WebAnswer(code, trouble=trouble))
        self.clock.advance(0)

    def test_records_are_sent_as_logs_one_request_at_a_time(self) -> None:
        self.sink.start()
        sent = lines(3)
        self.sink.send(sent[:2])
        self.sink.send(sent[2:])
        [(url, body)] = self.pool.asked
        self.assertEqual(url, "http://localhost:4318/v1/logs")
        [resource] = body["resourceLogs"]
        [scope] = resource["scopeLogs"]
        first, _ = scope["logRecords"]
        self.assertEqual(first["body"]["stringValue"], sent[0].decode().rstrip("\n"))
        self.assertEqual(int(first["timeUnixNano"]) % 10**9, 0)
        self.assertIn({"key": "empath.audit.seq", "value": {"intValue": "1"}}, first["attributes"])
        self.answer(200)
        self.assertEqual(len(self.pool.asked), 2)
        self.answer(200)
        self.successResultOf(Deferred.fromCoroutine(self.sink.stop()))

    def test_a_collector_in_trouble_is_asked_again_later(self) -> None:
        self.sink.start()
        self.sink.send(lines(2))
        for trial, (code, trouble) in enumerate(((503, ""), (429, ""), (0, "no answer"))):
            self.answer(code, trouble)
            self.assertEqual(len(self.pool.asked), trial + 1)
            self.clock.advance(PAUSE[0] * 2**trial)
        self.assertEqual(len(self.pool.asked), 4)
        self.answer(200)
        self.assertEqual(self.sink.lost, 0)
        self.successResultOf(Deferred.fromCoroutine(self.sink.stop()))
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_only_what_the_protocol_has_tried_again_is(self) -> None:
        self.sink.start()
        for code in (400, 401, 413, 500, 501):
            before = self.sink.lost
            self.sink.send(lines(2))
            self.answer(code)
            self.assertEqual((self.sink.lost - before, self.pool.answers), (2, []))
        self.successResultOf(Deferred.fromCoroutine(self.sink.stop()))

    def test_records_that_a_collector_rejects_are_counted(self) -> None:
        for body, lost in (
            (b"", 0),
            (b"{}", 0),
            (b"not json", 0),
            (b'{"partialSuccess":{}}', 0),
            (b'{"partialSuccess":null}', 0),
            (b'{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"no"}}', 2),
            (b'{"partialSuccess":{"rejectedLogRecords":1}}', 1),
            (b'{"partialSuccess":{"rejectedLogRecords":-1}}', 0),
            (b'{"partialSuccess":{"rejectedLogRecords":999}}', 3),
        ):
            self.sink.start()
            before = self.sink.lost
            self.sink.send(lines(3))
            self.pool.answers.pop(0).callback(WebAnswer(200, body=body))
            self.clock.advance(0)
            self.assertEqual(self.sink.lost - before, lost, body)
        self.successResultOf(Deferred.fromCoroutine(self.sink.stop()))

    def test_no_request_is_larger_than_collectors_take(self) -> None:
        self.sink.start()
        self.sink.send([line.replace(b"step-", b"x" * 900_000) for line in lines(4)])
        [(_, body)] = self.pool.asked
        self.assertEqual(len(body["resourceLogs"][0]["scopeLogs"][0]["logRecords"]), 2)
        self.answer(200)
        self.assertEqual(len(self.pool.asked), 2)
        self.answer(200)
        self.successResultOf(Deferred.fromCoroutine(self.sink.stop()))

    def test_what_a_collector_refuses_is_counted(self) -> None:
        self.sink.start()
        self.sink.send(lines(2))
        self.answer(400)
        self.assertEqual(self.sink.lost, 2)
        self.successResultOf(Deferred.fromCoroutine(self.sink.stop()))

    def test_a_stop_waits_only_so_long(self) -> None:
        self.sink.start()
        self.sink.send(lines(2))
        stopped = Deferred.fromCoroutine(self.sink.stop())
        self.assertNoResult(stopped)
        self.clock.advance(3.0)
        self.clock.advance(0)
        self.successResultOf(stopped)


class SinksTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.sinks = Sinks(SinkTools(self.reactor, in_thread, "mx.test", 7))

    def test_only_the_file_is_no_other_place(self) -> None:
        self.sinks.prepare(Audit())()
        self.assertFalse(self.sinks.wanted)

    def test_others_are_made_and_replaced_only_when_they_change(self) -> None:
        section = Audit(sinks=("file", "syslog"), syslog=AuditSyslog("tcp:192.0.2.1:514"))
        self.sinks.prepare(section)()
        self.assertTrue(self.sinks.wanted)
        self.sinks.start()
        before = self.sinks._sinks
        self.sinks.prepare(attrs.evolve(section, redact_sender=True))()
        self.assertIs(self.sinks._sinks, before)
        [stopping] = self.sinks.prepare(attrs.evolve(section, sinks=("file", "otlp")))()
        self.successResultOf(stopping)
        self.assertTrue(self.sinks.wanted)

    def test_a_certificate_that_cannot_be_read_is_told(self) -> None:
        syslog = AuditSyslog("tls:logs.test:6514", ca="/nowhere")  # type: ignore[arg-type]
        self.assertRaises(ValueError, self.sinks.prepare, Audit(sinks=("syslog",), syslog=syslog))

    def test_what_old_ones_lost_still_counts_and_so_does_what_they_could_not_bring(self) -> None:
        section = Audit(sinks=("syslog",), syslog=AuditSyslog("unix:/nowhere/log"))
        self.sinks.prepare(section)()
        self.sinks.start()
        self.sinks.send(lines(3))
        self.assertEqual(self.sinks.lost, 0)
        [stopping] = self.sinks.prepare(attrs.evolve(section, sinks=("file",)))()
        self.successResultOf(stopping)
        self.assertEqual((self.sinks.lost, self.sinks._leaving), (3, []))
