"""
Proof: configurations that alternate, read a hundred times in a row while mail comes and goes.

No session is cut, no message is lost, and no descriptor, thread or Deferred's memory is left over: descriptors are
counted before and after, on the same configuration.

`python -m pytest -s tests/proofs/reloads.py`; EMPATH_RELOADS changes how many.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import trustme

from tests.e2e.dialogue import Dialogue
from tests.e2e.harness import EndToEndTestCase
from tests.e2e.load import Load
from tests.e2e.ports import free_port
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath, on_loopback

RELOADS = int(os.environ.get("EMPATH_RELOADS", "100"))
SESSIONS = 4
LASTING = 5  # sessions that are open from the first reload to the last


class ReloadProof(EndToEndTestCase):
    """
    One program, one peer.
    """

    def test_a_hundred_in_a_row(self) -> None:
        """
        Each changes listeners, certificates, limits, relay control, modules, pages and log.
        """
        peer = self.peer("127.0.0.11")
        empath = self.to_peer(peer, {"smtp": {"max_commands": 100000}})
        self.certify()
        two = self.alternatives(empath)
        self.reload(empath, two[0])
        before = self.descriptors(empath)
        lasting = [Dialogue(empath.port) for _ in range(LASTING)]
        for each in lasting:
            each.greet()
        load = Load(empath.port, SESSIONS)
        load.start()
        began, slowest = time.monotonic(), 0.0
        for number in range(1, RELOADS + 1):
            if number % 10 == 0:
                self.certify()
            started = time.monotonic()
            self.reload(empath, two[number % 2])
            slowest = max(slowest, time.monotonic() - started)
            for each in lasting:
                self.assertEqual(each.say("NOOP").code, 250)
        self.reload(empath, two[0])
        took = time.monotonic() - began
        load.finish()
        for each in lasting:
            self.assertEqual(each.say("QUIT").code, 221)
            each.close()
        self.assertEqual((load.refused, load.tried - len(load.accepted)), ([], 0))
        wait_until("all arrived", lambda: len(peer.stored) >= len(load.accepted), 120.0)
        arrived = {recipient for stored in peer.stored for recipient in stored.recipients}
        self.assertEqual({each.recipient for each in load.accepted} - arrived, set())
        wait_until("descriptors are given back", lambda: self.descriptors(empath) <= before, 60.0)
        self.assertNotIn("Traceback", empath.log())
        print(
            f"{RELOADS} reloads in {took:.1f} s, the slowest {slowest * 1000:.0f} ms with empathctl; "
            f"{len(load.accepted)} messages, {LASTING} sessions through all of it; "
            f"descriptors {before} before, {self.descriptors(empath)} after"
        )

    def alternatives(self, empath: Empath) -> tuple[dict[str, Any], dict[str, Any]]:
        """
        Give two configurations that differ in all that can be used at once.
        """
        plain = {"endpoint": on_loopback(empath.port)}
        tls = {"certificate": str(self.folder / "chain.pem"), "private_key": str(self.folder / "key.pem")}
        ports = [free_port() for _ in range(4)]
        one = {
            "smtp": {"listeners": [plain, {"endpoint": on_loopback(ports[0]), "tls": "starttls", **tls}]},
            "modules": [],
            "relay": {"networks": ["127.0.0.0/8"], "domains": []},
            "health": {"endpoint": f"tcp:{ports[2]}:interface=127.0.0.1"},
            "log": {"level": "info", "format": "text"},
            "delivery": {"max_parallel_deliveries": 100, "rate_limits": {"burst": 20}},
        }
        other = {
            "smtp": {
                "listeners": [plain, {"endpoint": on_loopback(ports[1]), "tls": "implicit", **tls}],
                "max_recipients": 10,
                "banner": "{hostname} other",
            },
            "modules": [{"factory": "metrics"}],
            "relay": {"networks": ["127.0.0.0/8", "192.0.2.0/24"], "domains": ["ours.test"], "recipients": "any"},
            "health": {"endpoint": f"tcp:{ports[3]}:interface=127.0.0.1"},
            "log": {"level": "warn", "format": "json"},
            "delivery": {"max_parallel_deliveries": 50, "rate_limits": {"burst": 5}},
        }
        return one, other

    def certify(self) -> None:
        """
        Write another certificate where the one before was.
        """
        issued = trustme.CA().issue_cert("mx.empath.test")
        issued.private_key_pem.write_to_path(str(self.folder / "key.pem"))
        for number, pem in enumerate(issued.cert_chain_pems):
            pem.write_to_path(str(self.folder / "chain.pem"), append=number > 0)

    def reload(self, empath: Empath, settings: dict[str, Any]) -> None:
        """
        Have a configuration used; all of it is.
        """
        empath.reload(settings, hang_up=False)
        command = [sys.executable, "-m", "empath.ctl", "--socket", str(empath.control_socket), "--json"]
        command += ["system", "reload-config"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["restart"], [])

    def descriptors(self, empath: Empath) -> int:
        """
        Count what the program has open.
        """
        return len(list(Path(f"/proc/{empath.running().pid}/fd").iterdir()))
