"""
Whatever happens to a message, each record of it names it and its trace, and a span that a collector gets.
"""

from __future__ import annotations

import json
import re
from typing import Any

from empath.control.client import ControlClient
from empath.control.terms.managing import Bounce, Delete, Hold, Release, Retry
from empath.control.terms.queue import Filter
from empath.mail.trace_context import span_id_of, trace_id_of
from tests.e2e.harness import EndToEndTestCase, message, smarthost
from tests.e2e.otlp_receiver import OtlpReceiver
from tests.e2e.ports import free_port
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath, Settings, merged
from tests.e2e.scripted import says
from tests.e2e.serving import HARNESS_PYTHONPATH
from tests.e2e.test_audit_lives import MODULES

ID = re.compile(r"\b01[0-9A-HJKMNP-TV-Z]{24}\b")
ROUTES = {
    "maildir.test": {"strategy": "maildir", "path": "/dev/null/maildir"},
    "file.test": {"strategy": "file", "path": "/dev/null/folder"},
    "lmtp.test": {"strategy": "lmtp", "path": "/nowhere/lmtp"},
}


class LivesTests(EndToEndTestCase):
    """
    One instance that traces all, whose mail goes to one peer, which refuses nobody@ for good and busy@ for now.
    """

    def setUp(self) -> None:
        super().setUp()
        self.collector = OtlpReceiver()
        self.addCleanup(self.collector.stop)
        self.collector.start()

    def started(self, settings: Settings | None = None) -> Empath:
        server = self.peer("127.0.0.11")
        server.script.on("RCPT", says(550, "5.1.1 who is that"), argument="nobody@")
        server.script.on("RCPT", says(451, "4.2.1 mailbox is busy"), argument="busy@")
        hook = {"hook.test": {"strategy": "webhook", "url": f"http://127.0.0.1:{free_port()}/"}}
        usual: dict[str, Any] = {
            "log": {"format": "json", "level": "debug"},
            "tracing": {"enabled": True, "otlp_endpoint": self.collector.endpoint, "sample_ratio": 1.0},
            "delivery": {"base_retry_delay": "1h", "max_retry_delay": "1h", "domains": {**ROUTES, **hook}},
            "modules": MODULES,
        }
        self.mta = self.empath(merged(merged(smarthost(server), usual), settings or {}), environment=HARNESS_PYTHONPATH)
        self.mta.start()
        self.control = ControlClient(self.mta.control_socket)
        self.addCleanup(lambda: self.control.close())
        return self.mta

    def spans(self, trace_id: str) -> list[Any]:
        """
        Give what the collector has of a trace.
        """
        return [each for each in self.collector.spans if each.trace_id.hex() == trace_id]

    def records(self) -> list[dict[str, Any]]:
        lines = [line for line in self.mta.log().splitlines() if line]
        return [json.loads(line) for line in lines]

    def wait_told(self, *parts: str) -> None:
        self.mta.wait_logged(*parts)

    def assert_all_named(self, messages: set[str]) -> None:
        """
        Each record that has one of these ids in its text has it as a field, with its trace, and with a span that there
        is.
        """
        told = set()
        spans = {(each.trace_id.hex(), each.span_id.hex()) for each in self.collector.spans}
        for record in self.records():
            named = [each for each in ID.findall(record["event"]) if each in messages]
            if not named:
                continue
            told.add(named[0])
            self.assertEqual(record.get("queue_id"), named[0], record)
            self.assertEqual(record.get("trace_id"), trace_id_of(named[0]), record)
            self.assertIn((record["trace_id"], record["span_id"]), spans, record)
        self.assertEqual(told, messages)

    def test_all_that_can_happen(self) -> None:
        mta = self.started()
        found: dict[str, str] = {}
        for name in ("one", "club", "nobody", "busy"):
            found[name] = self.send(mta, [f"{name}@one.test"])
        found["nobody at all"] = self.send(mta, ["nobody@one.test"], sender="")
        for domain in (*ROUTES, "hook.test"):
            found[domain] = self.send(mta, [f"me@{domain}"])
            self.wait_told(found[domain], "status=deferred")
        found["held"] = self.send(mta, ["one@one.test"], sender="waits@origin.test")
        self.attempt(mta, ["one@one.test"], message("discard"))
        self.attempt(mta, ["refuse@one.test"])
        one = Filter(queue_id=found["busy"])
        self.wait_told(found["busy"], "status=deferred")
        for verb in (Hold(one, "why"), Release(one), Retry(one, force=True)):
            self.control.follow(verb, lambda _: None)
        wait_until("tried again", lambda: len(mta.logged(found["busy"], "status=deferred")) > 1)
        self.control.follow(Bounce(one, "gone"), lambda _: None)
        self.control.follow(Delete(Filter(queue_id=found["held"])), lambda _: None)
        self.wait_told(found["nobody"], "non-delivery notification")
        found["again"] = self.send(mta, ["busy@one.test"])
        self.wait_told(found["again"], "status=deferred")
        trace_id = trace_id_of(found["again"])  # what waited for the collector before is there as well
        wait_until("exported", lambda: "deliver" in {each.name for each in self.spans(trace_id)})
        mta.kill()
        mta.start()
        self.control = ControlClient(self.mta.control_socket)
        self.control.follow(Retry(Filter(queue_id=found["again"]), force=True), lambda _: None)
        wait_until("tried again", lambda: len(mta.logged(found["again"], "status=deferred")) > 1)
        self.assertEqual(mta.stop(), 0)
        self.assert_all_named({each["queue_id"] for each in self.records() if ID.fullmatch(each.get("queue_id", ""))})
        for name in ("maildir.test", "file.test"):
            [trouble] = [each for each in self.records() if f"{found[name]}: cannot write" in each["event"]]
            self.assertEqual(trouble["span_id"], span_id_of(found[name], name, 1))
