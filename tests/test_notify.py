"""
Requirements on what systemd is told.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from pathlib import Path

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from empath.notify import Supervisor, send_datagram

SOCKET = "/run/systemd/notify"
PID = str(os.getpid())


class SupervisorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.said: list[tuple[str, bytes]] = []
        self.trouble: OSError | None = None
        self.answers: list[Deferred[None]] = []

    def send(self, address: str, said: bytes) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.said.append((address, said))

    def alive(self) -> Deferred[None]:
        self.answers.append(Deferred())
        return self.answers[-1]

    def supervisor(self, **environ: str) -> Supervisor:
        return Supervisor(environ, self.reactor, self.send, lambda: 12_345_678)

    def words(self) -> list[str]:
        said = [word for _, words in self.said for word in words.decode().split("\n")]
        self.said.clear()
        return [word for word in said if not word.startswith("STATUS=")]

    def test_it_tells_of_start_reload_and_stop(self) -> None:
        supervisor = self.supervisor(NOTIFY_SOCKET=SOCKET)
        self.assertEqual(self.words(), [])
        supervisor.started(self.alive)
        self.assertEqual({address for address, _ in self.said}, {SOCKET})
        self.assertEqual(self.words(), ["READY=1", f"MAINPID={PID}"])
        supervisor.reloading()
        self.assertEqual(self.words(), ["RELOADING=1", "MONOTONIC_USEC=12345"])
        supervisor.reloaded()
        self.assertEqual(self.words(), ["READY=1"])
        self.reactor.triggers["before"]["shutdown"][0][0]()
        self.assertEqual(self.words(), ["STOPPING=1"])
        supervisor.started(self.alive)
        self.assertEqual(self.words(), [])

    def test_a_reload_before_the_start_is_over_does_not_make_it_ready(self) -> None:
        supervisor = self.supervisor(NOTIFY_SOCKET=SOCKET)
        supervisor.reloading()
        supervisor.reloaded()
        self.assertEqual(self.words(), [])

    def test_nobody_is_told_anything_who_does_not_ask(self) -> None:
        for environ in ({}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}, {"WATCHDOG_USEC": "1000000"}):
            supervisor = self.supervisor(**environ)
            supervisor.started(self.alive)
            supervisor.reloading()
            supervisor.reloaded()
        self.assertEqual((self.words(), self.reactor.getDelayedCalls()), ([], []))

    def test_the_watchdog_hears_from_us_twice_in_its_time_while_the_spool_answers(self) -> None:
        self.supervisor(NOTIFY_SOCKET=SOCKET, WATCHDOG_USEC="20000000", WATCHDOG_PID=PID).started(self.alive)
        self.words()
        self.reactor.advance(9.9)
        self.assertEqual(len(self.answers), 1)
        self.answers[0].callback(None)
        self.assertEqual(self.words(), ["WATCHDOG=1"])
        self.reactor.advance(10)
        self.assertEqual((len(self.answers), self.words()), (2, []))
        self.reactor.advance(10)
        self.reactor.advance(10)
        self.assertEqual((len(self.answers), self.words()), (2, []))
        self.answers[1].errback(OSError("disk full"))
        self.assertEqual(self.words(), ["WATCHDOG=1"])
        self.reactor.advance(10)
        self.assertEqual(len(self.answers), 3)

    def test_the_first_sign_of_life_comes_at_once(self) -> None:
        supervisor = self.supervisor(NOTIFY_SOCKET=SOCKET, WATCHDOG_USEC="20000000")
        supervisor.started(lambda: succeed(None))
        self.assertEqual(self.words()[-1], "WATCHDOG=1")

    def test_what_was_given_up_is_no_sign_of_life(self) -> None:
        supervisor = self.supervisor(NOTIFY_SOCKET=SOCKET, WATCHDOG_USEC="20000000")
        supervisor.started(lambda: fail(CancelledError()))
        self.assertNotIn("WATCHDOG=1", self.words())

    def test_a_watchdog_of_another_process_or_without_a_time_is_not_ours(self) -> None:
        for time, pid in (("20000000", "1"), ("", PID), ("0", PID), ("-5", PID), ("soon", PID)):
            supervisor = self.supervisor(NOTIFY_SOCKET=SOCKET, WATCHDOG_USEC=time, WATCHDOG_PID=pid)
            supervisor.started(self.alive)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_a_socket_that_does_not_listen_is_said_once_and_harms_nothing(self) -> None:
        self.trouble = ConnectionRefusedError(111, "Connection refused")
        supervisor = self.supervisor(NOTIFY_SOCKET=SOCKET)
        with capturedLogs() as events:
            supervisor.started(self.alive)
            supervisor.reloading()
        self.assertEqual(len(events), 1)


class SendingTests(SynchronousTestCase):
    def test_sockets_with_a_path_and_abstract_ones_are_reached(self) -> None:
        path = str(Path(tempfile.mkdtemp()) / "notify")
        self.addCleanup(shutil.rmtree, Path(path).parent)
        for bound, address in ((path, path), (f"\0empath-{PID}", f"@empath-{PID}")):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
                listening.bind(bound)
                send_datagram(address, b"READY=1")
                self.assertEqual(listening.recv(100), b"READY=1")

    def test_one_that_is_gone_is_an_error_and_one_that_is_full_keeps_nobody_waiting(self) -> None:
        self.assertRaises(OSError, send_datagram, f"@empath-gone-{PID}", b"READY=1")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
            listening.bind(f"\0empath-full-{PID}")

            def fill() -> None:
                for _ in range(100_000):
                    send_datagram(f"@empath-full-{PID}", b"WATCHDOG=1")

            self.assertRaises(OSError, fill)
