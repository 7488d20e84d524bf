"""
The world of one test: an empath, a DNS server, peers on loopback addresses that share one port.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.e2e.dialogue import Dialogue, Heard, queue_id
from tests.e2e.ports import free_port
from tests.e2e.processes import temporary_folder, wait_until
from tests.e2e.program import Empath, Settings, merged
from tests.e2e.sameness import relayed_difference
from tests.e2e.storing import StoringSmtpServer
from tests.e2e.storing_session import Options, Stored
from tests.e2e.unbound import LocalDns, mail_zone

SENDER = "sender@origin.test"
HOSTS = tuple(f"127.0.0.{nth}" for nth in (11, 12, 21, 22, 31))


def message(text: str = "hello") -> bytes:
    """
    Make a short message.
    """
    return f"From: <{SENDER}>\r\nSubject: {text}\r\nMessage-ID: <{text}@origin.test>\r\n\r\n{text}\r\n".encode()


class EndToEndTestCase(SynchronousTestCase):
    """
    Starts what a test asks for and ends it afterwards; when the test fails, empath's last log lines are shown.
    """

    def setUp(self) -> None:
        self.folder = temporary_folder(self)
        self.peer_port = free_port("127.0.0.1", *HOSTS)

    def peer(self, address: str, options: Options | None = None, port: int = 0) -> StoringSmtpServer:
        """
        Start a storing server.
        """
        server = StoringSmtpServer(address, port or self.peer_port, options)
        self.addCleanup(server.stop)
        server.start()
        return server

    def dns(self, *records: str) -> LocalDns:
        """
        Start a DNS server with these records.
        """
        dns = LocalDns(self.folder / "dns")
        self.addCleanup(dns.remove)
        dns.serve(records)
        return dns

    def empath(
        self, settings: Settings | None = None, name: str = "empath", environment: Mapping[str, str] | None = None
    ) -> Empath:
        """
        Make an instance that is not started yet; it ends with the test.
        """
        instance = Empath(self.folder / name, settings or {}, environment)
        self.addCleanup(self._end, instance)
        return instance

    def relaying(self, dns: LocalDns, settings: Settings | None = None) -> Empath:
        """
        Start an instance that delivers by MX, as `dns` says, to the peers' port.
        """
        routes: dict[str, Any] = {"delivery": {"port": self.peer_port, "dns": {"servers": [dns.server]}}}
        instance = self.empath(merged(routes, settings or {}))
        instance.start()
        return instance

    def to_peer(self, server: StoringSmtpServer, settings: Settings | None = None) -> Empath:
        """
        Start an instance that hands everything to `server`, without DNS.
        """
        instance = self.empath(merged(smarthost(server), settings or {}))
        instance.start()
        return instance

    def two_hosts(self, settings: Settings | None = None) -> tuple[Empath, StoringSmtpServer, StoringSmtpServer]:
        """
        Start empath and the two MX hosts of one.test, the preferred one first.
        """
        first, second = self.peer("127.0.0.11"), self.peer("127.0.0.12")
        dns = self.dns(*mail_zone("one.test", "127.0.0.11", "127.0.0.12"))
        return self.relaying(dns, settings), first, second

    def send(self, empath: Empath, recipients: list[str], content: bytes | None = None, sender: str = SENDER) -> str:
        """
        Send one message; gives its queue id.
        """
        return queue_id(self.attempt(empath, recipients, content, sender))

    def attempt(
        self, empath: Empath, recipients: list[str], content: bytes | None = None, sender: str = SENDER
    ) -> Heard:
        """
        Try to send one message; gives the reply that ended it.
        """
        with Dialogue(empath.port) as client:
            client.greet()
            parameters = " BODY=8BITMIME" if content is not None and not content.isascii() else ""
            heard = client.post(sender, recipients, message() if content is None else content, parameters)
            client.send(b"QUIT\r\n")
            return heard

    def wait_arrived(self, server: StoringSmtpServer, recipient: str, seconds: float = 30.0) -> Stored:
        """
        Wait for a message to `recipient` and give the first transaction that brought it.
        """
        wait_until(f"arrived at {server.address}: {recipient}", lambda: bool(server.arrived(recipient)), seconds)
        return server.arrived(recipient)[0]

    def assert_relayed(self, arrived: bytes | None, sent: bytes) -> None:
        """
        The content is as it was sent, under one Received header.
        """
        self.assertEqual(relayed_difference(arrived or b"", sent), "")

    def _end(self, instance: Empath) -> None:
        if instance.program is None:
            return
        instance.program.kill()
        kept = os.environ.get("EMPATH_E2E_LOGS")
        if kept:
            Path(kept).mkdir(parents=True, exist_ok=True)
            (Path(kept) / f"{self.id()}.log").write_text(instance.log())


def smarthost(server: StoringSmtpServer) -> dict[str, Any]:
    """
    Settings that make `server` the next hop of everything.
    """
    return {"delivery": {"domains": {"*": {"mx_override": f"{server.address}:{server.port}"}}}}
