"""
Deliveries that are traced, as a collector and next hops see them: every host that was tried, step by step, and the
trace that goes along with mail and to webhooks.
"""

from __future__ import annotations

import ssl
from typing import Any

import trustme

from empath.mail.trace_context import parse_traceparent, span_id_of, trace_id_of
from tests.e2e.harness import EndToEndTestCase, message
from tests.e2e.hook import Hook
from tests.e2e.otlp_receiver import OtlpReceiver, attributes
from tests.e2e.ports import free_port
from tests.e2e.processes import wait_until
from tests.e2e.program import Settings, merged
from tests.e2e.sameness import relayed_difference
from tests.e2e.scripted import says
from tests.e2e.signed_mail import mail
from tests.e2e.storing_session import Options
from tests.e2e.test_signing import SigningCase
from tests.e2e.unbound import mail_zone

YOU = "you@one.test"
SECRET = "0123456789abcdef"


class TracedCase(EndToEndTestCase):
    """
    Has a collector, and traces everything.
    """

    def setUp(self) -> None:
        super().setUp()
        self.collector = OtlpReceiver()
        self.addCleanup(self.collector.stop)
        self.collector.start()

    def tracing(self, **more: object) -> dict[str, Any]:
        """
        Settings that trace everything.
        """
        section = {"enabled": True, "sample_ratio": 1.0, "otlp_endpoint": self.collector.endpoint, **more}
        return {"tracing": section}

    def wait_span(self, span_id: str) -> None:
        """
        Wait for a span.
        """
        wait_until("its span came", lambda: any(each.span_id.hex() == span_id for each in self.collector.spans))

    def spans_under(self, span_id: str, count: int) -> list[Any]:
        """
        Wait for the children of a span, and give them as they began.
        """

        def children() -> list[Any]:
            return [span for span in self.collector.spans if span.parent_span_id.hex() == span_id]

        wait_until(f"{count} spans came", lambda: len(children()) >= count)
        return sorted(children(), key=lambda span: (span.start_time_unix_nano, span.end_time_unix_nano))


