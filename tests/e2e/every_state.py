"""
An empath with mail in every state that there is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, Final

from tests.e2e.dialogue import Dialogue
from tests.e2e.harness import EndToEndTestCase
from tests.e2e.ports import free_port
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath
from tests.e2e.scripted import Hang, says
from tests.e2e.unbound import LocalDns, mail_zone

ME: Final = "me@origin.test"
DOMAIN: Final = "one.test"
SETTINGS: Final[dict[str, Any]] = {
    "smtp": {"max_message_size": "1MiB"},
    "delivery": {
        "base_retry_delay": "1h",
        "max_retry_delay": "1h",
        "keep_completed": "1d",
        "keep_failed": "3d",
        "dsn": {"enabled": False},
        "dns": {"min_cache_ttl": "1h", "max_cache_ttl": "1h"},
        "circuit_breaker": {"failure_threshold": 1, "timeout": "1h"},
        "suppression": {"enabled": True},
        "rate_limits": {"default": "100/s"},
    },
}


class EveryStateCase(EndToEndTestCase):
    """
    `ids` has a queue id for each state, once `everything` has run.
    """

    def setUp(self) -> None:
        super().setUp()
        self.ids: dict[str, str] = {}

    def ctl(self, *arguments: str) -> Any:
        """
        Run empathctl with --json and give what it answers.
        """
        command = [sys.executable, "-m", "empath.ctl", "--socket", str(self.mta.control_socket), "--json", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=dict(os.environ))
        if done.returncode:
            raise AssertionError(f"{arguments}: {done.stderr}")
        return json.loads(done.stdout)

    def everything(self) -> Empath:
        """
        Start an empath, and bring mail into every state.
        """
        peer = self.peer("127.0.0.11")
        peer.script.on("RCPT", says(550, "5.1.1 no such user here"), argument="nobody")
        peer.script.on("RCPT", says(451, "4.2.1 mailbox is busy"), argument="busy")
        peer.script.on("RCPT", Hang(), argument="slow")
        dns: LocalDns = self.dns(*mail_zone(DOMAIN, "127.0.0.11"), *mail_zone("cold.test", "127.0.0.11"))
        self.mta = self.empath(SETTINGS)
        down = f"127.0.0.1:{free_port()}"
        expiring = {"message_expiration": "1s", "expiry_interval": "1s"}
        routes = {"port": self.peer_port, "dns": {"servers": [dns.server]}}
        self.mta.change({"delivery": {**routes, "domains": {"down.test": {"mx_override": down}}}})
        self.mta.change({"delivery": expiring})
        self.mta.start()
        self._expired()
        self.mta.change({"delivery": {"message_expiration": "5d", "expiry_interval": "60s"}})
        self.mta.start()
        self._others()
        return self.mta

    def _expired(self) -> None:
        self.ids["expired"] = self.send(self.mta, [f"busy@{DOMAIN}"])
        self.wait_status("expired", "expired")
        self.mta.stop()

    def _others(self) -> None:
        self.ctl("queue", "freeze", "--domain", "cold.test")
        for name, recipient in (
            ("completed", f"you@{DOMAIN}"),
            ("failed", f"nobody@{DOMAIN}"),
            ("retry", f"busy@{DOMAIN}"),
            ("down", "you@down.test"),
            ("pending", "you@cold.test"),
            ("held", "other@cold.test"),
        ):
            self.ids[name] = self.send(self.mta, [recipient], sender=ME)
            wanted = {"down": "retry", "held": "pending"}.get(name, name)
            self.wait_status(name, wanted)
        self.ctl("queue", "hold", self.ids["held"])
        self.wait_status("held", "held")
        self.ids["in-progress"] = self.send(self.mta, [f"slow@{DOMAIN}"], sender=ME)
        self.wait_status("in-progress", "in-progress")

    def wait_status(self, name: str, status: str) -> None:
        """
        Wait until the message of that name is so.
        """

        def reached() -> bool:
            items = self.ctl("queue", "list", "--all")["items"]  # not by its id: the audit trail would tell how often
            return [item["status"] for item in items if item["queue_id"] == self.ids[name]] == [status]

        wait_until(f"{name}: {status}", reached)

    def client(self) -> Dialogue:
        """
        Connect a client that stays in the middle of a transaction.
        """
        client = Dialogue(self.mta.port)
        self.addCleanup(client.close)
        client.greet()
        client.say(f"MAIL FROM:<{ME}>")
        client.say(f"RCPT TO:<you@{DOMAIN}>")
        return client
