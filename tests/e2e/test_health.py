"""
Health as Kubernetes and systemd see it: the real program, whose parts fail one after the other under load, and come
back.
"""

from __future__ import annotations

import ctypes
import hashlib
import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import SkipTest

from tests.e2e.dialogue import Dialogue
from tests.e2e.harness import EndToEndTestCase, message
from tests.e2e.load import Load
from tests.e2e.processes import TooLate, wait_until
from tests.e2e.program import Empath
from tests.e2e.stalls import Stalls
from tests.e2e.unbound import mail_zone

WITHIN = 1.0  # seconds, as promised
PIDFD_GETFD = 438  # the system call, on all machines
TOKEN = "correct-horse"
YOU = "you@one.test"


def answered(empath: Empath, path: str, **headers: str) -> tuple[int, bytes]:
    """
    Ask the health port.
    """
    connection = http.client.HTTPConnection("127.0.0.1", empath.health_port, timeout=5)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


class HealthCase(EndToEndTestCase):
    """
    Looks at readiness.
    """

    def facts(self, empath: Empath) -> dict[str, Any]:
        """
        What `/health/ready` says; nothing where it says OK.
        """
        code, body = answered(empath, "/health/ready")
        return {} if code == 200 else dict(json.loads(body))

    def wait_ready(self, empath: Empath) -> None:
        """
        Wait until all is well.
        """
        wait_until("ready", lambda: not self.facts(empath), 20)

    def assert_soon(self, what: str, holds: Callable[[], bool]) -> None:
        """
        It comes within a second of a machine that is not held up by others.
        """
        with Stalls() as stalls:
            took = wait_until(what, holds, 10)
        bound = WITHIN + 0.1 + stalls.seconds  # the last look may have begun just before the second was over
        self.assertLess(took, bound, f"{what}, with stalls of {stalls.seconds:.2f} s")

    def assert_unready(self, empath: Empath, field: str, broken: Callable[[], object]) -> dict[str, Any]:
        """
        Break something: within a second it is 503, by this field alone; gives what is said.
        """
        self.wait_ready(empath)
        broken()
        self.assert_soon(f"not {field}", lambda: self.facts(empath).get(field) is False)
        facts = self.facts(empath)
        wrong = [each for each in facts if each.endswith("_ready") and facts[each] is False]
        self.assertEqual((facts["alive"], facts["ready"], wrong), (True, False, [field]))
        self.assertEqual(answered(empath, "/health/live"), (200, b"OK"))
        return facts


class ReadinessTests(HealthCase):
    """
    One that takes and delivers mail all the time.
    """

    def loaded(self, empath: Empath) -> None:
        """
        Put it under load until the test ends.
        """
        load = Load(empath.port, 3)
        load.start()
        self.addCleanup(load.finish)

    def delivering(self, **settings: Any) -> Empath:
        """
        Start one that hands its mail to a smarthost.
        """
        return self.to_peer(self.peer("127.0.0.11"), {"audit": {"enabled": False}, **settings})

    def test_a_spool_that_cannot_be_written(self) -> None:
        empath = self.delivering(log={"level": "error"})
        for nth in range(6):
            self.send(empath, [f"m{nth}@one.test"], message() + b"x" * 20 + b"\r\n" + (b"y" * 70 + b"\r\n") * 500)
        limits = resource.prlimit(empath.running().pid, resource.RLIMIT_FSIZE)

        def limit(size: int) -> None:
            resource.prlimit(empath.running().pid, resource.RLIMIT_FSIZE, (size, limits[1]))

        self.assert_unready(empath, "spool_ready", lambda: limit(64 * 1024))
        self.assertEqual(self.attempt(empath, [YOU]).code // 100, 4)
        limit(limits[0])
        self.wait_ready(empath)
        self.send(empath, [YOU])

    def test_a_disk_below_its_floor(self) -> None:
        empath = self.delivering()
        self.loaded(empath)
        self.assert_unready(empath, "disk_ready", lambda: empath.reload({"spool": {"min_free": "900000GiB"}}))
        empath.reload({"spool": {"min_free": "1MiB"}})
        self.wait_ready(empath)

    def test_a_disk_that_fills_up(self) -> None:
        folder = self.folder / "small"
        folder.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128m", "none", str(folder)], check=False)
        if mounted.returncode:
            raise SkipTest("no file system may be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", str(folder)], check=True)
        empath = self.delivering(spool={"path": str(folder / "spool"), "min_free": "32MiB"})
        self.loaded(empath)
        filler = folder / "filler"
        self.assert_unready(empath, "disk_ready", lambda: filler.write_bytes(bytes(100 * 1024 * 1024)))
        self.assertEqual(self.attempt(empath, [YOU]).code, 452)
        filler.unlink()
        self.wait_ready(empath)
        self.send(empath, [YOU])

    def test_a_dead_resolver(self) -> None:
        dns = self.dns(*mail_zone("one.test", "127.0.0.11"))
        self.peer("127.0.0.11")
        empath = self.relaying(dns)
        self.loaded(empath)
        self.assert_unready(empath, "dns_ready", dns.stop)
        dns.resume()
        self.wait_ready(empath)

    def test_a_lost_listener_which_is_bound_again_as_soon_as_that_is_possible(self) -> None:
        empath = self.delivering()
        thief = socket.socket()
        self.addCleanup(thief.close)
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

        def steal() -> None:
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                self.shut_listener(empath)
                try:
                    thief.bind(("127.0.0.1", empath.port))
                    thief.listen()
                    return
                except OSError:  # bound again already
                    time.sleep(0.01)
            raise TooLate("the port could not be had")

        self.assert_unready(empath, "smtp_ready", steal)
        thief.close()
        self.wait_ready(empath)
        self.send(empath, [YOU])
        empath.wait_logged("was lost, and is bound again")

    def test_a_queue_over_its_limit(self) -> None:
        hole = socket.create_server(("127.0.0.1", 0))  # takes connections, and says nothing
        self.addCleanup(hole.close)
        domains = {"*": {"mx_override": f"127.0.0.1:{hole.getsockname()[1]}"}}
        limits = {"max_parallel_deliveries": 1, "domains": domains}
        empath = self.empath({"delivery": limits, "health": {"max_queue_size": 3}})
        empath.start()

        def fill() -> None:
            for _ in range(6):
                self.send(empath, [YOU])

        self.wait_ready(empath)
        fill()
        self.assert_soon("too long", lambda: bool(self.facts(empath)))
        facts = self.facts(empath)
        self.assertEqual((facts["ready"], facts["max_queue_size"]), (False, 3))
        self.assertGreater(facts["queue_size"], 3)
        self.assertTrue(all(facts[each] for each in facts if each.endswith("_ready")))
        empath.reload({"health": {"max_queue_size": 100}})
        self.wait_ready(empath)

    def test_a_stop_is_told_until_the_process_ends(self) -> None:
        empath = self.delivering()
        self.wait_ready(empath)
        with Dialogue(empath.port) as client:
            client.greet()
            client.send(b"MAIL FROM:<a@origin.test>\r\nRCPT TO:<you@one.test>\r\nDATA\r\n")
            wait_until("DATA", lambda: client.reply().code == 354)
            empath.running().signal(signal.SIGTERM)
            self.assert_soon("stopping", lambda: self.facts(empath).get("shutting_down") is True)
            for _ in range(20):
                self.assertEqual(answered(empath, "/health/ready")[0], 503)
                time.sleep(0.02)
            self.assertEqual(answered(empath, "/health/live"), (200, b"OK"))
            client.send(b"Subject: late\r\n\r\nx\r\n.\r\n")
            self.assertEqual(client.reply().code, 250)
        self.assertEqual(empath.running().wait(), 0)

    def test_each_page_answers_within_a_second_under_load(self) -> None:
        empath = self.delivering()
        self.loaded(empath)
        times: list[float] = []
        for nth in range(150):
            with Stalls() as stalls:
                began = time.monotonic()
                code, _ = answered(empath, ("/health/live", "/health/ready", "/health/detailed")[nth % 3])
                times.append(time.monotonic() - began - stalls.seconds)
            self.assertEqual(code, 200)
        self.assertLess(max(times), WITHIN, sorted(times)[-5:])

    def shut_listener(self, empath: Empath) -> None:
        """
        End its listener from outside, as a network that goes away does: by a copy of its descriptor.
        """
        libc, pid = ctypes.CDLL(None, use_errno=True), empath.running().pid
        process = os.pidfd_open(pid)
        try:
            for entry in Path(f"/proc/{pid}/fd").iterdir():
                copy = libc.syscall(PIDFD_GETFD, process, int(entry.name), 0)
                if copy >= 0:
                    _shut_if_listening(copy, empath.port)
        finally:
            os.close(process)


