"""
Lists and greylisting as an operator runs them: a real DNS server with lists, a real file that remembers, real kills.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import execute
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.storage import Storages
from tests.e2e.dialogue import Dialogue
from tests.e2e.harness import EndToEndTestCase, message, smarthost
from tests.e2e.processes import Program, temporary_folder, wait_until
from tests.e2e.program import Empath, merged
from tests.e2e.storing_values import value_of

TOP: Final = Path(__file__).parents[2]
LISTED: Final = "203.0.113.1"
CLEAN: Final = "203.0.113.2"
LISTED_6: Final = "2001:db8::1"
REFUSING: Final = "203.0.113.3"
NIBBLES: Final = ".".join("10000000" + "00000000" + "00000000" + "8bd01002")
ZONE: Final = (
    "1.113.0.203.bl.test. 5 IN A 127.0.0.4",
    '1.113.0.203.bl.test. 5 IN TXT "see bl.test for {listed}"',
    f"{NIBBLES}.bl.test. 5 IN A 127.0.0.2",
    "3.113.0.203.bl.test. 5 IN A 127.255.255.254",
    "1.113.0.203.wl.test. 5 IN A 127.0.9.3",
    "bad.test.dbl.test. 5 IN A 127.0.1.2",
)
DNSBL: Final = {
    "factory": "dnsbl",
    "options": {
        "zones": [{"zone": "bl.test", "answers": ["127.0.0.2-11"], "weight": 2}],
        "domains": ["dbl.test"],
        "reply": "554 5.7.1 {listed} is listed at {zone}: {text}",
    },
}


class ListsTestCase(EndToEndTestCase):
    """
    An instance that hands everything to one peer, whose clients come through a proxy that tells their addresses.
    """

    def with_modules(self, *modules: dict[str, Any], servers: list[str] | None = None) -> Empath:
        """
        Start one.
        """
        self.server = self.peer("127.0.0.11")
        settings = {
            "smtp": {"xclient": ["127.0.0.1"]},
            "relay": {"networks": [], "domains": ["one.test", "two.test"], "recipients": "any"},
            "delivery": {"dns": {"servers": servers or ["127.0.0.1:9"], "timeout": "1s"}},
            "modules": list(modules),
        }
        empath = self.empath(merged(smarthost(self.server), settings))
        empath.start()
        return empath

    def heard(self, empath: Empath, peer: str, sender: str = "me@good.test", recipient: str = "you@one.test") -> str:
        """
        Try to send a message from an address; gives the reply that ended it.
        """
        with Dialogue(empath.port) as client:
            client.greet()
            address = f"IPV6:{peer}" if ":" in peer else peer
            self.assertEqual(client.say(f"XCLIENT ADDR={address}").code, 220)
            client.say("EHLO client.good.test")
            return str(client.post(sender, [recipient], message("x")))


class DnsblTests(ListsTestCase):
    """
    Clients that an unbound lists.
    """

    def test_listed_clients_and_domains_are_refused_at_rcpt(self) -> None:
        """
        IPv4, IPv6 and sender domains, with the list's text; others pass, and the message says who lists its client.
        """
        dns = self.dns(*ZONE)
        empath = self.with_modules(DNSBL, servers=[dns.server])
        reply = "554 5.7.1 203.0.113.1 is listed at bl.test: see bl.test for {listed}"
        self.assertEqual(self.heard(empath, LISTED), reply)
        self.assertEqual(self.heard(empath, LISTED_6), f"554 5.7.1 {LISTED_6} is listed at bl.test")
        self.assertEqual(self.heard(empath, CLEAN, "me@bad.test"), "554 5.7.1 bad.test is listed at dbl.test")
        self.assertTrue(self.heard(empath, CLEAN).startswith("250 "))
        self.assertTrue(self.heard(empath, REFUSING, recipient="two@one.test").startswith("250 "))
        self.wait_arrived(self.server, "two@one.test")
        [line] = empath.wait_logged("reject: RCPT", "203.0.113.1", "bl.test")
        self.assertIn("me@good.test", line)
        self.assertIn("you@one.test", line)
        self.assertEqual(len(empath.logged("127.255.255.254", "bl.test", "public resolvers")), 1)
        counted = [line for line in metrics(empath) if 'module="dnsbl"' in line and '"listed:bl.test"' in line]
        self.assertEqual([line.split()[-1] for line in counted], ["2.0"])
        self.assertEqual(empath.stop(), 0)

    def test_friends_outweigh_others(self) -> None:
        """
        A list of friends, with a negative weight.
        """
        dns = self.dns(*ZONE)
        options = {"zones": ["bl.test", {"zone": "wl.test", "answers": ["127.0.*.1-3"], "weight": -1}]}
        empath = self.with_modules({"factory": "dnsbl", "options": options}, servers=[dns.server])
        self.assertTrue(self.heard(empath, LISTED).startswith("250 "))
        self.assertEqual(self.heard(empath, LISTED_6), f"554 5.7.1 {LISTED_6} is listed at bl.test")

    def test_a_dns_that_is_silent_refuses_nobody(self) -> None:
        """
        The verdict waits no longer than the module's own bound.
        """
        dns = self.dns(*ZONE)
        dns.stop()
        options = {"zones": ["bl.test"], "timeout": 0.3}
        empath = self.with_modules({"factory": "dnsbl", "options": options}, servers=[dns.server])
        self.assertTrue(self.heard(empath, LISTED).startswith("250 "))


class GreylistTests(ListsTestCase):
    """
    Senders that come again.
    """

    def test_who_comes_again_passes_even_after_kill_9(self) -> None:
        """
        What is known is on the disk before the client hears of it.
        """
        options = {"delay": "1s", "window": "1h", "auto_allow": 2}
        empath = self.with_modules({"factory": "greylist", "options": options})
        first = self.heard(empath, CLEAN)
        self.assertEqual(first, "450 4.2.0 greylisted, try again in 1 s")
        empath.kill()
        empath.start()
        self.passes(empath, CLEAN)
        empath.kill()
        empath.start()
        self.assertTrue(self.heard(empath, LISTED).startswith("250 "), "another host of the network")
        self.assertTrue(self.heard(empath, CLEAN, recipient="other@one.test").startswith("450 "))
        self.passes(empath, CLEAN, "other@one.test")
        self.assertTrue(
            self.heard(empath, CLEAN, recipient="third@one.test").startswith("250 "), "the network is known"
        )
        self.assertEqual(empath.stop(), 0)

    def test_a_file_that_is_not_ours_keeps_empath_from_starting(self) -> None:
        """
        It says so in one line, and leaves the file alone.
        """
        empath = self.empath({"modules": [{"factory": "greylist"}]})
        empath.spool.mkdir(parents=True)
        file = empath.spool / "storage.sqlite"
        file.write_text("somebody's notes\n" * 100)
        program = empath.launch()
        self.assertEqual(program.wait(), 1)
        self.assertEqual(len([line for line in empath.log().splitlines() if str(file) in line]), 1, empath.log())
        self.assertEqual(file.read_text(), "somebody's notes\n" * 100)

    def passes(self, empath: Empath, peer: str, recipient: str = "you@one.test") -> None:
        """
        Come again until it passes.
        """
        wait_until("it passes", lambda: self.heard(empath, peer, recipient=recipient).startswith("250 "))


class StorageTests(SynchronousTestCase):
    """
    What modules store, and a process that is killed.
    """

    def test_what_was_told_is_there_after_kill_9(self) -> None:
        """
        Five times in a row on the same file.
        """
        folder = temporary_folder(self)
        path, told = folder / "storage.sqlite", list[str]()
        for run in range(5):
            log = folder / f"told {run}"
            command = [sys.executable, "-m", "tests.e2e.storing_values", str(path), str(run)]
            child = Program(command, log, TOP)
            self.addCleanup(child.kill)
            child.wait_for(partial(has_lines, log, 200))
            child.kill()
            told += [line for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        self.assert_stored(path, [line.rstrip("\n") for line in told])

    def assert_stored(self, path: Path, keys: list[str]) -> None:
        """
        All of them are there, each with its value.
        """
        storages = Storages(str(path), execute, Clock())
        storages.open()
        storage = storages.of("module")
        self.assertGreater(len(keys), 1000)
        for key in keys:
            self.assertEqual(self.successResultOf(storage.get(key)), value_of(key), key)


def has_lines(file: Path, number: int) -> bool:
    """
    Tell whether a file has that many lines.
    """
    return len(file.read_text().splitlines()) >= number


def metrics(empath: Empath) -> list[str]:
    """
    Read the events of modules.
    """
    page = empath.get("/metrics", metrics=True)[1]
    return [line for line in page.splitlines() if line.startswith("empath_module_events_total{")]
