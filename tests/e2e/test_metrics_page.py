"""
What the real page tells of process and service.
"""

from __future__ import annotations

import http.client
import os
import re

import trustme
from cryptography import x509
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.counting import OPENMETRICS, TlsDialogue, scraped
from tests.e2e.harness import EndToEndTestCase, message
from tests.e2e.ports import free_port
from tests.e2e.processes import wait_until
from tests.e2e.program import HOSTNAME, Empath
from tests.observe.metrics.test_page import REFERENCE
from tests.receive.certificates import write_pair


class MetricsPageTests(EndToEndTestCase):
    """
    One instance with a listener that has TLS.
    """

    def setUp(self) -> None:
        super().setUp()
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "rules").write_text("deny ehlo nobody.test\n")
        file = str(self.folder / "rules")
        rules = {"factory": "access", "name": "rules", "options": {"file": file, "interval": "1s"}}
        self.mta: Empath = self.empath({"metrics": {"high_priority_domains": ["vip.test"]}, "modules": [rules]})
        pair = write_pair(self.folder, "mine", trustme.CA(), HOSTNAME)
        self.certificate = str(pair.certificate)
        key = str(pair.private_key)
        self.secured = self.mta.listen(tls="implicit", certificate=self.certificate, private_key=key)
        self.mta.start()

    def value(self, name: str, **labels: str) -> float | None:
        """
        Find a sample.
        """
        return scraped(self.mta.metrics_port).get((f"empath_{name}", frozenset(labels.items())))

    def test_it_has_exactly_the_families_of_the_reference(self) -> None:
        rows = re.findall(r"^\| `((?:empath|process|python)_\w+)[{`]", REFERENCE.read_text(), re.M)
        wait_until(
            "looked", lambda: self.value("health_ready") is not None
        )  # on a busy machine not with the first page
        families = text_string_to_metric_families(self.mta.get("/metrics", metrics=True)[1])
        told = {each.name + ("_total" if each.type == "counter" else "") for each in families}
        self.assertEqual(told, set(rows))

    def test_the_process_is_looked_at(self) -> None:
        wait_until("measured", lambda: (self.value("reactor_latency_seconds_count") or 0) > 5)
        wait_until("looked", lambda: self.value("thread_pool_max_threads", pool="module:rules") == 8)
        for pool in ("writer", "reader", "storage", "pages", "files", "audit", "export", "module:rules"):
            self.assertEqual(self.value("thread_pool_queue_size", pool=pool), 0, pool)
        self.assertEqual(self.value("thread_pool_max_threads", pool="files"), 4)
        self.assertIsNotNone(self.value("gc_pause_seconds_count", generation="2"))
        self.assertGreater(scraped(self.mta.metrics_port)["process_start_time_seconds", frozenset()], 1e9)

    def test_room_and_readiness_are_told(self) -> None:
        wait_until("ready", lambda: self.value("health_ready") == 1)
        self.assertEqual(self.value("health_part_ready", part="spool"), 1)
        found = os.statvfs(self.mta.spool)
        free = self.value("spool_free_bytes") or 0
        self.assertLess(abs(free - found.f_bavail * found.f_frsize), 1 << 30)
        self.assertEqual(self.value("spool_min_free_bytes"), 1 << 20)
        self.mta.reload({"spool": {"min_free": "1000000GiB"}})
        wait_until("unready", lambda: self.value("health_part_ready", part="disk") == 0)

    def test_the_end_of_a_certificate_is_that_of_the_one_that_is_served(self) -> None:
        listener = {"listener": f"tcp:{self.secured}:interface=127.0.0.1:backlog=1024", "certificate": self.certificate}
        self.assertEqual(self.value("tls_certificate_not_after_seconds", **listener), self.end())
        write_pair(self.folder, "mine", trustme.CA(), HOSTNAME)
        wait_until("renewed", lambda: self.value("tls_certificate_not_after_seconds", **listener) == self.end())
        with TlsDialogue(self.secured) as client:
            self.assertEqual(client.greet().code, 250)

    def test_the_end_of_the_certificate_of_a_page_is_told(self) -> None:
        pair = write_pair(self.folder, "page", trustme.CA(), HOSTNAME)
        endpoint = f"ssl:{free_port()}:privateKey={pair.private_key}:certKey={pair.certificate}:interface=127.0.0.1"
        self.mta.reload({"health": {"endpoint": endpoint}})
        told = {"listener": endpoint, "certificate": str(pair.certificate)}
        self.certificate = str(pair.certificate)
        wait_until("told", lambda: self.value("tls_certificate_not_after_seconds", **told) == self.end())

    def end(self) -> float:
        """
        Read the file's own word.
        """
        with open(self.certificate, "rb") as file:
            return x509.load_pem_x509_certificates(file.read())[0].not_valid_after_utc.timestamp()

    def test_a_reload_that_is_refused_is_told_until_one_is_not(self) -> None:
        began = self.value("config_last_reload_success_timestamp_seconds")
        good = self.mta.file.read_text()
        self.mta.file.write_text(good + '\n[nonsense]\nkey = "value"\n')
        self.mta.hang_up()
        wait_until("refused", lambda: self.value("config_last_reload_successful") == 0)
        self.assertEqual(self.value("config_last_reload_success_timestamp_seconds"), began)
        self.mta.file.write_text(good)
        self.mta.hang_up()
        wait_until("used", lambda: self.value("config_last_reload_successful") == 1)
        self.assertEqual(self.value("config_reloads_total", result="refused"), 1)
        self.assertEqual(self.value("config_reloads_total", result="used"), 1)

    def test_exemplars_name_the_trace_of_a_message_and_only_openmetrics_shows_them(self) -> None:
        self.mta.reload({"tracing": {"enabled": True, "sample_ratio": 1.0, "otlp_endpoint": "http://127.0.0.1:9"}})
        self.mta.wait_logged("tracing.enabled")
        self.send(self.mta, ["you@[127.0.0.1]"], message())
        path, trace = "/metrics", re.compile(r'_bucket\{[^}]*\} \S+ # \{trace_id="([0-9a-f]{32})"\}')
        wait_until("traced", lambda: bool(trace.search(self.openmetrics())))
        self.assertNotIn("trace_id", self.mta.get(path, metrics=True)[1])

    def openmetrics(self) -> str:
        """
        Read the page as OpenMetrics.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.mta.metrics_port, timeout=5)
        connection.request("GET", "/metrics", headers={"Accept": OPENMETRICS})
        try:
            return connection.getresponse().read().decode()
        finally:
            connection.close()
