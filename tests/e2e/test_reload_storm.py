"""
SIGHUP by the dozen, with an operator who has the configuration read again at the same time, while mail runs.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tests.e2e.harness import EndToEndTestCase
from tests.e2e.load import Load
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath

STORM = 50
LINES = 3  # that one reload may log


class StormTests(EndToEndTestCase):
    """
    One process from the beginning to the end.
    """

    def test_fifty_in_a_second(self) -> None:
        """
        No session is cut, nothing is left open, each costs the log few lines, and the last configuration is in force.
        """
        peer = self.peer("127.0.0.11")
        empath = self.to_peer(peer)
        load = Load(empath.port, 2)
        load.start()
        before = self.descriptors(empath)
        asking = []
        for number in range(STORM):
            empath.reload({"smtp": {"max_recipients": 100 + number}, "log": {"format": ("text", "json")[number % 2]}})
            if number % 10 == 5:
                asking.append(self.ask(empath))
            time.sleep(1 / STORM)
        for each in asking:
            self.assertEqual(each.wait(60), 0)
        empath.reload({"smtp": {"max_recipients": 77}, "log": {"format": "text"}})
        empath.wait_logged("in use from now on: ", "smtp.max_recipients", "log.format")
        wait_until("the last is in force", lambda: "max_recipients = 77" in self.shown(empath))
        load.finish()
        self.assertEqual((load.refused, load.tried - len(load.accepted)), ([], 0))
        wait_until("all arrived", lambda: len(peer.stored) >= len(load.accepted))
        wait_until("descriptors are given back", lambda: self.descriptors(empath) <= before + 4)
        self.assertNotIn("Traceback", empath.log())
        told = [line for line in empath.log().splitlines() if "read again" in line or "in use from" in line]
        self.assertLess(len(told), LINES * (STORM + len(asking) + 1))

    def ask(self, empath: Empath) -> subprocess.Popen[bytes]:
        """
        Begin to have the configuration read again.
        """
        command = [sys.executable, "-m", "empath.ctl", "--socket", str(empath.control_socket)]
        return subprocess.Popen([*command, "system", "reload-config"], stdout=subprocess.DEVNULL)

    def shown(self, empath: Empath) -> str:
        """
        Tell the configuration in force.
        """
        command = [sys.executable, "-m", "empath.ctl", "--socket", str(empath.control_socket), "config", "show"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout

    def descriptors(self, empath: Empath) -> int:
        """
        Count what the program has open.
        """
        return len(list(Path(f"/proc/{empath.running().pid}/fd").iterdir()))
