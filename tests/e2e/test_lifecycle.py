"""
Start, stop, and what an operator sees of it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

from tests.e2e.dialogue import Dialogue
from tests.e2e.harness import EndToEndTestCase, message, smarthost
from tests.e2e.load import Load
from tests.e2e.ports import is_free
from tests.e2e.processes import require, wait_until
from tests.e2e.program import Empath

YOU = "you@one.test"


class StartTests(EndToEndTestCase):
    """
    What stops a start, and how it is said.
    """

    def refused(self, empath: Empath, *parts: str) -> None:
        """
        The start ends with exit code 1 and a line of the log with all `parts`.
        """
        self.assertEqual(empath.launch().wait(20), 1)
        self.assertTrue(empath.logged(*parts), empath.log()[-2000:])
        self.assertNotIn("Traceback", empath.log())

    def test_a_bad_configuration_names_every_error_with_file_and_key(self) -> None:
        empath = self.empath({"smtp": {"max_recipient": 5, "max_errors": "many"}, "delivery": {"port": -1}})
        self.refused(empath, "empath.toml", "smtp.max_recipient", "max_recipients")
        self.assertTrue(empath.logged("empath.toml", "smtp.max_errors", "many"))
        self.assertTrue(empath.logged("empath.toml", "delivery.port", "-1"))
        self.assertEqual(len(empath.logged("empath.toml")), 3)

    def test_a_bad_file_of_recipients_names_each_bad_line_and_the_key_that_named_it(self) -> None:
        file = self.folder / "recipients.txt"
        file.write_text("good@one.test\nno address\n# a comment\nb b@one.test\n")
        empath = self.empath({"relay": {"domains": ["one.test"], "recipients": str(file)}})
        self.refused(empath, "empath.toml: relay.recipients", str(file), "line 2")
        self.assertTrue(empath.logged("empath.toml: relay.recipients", str(file), "line 4"))

    def test_a_missing_file_is_an_error(self) -> None:
        empath = self.empath()
        program = empath.launch([sys.executable, "-m", "empath", "--config", str(self.folder / "none.toml")])
        self.assertEqual(program.wait(20), 1)
        self.assertTrue(empath.logged("none.toml"))

    def test_a_second_instance_on_the_same_spool_is_refused(self) -> None:
        first = self.empath()
        first.start()
        second = self.empath({"spool": {"path": str(first.spool)}}, name="second")
        self.refused(second, str(first.spool))
        self.assertTrue(first.alive())

    def test_a_busy_port_is_named(self) -> None:
        empath = self.empath()
        with socket.create_server(("127.0.0.1", empath.port)):
            self.refused(empath, str(empath.port), "in use")

    def test_python_m_empath_is_the_same(self) -> None:
        peer = self.peer("127.0.0.11")
        empath = self.empath(smarthost(peer))
        program = empath.launch([sys.executable, "-m", "empath", "--config", str(empath.file)])
        program.wait_for(empath.alive)
        self.send(empath, [YOU])
        self.wait_arrived(peer, YOU)
        self.assertEqual(empath.stop(), 0)


class StopTests(EndToEndTestCase):
    """
    A stop loses nothing.
    """

    def test_sigterm_under_load_ends_with_zero_and_loses_nothing(self) -> None:
        peer = self.peer("127.0.0.11")
        empath = self.to_peer(peer)
        load = Load(empath.port, sessions=10)
        load.start()
        wait_until("some were accepted", lambda: len(load.accepted) > 50)
        self.assertEqual(empath.stop(), 0)
        empath.start()
        load.finish()
        expected = {each.recipient for each in load.accepted}
        wait_until("all arrived", lambda: expected <= {r for each in list(peer.stored) for r in each.recipients}, 60)
        self.assertEqual(len(peer.stored), len({r for each in peer.stored for r in each.recipients}))
        self.assertNotIn("Traceback", empath.log())

    def test_sigint_stops_gracefully(self) -> None:
        empath = self.empath()
        empath.start()
        empath.running().signal(signal.SIGINT)
        self.assertEqual(empath.running().wait(20), 0)

    def test_sighup_does_not_end_it(self) -> None:
        peer = self.peer("127.0.0.11")
        empath = self.to_peer(peer)
        empath.hang_up()
        self.send(empath, [YOU])
        self.wait_arrived(peer, YOU)
        self.assertTrue(empath.alive())

    def test_an_idle_client_hears_421_when_it_stops(self) -> None:
        empath = self.empath()
        empath.start()
        with Dialogue(empath.port) as client:
            client.greet()
            empath.running().signal(signal.SIGTERM)
            self.assertEqual(str(client.reply()), "421 4.3.2 mx.empath.test shutting down")
            self.assertTrue(client.at_end())
        self.assertEqual(empath.running().wait(20), 0)

    def test_what_waits_for_a_retry_survives_a_restart(self) -> None:
        peer = self.peer("127.0.0.11")
        peer.stop()
        empath = self.to_peer(peer, {"delivery": {"base_retry_delay": "3s", "max_retry_delay": "3s"}})
        queue_id = self.send(empath, [YOU])
        empath.wait_logged(queue_id, "status=deferred")
        self.assertEqual(empath.stop(), 0)
        empath.start()
        peer.start()
        self.wait_arrived(peer, YOU)
        self.assertEqual(len(peer.stored), 1)

    def test_kill_9_between_250_and_delivery_loses_nothing(self) -> None:
        peer = self.peer("127.0.0.11")
        peer.stop()
        empath = self.to_peer(peer)
        self.send(empath, [YOU], message("survivor"))
        empath.kill()
        peer.start()
        empath.start()
        self.assert_relayed(self.wait_arrived(peer, YOU).content, message("survivor"))


class TroubleTests(EndToEndTestCase):
    """
    Storage that fails.
    """

    def test_a_read_only_spool_is_a_clear_refusal_to_start(self) -> None:
        require(os.geteuid() == 0, "only root can make a spool read-only for itself: a read-only bind mount")
        empath = self.empath()
        empath.spool.mkdir(parents=True)
        self.mount("--bind", str(empath.spool), str(empath.spool))
        self.mount("-o", "remount,bind,ro", str(empath.spool), again=True)
        program = empath.launch()
        self.assertEqual(program.wait(20), 1)
        self.assertTrue(empath.logged(str(empath.spool)), empath.log()[-2000:])
        self.assertNotIn("Traceback", empath.log())

    def test_a_disk_that_someone_else_fills_is_a_temporary_refusal_and_recovers(self) -> None:
        require(os.geteuid() == 0, "only root can make a spool read-only for itself: a read-only bind mount")
        peer = self.peer("127.0.0.11")
        empath = self.empath({**smarthost(peer), "spool": {"path": str(self.folder / "disk" / "spool")}})
        disk = self.folder / "disk"
        disk.mkdir()
        self.mount("-t", "tmpfs", "-o", "size=32m", "tmpfs", str(disk))
        empath.start()
        self.send(empath, ["before@one.test"])
        self.wait_arrived(peer, "before@one.test")
        wait_until("settled", lambda: bool(empath.logged("to=<before@one.test>")))
        self.fill(disk)
        heard = self.attempt(empath, [YOU])
        self.assertIn(heard.code, (451, 452), str(heard))
        self.assertTrue(empath.alive())
        (disk / "filler").unlink()
        wait_until("takes mail again", lambda: self.attempt(empath, [YOU]).code == 250, 30)
        self.wait_arrived(peer, YOU)

    def fill(self, disk: Path) -> None:
        """
        Take all the room there is.
        """
        with (disk / "filler").open("wb") as filler:
            try:
                while True:
                    filler.write(b"\0" * 65536)
                    filler.flush()
            except OSError:
                pass

    def mount(self, *arguments: str, again: bool = False) -> None:
        """
        Mount something until the test ends; skips where that is not allowed.
        """
        done = subprocess.run(["mount", *arguments], capture_output=True, check=False)
        require(done.returncode == 0, f"cannot mount: {done.stderr!r}")
        if not again:
            self.addCleanup(subprocess.run, ["umount", "-l", arguments[-1]], check=False)


class DevelopmentTests(EndToEndTestCase):
    """
    The built-in defaults: no configuration at all.
    """

    def test_mail_to_any_domain_lands_in_the_maildir(self) -> None:
        for port in (1025, 8080, 9090):
            wait_until(f"port {port} is free", partial(is_free, "127.0.0.1", port), 20)
        empath = self.empath(environment={"EMPATH_CONFIG": ""})
        empath.port, empath.health_port, empath.metrics_port = 1025, 8080, 9090
        program = empath.launch([sys.executable, "-m", "empath"])
        empath.file.unlink()
        program.wait_for(empath.alive)
        self.send(empath, ["newcomer@anywhere.example"], message("first"))
        mail = empath.folder / ".empath" / "mail"
        wait_until("in the maildir", lambda: mail.exists() and any(mail.glob("**/new/*")))
        [file] = mail.glob("**/new/*")
        text = file.read_text()
        for part in ("Return-Path: <sender@origin.test>", "Delivered-To: newcomer@anywhere.example", "Subject: first"):
            self.assertIn(part, text)
        self.assertEqual(empath.get("/health/ready")[0], 200)
        self.assertEqual(empath.stop(), 0)
