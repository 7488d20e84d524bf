"""
Who else is there in the world of an MTA: SMTP servers by domain and host, DNS, and whatever a test lets serve.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from empath.testing.fake_dns import FakeDns
from empath.testing.mock_smtp import MockServer, MockSmtpServer
from empath.testing.web import Replying, WebReply, WebServer
from empath.testing.world import Silent, World


class Neighbourhood:
    """
    A world with DNS and peers; subclasses let time pass in it.
    """

    def __init__(self, begins: float) -> None:
        self.world = World(begins)
        self.dns = FakeDns()
        self.peers: dict[str, MockServer] = {}
        self.webs: dict[str, WebServer] = {}

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
            if not self.dns.texts(name, "A"):  # who names it as a host, in mx_override, finds it as well
                self.dns.a(name, *self.dns.texts(host, "A"))
            self.up(host)
        elif behaviour is not None:
            server.behave(behaviour)
        return server

    def down(self, name: str, silent: bool = False) -> None:
        """
        Let nobody answer at a peer any more: connections are refused, or `silent` for ever; those that are open break.
        """
        host = self._host_of(name)
        for address in self._addresses(host):
            self.world.places.pop((address, 0), None)
            if silent:
                self.world.places[address, 0] = Silent
        for server in (self.peers.get(host), self.webs.get(host)):
            if server is not None:
                server.close()
        self.settle()

    def up(self, name: str) -> None:
        """
        Let a peer answer again.
        """
        host = self._host_of(name)
        for address in self._addresses(host):
            self.world.places[address, 0] = self.webs.get(host) or self.peers[host]

    def web(self, name: str, reply: WebReply | Replying = 200) -> WebServer:
        """
        Give the HTTP server of a host, with a DNS record if there is none: it answers on all ports as `reply` says.
        """
        server = self.webs[name] = WebServer(self.world, reply)
        if not self._addresses(name):
            self.dns.a(name, self._address())
        self.up(name)
        return server

    def serve(self, address: str, port: int, factory: Any) -> None:
        """
        Let any Twisted protocol factory serve at an address ("192.0.2.80"; a path with port 0 is a UNIX socket).
        """
        self.world.serve((address, port), factory)

    def _host_of(self, name: str) -> str:
        """
        Tell which host serves a name: itself, or its most preferred MX host, which is made up if there is none.
        """
        if name in self.webs:
            return name
        records = self.dns.texts(name, "MX")
        if not records and (self.dns.texts(name, "A") or name in self.dns.mx_hosts()):
            return name
        if not records:
            self.dns.mx(name, f"mx.{name}")
            records = self.dns.texts(name, "MX")
        return min(records, key=lambda text: int(text.split()[0])).split()[1].rstrip(".")

    def _addresses(self, host: str) -> tuple[str, ...]:
        try:
            return (str(ip_address(host)),)
        except ValueError:
            return self.dns.texts(host, "A")

    def _address(self) -> str:
        return f"198.51.100.{len(self.peers) + len(self.webs)}"
