"""
How connections come about: by either family, from our own addresses, to one smarthost after the other, resumed.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from typing import Any
from unittest import SkipTest

import trustme

from tests.e2e.harness import EndToEndTestCase
from tests.e2e.ports import free_port
from tests.e2e.processes import wait_until
from tests.e2e.scripted import says
from tests.e2e.storing import StoringSmtpServer
from tests.e2e.storing_session import Options, Place, Session

YOU = "you@one.test"


class SourceKeepingServer(StoringSmtpServer):
    """
    Remembers where its clients came from.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.sources: list[str] = []

    def session(self, place: Place, connection: socket.socket, stopped: threading.Event) -> Session:
        self.sources.append(connection.getpeername()[0])
        return super().session(place, connection, stopped)


class ConnectionTests(EndToEndTestCase):
    """
    Mail for everybody goes to configured hosts.
    """

    def serving(self, address: str = "127.0.0.1", options: Options | None = None) -> SourceKeepingServer:
        """
        Start a server that remembers its clients.
        """
        server = SourceKeepingServer(address, self.peer_port, options)
        self.addCleanup(server.stop)
        server.start()
        return server

    def silent(self) -> None:
        """
        Let nobody answer at [::1], without a refusal: the queue of connections there is full.
        """
        try:
            listening = socket.create_server(("::1", self.peer_port), family=socket.AF_INET6, backlog=0)
        except OSError as trouble:
            raise SkipTest("no IPv6 here") from trouble
        self.addCleanup(listening.close)
        for _ in range(4):
            client = socket.socket(socket.AF_INET6)
            self.addCleanup(client.close)
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(("::1", self.peer_port))
        with socket.socket(socket.AF_INET6) as probe:
            probe.settimeout(0.5)
            try:
                probe.connect(("::1", self.peer_port))
            except TimeoutError:
                return
        raise SkipTest("a full queue is not silent here")

    def test_a_silent_ipv6_address_costs_a_quarter_of_a_second(self) -> None:
        server = self.serving()
        self.silent()
        domain = {"mx_override": f"localhost:{self.peer_port}"}
        empath = self.empath({"delivery": {"domains": {"*": domain}}})
        empath.start()
        began = time.monotonic()
        self.send(empath, [YOU])
        self.wait_arrived(server, YOU)
        self.assertTrue(0.2 < time.monotonic() - began < 5)

    def test_mail_leaves_from_the_pool_that_its_domain_names(self) -> None:
        server = self.serving()
        pools = [
            {"name": "bulk", "addresses": ["127.0.0.21"], "ehlo_name": "bulk.origin.test", "weight": 0},
            {"name": "usual", "addresses": ["127.0.0.22"], "ehlo_name": "usual.origin.test"},
        ]
        hop = {"mx_override": f"127.0.0.1:{self.peer_port}"}
        domains = {"*": hop, "bulk.test": {**hop, "pool": "bulk"}}
        empath = self.empath({"delivery": {"pools": pools, "domains": domains}})
        empath.start()
        for recipient, source, name in (
            (YOU, "127.0.0.22", b"usual.origin.test"),
            ("you@bulk.test", "127.0.0.21", b"bulk.origin.test"),
        ):
            self.send(empath, [recipient])
            self.wait_arrived(server, recipient)
            self.assertEqual(server.sources[-1], source)
            self.assertEqual(
                [line for line in server.commands if line.startswith(b"EHLO")][-1].strip(), b"EHLO " + name
            )

    def test_an_address_of_ours_that_is_none_defers(self) -> None:
        server = self.serving()
        settings = {"source_address": "192.0.2.1", "domains": {"*": {"mx_override": f"127.0.0.1:{self.peer_port}"}}}
        empath = self.empath({"delivery": settings})
        empath.start()
        empath.wait_logged(self.send(empath, [YOU]), "status=deferred", "4.3.5")
        self.assertEqual(server.sources, [])

    def test_smarthosts_have_their_turns_in_one_attempt(self) -> None:
        grumpy, last = self.serving("127.0.0.11"), self.serving("127.0.0.12")
        grumpy.script.on("CONNECT", says(554, "no service"))
        nobody = free_port("127.0.0.1")
        hosts = [f"127.0.0.1:{nobody}", f"127.0.0.11:{self.peer_port}", f"127.0.0.12:{self.peer_port}"]
        empath = self.empath({"delivery": {"domains": {"*": {"mx_override": hosts}}}})
        empath.start()
        queue_id = self.send(empath, [YOU])
        self.wait_arrived(last, YOU, 10.0)
        empath.wait_logged(queue_id, "status=sent")
        self.assertEqual(len(grumpy.sources), 1)

    def test_tls_sessions_are_resumed_under_a_verified_policy(self) -> None:
        authority = trustme.CA()
        trusted = self.folder / "ca.pem"
        authority.cert_pem.write_to_path(str(trusted))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        server = self.serving(options=Options(context=context))
        domain = {"mx_override": f"localhost:{self.peer_port}", "tls_policy": "verified", "max_messages": 1}
        settings = {"address_families": ["ipv4"], "domains": {"*": domain}}
        empath = self.empath({"delivery": settings}, environment={"SSL_CERT_FILE": str(trusted)})
        empath.start()
        for number in range(3):
            self.send(empath, [f"you{number}@one.test"])
            self.assertTrue(self.wait_arrived(server, f"you{number}@one.test").tls)
        wait_until("three connections", lambda: server.connections == 3, 5.0)
        self.assertEqual((context.session_stats()["accept"], context.session_stats()["hits"]), (3, 2))
