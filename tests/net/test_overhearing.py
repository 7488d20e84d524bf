"""
Watching dialogues: who gets which lines.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.net.dialogues import MOST_LINES, MOST_WATCHES, Dialogues, Interest, Overheard, TooManyWatches, Watch, peers
from empath.net.overhearing import Overhearing
from empath.net.spoken import LONGEST_LINE
from empath.smtp.tap import Tap


def words(lines: tuple[Overheard, ...]) -> list[str]:
    """
    Write lines down: the event unless it is a line, who said it, what.
    """
    return [f"{'' if each.event == 'line' else each.event}{'>' if each.from_us else '<'} {each.text}" for each in lines]


class WatchCase(SynchronousTestCase):
    """
    Some dialogues and those who watch them.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.dialogues = Dialogues(self.clock)

    def watch(self, peer: str = "", domain: str = "", id: str = "") -> Watch:
        """
        Begin to watch.
        """
        return self.dialogues.watch(Interest(peer, domain, id))

    def read(self, watch: Watch) -> list[str]:
        """
        Tell what there is to read, if anything.
        """
        reading = Deferred.fromCoroutine(watch.take())
        if not reading.called:
            reading.cancel()
            self.failureResultOf(reading)
            return []
        return words(self.successResultOf(reading))

    def server(self, name: str = "6b-1", peer: str = "192.0.2.7") -> Overhearing:
        """
        A session that comes in.
        """
        tap = Overhearing(self.dialogues, name, "server")
        checked: Tap = tap
        checked.opened(peer, "tcp:25 (mta)")
        return tap

    def client(self, peer: str = "192.0.2.1") -> Overhearing:
        """
        A connection that goes out.
        """
        tap = Overhearing(self.dialogues, self.dialogues.next_name(), "client")
        tap.opened(peer, "mx.example.org[192.0.2.1]:25")
        return tap


class LineTests(WatchCase):
    """
    What a watch gets to read.
    """

    def test_of_a_server(self) -> None:
        """
        That it is open, lines of both sides without secrets, content as its size, TLS, and the end.
        """
        watch, tap = self.watch(peer="192.0.2.0/24"), self.server()
        tap.said(b"220 mx\r\n")
        tap.heard(b"AUTH LOGIN\r\n")
        tap.said(b"334 VXNlcm5hbWU6\r\n")
        tap.secret(b"dGltdGlt")
        tap.faulty("too long")
        tap.said(b"535 5.7.8 a\r\n250 b\r\n")
        tap.content(10)
        tap.content(4)
        tap.secured("TLSv1.3 X")
        tap.heard(b"QUIT\r\n")
        tap.closed("quit")
        told = ["opened< tcp:25 (mta)", "> 220 mx", "< AUTH LOGIN", "> 334 [masked]", "< [masked]"]
        told += [
            "< [a line with a fault: too long]",
            "> 535 5.7.8 a",
            "> 250 b",
            "tls< TLSv1.3 X",
            "< [14 octets of content]",
            "< QUIT",
            "closed< quit",
        ]
        self.assertEqual(self.read(watch), told)

    def test_of_a_client(self) -> None:
        """
        What we say are the commands; lines come in pieces, and what was left at the end is told.
        """
        watch, tap = self.watch(peer="192.0.2.1"), self.client()
        tap.heard(b"220 m")
        tap.heard(b"x\r\n25")
        tap.heard(b"0 half")
        tap.said(b"AUTH PLAIN AGEAYg==\r\n")
        tap.content(5)
        tap.said(b"QUIT\r\n")
        tap.said(b"")
        tap.closed("done")
        told = ["opened< mx.example.org[192.0.2.1]:25", "< 220 mx", "> AUTH PLAIN [masked]", "> [5 octets of content]"]
        self.assertEqual(self.read(watch), [*told, "> QUIT", "< 250 half", "closed< done"])

    def test_a_line_without_end(self) -> None:
        """
        Is cut once, and what follows it is passed over up to its end.
        """
        watch, tap = self.watch(peer="192.0.2.1"), self.client()
        for _ in range(5):
            tap.heard(b"x" * LONGEST_LINE)
        tap.heard(b"\r\n220 mx\r\n" + b"y" * (LONGEST_LINE + 1))
        tap.closed("done")
        told = self.read(watch)
        self.assertEqual(len(told), 5)
        self.assertLess(max(map(len, told)), 600)
        self.assertEqual(told[2], "< 220 mx")

    def test_lines_say_what_they_belong_to(self) -> None:
        """
        When, on which connection, with whom.
        """
        watch, tap = self.watch(peer="192.0.2.7"), self.server()
        tap.said(b"220 mx\r\n")
        line = self.successResultOf(Deferred.fromCoroutine(watch.take()))[1]
        self.assertEqual(line, Overheard(1000.0, "6b-1", "server", "192.0.2.7", "line", True, "220 mx"))


