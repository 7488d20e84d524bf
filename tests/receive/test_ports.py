"""
Requirements on how ports are bound.
"""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
from pathlib import Path

from twisted.internet.address import IPv6Address
from twisted.internet.defer import maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock

from empath.errors import ConfigError
from empath.receive.ports import _Adopting, arguments_of, listen
from tests.receive.real_sockets import RealSockets


class Greeting(Protocol):
    """
    Says where it stands, and hangs up.
    """

    def connectionMade(self) -> None:
        """
        Say it.
        """
        assert self.transport is not None
        self.transport.write(b"here\n")
        self.transport.loseConnection()


def heard(path: str) -> bytes:
    """
    Connect to a UNIX socket; tell what it says.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(10)
        client.connect(path)
        return client.recv(100)


class PortCase(RealSockets):
    """
    A short path, as those of UNIX sockets have to be.
    """

    def setUp(self) -> None:
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)  # after the ports are closed
        super().setUp()
        self.path = f"{folder}/smtp.sock"
        self.factory = Factory.forProtocol(Greeting)

    def listen(self, endpoint: str) -> IListeningPort:
        """
        Listen for the time of this test.
        """
        port = listen(self.reactor, endpoint, self.factory)
        self.addCleanup(port.stopListening)
        return port

    def mode(self) -> int:
        """
        Tell the socket's permissions.
        """
        return stat.S_IMODE(os.stat(self.path).st_mode)


class UnixTests(PortCase):
    """
    UNIX sockets of our own.
    """

    async def test_a_socket_has_its_mode(self) -> None:
        """
        From the beginning: what is created under the mask cannot be wider, and the mask is put back.
        """
        masks: list[int] = []

        class Watched(MemoryReactorClock):
            def listenUNIX(self, *arguments: object, **named: object) -> object:
                masks.append(os.umask(0o022))
                os.umask(masks[-1])
                return super().listenUNIX(*arguments, **named)

        before = os.umask(0o022)
        self.addCleanup(os.umask, before)
        for mode, mask in (("", 0o111), (":mode=600", 0o177), (":mode=660", 0o117), (":660", 0o117)):
            listen(Watched(), f"unix:{self.path}{mode}", self.factory)
            self.assertEqual((masks[-1], os.umask(0o022)), (mask, 0o022), mode)
        port = self.listen(f"unix:{self.path}:mode=600")
        self.assertEqual(self.mode(), 0o600)
        self.assertEqual(await self.serve(lambda: heard(self.path)), b"here\n")
        await maybeDeferred(port.stopListening)
        self.assertFalse(os.path.exists(self.path))

    async def test_what_a_dead_process_left_is_removed(self) -> None:
        """
        A socket on which nobody listens does not keep us from starting.
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
            dead.bind(self.path)
        self.listen(f"unix:{self.path}")
        self.assertEqual(await self.serve(lambda: heard(self.path)), b"here\n")

    def test_what_is_in_use_or_no_socket_stays(self) -> None:
        """
        Then there is no start.
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
            other.bind(self.path)
            other.listen()
            self.assertRaises(CannotListenError, listen, self.reactor, f"unix:{self.path}", self.factory)
            self.assertTrue(stat.S_ISSOCK(os.stat(self.path).st_mode))
        os.unlink(self.path)
        Path(self.path).write_text("precious")
        self.assertRaises(CannotListenError, listen, self.reactor, f"unix:{self.path}", self.factory)
        self.assertEqual(Path(self.path).read_text(), "precious")

    def test_a_lock_file_is_for_those_who_ask(self) -> None:
        """
        As Twisted makes it.
        """
        self.listen(f"unix:{self.path}:lockfile=1")
        self.assertTrue(os.path.islink(f"{self.path}.lock"))


class AdoptedTests(PortCase):
    """
    Sockets that systemd hands over.
    """

    async def test_a_unix_socket_stays_as_systemd_made_it(self) -> None:
        """
        Its mode, and its file when we stop; Twisted would open it to everyone, and remove it.
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as given:
            given.bind(self.path)
            os.chmod(self.path, 0o620)
            given.listen()
            given.setblocking(False)
            port = _Adopting(self.reactor).adoptStreamPort(given.fileno(), socket.AF_UNIX, self.factory)
            self.assertEqual(await self.serve(lambda: heard(self.path)), b"here\n")
            await maybeDeferred(port.stopListening)
        self.assertEqual(self.mode(), 0o620)

    def test_a_socket_that_is_not_there_is_one_clear_error(self) -> None:
        """
        Whether it is named by its number or by its name.
        """
        for which in ("index=7", "name=smtp"):
            endpoint = f"systemd:domain=INET:{which}"
            with self.assertRaises(ConfigError) as caught:
                listen(self.reactor, endpoint, self.factory)
            self.assertIn(f'found "{endpoint}": systemd handed over no such socket', str(caught.exception))

    def test_a_tcp_socket_is_adopted(self) -> None:
        """
        As Twisted does it.
        """
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as given:
            given.bind(("::1", 0))
            given.listen()
            given.setblocking(False)
            port = _Adopting(self.reactor).adoptStreamPort(given.fileno(), socket.AF_INET6, self.factory)
            self.addCleanup(port.stopListening)
            address = port.getHost()
            assert isinstance(address, IPv6Address)
            self.assertEqual(address.port, given.getsockname()[1])


class EndpointTests(PortCase):
    """
    What endpoint strings say.
    """

    def test_arguments_have_names(self) -> None:
        """
        Whether they are written with them or not.
        """
        plain = {"port": "25", "interface": "192.0.2.1", "backlog": "9"}
        self.assertEqual(arguments_of("tcp:25:192.0.2.1:9"), ("tcp", plain))
        self.assertEqual(arguments_of(r"tcp6:25:interface=\:\:1"), ("tcp6", {"port": "25", "interface": "::1"}))
        self.assertEqual(arguments_of("systemd:domain=INET:index=0"), ("systemd", {"domain": "INET", "index": "0"}))

    def test_the_backlog_is_long_unless_it_is_given(self) -> None:
        """
        Twisted's own default of 50 loses clients in a burst.
        """
        reactor = MemoryReactorClock()
        for endpoint in ("tcp:25", "tcp:25:192.0.2.1:9", "tcp:25:backlog=7", r"tcp6:25:interface=\:\:1"):
            listen(reactor, endpoint, self.factory)
        self.assertEqual([server[2] for server in reactor.tcpServers], [1024, 9, 7, 1024])

    def test_ipv6(self) -> None:
        """
        A port on the IPv6 loopback.
        """
        port = self.listen(r"tcp6:0:interface=\:\:1")
        address = port.getHost()
        assert isinstance(address, IPv6Address)
        self.assertEqual(address.host, "::1")
