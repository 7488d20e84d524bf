"""
Requirements on `docker/compose.yml` and what it mounts, as far as they can be held without Docker: every file is there,
every name that one part has for another is right.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from twisted.trial.unittest import SynchronousTestCase

from tests.config.fakes import machine, read
from tests.observe.shipped import DOCKER, ROOT, read_yaml

SERVICES = {"empath", "next-hop", "collector", "prometheus", "tempo", "loki", "grafana"}
SIGNALS = {"traces": ["otlp/tempo"], "logs": ["otlphttp/loki"], "metrics": ["prometheus"]}


class ComposeTests(SynchronousTestCase):
    """
    The services, and how they are reached.
    """

    def setUp(self) -> None:
        self.compose: dict[str, Any] = read_yaml(DOCKER / "compose.yml")
        self.services: dict[str, dict[str, Any]] = self.compose["services"]

    def test_all_that_looks_at_empath_is_there(self) -> None:
        """
        And each waits only for what there is.
        """
        self.assertEqual(self.services.keys(), SERVICES)
        for name, service in self.services.items():
            self.assertEqual(set(service.get("depends_on", ())) - SERVICES, set(), name)

    def test_images_are_pinned(self) -> None:
        """
        To one release, so that what worked today works in a year.
        """
        images = [service["image"] for service in self.services.values() if "image" in service]
        images += re.findall(r"^FROM (\S+)", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)
        self.assertEqual(len(images), len(SERVICES) + 1)
        for image in images:
            self.assertRegex(image, r"^[\w./-]+:v?\d+\.\d+(\.\d+)?(-[\w-]+)?$")

    def test_nothing_is_open_beyond_this_machine(self) -> None:
        """
        Every port is published on 127.0.0.1 only.
        """
        ports = [port for service in self.services.values() for port in service.get("ports", ())]
        self.assertGreaterEqual(len(ports), 5)
        for port in ports:
            self.assertRegex(port, r"^127\.0\.0\.1:\d+:\d+$")
        outside = [port.split(":")[1] for port in ports]
        self.assertEqual(len(outside), len(set(outside)))

    def test_every_file_that_is_mounted_or_copied_is_there(self) -> None:
        """
        Volumes by name are declared.
        """
        for name, service in self.services.items():
            for mount in service.get("volumes", ()):
                source = mount.split(":")[0]
                if source.startswith("."):
                    self.assertTrue((DOCKER / source).exists(), (name, mount))
                    self.assertTrue(mount.endswith(":ro"), mount)
                else:
                    self.assertIn(source, self.compose["volumes"])
        copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)
        allowed = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
        for source in " ".join(copied).split():
            self.assertTrue((ROOT / source).exists(), source)
            self.assertIn(f"!{source}", allowed)

    def test_every_configuration_that_a_command_names_is_mounted(self) -> None:
        """
        Under the same path.
        """
        for name, service in self.services.items():
            targets = [mount.split(":")[1] for mount in service.get("volumes", ())]
            for word in service.get("command", ()):
                if found := re.search(r"config[.-]?(?:file)?=(\S+)", word):
                    self.assertTrue(any(found[1].startswith(target) for target in targets), (name, word))

    def test_empaths_file_can_be_used_and_leads_to_the_other_services(self) -> None:
        """
        Its next hop and its collector are services.
        """
        config = read((DOCKER / "empath.toml").read_text(), machine("/etc/empath"))
        collector = {config.tracing.otlp_endpoint, config.log.otlp_endpoint}
        self.assertEqual(collector, {"http://collector:4318"})
        self.assertTrue(config.tracing.enabled)
        text = (DOCKER / "empath.toml").read_text()
        [next_hop] = re.findall(r'mx_override = "([^":]+):1025"', text)
        self.assertIn(next_hop, SERVICES)
        for port in re.findall(r'endpoint = "tcp:(\d+)"', text):
            self.assertIn(f"127.0.0.1:{port}:{port}", self.services["empath"]["ports"])

    def test_the_token_of_prometheus_is_the_one_that_empath_wants(self) -> None:
        """
        For the metrics and for the status page.
        """
        config = read((DOCKER / "empath.toml").read_text(), machine("/etc/empath"))
        digest = sha256((DOCKER / "prometheus" / "token").read_bytes()).hexdigest()
        self.assertEqual((config.metrics.token_hash, config.health.token_hash), (digest, digest))


class ConfigurationsTests(SynchronousTestCase):
    """
    What the other programs read.
    """

    def test_prometheus_scrapes_services(self) -> None:
        """
        empath under the name that the alerts know, with the token.
        """
        read_by_it = read_yaml(DOCKER / "prometheus" / "prometheus.yml")
        jobs = {job["job_name"]: job for job in read_by_it["scrape_configs"]}
        self.assertEqual(jobs["empath"]["authorization"], {"credentials_file": "token"})
        targets = [target for job in jobs.values() for each in job["static_configs"] for target in each["targets"]]
        self.assertEqual({target.split(":")[0] for target in targets}, {"empath", "collector"})
        self.assertTrue(all((DOCKER / "prometheus" / name).exists() for name in read_by_it["rule_files"]))

    def test_the_collector_has_a_way_out_for_each_signal(self) -> None:
        """
        Every part that a pipeline names is configured, and every part that is configured is used.
        """
        collector = read_yaml(DOCKER / "otelcol" / "config.yml")
        pipelines = collector["service"]["pipelines"]
        self.assertEqual({name: each["exporters"] for name, each in pipelines.items()}, SIGNALS)
        for kind in ("receivers", "processors", "exporters"):
            used = {name for each in pipelines.values() for name in each[kind]}
            self.assertEqual(used, collector[kind].keys())
        self.assertEqual(collector["service"]["extensions"], list(collector["extensions"]))
        self.assertEqual(collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"], "0.0.0.0:4318")

    def test_the_collector_reaches_tempo_and_loki_where_they_listen(self) -> None:
        """
        And Prometheus it.
        """
        exporters = read_yaml(DOCKER / "otelcol" / "config.yml")["exporters"]
        tempo = read_yaml(DOCKER / "tempo" / "tempo.yml")
        received = tempo["distributor"]["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"]
        self.assertEqual(exporters["otlp/tempo"]["endpoint"], received.replace("0.0.0.0", "tempo"))
        loki = read_yaml(DOCKER / "loki" / "loki.yml")["server"]["http_listen_port"]
        self.assertEqual(exporters["otlphttp/loki"]["endpoint"], f"http://loki:{loki}/otlp")
        jobs = (DOCKER / "prometheus" / "prometheus.yml").read_text()
        self.assertIn(exporters["prometheus"]["endpoint"].replace("0.0.0.0", "collector"), jobs)

    def test_grafana_reaches_its_sources_and_each_leads_to_the_others(self) -> None:
        """
        A trace to its log lines and figures, a log line and an exemplar to their trace.
        """
        folder = DOCKER / "grafana" / "provisioning"
        sources = {each["uid"]: each for each in read_yaml(folder / "datasources" / "datasources.yml")["datasources"]}
        at = {uid: urlsplit(each["url"]) for uid, each in sources.items()}
        ports = {"prometheus": 9090, "tempo": 3200, "loki": 3100}
        self.assertEqual(
            {uid: (url.hostname, url.port) for uid, url in at.items()}, {n: (n, p) for n, p in ports.items()}
        )
        links = re.findall(r"datasourceUid: (\w+)", (folder / "datasources" / "datasources.yml").read_text())
        self.assertEqual(sorted(links), ["loki", "prometheus", "tempo", "tempo"])
        [provider] = read_yaml(folder / "dashboards" / "dashboards.yml")["providers"]
        mounts = read_yaml(DOCKER / "compose.yml")["services"]["grafana"]["volumes"]
        self.assertIn(f"./grafana/dashboards:{provider['options']['path']}:ro", mounts)