class StepTests(TracedCase):
    """
    What the collector gets of an attempt.
    """

    def test_every_host_has_its_steps(self) -> None:
        """
        The first one refuses the connection, the second one the transaction, the third one takes the mail, over TLS;
        QUIT is answered when all is settled, and belongs there nevertheless.
        """
        first, second, third = self.peer("127.0.0.11"), self.peer("127.0.0.12"), self.peer("127.0.0.21", self.secure())
        first.stop()
        second.script.on("MAIL", says(421, "4.3.2 not now"))
        dns = self.dns(*mail_zone("one.test", "127.0.0.11", "127.0.0.12", "127.0.0.21"))
        pool = {"delivery": {"connection_pool": {"max_messages": 1}}}
        empath = self.relaying(dns, merged(self.tracing(), pool))
        name = self.send(empath, [YOU])
        self.wait_arrived(third, YOU)
        spans = self.spans_under(span_id_of(name, "one.test", 1), 11)
        self.assertEqual({span.trace_id.hex() for span in spans}, {trace_id_of(name)})
        self.assertEqual({attributes(span)["empath.queue_id"] for span in spans}, {name})
        self.assertEqual(spans[0].name, "dns")
        steps = {
            nth: {span.name: span for span in spans if str(attributes(span).get("network.peer.address")).endswith(nth)}
            for nth in ("11", "12", "21")
        }
        self.assertEqual(steps["11"].keys(), {"connect"})
        self.assertEqual(steps["11"]["connect"].status.message, "cannot connect: connection refused")
        self.assertEqual(steps["12"].keys(), {"connect", "mail", "rcpt", "data"})
        self.assertEqual(steps["12"]["mail"].status.message, "421 4.3.2 not now")
        self.assertEqual(steps["21"].keys(), {"connect", "tls", "mail", "rcpt", "data", "quit"})
        self.assertEqual({span.status.message for span in steps["21"].values()}, {""})
        self.assertEqual(attributes(steps["21"]["tls"])["tls.protocol.version"], "1.3")
        self.assertEqual([event.name for event in steps["21"]["quit"].events], ["command", "reply"])

    def secure(self) -> Options:
        """
        Make a server that offers STARTTLS.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("mx3.one.test").configure_cert(context)
        return Options(context=context)

    def test_a_hook(self) -> None:
        """
        Is one step, with its status; nothing of its URL but the host is told. The hook hears of trace and baggage.
        """
        hook = Hook(None, free_port("127.0.0.1"), SECRET)
        self.addCleanup(hook.stop)
        hook.answers = lambda _: (503, {}, b"") if len(hook.requests) == 1 else (200, {}, b"")
        url = f"http://127.0.0.1:{hook.port}/mail?token=geheim"
        routes = {"delivery": {"domains": {"one.test": {"strategy": "webhook", "url": url, "secret": SECRET}}}}
        empath = self.empath(merged(self.tracing(propagate=True), routes))
        empath.start()
        name = self.send(empath, [YOU])
        empath.wait_logged(name, "status=sent")
        for number, code in ((1, 503), (2, 200)):
            (http,) = self.spans_under(span_id_of(name, "one.test", number), 1)
            self.assertEqual((http.name, attributes(http)["http.response.status_code"]), ("http", code))
            self.assertNotIn("geheim", str(http))
            fields = hook.requests[number - 1].fields
            self.assertEqual(fields["traceparent"], f"00-{trace_id_of(name)}-{span_id_of(name, 'one.test', number)}-01")
            self.assertEqual(fields["baggage"], "client_ip=127.0.0.1,message_priority=0")


class PropagatedTests(TracedCase):
    """
    What a next hop is told.
    """

    def test_mail_small_and_streamed_until_a_reload(self) -> None:
        """
        One field on top names the attempt's span, and nothing is different below it; after a reload that ends it, mail
        goes as it came.
        """
        server = self.peer("127.0.0.11")
        empath = self.to_peer(server, self.tracing(propagate=True))
        for size in (10, 3 << 20):
            to = f"size{size}@one.test"
            sent = message("size") + b"x" * 70 + b"\r\n" + (b"y" * 76 + b"\r\n") * (size // 78)
            name = self.send(empath, [to], sent)
            content = self.wait_arrived(server, to).content or b""
            field, _, rest = content.partition(b"\r\n")
            context = parse_traceparent(field.decode().removeprefix("traceparent: "))
            assert context is not None
            span = span_id_of(name, "one.test", 1)
            self.assertEqual((context.trace_id, context.span_id, context.sampled), (trace_id_of(name), span, True))
            self.assertEqual(relayed_difference(rest, sent), "")
            self.assertNotIn(b"baggage", rest)
            self.wait_span(span)
        empath.reload(self.tracing(propagate=False))
        self.send(empath, ["last@one.test"])
        self.assert_relayed(self.wait_arrived(server, "last@one.test").content, message())


class SignedTests(SigningCase):
    """
    Mail that is signed, and tells of its trace.
    """

    def test_signatures_hold(self) -> None:
        """
        OpenDKIM and dkimpy say so.
        """
        settings: Settings = {"tracing": {"enabled": True, "otlp_endpoint": "http://127.0.0.1:9", "propagate": True}}
        empath = self.to_peer(self.server, merged(self.keys.settings(), settings))
        messages = {f"m{number}": mail(number) for number in range(6)}
        self.post_all(empath, messages)
        contents = self.arrived(self.server, messages)
        below = {name: content.partition(b"\r\n")[2] for name, content in contents.items()}
        self.assertTrue(all(content.startswith(b"traceparent: 00-") for content in contents.values()))
        refused = [self.keys.dkimpy_refuses(content) for content in contents.values()]
        self.assertFalse(any(refused), refused)
        self.assertEqual(self.assert_verified(below), 6)
