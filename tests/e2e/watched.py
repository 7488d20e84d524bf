"""
An empath that Debian's Prometheus watches, as an operator would have it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import yaml

from tests.e2e.harness import EndToEndTestCase
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath, Settings, merged
from tests.e2e.prometheus import Prometheus
from tests.e2e.scripted import says
from tests.observe.shipped import DOCKER

TOKEN: Final = "a-token-with-32-characters-in-it"
CLIENTS: Final = 4
OF_A_CLIENT: Final = 12  # messages: two thirds are taken at once, a sixth later, a sixth never
FOLDER: Final = DOCKER / "prometheus"


class PrometheusTestCase(EndToEndTestCase):
    """
    An empath whose page wants a token, and a Prometheus that has it: with the very files that are shipped, but for the
    address of its target and shorter times.
    """

    def setUp(self) -> None:
        super().setUp()
        self.prometheus = Prometheus(self.folder / "prometheus")
        self.addCleanup(self.prometheus.stop)

    def watch(self, empath: Empath, token: str = TOKEN, hasty: bool = False) -> None:
        """
        Have Prometheus scrape; if `hasty`, alerts fire without waiting for their time.
        """
        folder = self.folder / "etc"
        folder.mkdir(exist_ok=True)
        text = (FOLDER / "alerts.yml").read_text()
        (folder / "alerts.yml").write_text(re.sub(r"for: \w+", "for: 0s", text) if hasty else text)
        (folder / "token").write_text(token)
        read: dict[str, Any] = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
        read["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        [job] = [each for each in read["scrape_configs"] if each["job_name"] == "empath"]
        job["static_configs"] = [{"targets": [f"127.0.0.1:{empath.metrics_port}"]}]
        (folder / "prometheus.yml").write_text(yaml.safe_dump({**read, "scrape_configs": [job]}))
        self.prometheus.start(folder / "prometheus.yml")

    def watched(self, settings: Settings | None = None) -> Empath:
        """
        Start empath before two hosts of one.test, of which recipients get what their names say.
        """
        token = {"metrics": {"token_hash": sha256(TOKEN.encode()).hexdigest()}}
        empath, *hosts = self.two_hosts(merged(token, settings or {}))
        for host in hosts:
            host.script.on("RCPT", says(550, "5.1.1 nobody"), argument="never")
            for client in range(CLIENTS):
                for nth in range(OF_A_CLIENT):
                    host.script.on("RCPT", says(450, "4.2.1 soon"), argument=f"later-{client}-{nth}@", times=1)
        return empath

    def page(self, empath: Empath, accept: str = "text/plain", token: str = TOKEN) -> tuple[int, str]:
        """
        Read the page as Prometheus does.
        """
        headers = {"Authorization": f"Bearer {token}", "Accept": accept}
        try:
            with urlopen(Request(f"http://127.0.0.1:{empath.metrics_port}/metrics", headers=headers), timeout=5) as got:
                return got.status, got.read().decode()
        except HTTPError as refused:
            return refused.code, ""

    def firing(self) -> set[str]:
        """
        Tell the alerts that fire.
        """
        return {
            each["labels"]["alertname"] for each in self.prometheus.ask("alerts")["alerts"] if each["state"] == "firing"
        }

    def wait_firing(self, what: str, holds: Callable[[set[str]], bool]) -> None:
        """
        Wait until the alerts that fire are as they should be.
        """
        wait_until(what, lambda: holds(self.firing()))
