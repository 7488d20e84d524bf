"""
Believing the AD bit of a server: only where nobody can have set it on the way.
"""

from __future__ import annotations

import dns.flags
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Dns
from empath.config.units import seconds
from empath.dns.servers import Server
from empath.errors import ConfigError
from empath.mail.answer import Answer, Security, TlsaRecord
from tests.dns.fakes import FIRST, SOA, Bench, answer_to

HERE = Server("127.0.0.1")
SIX = Server("::1", 5353)
TRUSTING = Dns(timeout=seconds(5), dnssec="trust-ad")
A = "example.org. 300 IN A 192.0.2.1"


class TrustTests(SynchronousTestCase):
    """
    `dnssec = "trust-ad"`.
    """

    def ask(self, bench: Bench, name: str, rdtype: str, *records: str, flags: int = 0) -> Answer:
        """
        Look up what the server answers with these records and flags.
        """
        asked = bench.resolver.lookup(name, rdtype)
        assert isinstance(asked, Deferred)
        bench.socket.say(answer_to(bench.socket.sent[-1], *records, authority=(SOA,), flags=flags))
        return self.successResultOf(asked)

    def test_asked_for(self) -> None:
        """
        The server is asked to tell whether the answer is authentic, by AD and by DO.
        """
        bench = Bench([HERE], TRUSTING)
        bench.resolver.lookup("example.org", "MX")
        self.assertEqual(bench.socket.query.flags, dns.flags.RD | dns.flags.AD)
        self.assertEqual(bench.socket.query.ednsflags, dns.flags.DO)

    def test_not_asked_for(self) -> None:
        """
        Without DNSSEC neither is asked for, and an AD bit that comes all the same is nothing.
        """
        bench = Bench([HERE])
        answer = self.ask(bench, "example.org", "A", A, flags=dns.flags.AD)
        self.assertEqual(bench.socket.query.flags, dns.flags.RD)
        self.assertEqual(bench.socket.query.ednsflags, 0)
        self.assertIs(answer.security, Security.UNCHECKED)

    def test_word_of_a_server_here(self) -> None:
        """
        Its AD bit makes an answer secure, a denial too; without the bit nothing is known.
        """
        for server in (HERE, SIX):
            bench = Bench([server], TRUSTING)
            self.assertTrue(self.ask(bench, "example.org", "A", A, flags=dns.flags.AD).secure)
            self.assertTrue(self.ask(bench, "example.org", "MX", flags=dns.flags.AD).secure)
            self.assertIs(self.ask(bench, "example.org", "TXT").security, Security.UNCHECKED)

    def test_tlsa(self) -> None:
        """
        TLSA records reach who asks, with what they are worth.
        """
        bench = Bench([HERE], TRUSTING)
        record = "_25._tcp.mx.example.org. 300 IN TLSA 3 1 0 abcd"
        answer = self.ask(bench, "_25._tcp.mx.example.org", "TLSA", record, flags=dns.flags.AD)
        self.assertEqual((answer.tlsa, answer.secure), ((TlsaRecord(3, 1, 0, b"\xab\xcd"),), True))

    def test_chain(self) -> None:
        """
        A chain that is asked for link by link is secure if every link is; its end is told.
        """
        for first, last, secure in ((True, True, True), (True, False, False), (False, True, False)):
            bench = Bench([HERE], TRUSTING)
            asked = bench.resolver.lookup("example.org", "A")
            assert isinstance(asked, Deferred)
            alias = "example.org. 300 IN CNAME Other.example."
            bench.socket.say(answer_to(bench.socket.sent[-1], alias, flags=dns.flags.AD if first else 0))
            record = "other.example. 300 IN A 192.0.2.1"
            bench.socket.say(answer_to(bench.socket.sent[-1], record, flags=dns.flags.AD if last else 0))
            answer = self.successResultOf(asked)
            self.assertEqual((answer.secure, answer.canonical), (secure, "other.example"))

    def test_servers_elsewhere(self) -> None:
        """
        A server elsewhere is refused, the system's too, and nothing changes; with trust_remote_ad it is believed.
        """
        self.assertRaises(ConfigError, Bench, [HERE, FIRST], TRUSTING)
        bench = Bench([FIRST])
        with self.assertRaises(ConfigError) as caught:
            bench.resolver.reconfigure(Dns(servers=("192.0.2.9",), dnssec="trust-ad"))
        self.assertIn("192.0.2.9:53", str(caught.exception))
        bench.resolver.lookup("example.org", "MX")
        self.assertEqual((bench.socket.server, bench.socket.query.flags), (FIRST, dns.flags.RD))
        bench.resolver.reconfigure(Dns(dnssec="trust-ad", trust_remote_ad=True))
        self.assertTrue(self.ask(bench, "example.org", "A", A, flags=dns.flags.AD).secure)

    def test_cache_is_judged_anew(self) -> None:
        """
        Answers of before DNSSEC was turned on are forgotten.
        """
        bench = Bench([HERE])
        self.ask(bench, "example.org", "A", A, flags=dns.flags.AD)
        bench.resolver.reconfigure(TRUSTING)
        self.assertTrue(self.ask(bench, "example.org", "A", A, flags=dns.flags.AD).secure)
