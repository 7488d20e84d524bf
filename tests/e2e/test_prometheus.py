"""
Requirements that Prometheus itself judges: the page, the rules, and what both of them say of an MTA under load.
"""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import trustme

from empath.mail.trace_context import trace_id_of
from tests.e2e.dialogue import Dialogue
from tests.e2e.harness import SENDER, message
from tests.e2e.ports import free_port
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath
from tests.e2e.prometheus import promtool
from tests.e2e.watched import CLIENTS, OF_A_CLIENT, TOKEN, PrometheusTestCase
from tests.observe.shipped import DASHBOARD, chosen, drawn, expressions, rules

FROM_ELSEWHERE = {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_max_fds",
                  "process_start_time_seconds"}  # fmt: skip
IDLE_PANELS = {  # what draws nothing while all is well, and nothing of it is configured
    "What fires", "Parts that are not ready", "Limits and logins", "TLS of sessions", "What held mail back",
    "Bounces and complaints that came later", "Modules", "Modules take, 99 %", "What modules said", "Breakers",
    "Opened and closed", "Held back by a rate", "Held back for, 95 %", "Shaped sites", "Certificates",
}  # fmt: skip


def rule_names() -> set[str]:
    """
    Tell the alerts that are shipped.
    """
    return {rule["alert"] for rule in rules()}


class LoadedTests(PrometheusTestCase):
    """
    What Prometheus has after a load that is known.
    """

    def load(self, empath: Empath) -> None:
        """
        Send from several clients at once; each is also refused once.
        """
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(lambda client: self.send_many(empath, client), range(CLIENTS)))

    def send_many(self, empath: Empath, client: int) -> None:
        """
        Be one of the clients.
        """
        kinds = ("now", "now", "later", "now", "now", "never")
        with Dialogue(empath.port) as dialogue:
            dialogue.greet()
            self.assertEqual(dialogue.say("RCPT TO:<early@one.test>").code, 503)
            for nth in range(OF_A_CLIENT):
                name = f"{kinds[nth % len(kinds)]}-{client}-{nth}"
                self.assertEqual(dialogue.post(SENDER, [f"{name}@one.test"], message(name)).code, 250)
            dialogue.send(b"QUIT\r\n")

    def test_it_has_the_right_values_of_a_loaded_mta_and_nothing_fires(self) -> None:
        """
        Received, delivered, tried again and failed, refused, looked up, stored: all as the peers saw it.
        """
        empath = self.watched()
        self.watch(empath)
        self.prometheus.wait_value('up{job="empath"}', 1)
        self.load(empath)
        of_all = CLIENTS * OF_A_CLIENT
        later = never = of_all // 6
        # Every failed delivery makes a report, which goes to a sender whose domain does not exist, and fails as well.
        self.prometheus.wait_value("empath_smtp_messages_received_total", of_all)
        self.prometheus.wait_value("empath_delivery_messages_delivered_total", of_all - never, 60)
        for expression, expected in (
            ("empath_smtp_connections_total >= bool 4", 1),
            ('empath_smtp_errors_total{code="503"}', CLIENTS),
            ("empath_smtp_message_size_bytes_count", of_all),
            ('empath_delivery_attempts_total{domain="one.test", status="completed"}', of_all - never),
            ('empath_delivery_attempts_total{domain="one.test", status="retry"}', later),
            ('empath_delivery_attempts_total{domain="one.test", status="failed"}', never),
            ('empath_delivery_duration_seconds_count{domain="one.test"}', of_all + later),
            ('empath_delivery_retry_count_count{domain="one.test"}', of_all),
            ("empath_delivery_reports_queued_total", never),
            ('empath_health_ready{job="empath"}', 1),
            ("count(empath_info)", 1),
            ("empath_dns_lookups_total{query_type=\"MX\"} > bool 0", 1),
            ("empath_spool_commit_duration_seconds_count > bool 0", 1),
        ):  # fmt: skip
            self.prometheus.wait_value(expression, expected)
        self.assertEqual(self.firing(), set())
        self.assert_rules_work()
        self.assert_dashboard_draws()
        self.assert_well_made(self.page(empath)[1])

    def assert_well_made(self, text: str) -> None:
        """
        promtool has nothing to say against a page.
        """
        checked = promtool("check", "metrics", given=text.encode())
        self.assertEqual((checked.returncode, (checked.stdout + checked.stderr).decode()), (0, ""))

    def assert_rules_work(self) -> None:
        """
        All of them are loaded, and can be evaluated.
        """
        wait_until("every rule evaluated", lambda: all(rule["health"] == "ok" for rule in self.loaded()))
        self.assertEqual({rule["name"] for rule in self.loaded()}, rule_names())
        self.assertEqual({rule.get("lastError", "") for rule in self.loaded()}, {""})

    def loaded(self) -> list[dict[str, Any]]:
        """
        Give the rules as Prometheus has them.
        """
        return [rule for group in self.prometheus.ask("rules")["groups"] for rule in group["rules"]]

    def assert_dashboard_draws(self) -> None:
        """
        Every panel has something to draw, but for those of what did not happen.
        """
        filled = {each.where for each in drawn() if self.prometheus.query(chosen(each))}
        self.assertEqual({each.where for each in drawn()} - filled - IDLE_PANELS, set(), DASHBOARD.name)

    def test_promtool_finds_nothing_wrong_with_the_page_and_it_has_all_that_is_asked_for(self) -> None:
        """
        Every metric of the alerts and of the dashboard is one of the page.
        """
        empath = self.watched()
        self.send(empath, ["now@one.test"])
        status, text = self.page(empath)
        self.assertEqual(status, 200)
        self.assert_well_made(text)
        families = dict(re.findall(r"^# TYPE (\w+) (\w+)", text, re.MULTILINE))
        parts = {
            name + part
            for name, kind in families.items()
            if kind == "histogram"
            for part in ("_bucket", "_sum", "_count")
        }
        for each in expressions():
            self.assertEqual(each.names() - families.keys() - parts - FROM_ELSEWHERE, set(), each.where)

    def test_who_has_no_token_gets_no_figures(self) -> None:
        """
        401, and nothing in it.
        """
        empath = self.watched()
        for token in ("", "another", TOKEN + "x", TOKEN[:-1]):
            self.assertEqual(self.page(empath, token=token), (401, ""))


