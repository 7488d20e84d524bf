"""
Sockets that somebody else has bound: what systemd does for a service with a .socket unit (sd_listen_fds(3)).
"""

from __future__ import annotations

import socket
import sys
from typing import Final

from tests.e2e.debian_peers import greets
from tests.e2e.ports import free_port
from tests.e2e.program import on_loopback
from tests.e2e.serving import YOU, ServingCase

ACTIVATE: Final = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="smtp")
os.execv(sys.argv[2], sys.argv[2:])
"""


class ActivationTests(ServingCase):
    """
    empath is started with a listening socket.
    """

    def activated(self, endpoint: str) -> None:
        """
        Start empath on a socket that the test has bound, and that has a client waiting already.
        """
        empath = self.serving()
        listener = socket.create_server(("127.0.0.1", empath.port))
        self.addCleanup(listener.close)
        waiting = socket.create_connection(("127.0.0.1", empath.port), timeout=30)
        self.addCleanup(waiting.close)
        empath.change({"smtp": {"listeners": [{"endpoint": endpoint}, {"endpoint": on_loopback(free_port())}]}})
        listener.set_inheritable(True)
        command = [sys.executable, "-c", ACTIVATE, str(listener.fileno()), *empath.command()]
        program = empath.launch(command, inherited=(listener.fileno(),))
        program.wait_for(lambda: greets("127.0.0.1", empath.port))
        self.assertTrue(waiting.recv(100).startswith(b"220 "))
        self.send(empath, [YOU])
        self.arrived()
        self.assertEqual(empath.stop(), 0)

    def test_a_socket_by_its_number(self) -> None:
        self.activated("systemd:domain=INET:index=0")

    def test_a_socket_by_its_name(self) -> None:
        self.activated("systemd:domain=INET:name=smtp")
