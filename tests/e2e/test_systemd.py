"""
What systemd hears of the real program, as a service of Type=notify.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from pathlib import Path

from tests.e2e.harness import EndToEndTestCase
from tests.e2e.ports import free_port
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath


class Manager:
    """
    What systemd is to us: a socket that hears what we say, path or abstract.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self.heard: list[dict[str, str]] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            said = self._socket.recv(65536).decode()
            self.heard.append(dict(line.split("=", 1) for line in said.split("\n")))

    def times(self, name: str) -> int:
        """
        How often this was said.
        """
        return sum(name in each for each in self.heard)


class NotifyTests(EndToEndTestCase):
    """
    Type=notify, as systemd's documentation has it.
    """

    def notified(self, address: str, **environment: str) -> tuple[Empath, Manager]:
        """
        Start one that tells how it fares.
        """
        manager = Manager(address)
        empath = self.empath(environment={"NOTIFY_SOCKET": address, **environment})
        return empath, manager

    def assert_told(self, address: str) -> None:
        """
        Start, reload and stop one: all of it is told, in order.
        """
        empath, manager = self.notified(address)
        empath.start()
        wait_until("READY=1", lambda: manager.times("READY") == 1)
        self.assertEqual(manager.heard[0]["MAINPID"], str(empath.running().pid))
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        empath.hang_up()
        wait_until("reloaded", lambda: manager.times("READY") == 2)
        self.assertEqual((manager.heard[1]["RELOADING"], manager.heard[2]["READY"]), ("1", "1"))
        self.assertGreaterEqual(int(manager.heard[1]["MONOTONIC_USEC"]), before)
        self.assertEqual(empath.stop(), 0)
        wait_until("STOPPING=1", lambda: manager.times("STOPPING") == 1)

    def test_start_reload_and_stop_are_told_to_a_socket_with_a_path(self) -> None:
        self.assert_told(f"{self.folder}/notify")

    def test_so_they_are_to_an_abstract_one(self) -> None:
        self.assert_told(f"@empath-{os.getpid()}-{free_port()}")

    def test_the_watchdog_is_told_while_all_turns_and_not_once_it_does_not(self) -> None:
        empath, manager = self.notified(f"{self.folder}/notify", WATCHDOG_USEC="600000")
        empath.start()
        wait_until("signs of life", lambda: manager.times("WATCHDOG") >= 4)
        empath.running().signal(signal.SIGSTOP)
        time.sleep(0.3)
        heard = manager.times("WATCHDOG")
        time.sleep(0.9)
        self.assertEqual(manager.times("WATCHDOG"), heard)
        empath.running().signal(signal.SIGCONT)
        wait_until("signs of life again", lambda: manager.times("WATCHDOG") > heard)

    def test_a_daemon_tells_which_process_it_is(self) -> None:
        empath, manager = self.notified(f"{self.folder}/notify")
        pid_file = self.folder / "daemon.pid"
        log = str(self.folder / "daemon.log")
        program = [*empath.command()[:-4], "--pidfile", str(pid_file), "--logfile", log, *empath.command()[-3:]]
        self.assertEqual(empath.launch(program).wait(), 0)
        wait_until("READY=1", lambda: manager.times("READY") == 1)
        pid = int(manager.heard[0]["MAINPID"])
        self.assertEqual(pid, int(pid_file.read_text()))
        self.assertNotEqual(pid, empath.running().pid)
        os.kill(pid, signal.SIGTERM)
        wait_until("the end", lambda: not Path(f"/proc/{pid}").exists())
        self.assertEqual(manager.times("STOPPING"), 1)
