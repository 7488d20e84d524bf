"""
The addresses of this machine.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from empath.net.addresses import own_addresses

TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.0
           /24 link UNICAST
        |-- 192.0.2.7
           /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
"""
INTERFACES = "20010db8000000000000000000000001 02 40 00 80 eth0\n"


class OwnAddressesTests(SynchronousTestCase):
    """
    All addresses of the interfaces are ours, and nothing else is.
    """

    def test_found(self) -> None:
        """
        IPv4 addresses come from the routing trie, IPv6 ones from the list of interfaces.
        """
        with tempfile.TemporaryDirectory() as folder:
            trie, interfaces = Path(folder, "trie"), Path(folder, "inet6")
            trie.write_text(TRIE)
            interfaces.write_text(INTERFACES)
            self.assertEqual(own_addresses(trie, interfaces), {"192.0.2.7", "2001:db8::1"})

    def test_not_shown(self) -> None:
        """
        Where the kernel does not show them there are none.
        """
        missing = Path("/nowhere/at/all")
        self.assertEqual(own_addresses(missing, missing), frozenset())

    def test_this_machine(self) -> None:
        """
        The loopback address is ours on every machine that shows any.
        """
        found = own_addresses()
        self.assertTrue(not found or "127.0.0.1" in found)
