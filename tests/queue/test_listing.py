"""
Pages of the queue, as an operator sees it, and how each delivery stands.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed

from empath.mail.message import Message, Status, deliveries_of
from empath.policy.hold import Hold, Why
from empath.policy.selection import Page, Selection
from empath.queue.entry import Place
from empath.queue.listing import BUDGET
from tests.queue.fakes import DOWN, GREY, REFUSED
from tests.queue.test_managing import ALL, ManagingCase


class ListingCase(ManagingCase):
    """
    A queue that is looked at.
    """

    def ask(self, coroutine: Any) -> Any:
        return self.successResultOf(Deferred.fromCoroutine(coroutine))

    def domains(self, selection: Selection, limit: int = 100) -> list[str]:
        """
        Walk through all pages.
        """
        found: list[str] = []
        page = Page((), ("", ""))
        while page.after is not None:
            page = self.ask(self.queue.listing.page(selection, page.after, limit))
            found += [each.domain.partition(".")[0] for each in page.deliveries]
        return found


class PageTests(ListingCase):
    """
    What is found.
    """

    def setUp(self) -> None:
        super().setUp()
        self.agent.always |= {"late.example": GREY, "ended.example": REFUSED}
        self.agent.hanging |= {"flying.example", "late2.example"}
        self.accept(1, *[f"a@{name}.example" for name in ("ended", "flying", "late", "late2", "sent")])

    def test_what_is_attempted_is_in_progress(self) -> None:
        """
        It is neither pending nor in retry, whatever the spool says.
        """
        self.assertEqual(self.domains(Selection(status=Status.IN_PROGRESS)), ["flying", "late2"])
        self.assertEqual(self.domains(Selection(status=Status.PENDING)), [])
        self.assertEqual(self.domains(Selection(status=Status.RETRY)), ["late"])
        self.assertEqual(self.domains(Selection(status=Status.FAILED)), ["ended"])
        self.assertEqual(self.domains(ALL), ["ended", "flying", "late", "late2"])

    def test_pages(self) -> None:
        """
        All is found once, however small the pages are.
        """
        for limit in (1, 2, 3):
            self.assertEqual(self.domains(ALL, limit), ["ended", "flying", "late", "late2"])
            self.assertEqual(self.domains(Selection(status=Status.IN_PROGRESS), limit), ["flying", "late2"])

    def test_other_fields_of_what_is_attempted(self) -> None:
        """
        They count as for all else.
        """
        in_progress = Selection(status=Status.IN_PROGRESS)
        for changes, wanted in (
            ({"domain": "flying.example"}, ["flying"]),
            ({"domain": "late.example"}, []),
            ({"sender": "ann@sender.example"}, ["flying", "late2"]),
            ({"sender": "bob@sender.example"}, []),
            ({"queue_id": f"{2:026}"}, []),
            ({"site": "late2.example"}, ["late2"]),
        ):
            self.assertEqual(self.domains(attrs.evolve(in_progress, **changes)), wanted)  # type: ignore[arg-type]  # as named

    def test_by_site(self) -> None:
        """
        Destinations are looked up, those in no line too.
        """
        self.sites.sites["ended.example"] = "mx.example"
        self.assertEqual(self.domains(Selection(site="mx.example")), ["ended"])
        self.sites.slow.add("ended.example")
        waiting = Deferred.fromCoroutine(self.queue.listing.page(Selection(site="mx.example")))
        self.assertNoResult(waiting)
        self.sites.answer()
        self.assertEqual(len(self.get(waiting).deliveries), 1)

    def test_what_is_hard_to_find(self) -> None:
        """
        A page is given as it is when it took long.
        """
        select = self.spool.select

        def slow(selection: Selection, after: tuple[str, str], limit: int) -> Deferred[Page]:
            self.clock.advance(BUDGET)
            return succeed(attrs.evolve(self.get(select(selection, after, 1)), deliveries=()))

        self.spool.select = slow  # type: ignore[method-assign]  # as slow as with a million of others
        page = self.ask(self.queue.listing.page(ALL))
        self.assertEqual(page.deliveries, ())
        self.assertEqual(page.after, (f"{1:026}", "ended.example"))

    def test_count(self) -> None:
        """
        It ends where nobody wants to know more.
        """
        count = self.queue.listing.count
        self.assertEqual(self.ask(count(ALL, 100)), (4, False))
        self.assertEqual(self.ask(count(ALL, 2)), (2, True))
        self.assertEqual(self.ask(count(Selection(status=Status.IN_PROGRESS), 100)), (2, False))

    def test_verbs_on_what_is_attempted(self) -> None:
        """
        They follow its attempts, and leave all else alone.
        """
        told: list[int] = []
        delete = self.controls.delete(
            Selection(status=Status.IN_PROGRESS), progress=lambda tally: told.append(tally.in_flight)
        )
        self.assertEqual(self.get(delete).in_flight, 2)
        self.assertEqual(told, [2])
        for each in self.agent.hung:
            each.end(GREY)
        self.assertEqual(self.domains(ALL), ["ended", "late"])
        self.assertEqual(self.get(self.controls.hold(Selection(status=Status.IN_PROGRESS))).in_flight, 0)

    def test_process_now(self) -> None:
        """
        What is due and is not attempted is counted.
        """
        self.hold(2, "a@other.example", next_attempt=self.clock.seconds() - 1)
        self.assertEqual(self.ask(self.controls.process_now()), 1)
        self.pass_time(1)
        self.assertEqual(self.ask(self.controls.process_now()), 0)


class StandingTests(ListingCase):
    """
    How deliveries stand.
    """

    def standing(self, message: Message, domain: str = "x.example") -> Any:
        return self.queue.standings.of(self.spool.deliveries[message.queue_id, domain], message)

    def test_when_its_time_is_over(self) -> None:
        """
        As long after reception as is configured, and a last attempt is among those that are left.
        """
        self.agent.always["x.example"] = GREY
        received = self.clock.seconds()
        message = self.accept(1, "a@x.example")
        standing = self.standing(message)
        self.assertEqual(standing.expires, received + self.section.message_expiration)
        self.assertEqual(standing.attempts_left, self.section.max_attempts - 1)
        self.assertIsNone(standing.left)

    def test_time_to_deliver_by(self) -> None:
        """
        The sender's time counts where it is shorter and mail goes back then.
        """
        self.agent.always["x.example"] = GREY
        now = self.clock.seconds()
        self.assertEqual(self.standing(self.accept(1, "a@x.example", by="600;R")).expires, now + 600)
        self.assertEqual(
            self.standing(self.accept(2, "a@x.example", by="600;N")).expires, now + self.section.message_expiration
        )

    def test_clocks_that_stand_still(self) -> None:
        """
        What is left is told, and goes on afterwards.
        """
        self.agent.always["x.example"] = GREY
        begin, lasts = self.clock.seconds(), self.section.message_expiration
        message = self.accept(1, "a@x.example")
        self.clock.advance(1)
        self.get(self.controls.freeze("x.example"))
        self.clock.advance(100)
        standing = self.standing(message)
        self.assertEqual((standing.expires, standing.left), (None, lasts - 1))
        self.get(self.controls.unfreeze("x.example"))
        self.assertEqual(self.standing(message).expires, begin + 100 + lasts)
        self.get(self.controls.hold(ALL))
        self.clock.advance(50)
        standing = self.standing(message)
        self.assertEqual((standing.expires, standing.left), (None, lasts - 1))
        self.get(self.controls.release(ALL))
        self.assertEqual(self.standing(message).expires, begin + 150 + lasts)

    def test_held_by_a_module(self) -> None:
        """
        Its clocks have not begun.
        """
        message = self.mail(1, "a@x.example")
        self.spool.put(message, deliveries_of(message, held="odd"))
        self.clock.advance(60)
        standing = self.standing(message)
        self.assertEqual((standing.expires, standing.left), (None, self.section.message_expiration))

    def test_at_its_end(self) -> None:
        """
        There is nothing more to come.
        """
        self.agent.always["x.example"] = REFUSED
        standing = self.standing(self.accept(1, "a@x.example"))
        self.assertEqual(
            (standing.hold, standing.expires, standing.left, standing.attempts_left), (None, None, None, 0)
        )

    def test_under_way(self) -> None:
        """
        The record of the attempt tells how far it is.
        """
        self.agent.hanging.add("x.example")
        standing = self.standing(self.accept(1, "a@x.example"))
        self.assertIs(standing.hold, Place.IN_FLIGHT)
        self.assertIs(standing.attempt, self.agent.calls[0].attempt)

    def test_many_before_it(self) -> None:
        """
        They are counted, or not all of them where many are asked about.
        """
        self.queue.attempts.running = 1000  # so that no attempt begins
        for number in range(1, 40):
            self.accept(number, "a@x.example")
        last = self.spool.deliveries[f"{39:026}", "x.example"]
        for most, wanted in ((1000, "38 "), (5, "5 or more ")):
            hold = self.queue.standings.why(last, most)
            assert isinstance(hold, Hold)
            self.assertIs(hold.why, Why.TURN)
            self.assertTrue(hold.detail.startswith(wanted), hold.detail)
        self.queue.attempts.running = 0
        self.queue.attempts.dispatch()

    def test_a_destination(self) -> None:
        """
        What would keep any mail to it is told, where its site was never seen, too.
        """
        standings = self.queue.standings
        self.assertIsNone(standings.at("x.example", "x.example"))
        self.get(self.controls.freeze("x.example"))
        hold = standings.at("x.example", "x.example")
        assert hold is not None
        self.assertIs(hold.why, Why.FROZEN)
        terms = standings.terms_of("x.example", "x.example")
        self.assertEqual((terms.state, terms.until, terms.rate), ("closed", None, None))

    def test_circuits_by_pages(self) -> None:
        """
        Sites come in the order of their names; those that are well may be left out.
        """
        self.agent.always["b.example"] = DOWN
        for number, name in enumerate("cab", 1):
            self.accept(number, f"a@{name}.example")
        circuits = self.controls.some_circuits
        self.assertEqual([each.site[0] for each in circuits(False, "", 2)], ["a", "b"])
        self.assertEqual([each.site[0] for each in circuits(False, "b.example", 2)], ["c"])
        self.assertEqual([each.site[0] for each in circuits(True, "", 2)], ["b"])
