"""
Where a milter listens, and what else its options say.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.modules.builtin.milter import Milter
from empath.modules.builtin.milter.names import PATIENCE, client_names
from empath.modules.builtin.milter.opening import below, read_endpoint
from tests.modules.milter.fakes import FakeMilter, FakeServices, session


class EndpointTests(SynchronousTestCase):
    """
    Endpoints as Twisted, Postfix and Sendmail write them.
    """

    def test_spellings(self) -> None:
        """
        All become Twisted's.
        """
        for written, endpoint in (
            ("tcp:127.0.0.1:11332", "tcp:127.0.0.1:11332"),
            ("inet:localhost:8891", "tcp:localhost:8891"),
            ("inet:[::1]:8891", r"tcp:\:\:1:8891"),
            ("inet:8891@localhost", "tcp:localhost:8891"),
            ("inet6:8891@[::1]", r"tcp:\:\:1:8891"),
            ("unix:/run/opendkim/opendkim.sock", "unix:/run/opendkim/opendkim.sock"),
            ("local:opendkim.sock", "unix:opendkim.sock"),
        ):
            self.assertEqual(read_endpoint(written), endpoint)

    def test_what_is_none(self) -> None:
        """
        An error that says what is allowed.
        """
        for written in ("", "localhost", "inet:localhost", "inet:0@localhost", "inet:localhost:99999", 11332, None):
            with self.assertRaises(ValueError):
                read_endpoint(written)

    def test_relative_sockets(self) -> None:
        """
        They are found in the folder of the configuration.
        """
        self.assertEqual(below("unix:a.sock", Path("/etc/empath")), "unix:/etc/empath/a.sock")
        self.assertEqual(below("unix:/a.sock", Path("/etc/empath")), "unix:/a.sock")
        self.assertEqual(below("tcp:a:1", Path("/etc/empath")), "tcp:a:1")


class OptionsTests(SynchronousTestCase):
    """
    The module's options.
    """

    def test_what_they_may_not_be(self) -> None:
        """
        Each is an error that names it.
        """
        wrong: tuple[tuple[str, Any], ...] = (
            ("endpoint", "nowhere"),
            ("connect_timeout", "soon"),
            ("command_timeout", 0),
            ("content_timeout", "-1s"),
            ("protocol", 5),
            ("max_connections", 0),
            ("keep", 1001),
            ("resolve", "yes"),
            ("max_body", "0B"),
            ("macros", {"a b": "c"}),
            ("macros", {"a": "\n"}),
            ("macros", "j"),
        )
        for name, value in wrong:
            with self.assertRaises(ValueError) as raised:
                Milter(**{name: value})
            self.assertIn(name, str(raised.exception))

    def test_usual_ones(self) -> None:
        """
        Those of rspamd's milter.
        """
        services = FakeServices(FakeMilter())
        module = Milter()
        module.start(services)
        Deferred.fromCoroutine(module.connect(session()))  # type: ignore[arg-type]  # a coroutine
        self.assertEqual(services.endpoints, ["tcp:127.0.0.1:11332"])


class NamesTests(SynchronousTestCase):
    """
    The names of clients.
    """

    def named(self, peer: str, ask: bool = True, **records: tuple[str, ...]) -> tuple[str, str]:
        """
        Tell what a client is called, the DNS being as `records` say.
        """
        services = FakeServices(FakeMilter())
        pointed = {"192.0.2.7": "7.2.0.192.in-addr.arpa", "2001:db8::1": "1." + "0." * 23 + "8.b.d.0.1.0.0.2.ip6.arpa"}
        for rdtype, found in records.items():
            services.records[(pointed[peer] if rdtype == "PTR" else "a.test", rdtype)] = found
        return self.successResultOf(Deferred.fromCoroutine(client_names(session(peer), services, ask)))

    def test_a_name_counts_if_it_has_the_address(self) -> None:
        """
        Both ways, by IPv4 and IPv6; else it is only what the address points to.
        """
        self.assertEqual(self.named("192.0.2.7", PTR=("a.test",), A=("192.0.2.9", "192.0.2.7")), ("a.test", "a.test"))
        self.assertEqual(self.named("2001:db8::1", PTR=("a.test",), AAAA=("2001:db8:0::1",)), ("a.test", "a.test"))
        self.assertEqual(self.named("192.0.2.7", PTR=("a.test",), A=("192.0.2.9",)), ("[192.0.2.7]", "a.test"))
        self.assertEqual(self.named("192.0.2.7", PTR=("a.test",)), ("[192.0.2.7]", "a.test"))
        self.assertEqual(self.named("192.0.2.7"), ("[192.0.2.7]", ""))

    def test_nobody_is_asked(self) -> None:
        """
        Where it is not wanted, and about ourselves.
        """
        self.assertEqual(self.named("192.0.2.7", False, PTR=("a.test",), A=("192.0.2.7",)), ("[192.0.2.7]", ""))
        self.assertEqual(self.named("::1"), ("localhost", "localhost"))

    def test_the_dns_is_silent(self) -> None:
        """
        After a short while the client has no name.
        """
        services = FakeServices(FakeMilter())
        services.silent_dns = True
        waiting = Deferred.fromCoroutine(client_names(session(), services, True))
        services.clock.advance(PATIENCE + 0.1)
        self.assertEqual(self.successResultOf(waiting), ("[192.0.2.7]", ""))
