"""
What can be seen from outside: health, metrics, log lines.
"""

from __future__ import annotations

import json

from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.harness import SENDER, EndToEndTestCase, message
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath
from tests.e2e.scripted import says
from tests.e2e.unbound import mail_zone

YOU = "you@one.test"
NAMES = {
    "empath_smtp_connections_total", "empath_smtp_connections_active", "empath_smtp_errors_total",
    "empath_smtp_messages_received_total", "empath_smtp_message_size_bytes_count", "empath_delivery_attempts_total",
    "empath_delivery_messages_delivered_total", "empath_delivery_messages_failed_total",
    "empath_delivery_messages_retrying_total", "empath_delivery_error_rate", "empath_delivery_success_rate",
    "empath_delivery_queue_size", "empath_delivery_queue_oldest_seconds", "empath_dns_lookups_total",
    "empath_dns_cache_hits_total", "empath_dns_cache_misses_total", "empath_spool_commit_duration_seconds_count",
}  # fmt: skip
FACTS = {
    "alive", "ready", "smtp_ready", "spool_ready", "delivery_ready", "dns_ready", "disk_ready", "shutting_down",
    "queue_size", "max_queue_size",
}  # fmt: skip


class ObservingTests(EndToEndTestCase):
    """
    One instance that delivers to two hosts by MX.
    """

    def samples(self, empath: Empath) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """
        Read the metrics page with Prometheus's own parser.
        """
        status, text = empath.get("/metrics", metrics=True)
        self.assertEqual(status, 200)
        families = text_string_to_metric_families(text)
        return {(each.name, frozenset(each.labels.items())): each.value for one in families for each in one.samples}

    def test_health_and_readiness_answer(self) -> None:
        empath, _, _ = self.two_hosts()
        self.assertEqual(empath.get("/health/live"), (200, "OK"))
        self.assertEqual(empath.get("/health")[0], 200)
        self.send(empath, [YOU])
        wait_until("ready", lambda: empath.get("/health/ready") == (200, "OK"))
        self.assertEqual(empath.get("/nothing")[0], 404)

    def test_a_dead_resolver_makes_it_unready_but_not_dead(self) -> None:
        dns = self.dns(*mail_zone("one.test", "127.0.0.11"))
        dns.stop()
        empath = self.relaying(dns)
        self.send(empath, [YOU])
        wait_until("unready", lambda: empath.get("/health/ready")[0] == 503, 60)
        facts = json.loads(empath.get("/health/ready")[1])
        self.assertLessEqual(FACTS, facts.keys())
        self.assertEqual((facts["alive"], facts["ready"], facts["dns_ready"]), (True, False, False))
        self.assertEqual(empath.get("/health/live")[0], 200)

    def test_metrics_are_read_by_prometheus_and_count_what_happened(self) -> None:
        empath, first, second = self.two_hosts()
        for nth in range(3):
            self.send(empath, [f"m{nth}@one.test"])
        self.assertEqual(self.attempt(empath, ["no address"]).code, 501)
        wait_until("arrived", lambda: len(first.stored) + len(second.stored) == 3)
        wait_until(
            "counted", lambda: self.samples(empath)["empath_delivery_messages_delivered_total", frozenset()] == 3
        )
        samples = self.samples(empath)
        self.assertEqual(NAMES - {name for name, _ in samples}, set())
        self.assertEqual(samples["empath_smtp_messages_received_total", frozenset()], 3)
        self.assertEqual(samples["empath_smtp_errors_total", frozenset({("code", "501")})], 1)
        self.assertEqual(samples["empath_delivery_success_rate", frozenset()], 1)

    def test_each_attempt_has_one_line_a_recipient_with_the_queue_id_first(self) -> None:
        empath, first, second = self.two_hosts()
        for server in (first, second):
            server.script.on("RCPT", says(450, "4.2.1 soon"), argument="later@", times=1)
            server.script.on("RCPT", says(550, "5.1.1 nobody"), argument="never@")
        recipients = ["now@one.test", "later@one.test", "never@one.test"]
        queue_id = self.send(empath, recipients, message())
        empath.wait_logged(queue_id, "to=<later@one.test>", "status=sent")
        for recipient, status, dsn, reply in (
            ("now@one.test", "sent", "2.0.0", "250 2.0.0 Ok"),
            ("later@one.test", "deferred", "4.2.1", "450 4.2.1 soon"),
            ("later@one.test", "sent", "2.0.0", "250 2.0.0 Ok"),
            ("never@one.test", "bounced", "5.1.1", "550 5.1.1 nobody"),
        ):
            [line] = empath.logged(f"to=<{recipient}>", f"status={status}")
            for part in (f"{queue_id}: to=", "relay=mx", "delay=", f"dsn={dsn}", reply):
                self.assertIn(part, line)
        [received] = empath.logged(queue_id, f"from=<{SENDER}>")
        self.assertIn("nrcpt=3", received)

    def test_json_logs_are_json(self) -> None:
        empath, first, _ = self.two_hosts({"log": {"format": "json"}})
        queue_id = self.send(empath, [YOU])
        self.wait_arrived(first, YOU)
        empath.wait_logged(queue_id, "sent")
        records = [json.loads(line) for line in empath.log().splitlines() if line]
        self.assertTrue(any(queue_id in str(record) and "sent" in str(record) for record in records))
