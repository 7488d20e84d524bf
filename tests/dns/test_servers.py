"""
Which servers are asked.
"""

from __future__ import annotations

import tempfile

from twisted.trial.unittest import SynchronousTestCase

from empath.dns.servers import HOLD_DOWN, LOCAL, Roster, Server, parse_server, system_servers
from tests.dns.fakes import FIRST, SECOND


class ParseServerTests(SynchronousTestCase):
    """
    How an operator writes a server.
    """

    def test_forms(self) -> None:
        """
        An address alone means port 53; IPv6 takes brackets before a port; a mapped address is IPv4.
        """
        for text, server in [
            ("192.0.2.1", Server("192.0.2.1", 53)),
            (" 192.0.2.1:5353 ", Server("192.0.2.1", 5353)),
            ("2001:DB8::1", Server("2001:db8::1", 53)),
            ("[2001:db8::1]", Server("2001:db8::1", 53)),
            ("[2001:db8::1]:5353", Server("2001:db8::1", 5353)),
            ("fe80::1%eth0", Server("fe80::1%eth0", 53)),
            ("[::ffff:192.0.2.1]:53", Server("192.0.2.1", 53)),
        ]:
            self.assertEqual(parse_server(text), server, text)

    def test_text_round_trip(self) -> None:
        """
        What a server is printed as reads back as the same server.
        """
        for server in (FIRST, SECOND, Server("2001:db8::1", 5353), Server("fe80::1%eth0")):
            self.assertEqual(parse_server(str(server)), server)

    def test_refused(self) -> None:
        """
        A name, a bad address, a bad port or anything else is a ValueError that quotes it.
        """
        for text in (
            "",
            "localhost",
            "ns.example.org:53",
            "192.0.2.256",
            "192.0.2.1:0",
            "192.0.2.1:65536",
            "[::1",
            "192.0.2.1:",
            "192.0.2.1:٥٣",
            "[::1]53",
            "1.2.3.4:5:6",
        ):
            with self.assertRaises(ValueError) as caught:
                parse_server(text)
            self.assertIn(repr(text), str(caught.exception))

    def test_address_has_no_scope(self) -> None:
        """
        The source of a datagram is compared without the interface's name.
        """
        self.assertEqual(Server("fe80::1%eth0").address, "fe80::1")


class SystemServersTests(SynchronousTestCase):
    """
    What resolv.conf says.
    """

    def read(self, content: bytes) -> tuple[Server, ...]:
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            return system_servers(file.name)

    def test_nameservers(self) -> None:
        """
        At most three nameservers are taken, in order; all other lines are not for us.
        """
        lines = b"# nameserver 9.9.9.9\nsearch x\nnameserver 192.0.2.1\n nameserver\tfe80::1%eth0 # home\nnameserver\n"
        self.assertEqual(self.read(lines), (Server("192.0.2.1"), Server("fe80::1%eth0")))
        many = b"".join(b"nameserver 192.0.2.%d\n" % number for number in range(1, 6))
        self.assertEqual(len(self.read(many)), 3)

    def test_nothing_usable(self) -> None:
        """
        No file, no nameserver or only nonsense: the server on this machine.
        """
        self.assertEqual(system_servers("/nonexistent/resolv.conf"), (LOCAL,))
        for content in (b"", b"nameserver example.org\n", b"\xff\xfe\x00nameserver \xff\n"):
            self.assertEqual(self.read(content), (LOCAL,))


class RosterTests(SynchronousTestCase):
    """
    In which order they are asked.
    """

    def test_silent_server_is_put_last_for_a_while(self) -> None:
        """
        A server that stayed silent comes after the others until its time is over or it answers.
        """
        roster = Roster([FIRST, SECOND])
        self.assertEqual(roster.order(0.0), [FIRST, SECOND])
        roster.silent(FIRST, 10.0, "timeout")
        self.assertEqual(roster.order(10.0), [SECOND, FIRST])
        self.assertEqual(roster.order(10.0 + HOLD_DOWN), [FIRST, SECOND])
        roster.silent(FIRST, 50.0, "timeout")
        roster.answered(FIRST)
        self.assertEqual(roster.order(50.0), [FIRST, SECOND])

    def test_all_silent(self) -> None:
        """
        With all of them silent the order is the operator's and nobody is left out.
        """
        roster = Roster([FIRST, SECOND])
        roster.silent(SECOND, 1.0, "timeout")
        roster.silent(FIRST, 1.0, "timeout")
        self.assertEqual(roster.order(2.0), [FIRST, SECOND])
