"""
What operators do with mail in the queue, and that nothing is lost, sent twice or left marked by it.
"""

from __future__ import annotations

from typing import TypeVar

import attrs
from twisted.internet.defer import CancelledError, Deferred

from empath.errors import SpoolError, StorageError
from empath.mail.life import MessageReceived
from empath.mail.life_safety import DeliveryManaged
from empath.mail.message import Delivery, Status, deliveries_of
from empath.mail.notice import Action
from empath.policy.hold import Hold, Why
from empath.policy.selection import Selection
from empath.queue.entry import Place
from empath.queue.slices import SLICE, Tally
from tests.queue.bench import SECTION, START, QueueCase
from tests.queue.fakes import DOWN, GREY, REFUSED, SENT

T = TypeVar("T")

ALL = Selection(everything=True)


class ManagingCase(QueueCase):
    """
    A queue that runs, and what is asked of its controls.
    """

    section = attrs.evolve(SECTION, max_parallel_deliveries=20)

    def setUp(self) -> None:
        super().setUp()
        self.controls = self.queue.controls
        self.queue.start()

    def tearDown(self) -> None:
        """
        Whatever was done, the watchdog finds nothing amiss.
        """
        self.queue.attempts.overdue()
        self.assertEqual(self.queue.window.lines.faults(self.queue.window.active.values()), 0)
        self.assertEqual(self.queue.watchdog.strays, 0)

    def get(self, waiting: Deferred[T]) -> T:
        result: T = self.successResultOf(waiting)
        return result

    def stored(self, number: int, domain: str = "x.example") -> Delivery:
        return self.spool.deliveries[f"{number:026}", domain]

    def managed(self) -> list[tuple[str, str]]:
        return [(e.queue_id.lstrip("0"), e.verb) for e in self.events if isinstance(e, DeliveryManaged)]

    def failures(self) -> list[str]:
        """
        Tell whose senders heard that their mail failed.
        """
        return [m.queue_id for m, notices in self.reports if any(n.action is Action.FAILED for n in notices)]

    def restart(self) -> None:
        """
        Have a new process take up what the one before left, as if that had been killed.
        """
        self.agent.hang_all = False
        self.agent.calls.clear()
        self.queue = self.make()
        self.controls = self.queue.controls
        self.successResultOf(Deferred.fromCoroutine(self.queue.restore()))
        self.queue.start()


