"""
Another configuration while mail comes and goes: reception, certificates, logins, pages; the file watched; ten slips.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from smtplib import SMTP, SMTPRecipientsRefused
from typing import Any

from tests.e2e.debian_peers import greets
from tests.e2e.harness import EndToEndTestCase
from tests.e2e.ports import free_port
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath, on_loopback, toml

UNBOUND = (  # the defaults' ports may be somebody else's
    '[[smtp.listeners]]\nendpoint = "tcp:0:interface=127.0.0.1"\n'
    "[metrics]\nenabled = false\n[health]\nenabled = false\n"
)
SLOW = """
from twisted.internet.task import deferLater
from zope.interface import implementer
from empath.modules import IModule


@implementer(IModule)
class Slow:
    name = "slow"

    async def start(self, services):
        await deferLater(services.clock, 4)
        raise OSError("no such server")

    async def stop(self):
        pass
"""
BROKEN = (
    ("hostname = ", "not TOML"),
    ("# an editor has not written more yet", "is empty; restart to run by defaults alone"),
    ('hostnam = "a.example"', "hostnam: unknown key; did you mean hostname?"),
    ("[smtp]\nmax_errors = 0", "smtp.max_errors: found 0"),
    ('[smtp]\nmax_message_size = "big"', 'smtp.max_message_size: found "big"'),
    ('[[smtp.listeners]]\nendpoint = "tcp:99999"', 'smtp.listeners[0].endpoint: found "tcp:99999"'),
    ('[relay]\nnetworks = ["0.0.0.0/0"]', "relay.networks[0]: found"),
    ('[auth]\nusers = "/nonexistent/users"', "auth.users: found"),
    (f'{UNBOUND}[[modules]]\nfactory = "nowhere:Nothing"', "modules[0]"),
    ('[delivery]\nbase_retry_delay = "2d"', "delivery.base_retry_delay: found 172800 s"),
    ('[audit]\ndurable = true\nsinks = ["syslog"]', "audit.durable: found true"),
)


class ReloadingTests(EndToEndTestCase):
    """
    One process each, from the beginning to the end.
    """

    def ask(self, empath: Empath, *arguments: str) -> tuple[int, str]:
        """
        Ask by empathctl; tells its exit code, and all that it said.
        """
        command = [sys.executable, "-m", "empath.ctl", "--socket", str(empath.control_socket), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr

    def reloaded(self, empath: Empath, settings: dict[str, Any]) -> dict[str, Any]:
        """
        Have other settings used; tells what empathctl does.
        """
        empath.reload(settings, hang_up=False)
        code, said = self.ask(empath, "--json", "system", "reload-config")
        self.assertEqual(code, 0, said)
        found: dict[str, Any] = json.loads(said)
        return found

    def test_listeners_come_and_go_while_sessions_go_on(self) -> None:
        """
        A session of one that goes is served to its end; a port that is somebody else's refuses the whole change.
        """
        peer = self.peer("127.0.0.11")
        empath = self.to_peer(peer)
        old, new = empath.port, free_port()
        with SMTP("127.0.0.1", old, timeout=20) as session:
            session.ehlo("c.test")
            listeners = [{"endpoint": on_loopback(new)}]
            found = self.reloaded(empath, {"smtp": {"listeners": listeners, "banner": "{hostname} another"}})
            self.assertEqual((found["restart"], "smtp.listeners" in found["changed"]), ([], True))
            wait_until("the old port is closed", lambda: not greets("127.0.0.1", old))
            session.sendmail("bob@example.com", ["you@one.test"], "Subject: a\r\n\r\nb\r\n")
        with SMTP("127.0.0.1", new, timeout=20) as session:
            session.sendmail("bob@example.com", ["me@one.test"], "Subject: a\r\n\r\nb\r\n")
        self.wait_arrived(peer, "you@one.test")
        self.wait_arrived(peer, "me@one.test")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            busy = {"endpoint": on_loopback(taken.getsockname()[1])}
            empath.reload({"smtp": {"listeners": [busy], "max_recipients": 1}}, hang_up=False)
            code, said = self.ask(empath, "system", "reload-config")
        self.assertEqual(code, 1)
        self.assertIn("smtp.listeners[0].endpoint", said)
        self.assertIn("Address already in use", said)
        self.assertTrue(greets("127.0.0.1", new))

    def test_who_may_relay(self) -> None:
        """
        Holds for sessions that begin from then on.
        """
        peer = self.peer("127.0.0.11")
        empath = self.to_peer(peer)
        self.reloaded(empath, {"relay": {"networks": ["192.0.2.0/24"]}})
        with SMTP("127.0.0.1", empath.port, timeout=20) as session, self.assertRaises(SMTPRecipientsRefused):
            session.sendmail("bob@example.com", ["you@one.test"], "Subject: a\r\n\r\nb\r\n")
        self.reloaded(empath, {"relay": {"networks": ["127.0.0.0/8"]}, "smtp": {"max_errors": 3}})
        self.send(empath, ["you@one.test"])
        self.wait_arrived(peer, "you@one.test")

    def test_pages_move(self) -> None:
        """
        And end, and come back.
        """
        empath = self.empath()
        empath.start()
        before, empath.health_port = empath.health_port, free_port()
        self.assertEqual(self.reloaded(empath, {})["changed"], ["health.endpoint"])
        self.assertEqual(empath.get("/health/live"), (200, "OK"))
        empath.health_port = before
        self.reloaded(empath, {})
        self.assertEqual(empath.get("/health/live"), (200, "OK"))
        self.reloaded(empath, {"metrics": {"enabled": False}})
        self.assertRaises(OSError, empath.get, "/metrics", True)

    def test_a_watched_file(self) -> None:
        """
        Is read when it changes, also when another takes its place; a broken one is told once.
        """
        empath = self.empath({"watch_config": True})
        empath.start()
        self.assertEqual(empath.logged("the file changed"), [])
        empath.change({"smtp": {"max_errors": 3}})
        aside = empath.folder / "empath.toml.new"
        aside.write_text(toml(empath.configuration()))
        aside.rename(empath.file)
        empath.wait_logged("the file changed: configuration read again")
        self.assertIn("smtp.max_errors", empath.logged("in use from now on")[0])
        empath.file.write_text("hostnam = 1\n")
        empath.wait_logged("the file changed: nothing was changed")
        empath.reload({"watch_config": False}, hang_up=False)
        wait_until("read again", lambda: len(empath.logged("configuration read again")) == 2)
        self.assertEqual(len(empath.logged("nothing was changed")), 1)

    def test_eleven_kinds_of_broken_files(self) -> None:
        """
        Each is refused with the line that tells why; nothing changes, and mail goes on.
        """
        peer = self.peer("127.0.0.11")
        empath = self.to_peer(peer)
        whole = empath.file.read_text()
        _, before = self.ask(empath, "--json", "config", "show")
        for text, line in BROKEN:
            empath.file.write_text(text + "\n")
            code, said = self.ask(empath, "system", "reload-config")
            self.assertEqual(code, 1, text)
            self.assertIn(f"{empath.file}: {line}", said.replace("\n  ", " "), text)
        self.assertEqual(self.ask(empath, "--json", "config", "show")[1], before)
        empath.file.write_text(whole)
        self.assertEqual(self.ask(empath, "config", "diff", str(empath.file)), (0, "Nothing is different.\n"))
        self.send(empath, ["you@one.test"])
        self.wait_arrived(peer, "you@one.test")

    def test_modules_that_take_their_time_and_fail(self) -> None:
        """
        Are told where an operator looks, and those shown are those that judge; the next reload tries again.
        """
        empath = self.empath()
        empath.folder.mkdir()
        (empath.folder / "slow_words.py").write_text(SLOW)
        empath.start()
        before = self.ask(empath, "--json", "config", "show")
        self.reloaded(empath, {"modules": [{"factory": "slow_words:Slow"}]})
        self.assertIn("still starting; in force: no module", self.ask(empath, "system", "status")[1])
        empath.wait_logged("modules are not replaced: module slow: start: no such server")
        self.assertIn("no such server; still in force: no", self.ask(empath, "system", "status")[1])
        self.assertEqual(self.ask(empath, "--json", "config", "show"), before)
        self.assertIn("modules", self.ask(empath, "config", "diff", str(empath.file))[1])
        self.assertEqual(self.reloaded(empath, {"modules": []})["changed"], [])
        self.assertNotIn("in force", self.ask(empath, "system", "status")[1])
