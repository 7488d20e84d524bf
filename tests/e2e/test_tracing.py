"""
A message's whole life under one trace, as a collector gets it: docs/tracing.md, held against the real program.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from empath.mail.trace_context import TraceContext, span_id_of, trace_id_of
from tests.e2e.dialogue import Dialogue
from tests.e2e.harness import SENDER, EndToEndTestCase, message, smarthost
from tests.e2e.otlp_receiver import OtlpReceiver, attributes
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath, Settings, merged
from tests.e2e.scripted import says
from tests.e2e.unbound import mail_zone

PARENT = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", True)
OK = 1  # codes of a span's status (opentelemetry-proto, trace.proto)
ERROR = 2


class TracingTestCase(EndToEndTestCase):
    """
    A collector beside the MTA.
    """

    def setUp(self) -> None:
        super().setUp()
        self.collector = OtlpReceiver()
        self.addCleanup(self.collector.stop)
        self.collector.start()

    def traced(self, settings: Settings | None = None, **tracing: Any) -> dict[str, Any]:
        """
        Settings that trace everything, unless `tracing` says otherwise.
        """
        section = {"enabled": True, "otlp_endpoint": self.collector.endpoint, "sample_ratio": 1.0, **tracing}
        return merged({"tracing": section}, settings or {})

    def wait_spans(self, trace_id: str, complete: Callable[[list[Any]], bool]) -> list[Any]:
        """
        Wait until the collector has what there is to be of a trace.
        """
        wait_until("exported", lambda: complete(self.spans(trace_id)))
        self.assertEqual(self.collector.faults, [])
        return self.spans(trace_id)

    def spans(self, trace_id: str) -> list[Any]:
        """
        Tell the spans of a trace that came so far.
        """
        return [each for each in self.collector.spans if each.trace_id.hex() == trace_id]

    def tree(self, spans: Iterable[Any], top: str = "") -> list[str]:
        """
        Draw spans in the order of their times, indented by what they are under.
        """
        lines: list[str] = []
        ids = {each.span_id.hex() for each in spans}
        for span in sorted(spans, key=lambda each: (each.start_time_unix_nano, -each.end_time_unix_nano)):
            parent = span.parent_span_id.hex()
            if parent == top or (not top and parent not in ids):
                lines += [span.name, *(f"  {each}" for each in self.tree(spans, span.span_id.hex()))]
        return lines


class LifeTests(TracingTestCase):
    """
    A message is received, deferred, the MTA is killed and started again, and delivers it.
    """

    def live(self, settings: Settings | None = None) -> tuple[Empath, str, list[Any]]:
        """
        Have it happen; gives the queue id and the spans.
        """
        peer = self.peer("127.0.0.11")
        peer.script.on("RCPT", says(451, "4.2.1 bob@one.test is busy"), times=1)
        dns = self.dns(*mail_zone("one.test", "127.0.0.11"))
        routes: dict[str, Any] = {"delivery": {"port": self.peer_port, "dns": {"servers": [dns.server]}}}
        late = {
            "delivery": {
                "base_retry_delay": "4s",
                "max_retry_delay": "4s",
                "connection_pool": {"max_messages": 1},  # QUIT follows at once
            }
        }
        mta = self.empath(merged(self.traced(merged(routes, late)), settings or {}))
        mta.start()
        found = self.send(mta, ["bob@one.test"])
        trace_id = trace_id_of(found)
        self.wait_spans(trace_id, lambda spans: {"receive", "deliver"} <= {each.name for each in spans})
        mta.kill()
        mta.start()
        self.wait_arrived(peer, "bob@one.test")
        spans = self.wait_spans(
            trace_id,
            lambda spans: (
                sum(each.name == "deliver" for each in spans) == 2 and sum(each.name == "quit" for each in spans) == 2
            ),
        )
        return mta, found, spans

    def test_all_spans_are_of_one_trace_in_the_tree_that_is_documented(self) -> None:
        _, found, spans = self.live()
        self.assertEqual(
            self.tree(spans),
            [
                "receive",
                *("  mail", "  rcpt", "  data", "  store"),
                "  deliver",
                *("    dns", "    connect", "    mail", "    rcpt", "    data", "    quit"),
                "  deliver",
                *("    dns", "    connect", "    mail", "    rcpt", "    data", "    quit"),
            ],
        )
        self.assertEqual(len({each.span_id for each in spans}), len(spans))
        root = next(each for each in spans if each.name == "receive")
        self.assertEqual(root.span_id.hex(), span_id_of(found))
        self.assertEqual(root.parent_span_id, b"")
        for span in spans:
            told = attributes(span)
            self.assertEqual(
                (told["empath.queue_id"], told["client.address"], told["empath.message.priority"]),
                (found, "127.0.0.1", 0),
            )
            self.assertLessEqual(span.start_time_unix_nano, span.end_time_unix_nano)
        first, second = sorted(
            (each for each in spans if each.name == "deliver"),
            key=lambda each: attributes(each)["empath.attempt"],
        )
        self.assertEqual((first.status.code, first.status.message), (ERROR, "451 4.2.1 …@one.test is busy"))
        self.assertEqual(second.status.code, 0)
        self.assertEqual(attributes(second)["empath.attempt"], 2)
        said = [(each.name, attributes(each)["text"]) for each in self.under(spans, first, "rcpt").events]
        self.assertEqual(said, [("command", "RCPT TO:<…@one.test>"), ("reply", "451 4.2.1 …@one.test is busy")])
        self.assertNotIn("bob", str([spans]))

    def under(self, spans: Iterable[Any], parent: Any, name: str) -> Any:
        """
        Give the child of this name.
        """
        return next(each for each in spans if each.parent_span_id == parent.span_id and each.name == name)

    def test_log_lines_and_audit_records_carry_it(self) -> None:
        for form in ("text", "json"):
            with self.subTest(form):
                mta, found, _ = self.live({"log": {"format": form}})
                trace_id = trace_id_of(found)
                lines = mta.logged(found)
                self.assertGreaterEqual(len(lines), 3)
                for line in lines:
                    if form == "json":
                        self.assertEqual(json.loads(line)["trace_id"], trace_id, line)
                        self.assertEqual(len(json.loads(line)["span_id"]), 16, line)
                    else:
                        self.assertIn(f"trace_id={trace_id} span_id=", line)
                wait_until("recorded", lambda mta=mta: "delivered" in [each["event"] for each in records(mta)])  # type: ignore[misc]
                about = [each for each in records(mta) if each["message_id"] == found]
                self.assertGreaterEqual({each["event"] for each in about}, {"received", "retry", "delivered"})
                for record in about:
                    self.assertEqual(record["metadata"]["trace_id"], trace_id, record)
                mta.stop()
                self.doCleanups()
                self.setUp()


class SamplingTests(TracingTestCase):
    """
    What is traced, and what is not.
    """

    def test_what_fails_is_traced_though_nothing_else_is(self) -> None:
        peer = self.peer("127.0.0.11")
        peer.script.on("RCPT", says(550, "5.1.1 who is that"), argument="nobody@")
        mta = self.to_peer(peer, self.traced(sample_ratio=0.0, propagate=True))
        bad = self.send(mta, ["nobody@one.test"])
        spans = self.wait_spans(trace_id_of(bad), lambda spans: "transaction" in [each.name for each in spans])
        self.assertEqual(self.tree(spans), ["receive", "  deliver", "    dns", "    connect", "    transaction"])
        self.assertEqual([each.status.code for each in spans if each.name == "deliver"], [ERROR])
        for span in spans:
            self.assertEqual(attributes(span)["empath.queue_id"], bad)
        good = self.send(mta, ["bob@one.test"])
        self.wait_arrived(peer, "bob@one.test")
        mta.stop()
        self.assertEqual(self.spans(trace_id_of(good)), [])

    def test_a_refused_transaction_is_an_error(self) -> None:
        mta = self.empath(self.traced({"relay": {"networks": [], "domains": ["one.test"], "recipients": "any"}}))
        mta.start()
        with Dialogue(mta.port) as client:
            client.greet()
            client.say("MAIL FROM:<ann@one.test>")
            client.say("RCPT TO:<bob@elsewhere.test>")
            client.say("RSET")
            client.send(b"QUIT\r\n")
        wait_until("exported", lambda: len(self.collector.spans) >= 3)
        self.assertEqual(self.tree(self.collector.spans), ["receive", "  mail", "  rcpt"])
        codes = {each.name: each.status.code for each in self.collector.spans}
        self.assertEqual(codes, {"receive": ERROR, "mail": 0, "rcpt": ERROR})

    def test_off_and_on_by_a_reload(self) -> None:
        peer = self.peer("127.0.0.11")
        mta = self.to_peer(peer, self.traced(enabled=False))
        self.send(mta, ["one@one.test"])
        self.wait_arrived(peer, "one@one.test")
        mta.reload({"tracing": {"enabled": True}})
        mta.wait_logged("in use from now on", "tracing.enabled")
        found = self.send(mta, ["two@one.test"])
        self.wait_spans(trace_id_of(found), lambda spans: {"receive", "deliver"} <= {each.name for each in spans})
        mta.reload({"tracing": {"sample_ratio": 0.0}})
        mta.wait_logged("in use from now on", "tracing.sample_ratio")
        last = self.send(mta, ["three@one.test"])
        self.wait_arrived(peer, "three@one.test")
        mta.stop()
        self.assertEqual({each.trace_id.hex() for each in self.collector.spans}, {trace_id_of(found)})
        self.assertEqual(self.spans(trace_id_of(last)), [])


class ContinuedTests(TracingTestCase):
    """
    Traces that others began.
    """

    def test_that_of_a_trusted_client_goes_on(self) -> None:
        peer = self.peer("127.0.0.11")
        mta = self.to_peer(peer, self.traced(sample_ratio=0.0))
        found = self.send(mta, ["bob@one.test"], f"traceparent: {PARENT}\r\n".encode() + message())
        spans = self.wait_spans(PARENT.trace_id, lambda spans: {"receive", "deliver"} <= {each.name for each in spans})
        root = next(each for each in spans if each.name == "receive")
        self.assertEqual((root.span_id.hex(), root.parent_span_id.hex()), (span_id_of(found), PARENT.span_id))
        self.assertIn(f"trace_id={PARENT.trace_id}", mta.wait_logged(found, "status=sent")[0])

    def test_log_and_audit_know_it_again_after_a_restart(self) -> None:
        peer = self.peer("127.0.0.11")
        peer.script.on("RCPT", says(451, "4.2.1 busy"), times=1)
        retry = {"delivery": {"base_retry_delay": "4s", "max_retry_delay": "4s"}}
        mta = self.to_peer(peer, self.traced(retry, sample_ratio=0.0))
        found = self.send(mta, ["bob@one.test"], f"traceparent: {PARENT}\r\n".encode() + message())
        mta.wait_logged(found, "status=deferred")
        mta.kill()
        mta.start()
        self.wait_arrived(peer, "bob@one.test")
        mta.wait_logged(found, "status=sent")
        for line in mta.logged(found):
            self.assertIn(f"trace_id={PARENT.trace_id}", line)
        wait_until("recorded", lambda: "delivered" in [each["event"] for each in records(mta)])
        for record in records(mta):
            if record["message_id"] == found:
                self.assertEqual(record["metadata"]["trace_id"], PARENT.trace_id, record)

    def test_that_of_anybody_else_does_not(self) -> None:
        peer = self.peer("127.0.0.11")
        ours = {"relay": {"networks": [], "domains": ["one.test"], "recipients": "any"}}
        mta = self.to_peer(peer, self.traced(ours))
        sent = f"traceparent: {PARENT}\r\n".encode() + message()
        found = self.send(mta, ["bob@one.test"], sent)
        self.wait_spans(trace_id_of(found), lambda spans: {"receive", "deliver"} <= {each.name for each in spans})
        self.assertEqual(self.spans(PARENT.trace_id), [])
        self.assert_relayed(self.wait_arrived(peer, "bob@one.test").content, sent)

    def test_one_trace_goes_through_two(self) -> None:
        """
        Each hop names its attempt in a field on top, and the next one goes on under it.
        """
        peer = self.peer("127.0.0.11")
        second = self.empath(merged(smarthost(peer), self.traced(sample_ratio=0.0)), "second")
        second.start()
        hop = {"delivery": {"domains": {"*": {"mx_override": f"127.0.0.1:{second.port}"}}}}
        first = self.empath(merged(hop, self.traced(propagate=True)), "first")
        first.start()
        found = self.send(first, ["bob@one.test"])
        self.wait_arrived(peer, "bob@one.test")
        names = ["deliver", "deliver", "receive", "receive"]
        spans = self.wait_spans(
            trace_id_of(found),
            lambda spans: sorted(each.name for each in spans if each.name in names) == names,
        )
        chain = [each for each in spans if each.name in names]
        self.assertEqual(self.tree(chain), ["receive", "  deliver", "    receive", "      deliver"])
        self.assertEqual({each.trace_id.hex() for each in self.collector.spans}, {trace_id_of(found)})


class ReportTests(TracingTestCase):
    """
    What the sender is told.
    """

    def test_has_its_own_trace_that_is_linked_to_its_cause(self) -> None:
        peer = self.peer("127.0.0.11")
        peer.script.on("RCPT", says(550, "5.1.1 who is that"), argument="nobody@")
        mta = self.to_peer(peer, self.traced())
        found = self.send(mta, ["nobody@one.test"])
        report = self.wait_arrived(peer, SENDER)
        self.assertIsNotNone(report)
        wait_until("exported", lambda: "report" in [each.name for each in self.collector.spans])
        span = next(each for each in self.collector.spans if each.name == "report")
        self.assertNotEqual(span.trace_id.hex(), trace_id_of(found))
        [link] = span.links
        self.assertEqual((link.trace_id.hex(), link.span_id.hex()), (trace_id_of(found), span_id_of(found)))
        told = attributes(span)
        self.assertEqual((told["empath.report.about"], told["empath.report.action"]), (found, "failed"))
        self.wait_spans(span.trace_id.hex(), lambda spans: {"report", "deliver"} <= {each.name for each in spans})
        self.assertEqual(trace_id_of(told["empath.queue_id"]), span.trace_id.hex())


def records(mta: Empath) -> list[dict[str, Any]]:
    """
    Read the audit trail as far as it is written.
    """
    text = (mta.folder / "audit.jsonl").read_text()
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
