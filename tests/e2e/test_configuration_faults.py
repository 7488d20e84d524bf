"""
Faults that only show where a key leads: `config check` finds what a start finds, and a reload with any of them changes
nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Final

import attrs

from tests.e2e.ports import free_port
from tests.e2e.program import Empath, merged, on_loopback, toml
from tests.e2e.serving import ServingCase

MODULES: Final = """
from zope.interface import implementer
from empath.modules import IModule

print("modules may print what they like")


@implementer(IModule)
class Plain:
    name = "plain"

    async def start(self, services):
        pass

    async def stop(self):
        pass
"""


@attrs.frozen(slots=True)
class Fault:
    """
    Settings with one fault, which is told under `key`; `words` are among what is told.
    """

    settings: dict[str, Any]
    key: str
    words: str


class FaultTests(ServingCase):
    """
    One program that runs, and each fault in a file of its own for it.
    """

    def setUp(self) -> None:
        super().setUp()
        self.garbage = str(self.file("garbage", b"nothing that anybody can read\n"))
        self.other = self.issue("other", "localhost")

    def faults(self, empath: Empath) -> list[Fault]:
        """
        Give one for each kind of thing that a key may lead to.
        """
        plain = {"endpoint": on_loopback(empath.port)}
        tls = {**plain, "tls": "starttls", **self.certificate}
        mixed = {"certificate": self.certificate["certificate"], "private_key": self.other["private_key"]}
        not_its_key = "not the key of the first certificate"
        signing = {"domain": "a.test", "selector": "s", "private_key": self.garbage}
        anchors = {"dnssec": "validate", "trust_anchor": self.garbage}
        collector = {"sinks": ["file", "syslog"], "syslog": {"address": "tls:192.0.2.8:6514", "ca": self.garbage}}
        return [
            Fault({"delivery": {"dkim": {"keys": [signing]}}}, "delivery.dkim.keys[0].private_key", "no private key"),
            Fault({"delivery": {"dns": {"servers": ["nonsense"]}}}, "delivery.dns.servers[0]", "allowed: an IP"),
            Fault({"delivery": {"dns": anchors}}, "delivery.dns.trust_anchor", "allowed: a file of trust anchors"),
            Fault({"delivery": {"tls": mixed}}, "delivery.tls.private_key", not_its_key),
            Fault({"delivery": {"domains": {"x.test": {"strategy": "nowhere.No"}}}}, "x.test", "cannot be imported"),
            Fault({"auth": {"users": self.garbage}}, "auth.users", "line 1"),
            Fault({"auth": {"users": str(self.folder / "gone")}}, "auth.users", "No such file"),
            Fault({"auth": {"senders": self.garbage}}, "auth.senders", "line 1"),
            Fault({"relay": {"domains": ["x.test"], "recipients": self.garbage}}, "relay.recipients", "line 1"),
            Fault({"smtp": {"listeners": [{**tls, **mixed}]}}, "smtp.listeners[0].private_key", not_its_key),
            Fault(
                {"smtp": {"listeners": [plain, {**tls, "endpoint": on_loopback(0), "client_ca": self.garbage}]}},
                "smtp.listeners[1].client_ca",
                "no certificates",
            ),
            Fault({"audit": collector}, "audit: syslog.ca", self.garbage),
            Fault({"modules": [{"factory": "nowhere:No"}]}, "modules[0]", "cannot be imported"),
            Fault({"modules": [{"factory": "plain_words:Plain", "options": {"a": 1}}]}, "modules[0]", "options.a"),
        ]

    def test_each_is_found_by_a_check_and_changes_nothing(self) -> None:
        """
        Though all else in the file is good, and another listener could be bound.
        """
        empath = self.serving()
        empath.start()
        (empath.folder / "plain_words.py").write_text(MODULES)
        whole, usual = empath.file.read_text(), empath.configuration()
        before = self.ask(empath, "config", "show", "--json")
        plain = {"endpoint": on_loopback(empath.port)}
        good = {"smtp": {"listeners": [plain, {"endpoint": on_loopback(free_port())}], "max_recipients": 7}}
        for fault in self.faults(empath):
            self.write(empath, usual, good, fault.settings)
            for verb in (("config", "check", str(empath.file)), ("system", "reload-config")):
                code, said = self.ask(empath, *verb)
                self.assertEqual(code, 1, fault)
                for words in (f"{empath.file}: ", fault.key, fault.words):
                    self.assertIn(words, said)
        self.assertEqual(self.ask(empath, "config", "show", "--json"), before)
        self.write(empath, usual, good, {"modules": [{"factory": "plain_words:Plain"}]})
        code, said = self.ask(empath, "config", "check", str(empath.file), "--json")
        self.assertEqual((code, json.loads(said)), (0, {"path": str(empath.file), "usable": True}))
        empath.file.write_text(whole)
        self.assertEqual(self.ask(empath, "system", "reload-config")[0], 0)

    def write(self, empath: Empath, *settings: dict[str, Any]) -> None:
        """
        Write the file with these settings, each laid over those before it.
        """
        found: dict[str, Any] = {}
        for each in settings:
            found = merged(found, each)
        empath.file.write_text(toml(found))

    def ask(self, empath: Empath, *arguments: str) -> tuple[int, str]:
        """
        Ask by empathctl; tells its exit code, and all that it said.
        """
        command = [sys.executable, "-m", "empath.ctl", "--socket", str(empath.control_socket), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr
