"""
A scripted server and a client in a world of their own.
"""

from __future__ import annotations

from typing import Any

from empath.testing.client import Client
from empath.testing.mock_smtp import MockServer, MockSmtpServer
from empath.testing.world import World, address_of, join

CONTENT = b"Subject: x\r\n\r\n.hidden\r\nend\r\n"


class Pair:
    """
    `client` speaks with `server`.
    """

    def __init__(self, builder: MockSmtpServer | None = None) -> None:
        self.world = World()
        self.server: MockServer = (builder or MockSmtpServer()).build(self.world)
        self.client = self.another()

    def another(self) -> Client:
        """
        Make a further client.
        """
        return Client(self.dial, self.world, "192.0.2.7")

    def dial(self, protocol: Any) -> None:
        """
        Connect.
        """
        here, there = address_of("192.0.2.7", 4321), address_of("198.51.100.1", 25)
        join(self.world, protocol, self.server.buildProtocol(here), here, there)

    def send(self, *recipients: str, parameters: str = "") -> str:
        """
        Send a message.
        """
        return self.client.send("a@b.example", recipients or ("c@d.example",), CONTENT, parameters)
