"""
Requirements on listeners that come and go while the service runs.
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import trustme
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import KeyPair, Listener, Smtp
from empath.config.units import EndpointText, File
from empath.errors import ConfigError
from empath.receive.listeners import Reception
from tests.receive.certificates import write_pair
from tests.receive.real_sockets import RealSockets
from tests.receive.support import Client, World, changed

CLIENT = IPv4Address("TCP", "192.0.2.7", 1)


class Ports(MemoryReactorClock):
    """
    A reactor that knows which ports are bound; `faults` are what binding others fails with.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bound: dict[int, Factory] = {}
        self.faults: dict[int, int] = {}

    def listenTCP(self, port: int, factory: Factory, backlog: int = 50, interface: str = "") -> object:
        number = self.faults.get(port, errno.EADDRINUSE if port in self.bound else 0)
        if number:
            raise CannotListenError(interface, port, OSError(number, os.strerror(number)))
        listening = super().listenTCP(port, factory, backlog, interface)
        self.bound[port] = factory
        listening.stopListening = partial(self.bound.pop, port)
        return listening


class RelistenTests(SynchronousTestCase):
    """
    [[smtp.listeners]] change.
    """

    def setUp(self) -> None:
        self.reactor = Ports()
        self.world = World()
        self.reception = Reception(self.reactor, self.listeners("tcp:2525", "tcp:2526"), self.world.around, 30)
        self.reception.bind()
        self.reception.start()

    def listeners(self, *endpoints: str, **changes: object) -> Smtp:
        """
        Make a section with plain listeners.
        """
        return changed(listeners=tuple(Listener(endpoint=EndpointText(each)) for each in endpoints), **changes)

    def use(self, smtp: Smtp) -> dict[str, str]:
        """
        Use another section; tells what needs a restart.
        """
        with ExitStack() as undo:
            prospect = self.reception.prepare(smtp, self.world.around, undo)
            undo.pop_all()
        prospect.use()
        self.in_force = [listener.endpoint for listener in prospect.smtp.listeners]
        return prospect.restart

    def refused(self, smtp: Smtp) -> list[str]:
        """
        Be refused another section; tells why.
        """
        with self.assertRaises(ConfigError) as caught:
            self.reception.reconfigure(smtp)
        return list(caught.exception.problems)

    def test_come_and_go(self) -> None:
        """
        New ones are bound and take mail, those that are not there any more are closed; sessions of theirs go on.
        """
        client = Client(self.reactor.bound[2526], CLIENT)
        client.heard()
        self.assertEqual(self.use(self.listeners("tcp:2527", "tcp:2525", banner="new")), {})
        self.assertEqual(sorted(self.reactor.bound), [2525, 2527])
        self.assertEqual(len(self.reception.ports), 2)
        for port in (2525, 2527):
            self.assertEqual(Client(self.reactor.bound[port], CLIENT).heard(), b"220 new\r\n")
        self.assertEqual(client.say(b"EHLO c\r\n")[:4], b"250-")

    def test_whole_or_not_at_all(self) -> None:
        """
        A port that somebody else has refuses all; what was bound already is given back.
        """
        self.reactor.faults[2528] = errno.EADDRINUSE
        problems = self.refused(self.listeners("tcp:2527", "tcp:2528", banner="new"))
        self.assertEqual(
            problems,
            ['smtp.listeners[1].endpoint: found "tcp:2528": it cannot be bound: Address already in use'],
        )
        self.assertEqual(sorted(self.reactor.bound), [2525, 2526])
        self.assertEqual(Client(self.reactor.bound[2525], CLIENT).heard(), b"220 mx.example.org ESMTP empath\r\n")
        broken = changed(listeners=(Listener(endpoint=EndpointText("tcp:25"), kind="lmtp"),))
        self.refused(broken)
        self.assertEqual(sorted(self.reactor.bound), [2525, 2526])

    def test_what_the_user_may_not_bind_any_more_waits_for_a_restart(self) -> None:
        """
        As do those that it may take the place of; one that never was allowed is a fault.
        """
        self.reactor.faults[25] = errno.EACCES
        self.assertIn("Permission denied", self.refused(self.listeners("tcp:25"))[0])
        self.patch(os, "geteuid", lambda: 4711)
        restart = self.use(self.listeners("tcp:2527", "tcp:25", banner="new"))
        self.assertEqual(sorted(restart), ["smtp.listeners", "smtp.listeners[1].endpoint"])
        self.assertIn("4711", restart["smtp.listeners[1].endpoint"])
        self.assertEqual(sorted(self.reactor.bound), [2525, 2526, 2527])
        self.assertEqual(sorted(self.in_force), ["tcp:2525", "tcp:2526", "tcp:2527"])
        self.assertEqual(Client(self.reactor.bound[2526], CLIENT).heard(), b"220 new\r\n")
        self.assertEqual(self.use(self.listeners("tcp:2527")), {})
        self.assertEqual(sorted(self.reactor.bound), [2527])

    def test_the_same_port_by_another_endpoint_stays_as_it_is(self) -> None:
        """
        Until a restart: it cannot be had twice. All else that its section says counts.
        """
        restart = self.use(self.listeners("tcp:2525:interface=127.0.0.1", "tcp:2526", banner="new"))
        self.assertEqual(list(restart), ["smtp.listeners[0].endpoint"])
        self.assertEqual(self.in_force, ["tcp:2525", "tcp:2526"])
        self.assertEqual(Client(self.reactor.bound[2525], CLIENT).heard(), b"220 new\r\n")

    def test_one_that_is_bound_before_the_start_waits_like_the_others(self) -> None:
        """
        Nobody is let in before.
        """
        reception = Reception(self.reactor, self.listeners("tcp:3525"), self.world.around, 30)
        reception.bind()
        reception.reconfigure(self.listeners("tcp:3526"))
        self.assertEqual([gate.accepting for gate in reception._gates], [False])
        reception.start()
        self.assertEqual([gate.accepting for gate in reception._gates], [True])
        self.assertEqual(sorted(self.reactor.bound), [2525, 2526, 3526])


