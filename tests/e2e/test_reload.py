"""
SIGHUP: the file is read again, and what it says of delivery is so from then on.
"""

from __future__ import annotations

from tests.e2e.harness import EndToEndTestCase
from tests.e2e.processes import wait_until

YOU = "you@one.test"


class ReloadTests(EndToEndTestCase):
    """
    One process from the beginning to the end of each test.
    """

    def test_what_waits_for_a_limit_goes_when_it_is_lifted(self) -> None:
        """
        And mail for a host that is gone goes to the one that stands in for it; the log tells the keys.
        """
        gone, peer = self.peer("127.0.0.11"), self.peer("127.0.0.12")
        gone.stop()
        slow = {"delivery": {"rate_limits": {"default": "1/h", "burst": 1}, "domains": self.to(gone.address)}}
        empath = self.empath(slow)
        empath.start()
        pid = empath.running().pid
        for name in ("a", "b", "c"):
            self.send(empath, [f"{name}@one.test"])
        empath.wait_logged("status=deferred")
        empath.reload({"delivery": {"rate_limits": {"default": "100/s"}, "domains": self.to(peer.address)}})
        wait_until("all arrived", lambda: len(peer.stored) == 3)
        [told] = empath.logged("in use from now on")
        for key in ("delivery.rate_limits.default", "mx_override"):
            self.assertIn(key, told)
        self.assertEqual((empath.logged("restart"), empath.running().pid), ([], pid))
        self.assertNotIn("Traceback", empath.log())

    def test_a_fault_anywhere_changes_nothing(self) -> None:
        """
        Each is told with file and key, also one that only the files show which a key names.
        """
        peer = self.peer("127.0.0.11")
        empath = self.to_peer(peer)
        (self.folder / "anchors").write_text("no record\n")
        dns = {"dnssec": "validate", "trust_anchor": str(self.folder / "anchors")}
        for fault, key in (
            ({"pools": [{"name": "a", "weight": -1}]}, "delivery.pools[0].weight"),
            ({"dns": dns}, "delivery.dns.trust_anchor"),
        ):
            empath.reload({"delivery": {"port": 1, "domains": {"one.test": {"mx_override": "127.0.0.12"}}, **fault}})
            empath.wait_logged(f"SIGHUP: the configuration cannot be used: {empath.file}: {key}: found")
            empath.reload({"delivery": {"pools": [], "dns": {"dnssec": "off", "trust_anchor": ""}}}, hang_up=False)
        self.assertEqual(len(empath.logged("SIGHUP: nothing was changed")), 2)
        self.send(empath, [YOU])
        self.wait_arrived(peer, YOU)

    def test_one_that_comes_while_it_starts_is_answered_then(self) -> None:
        """
        It does not end the process, though nobody runs yet who could read the file again.
        """
        empath = self.empath()
        program = empath.launch()
        program.wait_for(lambda: bool(empath.logged("configuration:")))
        empath.hang_up()
        empath.wait_logged("SIGHUP: configuration read again")
        self.assertTrue(empath.alive())

    def test_what_needs_a_restart_is_named(self) -> None:
        empath = self.empath()
        empath.start()
        empath.reload({"hostname": "mx2.empath.test", "delivery": {"max_cleanup_attempts": 9}})
        for key in ("hostname", "delivery.max_cleanup_attempts", "delivery.dsn.postmaster"):
            self.assertEqual(len(empath.wait_logged(f"only a restart applies {key}: ")), 1)

    def to(self, address: str) -> dict[str, object]:
        """
        Lead all mail to a host.
        """
        return {"*": {"mx_override": f"{address}:{self.peer_port}"}}