class DetailedTests(HealthCase):
    """
    `/health/detailed`.
    """

    def test_tells_of_what_happened(self) -> None:
        server = self.peer("127.0.0.11")
        empath = self.to_peer(server)
        self.send(empath, [YOU])
        self.wait_arrived(server, YOU)
        wait_until("counted", lambda: json.loads(answered(empath, "/health/detailed")[1])["success_rate"] == 1)
        facts = json.loads(answered(empath, "/health/detailed")[1])
        self.assertEqual((facts["ready"], facts["not_ready"], facts["dns_ready"]), (True, [], True))
        self.assertEqual(list(facts["listeners"].values()), [True])
        self.assertGreater(facts["disk_free"], 0)
        self.assertGreater(facts["uptime_seconds"], 0)
        self.assertEqual((facts["breakers_open"], facts["oldest_seconds"]), ([], None))

    def test_is_for_who_has_the_token_while_readiness_is_for_all(self) -> None:
        empath = self.empath({"health": {"token_hash": hashlib.sha256(TOKEN.encode()).hexdigest()}})
        empath.start()
        self.wait_ready(empath)
        self.assertEqual(answered(empath, "/health/detailed")[0], 401)
        self.assertEqual(answered(empath, "/health/detailed", Authorization="Bearer wrong")[0], 401)
        self.assertEqual(answered(empath, "/health/detailed", Authorization=f"Bearer {TOKEN}")[0], 200)
        empath.reload({"health": {"token_hash": hashlib.sha256(b"another").hexdigest()}})
        wait_until(
            "another token",
            lambda: answered(empath, "/health/detailed", Authorization="Bearer another")[0] == 200,
        )
        self.assertEqual(answered(empath, "/health/detailed", Authorization=f"Bearer {TOKEN}")[0], 401)

    def test_without_a_token_no_other_site_gets_at_it_through_a_browser_here(self) -> None:
        empath = self.empath()
        empath.start()
        self.wait_ready(empath)
        self.assertEqual(answered(empath, "/health/detailed", Host="evil.example")[0], 421)
        self.assertEqual(answered(empath, "/health/ready", Host="evil.example")[0], 200)


def _shut_if_listening(descriptor: int, port: int) -> None:
    """
    End a listening socket on this port; anything else is closed, which is a copy only.
    """
    try:
        found = socket.socket(fileno=descriptor)
    except OSError:
        os.close(descriptor)
        return
    with found:
        ours = found.family == socket.AF_INET and found.getsockname()[1] == port
        if ours and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            found.shutdown(socket.SHUT_RDWR)
