"""
What sends to collectors, with OpenTelemetry's exporters, against a collector that does everything that it should not.
"""

from __future__ import annotations

import logging
import os
import ssl
import time
from collections.abc import Iterable
from typing import Any

import trustme
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.trace_context import TraceContext
from empath.observe.export import collector
from empath.observe.export.destination import Destination
from empath.observe.export.log_record import LogRecord
from empath.observe.export.logs import LogSender
from empath.observe.export.sent import TAKEN, Sent
from empath.observe.export.spans import SpanSender
from empath.observe.tracing.span import Event, Span
from tests.e2e.otlp_receiver import OtlpReceiver, attributes
from tests.e2e.stalls import Stalls

TRACE, ROOT, ATTEMPT = "0190a1b2c3d4e5f60718293a4b5c6d7e", "1" * 16, "a" * 16


def span(**changes: Any) -> Span:
    """
    Make one of an attempt.
    """
    told: dict[str, Any] = {
        "context": TraceContext(TRACE, ATTEMPT, True),
        "parent": ROOT,
        "name": "deliver",
        "kind": "client",
        "started": 1_700_000_000.25,
        "ended": 1_700_000_001.5,
        "attributes": {"empath.queue_id": "01J", "attempt": 2, "took": 0.5, "tls": True},
        **changes,
    }
    return Span(**told)


class SenderTestCase(SynchronousTestCase):
    """
    A collector, and what sends spans to it.
    """

    def setUp(self) -> None:
        self.receiver = OtlpReceiver()
        self.receiver.start()
        self.addCleanup(self.receiver.stop)
        self.patch(collector, "ANSWER", 0.5)
        self.sender = SpanSender(self.to(self.receiver.endpoint))
        self.said: list[str] = []
        keep = logging.Handler()
        keep.emit = lambda record: self.said.append(record.getMessage())  # type: ignore[method-assign]
        logging.getLogger().addHandler(keep)
        self.addCleanup(logging.getLogger().removeHandler, keep)

    def environment(self, **variables: str) -> None:
        """
        Have these variables until the end of the test.
        """
        for name, value in variables.items():
            if name in os.environ:
                self.addCleanup(os.environ.__setitem__, name, os.environ[name])
            else:
                self.addCleanup(os.environ.pop, name)
            os.environ[name] = value

    def to(self, endpoint: str, **headers: str) -> Destination:
        return Destination(endpoint, tuple(headers.items()), "mx.empath.test")

    def send(self, *spans: Span) -> Sent:
        made: Iterable[Span] = spans or (span(),)
        return self.sender([lambda: made])