class WaitingMailTests(ManagingCase):
    """
    Verbs on mail that is not being attempted.
    """

    def test_what_is_held_waits_and_does_not_grow_older(self) -> None:
        """
        Neither time nor a restart sends it, or lets it expire; released it goes at once, as old as it was.
        """
        self.agent.always["x.example"] = DOWN
        self.accept(1, "a@x.example")
        self.assertEqual(self.get(self.controls.hold(ALL, "spam")), Tally(changed=1))
        self.assertEqual(self.managed(), [("1", "held")])
        self.clock.advance(self.section.message_expiration * 2)
        self.restart()
        self.pass_time(30)
        self.assertEqual((self.agent.calls, self.failures()), ([], []))
        del self.agent.always["x.example"]
        self.assertEqual(self.get(self.controls.release(ALL)), Tally(changed=1))
        self.pass_time(1)
        self.assertEqual((self.agent.domains(), self.spool.deliveries, self.reports), (["x.example"], {}, []))

    def test_held_mail_in_the_lines_leaves_them(self) -> None:
        """
        What waits in memory for its turn is not attempted either; others go on.
        """
        self.agent.hang_all = True
        for number in range(60):
            self.accept(number, f"a@{'y' if number % 2 else 'x'}.example")
        begun = len(self.agent.calls)
        tally = self.get(self.controls.hold(Selection(domain="x.example")))
        self.assertEqual((tally.changed + tally.in_flight, tally.unchanged), (30, 0))
        self.assertEqual(self.agent.domains().count("x.example"), tally.in_flight)
        self.agent.hang_all = False
        for call in self.agent.hung:
            call.end(SENT)
        self.pass_time(20)
        self.assertEqual(len(self.agent.calls), 30 + tally.in_flight)
        self.assertGreater(begun, 0)
        self.assertEqual(self.queue.watchdog.strays, 0)
        self.assertEqual({d.status for d in self.spool.deliveries.values()}, {Status.HELD})

    def test_urgent_mail_leaves_its_line_too(self) -> None:
        """
        Lines with classes give up what is selected of them.
        """
        self.agent.hanging.add("x.example")
        for number in range(40):
            message = attrs.evolve(self.mail(number, "a@x.example"), priority=number % 3)
            self.spool.put(message, deliveries_of(message))
            self.queue.fresh(message, deliveries_of(message))
        tally = self.get(self.controls.delete(ALL))
        self.assertEqual(tally.changed + tally.in_flight, 40)
        self.assertEqual(len(self.spool.deliveries), tally.in_flight)
        self.assertEqual(self.queue.active, tally.in_flight)

    def test_what_a_module_held_is_released(self) -> None:
        """
        It goes as if it had come now.
        """
        message = self.mail(1, "a@x.example")
        self.spool.put(message, deliveries_of(message, held="odd"))
        self.assertEqual(self.get(self.controls.release(Selection(queue_id=message.queue_id))), Tally(changed=1))
        self.pass_time(1)
        self.assertEqual(self.agent.domains(), ["x.example"])

    def test_retry_now(self) -> None:
        """
        What waits is attempted at once, the rest is left alone.
        """
        self.agent.script["x.example"] = [(GREY,)] * 5
        self.accept(1, "a@x.example")
        self.pass_time(10)
        self.assertEqual(self.stored(1).attempts, 3)
        self.assertEqual(self.get(self.controls.retry(ALL)), Tally(changed=1))
        self.pass_time(1)
        self.assertEqual(self.stored(1).attempts, 4)

    def test_failed_mail_begins_anew_but_not_for_who_has_it(self) -> None:
        """
        Only recipients that failed are attempted, and the schedule starts again.
        """
        self.agent.script["x.example"] = [(SENT, REFUSED), (GREY,)]
        self.accept(1, "a@x.example", "b@x.example")
        self.assertIs(self.stored(1).status, Status.FAILED)
        self.clock.advance(1000)
        self.assertEqual(self.get(self.controls.retry(Selection(status=Status.FAILED))), Tally(changed=1))
        self.pass_time(1)
        [again] = self.agent.calls[-1:]
        self.assertEqual([state.address.local for state in again.delivery.open_recipients], ["b"])
        self.assertEqual((self.stored(1).attempts, self.stored(1).received), (1, START + 1000))
        self.pass_time(5)
        self.assertIs(self.ended()[-1].delivery.status, Status.COMPLETED)

    def test_bounce_now(self) -> None:
        """
        The sender is told at once, held mail is no exception, and the report goes out.
        """
        self.agent.always["x.example"] = GREY
        self.accept(1, "a@x.example")
        self.accept(2, "a@x.example")
        self.get(self.controls.hold(Selection(queue_id=f"{2:026}")))
        tally = self.get(self.controls.bounce(ALL, "tired"))
        self.assertEqual(tally, Tally(changed=2))
        self.assertEqual([len(notices) for _, notices in self.reports], [1, 1])
        self.assertEqual({self.stored(n).status for n in (1, 2)}, {Status.FAILED})
        self.assertEqual(self.managed(), [("2", "held"), ("1", "bounced"), ("2", "bounced")])
        self.assertEqual(self.agent.domains()[-2:], ["sender.example"] * 2)
        self.assertEqual(len([e for e in self.events if isinstance(e, MessageReceived)]), 2)
        self.assertEqual(self.get(self.controls.bounce(Selection(status=Status.FAILED))), Tally(unchanged=2))

    def test_bounce_leaves_its_own_reports(self) -> None:
        """
        Whoever gives everything up still has the senders told; what else waits for the same domain is given up.
        """
        for number in range(30):
            self.hold(number, "a@sender.example", next_attempt=START + 1000)
        self.agent.always["sender.example"] = GREY
        self.assertEqual(self.get(self.controls.bounce(ALL)), Tally(changed=30))
        reports = [key for key in self.spool.deliveries if int(key[0]) >= 900]
        self.assertEqual((len(self.reports), len(reports)), (30, 30))
        self.assertEqual({self.spool.deliveries[key].status for key in reports}, {Status.RETRY})
        tally = self.get(self.controls.bounce(Selection(sender="")))
        self.assertEqual(tally, Tally(changed=30))

    def test_bounce_of_what_is_gone(self) -> None:
        """
        A message that cannot be read is not counted, and can be bounced later.
        """
        self.agent.always["x.example"] = GREY
        self.accept(1, "a@x.example")
        self.spool.faults["load"] = [SpoolError("no")]
        self.assertEqual(self.get(self.controls.bounce(ALL)), Tally())
        self.assertEqual(self.get(self.controls.bounce(ALL)), Tally(changed=1))

    def test_delete(self) -> None:
        """
        Nothing is left, and nobody is told but listeners.
        """
        self.agent.always["x.example"] = GREY
        self.accept(1, "a@x.example", "b@y.example")
        self.assertEqual(self.get(self.controls.delete(Selection(sender="ann@sender.example"))), Tally(changed=1))
        self.pass_time(20)
        self.assertEqual((self.spool.deliveries, self.reports, self.queue.active), ({}, [], 0))
        self.assertEqual(self.managed(), [("1", "deleted")])

    def test_pages_and_progress(self) -> None:
        """
        However much is selected, it goes slice by slice, and each is told.
        """
        for number in range(450):
            self.hold(number, "a@x.example", next_attempt=START + 1000)
        heard: list[int] = []
        tally = self.get(self.controls.hold(ALL, progress=lambda tally: heard.append(tally.changed)))
        self.assertEqual((tally, heard), (Tally(changed=450), [100, 200, 300, 400, 450]))

    def test_by_site(self) -> None:
        """
        All destinations that share their hosts are selected, also those that have to be looked up.
        """
        self.sites.sites |= {"x.example": "mx", "y.example": "mx"}
        self.sites.slow = {"y.example", "z.example"}
        for number, domain in enumerate(("x.example", "y.example", "z.example")):
            self.hold(number, f"a@{domain}", next_attempt=START + 1000)
        waiting = self.controls.hold(Selection(site="MX"))
        self.assertNoResult(waiting)
        self.sites.answer()
        self.sites.answer()
        self.assertEqual(self.get(waiting), Tally(changed=2))
        self.assertIs(self.stored(2, "z.example").status, Status.PENDING)

    def test_force_where_all_is_due_already(self) -> None:
        """
        A site that is left alone is tried, also if none of its mail waits for anything else.
        """
        breaker = attrs.evolve(SECTION.circuit_breaker, failure_threshold=1)
        self.queue.reconfigure(attrs.evolve(self.section, circuit_breaker=breaker))
        self.agent.script["x.example"] = [(DOWN,)]
        self.accept(1, "a@x.example")
        self.pass_time(5)
        (gate,) = self.queue.gates.shut
        self.assertEqual(self.get(self.controls.retry(ALL, force=True)), Tally(unchanged=1))
        self.assertFalse(gate.shut)
        self.pass_time(1)
        self.assertEqual((self.agent.domains(), self.spool.deliveries), (["x.example"] * 2, {}))

    def test_force(self) -> None:
        """
        Also what is held or to be released later is attempted, and at sites that were left alone.
        """
        self.hold(1, "a@x.example", next_attempt=START + 9000, received=START + 9000)
        self.hold(2, "a@x.example", next_attempt=None, status=Status.HELD, held_since=START)
        self.assertEqual(self.get(self.controls.retry(ALL)), Tally(unchanged=2))
        breaker = attrs.evolve(SECTION.circuit_breaker, failure_threshold=1)
        self.queue.reconfigure(attrs.evolve(self.section, circuit_breaker=breaker))
        self.agent.script["x.example"] = [(DOWN,)]
        self.accept(3, "a@x.example")
        (gate,) = self.queue.gates.shut
        self.assertEqual(self.get(self.controls.retry(ALL, force=True)), Tally(changed=3))
        self.assertFalse(gate.shut)
        self.pass_time(1)
        self.assertEqual(self.agent.domains(), ["x.example"] * 4)

    def test_a_spool_that_fails(self) -> None:
        """
        The verb fails, and mail that was taken out of its line goes on as before.
        """
        self.agent.hanging.add("x.example")
        for number in range(40):
            self.accept(number, "a@x.example")
        self.spool.faults["manage"] = [SpoolError("no")]
        self.failureResultOf(self.controls.hold(ALL), SpoolError)
        self.agent.hanging.clear()
        for call in self.agent.hung:
            call.end(SENT)
        self.pass_time(3)
        self.assertEqual((self.spool.deliveries, self.queue.active), ({}, 0))

    def test_what_changes_while_it_is_read(self) -> None:
        """
        What was settled in the meantime is read again: it is not put back to what it was.
        """
        self.agent.hanging.add("x.example")
        self.accept(1, "a@x.example")
        self.spool.slow_select = True
        waiting = self.controls.hold(ALL)
        self.agent.hung[0].end(SENT)
        while self.spool.answers:
            self.spool.answers.pop(0)()
        self.assertEqual(self.get(waiting), Tally())
        self.assertEqual(self.spool.deliveries, {})

    def test_nothing_begins_with_what_is_being_changed(self) -> None:
        """
        The search for due mail passes over it until the change is on disk.
        """
        self.hold(1, "a@x.example", next_attempt=START + 1)
        self.spool.slow = True
        waiting = self.controls.hold(ALL)
        self.pass_time(30)
        self.assertEqual(self.agent.calls, [])
        for write in self.spool.managing:
            write()
        self.assertEqual(self.get(waiting), Tally(changed=1))
        self.pass_time(30)
        self.assertEqual((self.agent.calls, self.stored(1).status), ([], Status.HELD))

    def test_not_even_when_it_is_fresh(self) -> None:
        """
        What is found in the spool before the queue has heard of it is changed, and not attempted.
        """
        for verb, status in (("hold", Status.HELD), ("delete", None)):
            message = self.mail(1, "a@x.example")
            deliveries = self.spool.keep(message)
            self.spool.slow = True
            waiting = getattr(self.controls, verb)(ALL)
            self.queue.fresh(message, deliveries)
            self.spool.slow = False
            self.spool.managing.pop()()
            self.assertEqual(self.get(waiting), Tally(changed=1))
            self.pass_time(30)
            found = self.spool.deliveries.get((message.queue_id, "x.example"))
            self.assertEqual((self.agent.calls, found and found.status), ([], status))

    def test_a_reason_of_any_kind(self) -> None:
        """
        Is told and noted as far as that goes.
        """
        self.agent.hanging.add("x.example")
        self.accept(1, "a@x.example")
        self.get(self.controls.hold(ALL, "\ud800" + "x" * 100_000))
        [note] = [text for key, text in self.storage.texts.items() if "order" in key]
        self.assertEqual(note, "held ?" + "x" * 499)

    def test_a_stop_while_it_is_read(self) -> None:
        """
        Nothing more is begun: the spool is about to be closed.
        """
        self.agent.always["x.example"] = GREY
        self.accept(1, "a@x.example")
        for verb in ("bounce", "hold"):
            self.restart()
            self.spool.slow_select = True
            waiting = getattr(self.controls, verb)(ALL)
            self.successResultOf(self.stopped())
            self.failureResultOf(waiting, CancelledError)
            self.spool.answers.pop()()
            self.assertEqual((self.stored(1).status, self.reports, self.queue.active), (Status.RETRY, [], 0))
            self.spool.slow_select = False
        self.failureResultOf(self.controls.hold(ALL), SpoolError)
        self.assertIs(self.stored(1).status, Status.RETRY)

    def test_two_verbs_at_once(self) -> None:
        """
        Take turns, slice by slice; a cancelled one ends between two, and what it wrote stands.
        """
        for number in range(300):
            self.hold(number, "a@x.example", next_attempt=START + 1000)
        self.spool.slow = True
        first, second = self.controls.hold(ALL), self.controls.delete(Selection(queue_id=f"{1:026}"))
        self.assertEqual(len(self.spool.managing), 1)
        first.cancel()
        self.failureResultOf(first)
        while self.spool.managing:
            self.spool.managing.pop(0)()
        self.assertEqual(self.get(second), Tally(changed=1))
        held = [d for d in self.spool.deliveries.values() if d.status is Status.HELD]
        self.assertEqual((len(held), len(self.spool.deliveries)), (SLICE - 1, 299))


