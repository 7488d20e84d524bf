"""
Who else is there in the world of an MTA: SMTP servers by domain and host, DNS, and whatever a test lets serve.
"""

from __future__ import annotations

from typing import Any

from empath.testing.fake_dns import FakeDns
from empath.testing.mock_smtp import MockServer, MockSmtpServer
from empath.testing.world import Silent, World


class Neighbourhood:
    """
    A world with DNS and peers; subclasses let time pass in it.
    """

    def __init__(self, begins: float) -> None:
        self.world = World(begins)
        self.dns = FakeDns()
        self.peers: dict[str, MockServer] = {}

    def settle(self) -> None:
        """
        Let everything happen that needs no time.
        """
        self.world.settle()

    def peer(self, name: str, behaviour: MockSmtpServer | None = None) -> MockServer:
        """
        Give the SMTP server of a domain or a host, with DNS records if there are none; it behaves as given.

        Of a domain with several MX hosts it is the most preferred one; the others have a server each under their name.
        """
        host = self._host_of(name)
        server = self.peers.get(host)
        if server is None:
            server = self.peers[host] = (behaviour or MockSmtpServer()).build(self.world)
            if not self.dns.texts(host, "A"):
                self.dns.a(host, self._address())
            self.up(host)
        elif behaviour is not None:
            server.behave(behaviour)
        return server

    def down(self, name: str, silent: bool = False) -> None:
        """
        Let nobody answer at a peer any more: connections are refused, or `silent` for ever; those that are open break.
        """
        host = self._host_of(name)
        for address in self.dns.texts(host, "A"):
            self.world.places.pop((address, 0), None)
            if silent:
                self.world.places[address, 0] = Silent
        if host in self.peers:
            self.peers[host].close()
            self.settle()

    def up(self, name: str) -> None:
        """
        Let a peer answer again.
        """
        host = self._host_of(name)
        for address in self.dns.texts(host, "A"):
            self.world.places[address, 0] = self.peers[host]

    def serve(self, address: str, port: int, factory: Any) -> None:
        """
        Let any Twisted protocol factory serve at an address ("192.0.2.80"; a path with port 0 is a UNIX socket).
        """
        self.world.serve((address, port), factory)

    def _host_of(self, name: str) -> str:
        """
        Tell which host serves a name: itself, or its most preferred MX host, which is made up if there is none.
        """
        records = self.dns.texts(name, "MX")
        if not records and (self.dns.texts(name, "A") or name in self.dns.mx_hosts()):
            return name
        if not records:
            self.dns.mx(name, f"mx.{name}")
            records = self.dns.texts(name, "MX")
        return min(records, key=lambda text: int(text.split()[0])).split()[1].rstrip(".")

    def _address(self) -> str:
        return f"198.51.100.{len(self.peers)}"
