"""
What is asked about sessions, dialogues and everything at once, of a whole MTA in memory.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from empath.control.serving import Call, Caller, NotFound, Refused
from empath.control.terms.asking import Ask
from empath.control.terms.smtp import FollowDialogues, KillSession, ListSessions, TraceEnd, TraceLine
from empath.control.terms.system import GetTop
from empath.net.dialogues import MOST_WATCHES
from empath.service.control.smtp import SmtpControl
from empath.service.control.top import TopControl
from empath.testing import Mta


class LiveCase(SynchronousTestCase):
    """
    An MTA, and somebody who asks it. `pieces` are those of what is followed; `room` is what `tell` gives.
    """

    def setUp(self) -> None:
        self.mta = Mta()
        self.addCleanup(self.mta.stop)
        service = self.mta.service
        smtp = SmtpControl(service.reception.sessions.shown, service.live.dialogues, service.clock)
        self.answers = {**smtp.answers(), **TopControl(service).answers()}
        self.pieces: list[Any] = []
        self.room: Deferred[None] | None = None

    def tell(self, piece: object) -> Awaitable[None] | None:
        """
        Take a piece.
        """
        self.pieces.append(piece)
        return self.room

    def ask(self, request: Ask[Any]) -> Any:
        """
        Give the answer, or what waits for it.
        """
        answer = self.answers[type(request)](request, Call(Caller(0, 1), self.tell))
        return Deferred.fromCoroutine(answer) if isinstance(request, FollowDialogues) else answer

    def refused(self, request: Ask[Any], kind: type[Refused] = Refused) -> str:
        """
        Be refused; tell why.
        """
        if isinstance(request, FollowDialogues):
            return str(self.failureResultOf(self.ask(request), kind).value)
        return str(self.assertRaises(kind, self.ask, request))

    def send(self, recipient: str = "b@example.org") -> None:
        """
        Have a message come in.
        """
        client = self.mta.client()
        client.send("a@src.example", [recipient], b"Subject: x\r\n\r\nhello\r\n")
        client.quit()


class SessionTests(LiveCase):
    """
    Sessions.
    """

    def test_listing(self) -> None:
        """
        A page of them, of some peers if that is wanted.
        """
        clients = [self.mta.client(f"192.0.2.{at}") for at in (7, 8, 9)]
        for client in clients:
            client.ehlo()
        page = self.ask(ListSessions(limit=2))
        self.assertEqual([each.peer for each in page.sessions], ["192.0.2.7", "192.0.2.8"])
        self.assertEqual([each.peer for each in self.ask(ListSessions(after=page.after)).sessions], ["192.0.2.9"])
        (one,) = self.ask(ListSessions(peer="192.0.2.8/31", limit=1)).sessions
        self.assertEqual((one.peer, one.kind, one.state, one.name), ("192.0.2.8", "mta", "greeted", "client.example"))

    def test_what_cannot_be_listed(self) -> None:
        """
        Is said in words.
        """
        self.assertIn("limit", self.refused(ListSessions(limit=0)))
        self.assertIn("after", self.refused(ListSessions(after="x")))
        self.assertIn("mx.example.org", self.refused(ListSessions(peer="mx.example.org")))

    def test_ending(self) -> None:
        """
        By name or peer, never all because nothing was said.
        """
        client = self.mta.client()
        client.ehlo()
        (name,) = [each.session for each in self.ask(ListSessions()).sessions]
        self.assertEqual(self.ask(KillSession(session=name)).sessions, (name,))
        self.mta.settle()
        self.assertIn(name, self.refused(KillSession(session=name), NotFound))
        self.assertIn("192.0.2.7", self.refused(KillSession(peer="192.0.2.7"), NotFound))
        self.assertIn("say which", self.refused(KillSession()))
        self.assertIn("say which", self.refused(KillSession(session="a", peer="192.0.2.7")))
        self.assertIn("nobody", self.refused(KillSession(peer="nobody")))


class TraceTests(LiveCase):
    """
    Dialogues.
    """

    def lines(self) -> list[str]:
        """
        Tell what was told, by side.
        """
        return [f"{each.side} {each.event} {each.text}" for each in self.pieces if isinstance(each, TraceLine)][1:]

    def test_both_sides(self) -> None:
        """
        Mail for a domain is followed from the session that brings it to the delivery; the answer counts the lines.
        """
        following = self.ask(FollowDialogues(domain="example.org", seconds=60.0))
        self.send()
        self.mta.advance(61)
        end = self.successResultOf(following)
        self.assertEqual(end, TraceEnd(len(self.pieces) - 1, 0))
        lines = self.lines()
        self.assertTrue(any(line.startswith("server line RCPT TO:<b@example.org>") for line in lines), lines)
        self.assertTrue(any(line.startswith("client line RCPT TO:<b@example.org>") for line in lines), lines)
        self.assertTrue(any(line.startswith("client line 220 ") for line in lines), lines)
        self.assertIsNotNone(self.pieces[0].time.tzinfo)

    def test_who_watches_hears_that_it_began(self) -> None:
        """
        Everything from then on is told.
        """
        self.ask(FollowDialogues(peer="192.0.2.7"))
        self.assertEqual([each.event for each in self.pieces], ["began"])
        self.send()
        self.assertIn("opened", self.lines()[0])

    def test_so_many_lines(self) -> None:
        """
        And no more.
        """
        following = self.ask(FollowDialogues(peer="192.0.2.7", lines=3))
        self.send()
        self.assertEqual(self.successResultOf(following), TraceEnd(3, 0))
        self.assertEqual(len(self.lines()), 3)
        self.assertEqual(self.mta.service.live.dialogues.watches, ())

    def test_who_watches_goes_away(self) -> None:
        """
        Nothing is overheard any more, and no timer is left.
        """
        following = self.ask(FollowDialogues(peer="192.0.2.7", seconds=100.0))
        following.cancel()
        self.failureResultOf(following, CancelledError)
        self.assertEqual(self.mta.service.live.dialogues.watches, ())
        self.send()
        self.assertEqual(self.lines(), [])

    def test_who_watches_is_slow(self) -> None:
        """
        It is waited for, while mail goes on.
        """
        self.room = Deferred()
        following = self.ask(FollowDialogues(peer="192.0.2.7", lines=5))
        self.send()
        self.assertEqual(len(self.lines()), 1)
        self.assertEqual(len(self.mta.messages), 1)
        room, self.room = self.room, None
        room.callback(None)
        self.assertEqual(self.successResultOf(following), TraceEnd(5, 0))

    def test_the_service_stops(self) -> None:
        """
        Then there is nothing more to follow.
        """
        following = self.ask(FollowDialogues(peer="192.0.2.7"))
        self.mta.stop()
        self.assertEqual(self.successResultOf(following).dropped, 0)

    def test_what_cannot_be_followed(self) -> None:
        """
        Is said in words.
        """
        self.assertIn("say whose", self.refused(FollowDialogues()))
        self.assertIn("mx.example.org", self.refused(FollowDialogues(peer="mx.example.org")))
        self.assertIn("..", self.refused(FollowDialogues(domain="..")))
        for bound in (FollowDialogues(id="x", lines=-1), FollowDialogues(id="x", seconds=float("nan"))):
            self.assertIn("lines", self.refused(bound))
        self.assertIn("lines", self.refused(FollowDialogues(id="x", seconds=1e9)))
        followed = [self.ask(FollowDialogues(id="x")) for _ in range(MOST_WATCHES)]
        self.assertIn("end one", self.refused(FollowDialogues(id="x")))
        for each in followed:
            each.cancel()
            self.failureResultOf(each, CancelledError)


class TopTests(LiveCase):
    """
    Everything at once.
    """

    def test_totals(self) -> None:
        """
        Counted since the start.
        """
        before = self.ask(GetTop()).totals
        self.assertEqual(set(before.values()), {0})
        self.send()
        self.mta.advance(5)
        top = self.ask(GetTop())
        totals = top.totals
        self.assertEqual((totals["received"], totals["delivered"], totals["connections"]), (1, 1, 1))
        self.assertGreater(totals["octets_in"], 20)
        self.assertGreaterEqual(top.uptime, 5.0)

    def test_sites(self) -> None:
        """
        Those in use, with what came of their mail.
        """
        self.send()
        self.mta.advance(2)
        (site,) = self.ask(GetTop()).sites
        self.assertEqual((site.delivered, site.deferred, site.failed, site.circuit, site.ready), (1, 0, 0, "closed", 0))
        self.assertEqual(site.connections, 1)
        self.assertIn("example.org", site.site)
        self.assertIn("limit", self.refused(GetTop(sites=0)))

    def test_what_is_frozen(self) -> None:
        """
        Is named, "" for everything.
        """
        self.mta.service.queue.controls.freeze("example.org")
        self.mta.service.queue.controls.freeze()
        self.assertEqual(set(self.ask(GetTop()).frozen), {"", "example.org"})
        self.send()
        self.mta.advance(hours=13)  # when it counts again, in this kit
        top = self.ask(GetTop())
        self.assertEqual((top.queue["pending"], top.attempts, top.sites), (1, 0, ()))
        self.assertIsNotNone(top.oldest)