class InterestTests(WatchCase):
    """
    What is watched.
    """

    def test_a_domain_in_a_session(self) -> None:
        """
        From the line on that names it, MAIL or RCPT, written in any way; the session stays of interest.
        """
        named = [b"MAIL FROM:<a@Example.ORG> SIZE=1", b"rcpt to:<@x,@y:a@example.org>", b"RCPT TO: a@example.org"]
        for at, line in enumerate(named):
            watch, tap = self.watch(domain="example.ORG"), self.server(f"6b-{at}")
            for other in (b"EHLO example.org", b"MAIL FROM:<>", b"RCPT TO:<b@example.net>", b"RCPT TO:<b@..>"):
                tap.heard(other + b"\r\n")
            tap.heard(line + b"\r\n")
            tap.carries("01M2", ())
            tap.heard(b"RSET\r\n")
            self.assertEqual(self.read(watch)[0], "opened< tcp:25 (mta)")
            self.assertEqual(len(self.read(watch)), 0)
            watch.end()

    def test_a_domain_in_deliveries(self) -> None:
        """
        Those to it, and no others on the same connection.
        """
        watch, tap = self.watch(domain="example.org"), self.client()
        tap.said(b"EHLO us\r\n")
        tap.carries("01M1", {"example.org"})
        tap.said(b"MAIL FROM:<a@b.example>\r\n")
        tap.carries("01M2", {"example.net"})
        tap.said(b"MAIL FROM:<c@d.example>\r\n")
        tap.carries("01M3", {"example.org"})
        tap.said(b"RSET\r\n")
        said = self.read(watch)
        self.assertEqual(said[1:], ["> MAIL FROM:<a@b.example>", "> RSET"])

    def test_a_message(self) -> None:
        """
        Its reception, with the MAIL that began it, and its deliveries.
        """
        watch, tap, out = self.watch(id="01m1"), self.server(), self.client()
        tap.heard(b"MAIL FROM:<a@b.example>\r\n")
        tap.carries("01M1", ())
        tap.said(b"250 ok\r\n")
        tap.heard(b"MAIL FROM:<c@d.example>\r\n")
        tap.carries("01M2", ())
        tap.said(b"250 ok\r\n")
        told = ["opened< tcp:25 (mta)", "< MAIL FROM:<a@b.example>", "> 250 ok", "< MAIL FROM:<c@d.example>"]
        self.assertEqual(self.read(watch), told)
        out.carries("01M1", {"example.org"})
        out.said(b"RSET\r\n")
        self.assertEqual(self.read(watch), ["opened< mx.example.org[192.0.2.1]:25", "> RSET"])

    def test_a_connection(self) -> None:
        """
        By its name.
        """
        watch, other = self.watch(id="6B-1"), self.watch(id="6b-2")
        self.server().said(b"220 mx\r\n")
        self.assertEqual(len(self.read(watch)), 2)
        self.assertEqual(self.read(other), [])

    def test_all_has_to_hold(self) -> None:
        """
        A peer and a domain mean dialogues with that peer that name that domain.
        """
        watch, tap = self.watch("192.0.2.9", "example.org"), self.server()
        tap.heard(b"RCPT TO:<a@example.org>\r\n")
        self.assertEqual(self.read(watch), [])
        tap.presents("192.0.2.9")
        tap.said(b"250 ok\r\n")
        self.assertEqual(self.read(watch), ["opened< tcp:25 (mta)", "< RCPT TO:<a@example.org>", "> 250 ok"])

    def test_who_is_meant_by_a_peer(self) -> None:
        """
        Addresses in any spelling, networks with host bits, UNIX sockets; nonsense is refused.
        """
        meant = {
            "192.0.2.7": "192.0.2.7",
            "::ffff:192.0.2.7": "192.0.2.7",
            "192.0.2.7/24": "192.0.2.200",
            "2001:db8::/32": "2001:db8::7",
            "unix": "/run/lmtp.sock",
            "/run/lmtp.sock": "/run/lmtp.sock",
        }
        self.assertEqual([text for text, peer in meant.items() if not peers(text)(peer)], [])
        self.assertTrue(peers("unix")("unix"))
        others = [peers("192.0.2.0/24")(peer) for peer in ("unix", "/run/lmtp.sock", "2001:db8::7", "192.0.3.1", "")]
        self.assertFalse(any(others))
        for text in ("mx.example.org", "192.0.2.0/99", "300.1.1.1"):
            self.assertRaises(ValueError, peers, text)

    def test_who_may_be_concerned(self) -> None:
        """
        Nobody while nobody watches; else whose address fits.
        """
        self.assertFalse(self.dialogues.wanted("192.0.2.7"))
        watch = self.watch(peer="192.0.2.7", domain="example.org")
        self.assertTrue(self.dialogues.wanted("192.0.2.7"))
        self.assertFalse(self.dialogues.wanted("192.0.2.8"))
        watch.end()
        self.assertFalse(self.dialogues.wanted("192.0.2.7"))

    def test_many_domains(self) -> None:
        """
        A session that names more domains than anybody wants to know costs a bounded part of memory.
        """
        self.watch(domain="example.org")
        tap = self.server()
        for at in range(3000):
            tap.heard(b"RCPT TO:<a@d%d.example>\r\n" % at)
        self.assertLessEqual(len(tap.domains), 1000)