class InFlightTests(ManagingCase):
    """
    Verbs on mail that is being attempted: done when the attempt has ended, whatever happens before.
    """

    def setUp(self) -> None:
        super().setUp()
        self.agent.hanging.add("x.example")
        self.accept(1, "a@x.example", "b@x.example")

    def end(self, *outcomes: object) -> None:
        self.agent.hanging.clear()
        self.agent.hung[0].end(*outcomes)  # type: ignore[arg-type]  # outcomes

    def test_hold(self) -> None:
        """
        Who has it has it; for the others it is held, and nothing is left marked.
        """
        self.assertEqual(self.get(self.controls.hold(ALL)), Tally(in_flight=1))
        self.end(SENT, GREY)
        self.pass_time(30)
        self.assertEqual((len(self.agent.calls), self.stored(1).status), (1, Status.HELD))
        self.assertEqual([s.status for s in self.stored(1).recipients], [Status.COMPLETED, Status.RETRY])
        self.assertEqual([key for key in self.storage.texts if "order" in key], [])
        self.assertEqual(self.managed(), [("1", "held")])

    def test_release_before_the_end(self) -> None:
        """
        What was to be held is not, then.
        """
        self.get(self.controls.hold(ALL))
        self.assertEqual(self.get(self.controls.release(ALL)), Tally(in_flight=1))
        self.end(SENT, GREY)
        self.pass_time(10)
        self.assertEqual((len(self.agent.calls), self.spool.deliveries), (2, {}))
        self.assertEqual([key for key in self.storage.texts if "order" in key], [])

    def test_release_of_what_is_held_before_the_end(self) -> None:
        """
        Who asks for what is held means also what will be, as far as all else fits; a count tells of it.
        """
        self.get(self.controls.hold(ALL))
        for other in (
            Selection(status=Status.HELD, domain="y.example"),
            Selection(status=Status.HELD, sender="other@sender.example"),
            Selection(held_from=START + 10),
            Selection(held_for="odd"),
        ):
            self.assertEqual(self.get(self.controls.release(other)), Tally())
        self.assertEqual(self.get(self.controls.release(Selection(status=Status.HELD))), Tally(in_flight=1))
        self.end(SENT, GREY)
        self.pass_time(10)
        self.assertEqual((len(self.agent.calls), self.spool.deliveries), (2, {}))
        self.assertEqual([key for key in self.storage.texts if "order" in key], [])

    def test_release_just_after_the_end(self) -> None:
        """
        What is being held after its attempt is released, too.
        """
        for selection in (Selection(status=Status.HELD), ALL):
            self.get(self.controls.hold(ALL))
            self.spool.slow_select = True
            self.end(GREY, GREY)
            waiting = self.controls.release(selection)
            while self.spool.answers:
                self.spool.answers.pop(0)()
            self.spool.slow_select = False
            self.assertEqual(self.get(waiting).changed, 1)
            self.assertEqual(self.stored(1).status, Status.RETRY)
            self.agent.hanging.add("x.example")
            self.pass_time(10)
            self.agent.calls[:] = self.agent.calls[-1:]

    def test_bounce(self) -> None:
        """
        Who did not get it is reported after the attempt.
        """
        self.get(self.controls.bounce(ALL))
        self.assertEqual(self.reports, [])
        self.end(SENT, GREY)
        self.assertEqual([[n.state.address.local for n in notices] for _, notices in self.reports], [["b"]])
        self.assertIs(self.stored(1).status, Status.FAILED)

    def test_delete(self) -> None:
        """
        It is gone after the attempt, however that ended.
        """
        self.get(self.controls.delete(ALL))
        self.assertEqual(len(self.spool.deliveries), 1)
        self.end(REFUSED, GREY)
        self.pass_time(1)
        self.assertEqual([key for key in self.spool.deliveries if key[1] == "x.example"], [])

    def test_retry(self) -> None:
        """
        Is being done.
        """
        self.assertEqual(self.get(self.controls.retry(ALL, force=True)), Tally(in_flight=1))
        self.end(SENT, SENT)
        self.pass_time(10)
        self.assertEqual(len(self.agent.calls), 1)

    def test_a_crash(self) -> None:
        """
        What was promised is done by the next process before anything else.
        """
        for verb, status in (("hold", Status.HELD), ("bounce", Status.FAILED)):
            self.get(getattr(self.controls, verb)(ALL))
            self.restart()
            self.assertEqual((self.agent.domains().count("x.example"), self.stored(1).status), (0, status), verb)
            self.assertEqual([key for key in self.storage.texts if "order" in key], [])
            self.agent.hanging.add("x.example")
            self.get(self.controls.retry(ALL, force=True))
            self.pass_time(1)
        self.get(self.controls.delete(ALL))
        self.restart()
        self.assertEqual(self.spool.deliveries, {})

    def test_a_crash_and_a_spool_that_fails(self) -> None:
        """
        The next process tries until it is done, and does not attempt it meanwhile.
        """
        self.get(self.controls.hold(ALL))
        self.spool.faults["select"] = [SpoolError("no"), SpoolError("no")]
        self.restart()
        self.pass_time(2)
        self.assertIs(self.stored(1).status, Status.PENDING)
        self.pass_time(30)
        self.assertEqual((self.agent.calls, self.stored(1).status), ([], Status.HELD))

    def test_a_storage_that_fails(self) -> None:
        """
        Who asked is told that a crash would undo it; it is done all the same if none comes.
        """
        self.storage.faults = [StorageError("no"), StorageError("no")]
        self.failureResultOf(self.controls.hold(ALL), StorageError)
        self.end(SENT, GREY)
        self.pass_time(70)
        self.assertIs(self.stored(1).status, Status.HELD)

    def test_while_it_is_being_settled(self) -> None:
        """
        What has ended, and is not on disk yet, is dealt with when it is.
        """
        self.spool.slow = True
        self.end(GREY, GREY)
        self.assertEqual(self.get(self.controls.hold(ALL)), Tally(in_flight=1))
        self.spool.slow = False
        self.spool.catch_up()
        self.pass_time(30)
        self.assertEqual((len(self.agent.calls), self.stored(1).status), (1, Status.HELD))

    def test_what_cannot_be_read(self) -> None:
        """
        A note that nobody understands is dropped.
        """
        self.storage.texts[f"order/{1:026} x.example"] = "burn"
        self.restart()
        self.pass_time(1)
        self.assertEqual(len(self.agent.calls), 1)
        self.assertEqual([key for key in self.storage.texts if "order" in key], [])