class AlarmedTests(PrometheusTestCase):
    """
    Alerts of a real MTA that is really in trouble, begun at once rather than after minutes.
    """

    def test_a_prometheus_with_another_token_says_that_it_is_down(self) -> None:
        """
        An alert on figures never fires without figures: this one does.
        """
        self.watch(self.watched(), token="another", hasty=True)
        self.prometheus.wait_value('up{job="empath"}', 0)
        self.wait_firing("EmpathDown", lambda found: found == {"EmpathDown"})

    def test_a_full_disk_and_a_bad_configuration_are_told_and_their_end_is(self) -> None:
        """
        Nothing fires before, the right ones do while it lasts, and nothing after it.
        """
        empath = self.watched()
        self.watch(empath, hasty=True)
        self.prometheus.wait_value("empath_health_ready", 1)
        self.wait_firing("nothing", lambda found: not found)
        empath.reload({"spool": {"min_free": "1000000GiB"}})
        expected = {"EmpathDiskFull", "EmpathNotReady"}
        self.wait_firing("disk full, not ready", lambda found: found == expected)
        empath.reload({"spool": {"min_free": "1 MiB and a bit"}})
        self.wait_firing("reload failed", lambda found: found == {*expected, "EmpathReloadFailed"})
        empath.reload({"spool": {"min_free": "1MiB"}})
        self.wait_firing("nothing again", lambda found: not found)

    def test_a_certificate_that_expires_is_told_in_time_and_no_more_once_it_is_renewed(self) -> None:
        """
        Five days before its end, then one, then with another one in its place.
        """
        certificate, key = self.folder / "cert.pem", self.folder / "key.pem"
        authority = trustme.CA()

        def renew(days: int) -> None:
            end = datetime.fromtimestamp(time.time() + days * 86400, UTC)
            issued = authority.issue_cert("mx.empath.test", not_after=end)
            issued.private_key_pem.write_to_path(str(key))
            issued.cert_chain_pems[0].write_to_path(str(certificate))

        renew(5)
        empath = self.empath({"metrics": {"token_hash": sha256(TOKEN.encode()).hexdigest()}})
        empath.listen(tls="starttls", certificate=str(certificate), private_key=str(key))
        empath.start()
        self.watch(empath, hasty=True)
        for days, expected in ((5, {"EmpathCertificateExpires"}), (1, {"EmpathCertificateAboutToExpire"}), (90, set())):
            renew(days)
            empath.hang_up()
            self.wait_firing(f"{days} days", expected.__eq__)


class TracedTests(PrometheusTestCase):
    """
    From a figure to the message behind it.
    """

    def test_it_keeps_the_trace_of_a_message_as_the_example_of_how_long_its_delivery_took(self) -> None:
        """
        OpenMetrics is what it asks for; the label is the one that Grafana's sources are told of.
        """
        tracing = {"enabled": True, "sample_ratio": 1.0, "otlp_endpoint": f"http://127.0.0.1:{free_port()}"}
        empath = self.watched({"tracing": tracing})
        self.watch(empath)
        self.prometheus.wait_value('up{job="empath"}', 1)
        queue_id = self.send(empath, ["now@one.test"])
        for name in ("empath_delivery_duration_seconds_bucket", "empath_delivery_queue_age_seconds_bucket"):
            self.assertEqual(self.wait_examples(name), {trace_id_of(queue_id)})

    def wait_examples(self, name: str) -> set[str]:
        """
        Wait for the first of them.
        """
        wait_until(f"an example of {name}", lambda: bool(self.examples(name)))
        return self.examples(name)

    def examples(self, name: str) -> set[str]:
        """
        Tell the traces that Prometheus has of a metric.
        """
        now = time.time()
        found = self.prometheus.ask("query_exemplars", query=name, start=str(now - 600), end=str(now + 60))
        return {each["labels"]["trace_id"] for series in found for each in series["exemplars"]}