class WatchTests(WatchCase):
    """
    Watches come, read slowly, and go.
    """

    def test_what_is_open_already(self) -> None:
        """
        Who begins to watch later hears that a connection is open, and what is said from then on.
        """
        first = self.watch(id="6b-1")
        tap = self.server()
        tap.said(b"220 mx\r\n")
        second = self.watch(id="6b-1")
        tap.heard(b"NOOP\r\n")
        self.assertEqual(self.read(second), ["opened< tcp:25 (mta)", "< NOOP"])
        self.assertEqual(len(self.read(first)), 3)

    def test_parts_are_refreshed(self) -> None:
        """
        Whenever somebody begins or ends to watch; ending twice is ending.
        """
        asked: list[int] = []
        self.dialogues.join(lambda: asked.append(len(self.dialogues.watches)))
        watch = self.watch(id="x")
        watch.end()
        watch.end()
        self.assertEqual(asked, [1, 0])

    def test_slow_readers_miss_lines(self) -> None:
        """
        They are counted, and told at their place, also if nothing more is said; nobody waits.
        """
        watch, tap = self.watch(id="6b-1"), self.server()
        for at in range(MOST_LINES + 9):
            tap.said(b"250 %d\r\n" % at)
        read = self.read(watch)
        self.assertEqual((len(read), read[-1]), (MOST_LINES + 1, "missed< 10 lines were left out"))
        self.assertEqual(watch.dropped, 10)
        tap.said(b"250 again\r\n")
        self.assertEqual(self.read(watch), ["> 250 again"])
        self.assertEqual(watch.dropped, 10)

    def test_reading_waits(self) -> None:
        """
        Until there is something, or the end; what was there before the end is read first.
        """
        watch, tap = self.watch(id="6b-1"), self.server()
        self.read(watch)
        reading = Deferred.fromCoroutine(watch.take())
        self.assertNoResult(reading)
        tap.said(b"250 a\r\n")
        self.assertEqual(words(self.successResultOf(reading)), ["> 250 a"])
        tap.said(b"250 b\r\n")
        watch.end()
        tap.said(b"250 c\r\n")
        self.assertEqual(self.read(watch), ["> 250 b"])
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(watch.take())), ())

    def test_the_end_wakes_who_reads(self) -> None:
        """
        With nothing.
        """
        watch = self.watch(id="6b-1")
        reading = Deferred.fromCoroutine(watch.take())
        watch.end()
        self.assertEqual(self.successResultOf(reading), ())

    def test_too_many_watches(self) -> None:
        """
        Are refused until one ends.
        """
        watches = [self.watch(id="x") for _ in range(MOST_WATCHES)]
        self.assertRaises(TooManyWatches, self.watch, id="x")
        watches[3].end()
        self.watch(id="x")