class SpanTests(SenderTestCase):
    """
    What arrives.
    """

    def test_arrive_as_they_are(self) -> None:
        events = (Event(1_700_000_000.5, "command", {"text": "MAIL FROM:<>"}),)
        links = (TraceContext("2" * 32, "3" * 16, True),)
        self.assertEqual(self.send(span(events=events, links=links, trouble="it is full")), TAKEN)
        [got] = self.receiver.scoped_spans
        self.assertEqual(got.resource["service.name"], "empath")
        self.assertEqual(got.resource["host.name"], "mx.empath.test")
        self.assertIn("service.version", got.resource)
        self.assertGreater(got.resource["process.pid"], 1)
        self.assertEqual((got.scope, got.it.name, got.it.kind), ("empath", "deliver", 3))
        ids = got.it.trace_id.hex(), got.it.span_id.hex(), got.it.parent_span_id.hex()
        self.assertEqual(ids, (TRACE, ATTEMPT, ROOT))
        self.assertEqual(got.it.start_time_unix_nano, 1_700_000_000_250_000_000)
        self.assertEqual(got.it.end_time_unix_nano, 1_700_000_001_500_000_000)
        told = {"empath.queue_id": "01J", "attempt": 2, "took": 0.5, "tls": True}
        self.assertEqual(attributes(got.it), told)
        [event] = got.it.events
        self.assertEqual((event.name, attributes(event)), ("command", {"text": "MAIL FROM:<>"}))
        [link] = got.it.links
        self.assertEqual((link.trace_id.hex(), link.span_id.hex()), ("2" * 32, "3" * 16))
        self.assertEqual((got.it.status.code, got.it.status.message), (2, "it is full"))
        [asked] = self.receiver.asked
        self.assertEqual(asked.fields["content-encoding"], "gzip")
        self.assertEqual(self.receiver.faults, [])

    def test_root_has_no_parent_and_no_trouble_no_status(self) -> None:
        self.send(span(parent=""))
        [got] = self.receiver.spans
        self.assertEqual((got.parent_span_id, got.status.code), (b"", 0))

    def test_hostile_texts_and_numbers_arrive(self) -> None:
        """
        Surrogates, which UTF-8 does not know, numbers beyond 64 bits, texts of megabytes, and times before 1970.
        """
        odd = {"lone": "a\udc80b", "huge": 1 << 70, "long": "x" * 1_000_000, "nul": "\x00\x1b[31m", "\udcff": "key"}
        self.assertEqual(self.send(span(attributes=odd, started=-1.0, ended=-2.0, trouble="\udc80")), TAKEN)
        [got] = self.receiver.spans
        told = attributes(got)
        self.assertEqual((told["lone"], told["huge"], told["nul"]), ("a?b", str(1 << 70), "\x00\x1b[31m"))
        self.assertEqual((told["?"], len(told["long"]), got.start_time_unix_nano), ("key", 16_385, 0))

    def test_one_that_cannot_be_made_takes_no_other_along(self) -> None:
        def broken() -> Iterable[Span]:
            raise ValueError("no")

        sent = self.sender([broken, lambda: [span()]])
        self.assertEqual((sent.trouble, sent.lost), ("", 1))
        self.assertIn("ValueError", sent.reason)
        self.assertEqual(len(self.receiver.spans), 1)

    def test_headers_go_along_and_are_never_told(self) -> None:
        secret = "Bearer very-secret"
        sender = SpanSender(self.to(self.receiver.endpoint, authorization=secret))
        sender([lambda: [span()]])
        self.assertEqual(self.receiver.asked[-1].fields["authorization"], secret)
        self.receiver.stop()
        self.assertNotIn("secret", str(sender([lambda: [span()]])))

    def test_https_goes_to_who_can_prove_its_name(self) -> None:
        authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        receiver = OtlpReceiver(tls=context)
        receiver.start()
        self.addCleanup(receiver.stop)
        strange = SpanSender(self.to(receiver.endpoint))([lambda: [span()]])
        self.assertTrue(strange.again)
        self.assertIn("certificate", strange.trouble)
        trusted = os.path.abspath(self.mktemp())
        authority.cert_pem.write_to_path(trusted)
        self.environment(OTEL_EXPORTER_OTLP_CERTIFICATE=trusted)
        self.assertEqual(SpanSender(self.to(receiver.endpoint))([lambda: [span()]]), TAKEN)
        self.assertEqual(len(receiver.spans), 1)

    def test_say_more_of_who_we_are_where_the_environment_does(self) -> None:
        self.environment(OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=production")
        SpanSender(self.to(self.receiver.endpoint))([lambda: [span()]])
        [got] = self.receiver.scoped_spans
        self.assertEqual(got.resource["deployment.environment.name"], "production")
        self.assertEqual(got.resource["service.name"], "empath")

    def test_nothing_of_the_environment_diverts_them(self) -> None:
        """
        Neither a proxy nor a login of .netrc.
        """
        self.environment(http_proxy="http://127.0.0.1:9", HTTP_PROXY="http://127.0.0.1:9")
        self.assertEqual(self.send(), TAKEN)

    def test_no_header_of_the_environment_goes_along(self) -> None:
        """
        It may be a secret that is meant for another collector.
        """
        self.environment(
            OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20other,x-key=other",
            OTEL_EXPORTER_OTLP_TRACES_HEADERS="x-more=other,X-Scope=other,content-type=other",
        )
        sender = SpanSender(self.to(self.receiver.endpoint, **{"X-Scope": "mail"}))
        self.assertEqual(sender([lambda: [span()]]), TAKEN)
        fields = self.receiver.asked[-1].fields
        self.assertEqual(fields["x-scope"], "mail")
        self.assertEqual([name for name, value in fields.items() if "other" in value], [])

    def test_where_something_goes_is_told_without_headers(self) -> None:
        self.assertNotIn("secret", repr(self.to(self.receiver.endpoint, authorization="very secret")))


class TroubleTests(SenderTestCase):
    """
    What does not arrive.
    """

    def test_what_the_protocol_has_tried_again_is(self) -> None:
        for code in (429, 502, 503, 504):
            self.receiver.refuse(code)
            self.assertEqual(self.send(), Sent(f"it answers {code}", again=True))
        self.assertEqual(len(self.receiver.asked), 4)

    def test_and_after_as_long_as_the_collector_asks_for(self) -> None:
        dates = "Sun, 22 Nov 2026 05:00:00 GMT", "Sun, 22 Nov 2026 05:01:30 GMT"
        for said, seconds in {"17": 17.0, " 3 ": 3.0, dates[1]: 90.0, "soon": 0.0, "-5": 0.0, "1e9": 0.0}.items():
            self.receiver.refuse(503, Retry_After=said)
            sent = self.send()
            if "GMT" in said:  # it counts from the answer's own date, which lies before or after it
                self.assertIs(type(sent.after), float)
                self.assertEqual(collector._seconds(said, dates[0]), seconds)
            else:
                self.assertEqual(sent.after, seconds)

    def test_other_refusals_and_redirections_are_not_tried_again(self) -> None:
        for code in (301, 307, 400, 401, 403, 404, 500, 501):
            self.receiver.refuse(code, Location=f"{self.receiver.endpoint}/elsewhere")
            self.assertEqual(self.send(), Sent(f"it answers {code}"))
        self.assertEqual({each.path for each in self.receiver.asked}, {"/v1/traces"})

    def test_too_large_a_request_is_told_apart(self) -> None:
        self.receiver.refuse(413)
        self.assertTrue(self.send().too_large)

    def test_what_is_rejected_of_a_request_is_counted(self) -> None:
        answer = ExportTraceServiceResponse()
        answer.partial_success.rejected_spans = 1
        answer.partial_success.error_message = "too \x1b[31m old"
        self.receiver.body = answer.SerializeToString()
        sent = self.send(span(), span())
        self.assertEqual((sent.trouble, sent.lost), ("", 1))
        self.assertIn(r"too \x1b[31m old", sent.reason)

    def test_garbage_in_a_success_is_a_success(self) -> None:
        for body in (b"\xff" * 50, b"{}", b"<html>", b"x" * 200_000):
            self.receiver.body = body
            self.assertEqual(self.send(), TAKEN)

    def test_what_is_no_answer_is_tried_again(self) -> None:
        for raw in (b"", b"SSH-2.0-OpenSSH\r\n", b"\x00" * 70_000):
            self.receiver.raw = raw
            sent = self.send()
            self.assertTrue(sent.trouble and sent.again, (raw[:10], sent))

    def test_one_that_hangs_is_left_in_time(self) -> None:
        self.receiver.hang()
        self.assertEqual(self.send(), Sent("no answer in 0 s", again=True))
        self.receiver.go_on()
        self.assertEqual(self.send(), TAKEN)

    def test_one_that_says_an_octet_now_and_then_is_left_in_time(self) -> None:
        self.receiver.drip = 0.1
        for raw in (b"HTTP/1.1 200 " + b"O" * 200, b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200):
            self.receiver.raw = raw
            with Stalls() as stalls:
                began = time.monotonic()
                self.assertEqual(self.send(), Sent("no answer in 0 s", again=True))
            self.assertLess(time.monotonic() - began, 2.0 + stalls.seconds)

    def test_the_code_counts_though_the_rest_of_an_answer_does_not_come(self) -> None:
        ends = "Content-Length: 1000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nno\r\n"
        expected = {"200 OK": TAKEN, "503 No": Sent("it answers 503", again=True), "400 No": Sent("it answers 400")}
        for code, sent in expected.items():
            for end in ends:
                for drip in (0.0, 0.005):
                    self.receiver.drip = drip
                    self.receiver.raw = f"HTTP/1.1 {code}\r\n{end}{'.' * 100}".encode()
                    with Stalls() as stalls:
                        began = time.monotonic()
                        self.assertEqual(self.send(), sent, (code, end, drip))
                    self.assertLess(time.monotonic() - began, 2.0 + stalls.seconds)

    def test_one_that_is_gone_and_comes_back(self) -> None:
        self.assertEqual(self.send(), TAKEN)
        self.receiver.stop()
        self.assertEqual(self.send(), Sent("Connection refused", again=True))
        self.receiver.start()
        self.assertEqual(self.send(), TAKEN)

    def test_a_name_that_does_not_exist_is_tried_again(self) -> None:
        sender = SpanSender(self.to("http://collector.invalid:4318"))
        self.assertTrue(sender([lambda: [span()]]).again)

    def test_a_certificate_that_nobody_trusts_is_told_as_such(self) -> None:
        sender = SpanSender(self.to(self.receiver.endpoint.replace("http:", "https:")))
        sent = sender([lambda: [span()]])
        self.assertTrue(sent.trouble and sent.again)

    def test_nothing_is_said_but_by_us(self) -> None:
        self.receiver.refuse(503)
        self.send()
        self.receiver.stop()
        self.send()
        self.assertEqual(self.said, [])


class LogTests(SenderTestCase):
    """
    Log records.
    """

    def test_arrive_as_they_are(self) -> None:
        fields = {
            "queue_id": "01J",
            "size": 7,
            "why": None,
            "deep": {"a": [1, {"b": {"c": {"d": 1}}}]},
            "odd": "\udc80",
        }
        record = LogRecord(1_700_000_000.5, "warn", "empath.queue", "01J: late", fields, TRACE, ROOT, "Traceback…")
        plain = LogRecord(1_700_000_001.5, "info", "empath", "hello", {})
        sent = LogSender(self.to(self.receiver.endpoint))([record, plain])
        self.assertEqual(sent, TAKEN)
        first, second = self.receiver.scoped_records
        self.assertEqual((first.scope, first.resource["service.name"]), ("empath.queue", "empath"))
        it = first.it
        self.assertEqual((it.trace_id.hex(), it.span_id.hex()), (TRACE, ROOT))
        self.assertEqual((it.severity_number, it.severity_text), (13, "warn"))
        self.assertEqual((it.body.string_value, it.time_unix_nano), ("01J: late", 1_700_000_000_500_000_000))
        told = attributes(it)
        self.assertEqual((told["queue_id"], told["size"], told["odd"]), ("01J", 7, "?"))
        self.assertEqual(told["exception.stacktrace"], "Traceback…")
        self.assertEqual((second.it.trace_id, second.it.span_id), (b"", b""))