class CertificateTests(SynchronousTestCase):
    """
    What [[smtp.listeners]] say of TLS.
    """

    def setUp(self) -> None:
        self.folder = Path(os.path.abspath(self.mktemp()))
        self.folder.mkdir()
        self.world, self.reactor = World(), Ports()
        self.pair = self.write("mx")
        self.listener = Listener(tls="starttls", certificate=self.pair.certificate, private_key=self.pair.private_key)
        self.reception = Reception(self.reactor, changed(listeners=(self.listener,)), self.world.around, 30)
        self.reception.bind()

    def write(self, name: str) -> KeyPair:
        """
        Write a certificate and its key.
        """
        return write_pair(self.folder, name, trustme.CA(), "mx.example.org")

    def expiry(self) -> object:
        """
        Tell what certificate is in use.
        """
        tls = self.reception._gates[0].tls
        assert tls is not None
        return tls._contexts

    def test_files_are_read_again_though_their_paths_are_the_same(self) -> None:
        """
        At once, and if they cannot be used nothing changes.
        """
        before = self.expiry()
        self.reception.reconfigure(changed(listeners=(self.listener,)))
        self.assertIs(self.expiry(), before)
        self.write("mx")
        self.reception.reconfigure(changed(listeners=(self.listener,)))
        renewed = self.expiry()
        self.assertIsNot(renewed, before)
        Path(self.pair.certificate).write_text("no certificate")
        for _ in range(2):
            with self.assertRaises(ConfigError) as caught:
                self.reception.reconfigure(changed(listeners=(self.listener,), banner="new"))
            self.assertIn("smtp.listeners[0].certificate", caught.exception.problems[0])
            self.assertIs(self.expiry(), renewed)

    def test_a_key_that_only_root_could_read_serves_a_new_listener_too(self) -> None:
        """
        It was read before the user was changed.
        """
        more = attrs.evolve(self.listener, endpoint=EndpointText("tcp:2465"), tls="implicit")
        self.patch(os, "open", self.denied)
        self.reception.reconfigure(changed(listeners=(self.listener, more)))
        self.assertEqual(sorted(self.reactor.bound), [1025, 2465])
        other = attrs.evolve(more, certificate=File(str(self.folder / "other.pem")))
        self.assertRaises(ConfigError, self.reception.reconfigure, changed(listeners=(self.listener, other)))

    def test_a_key_that_only_root_may_read_waits_for_a_restart(self) -> None:
        """
        Once the user was changed; all else is used. Whoever did not change the user can mend it.
        """
        before = self.expiry()
        Path(self.pair.private_key).write_text("another")
        self.patch(os, "open", self.denied)
        wanted = changed(listeners=(self.listener,), banner="new")
        self.assertRaises(ConfigError, self.reception.reconfigure, wanted)
        self.patch(self.reception, "_bound_as", os.geteuid() + 1)
        with ExitStack() as undo:
            prospect = self.reception.prepare(wanted, self.reception.around, undo)
            undo.pop_all()
        prospect.use()
        ((key, why),) = prospect.restart.items()
        self.assertEqual(key, "smtp.listeners[0].private_key")
        self.assertIn("Permission denied for user id", why)
        self.assertEqual((self.expiry(), prospect.smtp), (before, wanted))

    def denied(self, *_: object) -> int:
        """
        Refuse to open anything.
        """
        raise PermissionError(errno.EACCES, "Permission denied")


class WaitingClientTests(RealSockets):
    """
    Real ports.
    """

    def test_who_has_connected_is_let_in_before_a_port_closes(self) -> Deferred[None]:
        """
        The kernel would cut off everyone who was not accepted yet.
        """
        world = World()
        local = EndpointText("tcp:0:interface=127.0.0.1")
        reception = Reception(self.reactor, changed(listeners=(Listener(endpoint=local),)), world.around, 1.0)
        reception.bind()
        self.addCleanup(lambda: Deferred.fromCoroutine(reception.stop()))
        reception.start()
        address: Any = reception.ports[0].getHost()
        clients = [socket.create_connection((address.host, address.port), 5.0) for _ in range(20)]
        other = EndpointText("tcp:0:interface=127.0.0.2")
        reception.reconfigure(changed(listeners=(Listener(endpoint=other),)))
        after: Any = reception.ports[0].getHost()
        self.assertEqual(after.host, "127.0.0.2")

        def greetings() -> list[bytes]:
            found = []
            for each in clients:
                with each:
                    found.append(each.recv(4))
            return found

        return self.serve(greetings).addCallback(self.assertEqual, [b"220 "] * 20)