class FreezingTests(ManagingCase):
    """
    Freezing a destination, and all.
    """

    def test_a_destination(self) -> None:
        """
        Nothing begins there, in memory or spool, now or after a restart, and everything elsewhere.
        """
        self.agent.hanging.add("x.example")
        for number in range(40):
            self.accept(number, "a@x.example")
        begun = len(self.agent.calls)
        self.assertTrue(self.get(self.controls.freeze("X.example.")))
        self.assertFalse(self.get(self.controls.freeze("x.example")))
        self.assertEqual((self.controls.frozen(), self.queue.active), ({"x.example": START}, begun))
        self.agent.hanging.clear()
        for call in self.agent.hung:
            call.end(SENT)
        self.accept(50, "a@x.example", "a@y.example")
        self.pass_time(20)
        self.assertEqual((self.agent.domains().count("x.example"), self.agent.domains()[-1]), (begun, "y.example"))
        self.restart()
        self.pass_time(20)
        self.assertEqual((self.agent.calls, self.queue.due_waiting), ([], 0))
        self.assertTrue(self.get(self.controls.unfreeze("x.example")))
        self.pass_time(1)
        self.assertEqual((len(self.agent.calls), self.spool.deliveries), (41 - begun, {}))
        self.assertFalse(self.get(self.controls.unfreeze("x.example")))

    def test_many(self) -> None:
        """
        One more costs the same, however many are frozen; after a restart all are, and each goes on by itself.
        """
        domains = [f"d{number}.example" for number in range(500)]
        for domain in domains:
            self.get(self.controls.freeze(domain))
        looked = self.queue.window.frozen
        self.get(self.controls.freeze("x.example"))
        self.assertIs(self.queue.window.frozen, looked)
        self.restart()
        self.assertEqual(len(self.controls.frozen()), 501)
        for domain in domains:
            self.get(self.controls.unfreeze(domain))
        self.accept(1, "a@x.example", "a@d7.example")
        self.pass_time(1)
        self.assertEqual(self.agent.domains(), ["d7.example"])

    def test_all(self) -> None:
        """
        Nothing begins anywhere until all goes on; what is frozen by itself stays so.
        """
        self.get(self.controls.freeze())
        self.get(self.controls.freeze("x.example"))
        self.accept(1, "a@x.example", "a@y.example")
        self.pass_time(20)
        self.restart()
        self.accept(2, "a@y.example")
        self.pass_time(20)
        self.assertEqual((self.agent.calls, self.queue.due_waiting), ([], 0))
        self.get(self.controls.unfreeze())
        self.pass_time(1)
        self.assertEqual(self.agent.domains(), ["y.example"] * 2)
        self.get(self.controls.unfreeze("x.example"))
        self.pass_time(1)
        self.assertEqual(self.agent.domains(), ["y.example"] * 2 + ["x.example"])

    def test_a_clock_that_nothing_comes_of(self) -> None:
        """
        While all is frozen no timer goes round and round.
        """
        for number in range(30):
            self.accept(number, "a@x.example")
        self.get(self.controls.freeze())
        rounds = self.queue.scan.rounds
        self.pass_time(30)
        self.assertLess(self.queue.scan.rounds - rounds, 10)

    def test_frozen_mail_does_not_expire(self) -> None:
        """
        The time for which it stood still is not counted: after it, it is tried as long as was left.
        """
        self.agent.always["x.example"] = DOWN
        self.accept(1, "a@x.example")
        whole = self.section.message_expiration
        for domain in ("x.example", ""):
            self.get(self.controls.freeze(domain))
            self.clock.advance(whole * 2)
            self.pass_time(100)
            self.get(self.controls.unfreeze(domain))
            self.pass_time(20)
            self.assertIs(self.stored(1).status, Status.RETRY)
        self.assertEqual((self.stored(1).received, self.failures()), (START, []))
        for _ in range(30):
            self.clock.advance(whole / 20)
            self.pass_time(3)
        self.assertEqual(len(self.failures()), 1)
        self.pass_time(70)
        self.assertEqual([key for key in self.storage.texts if "frozen" in key], [])

    def test_a_shut_breaker_ends_no_frozen_mail(self) -> None:
        """
        Neither while it is frozen nor before its time is over without that.
        """
        self.agent.always["x.example"] = DOWN
        breaker = attrs.evolve(SECTION.circuit_breaker, failure_threshold=1)
        self.queue.reconfigure(attrs.evolve(self.section, circuit_breaker=breaker))
        self.accept(1, "a@x.example")
        self.assertTrue(self.queue.gates.shut)
        self.get(self.controls.freeze("x.example"))
        self.clock.advance(self.section.message_expiration * 2)
        self.pass_time(400)
        self.get(self.controls.unfreeze("x.example"))
        self.successResultOf(Deferred.fromCoroutine(self.queue.overdue.look()))
        self.assertEqual(self.failures(), [])
        self.clock.advance(self.section.message_expiration)
        self.pass_time(400)
        self.assertEqual(len(self.failures()), 1)

    def test_a_storage_that_fails(self) -> None:
        """
        It is frozen, but who asked knows that a restart might end that, until it is stored.
        """
        self.storage.faults = [StorageError("no"), StorageError("no")]
        self.failureResultOf(self.controls.freeze("x.example"), StorageError)
        self.accept(1, "a@x.example")
        self.assertEqual(self.agent.calls, [])
        self.pass_time(70)
        self.restart()
        self.assertEqual(list(self.controls.frozen()), ["x.example"])

    def test_again_and_again(self) -> None:
        """
        What was frozen before can be frozen again, over restarts.
        """
        for _ in range(3):
            self.assertTrue(self.get(self.controls.freeze("x.example")))
            self.pass_time(5)
            self.restart()
            self.assertEqual(list(self.controls.frozen()), ["x.example"])
            self.assertTrue(self.get(self.controls.unfreeze("x.example")))
            self.restart()
            self.assertEqual(list(self.controls.frozen()), [])
            self.pass_time(5)

    def test_before_what_was_stored_is_known(self) -> None:
        """
        A verb waits until it is, so that neither undoes the other.
        """
        self.get(self.controls.freeze("x.example"))
        self.queue = self.make()
        self.controls = self.queue.controls
        thaw, freeze = self.controls.unfreeze("x.example"), self.controls.freeze("y.example")
        self.assertNoResult(thaw)
        self.successResultOf(Deferred.fromCoroutine(self.queue.restore()))
        self.queue.start()
        self.assertEqual((self.get(thaw), self.get(freeze)), (True, True))
        self.assertEqual(list(self.controls.frozen()), ["y.example"])

    def test_what_cannot_be_a_destination(self) -> None:
        """
        Cannot be frozen.
        """
        for name in ("x" * 300, "a\nb", "\ud800"):
            self.assertRaises(ValueError, self.controls.freeze, name)

    def test_what_cannot_be_read(self) -> None:
        """
        Does not keep the queue from starting.
        """
        self.storage.texts |= {"frozen/x.example": "[1]", "frozen/y.example": "{", "frozen/z.example": "[]"}
        self.restart()
        self.assertEqual(self.controls.frozen(), {})


