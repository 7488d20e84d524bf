"""
The control socket of the real program: who has it, who may ask, what is written down of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from empath.control import protocol
from empath.control.boxes import BoxReader, octets_of
from empath.control.client import ControlClient
from empath.control.faults import ConnectionLost, NotPermitted, RefusedByServer, Unreachable
from empath.control.terms.smtp import FollowDialogues
from empath.control.terms.system import GetStatus, Ping, SetLogLevel
from tests.e2e.harness import EndToEndTestCase
from tests.e2e.processes import temporary_folder, wait_until
from tests.e2e.program import Empath
from tests.e2e.racing import Racer, race, stale

RACES = 20
DOCS = Path(__file__).parents[2] / "docs" / "control.md"


class ControlTests(EndToEndTestCase):
    """
    One instance, and those who ask it.
    """

    def started(self, settings: dict[str, Any] | None = None) -> Empath:
        """
        Start one that delivers nothing.
        """
        empath = self.empath({"delivery": {"domains": {"*": {"strategy": "discard"}}}, **(settings or {})})
        empath.start()
        return empath

    def client(self, empath: Empath, token: str | None = None) -> ControlClient:
        client = ControlClient(empath.control_socket, token)
        self.addCleanup(client.close)
        return client

    def test_one_of_two_has_the_socket(self) -> None:
        """
        The other one ends with one line and exit code 1, and what the first has stays its own.
        """
        first = self.started()
        second = Empath(temporary_folder(self), {"control_socket": str(first.control_socket)})
        program = second.launch()
        self.assertEqual(program.wait(30), 1)
        [line] = [each for each in program.output().splitlines() if "critical" in each]
        self.assertIn(f"(process {first.running().pid})", line)
        self.assertEqual(self.client(first).ask(Ping()).pid, first.running().pid)
        self.assertFalse(second.spool.exists(), "it began before it had the socket")

    def test_races_have_one_winner(self) -> None:
        """
        With and without a socket that was left behind; tests/proofs/control_starts.py does it 200 times.
        """
        path = temporary_folder(self) / "control.sock"
        racers = [Racer(path), Racer(path)]
        for number in range(RACES):
            if number % 2:
                stale(path)
            race(path, racers)
        self.assertEqual([each.end() for each in racers], [0, 0])

    def test_what_a_killed_one_left_is_taken_over(self) -> None:
        """
        And a graceful stop leaves nothing.
        """
        empath = self.started()
        empath.kill()
        self.assertTrue(stat.S_ISSOCK(os.lstat(empath.control_socket).st_mode))
        with self.assertRaises(Unreachable):
            self.client(empath).ask(Ping())
        empath.start()
        self.assertEqual(self.client(empath).ask(Ping()).hostname, "mx.empath.test")
        self.assertEqual(empath.stop(), 0)
        self.assertEqual([each.name for each in empath.folder.glob("empathctl.sock*")], [])

    def test_the_socket_is_bound_under_a_umask(self) -> None:
        """
        As the kernel is told: no permission but the owner's at any time.
        """
        strace = shutil.which("strace")
        if strace is None:
            self.skipTest("no strace")
        empath = Empath(temporary_folder(self), {})
        calls = empath.folder / "calls"
        empath.launch(
            [strace, "-f", "-o", str(calls), "-e", "trace=umask,bind,chmod,fchmod,fchmodat", *empath.command()]
        )
        self.addCleanup(empath.kill)
        wait_until("asked", lambda: empath.control_socket.exists(), 60)
        lines = [line.split(maxsplit=1)[1] for line in calls.read_text().splitlines() if "(" in line]
        at = next(at for at, line in enumerate(lines) if line.startswith("bind(") and "empathctl.sock" in line)
        before = [line for line in lines[:at] if line.startswith("umask(")]
        self.assertTrue(before[-1].startswith("umask(0177)"), before)
        for line in lines[at:]:
            if "empathctl.sock" in line and "chmod" in line:
                self.assertIn("0600", line)

    def test_tokens_versions_and_sizes_are_held_to(self) -> None:
        """
        Each in its own words.
        """
        ops = {"name": "ops", "sha256": hashlib.sha256(b"secret").hexdigest()}
        empath = self.started({"control": {"tokens": [ops]}})
        with self.assertRaises(NotPermitted):
            self.client(empath, "guess").ask(Ping())
        with self.assertRaises(NotPermitted):
            self.client(empath).ask(Ping())
        self.assertEqual(self.client(empath, "secret").ask(Ping()).protocol, protocol.VERSION)
        box = protocol.asking(b"1", 1, Ping(), "secret")
        self.assertEqual(self.raw(empath, octets_of(box | {b"version": b"99"}))[b"_error_code"], b"WRONG_VERSION")
        large = octets_of(box | {b"json.%d" % at: b" " * 60_000 for at in range(1, 30)})
        self.assertEqual(self.raw(empath, large)[b"_error_code"], b"TOO_LARGE")

    def raw(self, empath: Empath, octets: bytes) -> dict[bytes, bytes]:
        """
        Send octets as they are; gives the first box that comes.
        """
        reader = BoxReader(protocol.MAX_RESPONSE)
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(20)
            asking.connect(str(empath.control_socket))
            asking.sendall(octets)
            while True:
                boxes = reader.feed(asking.recv(65_536))
                if boxes:
                    return boxes[0]

    def test_a_server_that_dies_is_told_from_one_that_answers(self) -> None:
        """
        Killed in the middle of an answer; the next request after a restart works over a new connection.
        """
        empath = self.started()
        client = self.client(empath)
        client.ask(Ping())

        killing = threading.Timer(0.5, empath.kill)
        killing.start()
        with self.assertRaises(ConnectionLost):
            client.follow(FollowDialogues(peer="127.0.0.1"), lambda line: None)
        killing.join()
        empath.start()
        self.assertTrue(client.ask(GetStatus()).accepting)

    def test_a_log_level_by_hand_holds_across_restarts(self) -> None:
        """
        The status tells it as an override.
        """
        empath = self.started()
        client = self.client(empath)
        self.assertEqual(client.ask(SetLogLevel("debug")).configured, "info")
        self.assertEqual(empath.stop(), 0)
        empath.start()
        wait_until("it accepts", lambda: client.ask(GetStatus()).accepting)
        status = client.ask(GetStatus())
        self.assertEqual((status.log_level.level, [each.kind for each in status.overrides]), ("debug", ["log-level"]))
        client.ask(SetLogLevel(None))
        self.assertEqual(client.ask(GetStatus()).overrides, ())
        with self.assertRaises(RefusedByServer):
            client.ask(SetLogLevel("loud"))

    def test_what_operators_do_is_in_the_audit_trail(self) -> None:
        """
        Who, what, with what result.
        """
        empath = self.started()
        client = self.client(empath)
        client.ask(SetLogLevel("warn"))
        with self.assertRaises(RefusedByServer):
            client.ask(SetLogLevel("loud"))
        self.assertEqual(empath.stop(), 0)
        records = [json.loads(line) for line in (empath.folder / "audit.jsonl").read_text().splitlines()]
        used = [(each["action"], each["result"]) for each in records if each["event"] == "control"]
        self.assertEqual(
            [each for each in used if each[0].startswith("system.")],
            [("system.set-log-level", "ok"), ("system.set-log-level", "refused")],
        )

    def test_the_programs_of_the_docs_run(self) -> None:
        """
        Each as it stands, but for the path of the socket.
        """
        empath = self.started()
        wait_until("it accepts", lambda: self.client(empath).ask(GetStatus()).accepting)
        for text in DOCS.read_text().split("```python\n")[1:]:
            program = text.partition("```")[0].replace("/run/empath/control.sock", str(empath.control_socket))
            run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
            self.assertEqual((run.returncode, run.stderr), (0, ""), program)