class ExplainingTests(ManagingCase):
    """
    Why a message is where it is.
    """

    def why(self, number: int) -> dict[str, Why | Place | None]:
        told = self.successResultOf(Deferred.fromCoroutine(self.controls.explain_message(f"{number:026}")))
        return {each.domain: why.why if isinstance(why, Hold) else why for each, why in told}

    def test_each_delivery(self) -> None:
        """
        Held, frozen, not due yet, under way, or at its end.
        """
        self.agent.always["later.example"] = GREY
        self.agent.always["ended.example"] = REFUSED
        self.agent.hanging.add("flying.example")
        self.get(self.controls.freeze("frozen.example"))
        domains = ("held", "frozen", "later", "flying", "ended")
        self.agent.always["held.example"] = GREY
        self.accept(1, *[f"a@{domain}.example" for domain in domains])
        self.get(self.controls.hold(Selection(domain="held.example")))
        wanted = {"held": Why.HELD, "frozen": Why.FROZEN, "later": Why.TIME, "flying": Place.IN_FLIGHT, "ended": None}
        self.assertEqual(self.why(1), {f"{name}.example": why for name, why in wanted.items()})
        self.assertEqual(self.why(2), {})

    def test_all_is_frozen(self) -> None:
        """
        What waits in memory is told to be frozen.
        """
        self.get(self.controls.freeze())
        self.accept(1, "a@x.example")
        self.assertEqual(self.why(1), {"x.example": Why.FROZEN})

    def test_held_by_a_module(self) -> None:
        """
        The reason is the module's.
        """
        message = self.mail(1, "a@x.example")
        self.spool.put(message, deliveries_of(message, held="odd"))
        [(_, why)] = self.successResultOf(Deferred.fromCoroutine(self.controls.explain_message(message.queue_id)))
        assert isinstance(why, Hold)
        self.assertIn("odd", why.detail)
