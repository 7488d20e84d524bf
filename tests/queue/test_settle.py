"""
What outcomes make of a delivery.
"""

from __future__ import annotations

import random

import attrs
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.attempt import Attempt
from empath.mail.envelope import Recipient
from empath.mail.history import MOST_REPLY, PastAttempt
from empath.mail.message import Delivery, RecipientState, Status, deliveries_of
from empath.mail.outcome import Outcome, PermanentFailure, Scope
from empath.mail.reply import Reply
from empath.mail.settlement import Settlement
from empath.policy.bounce import Classifier
from empath.policy.retry import Schedule
from empath.queue.settle import LOCAL_TROUBLE, after_attempt, outcomes_for, site_accepted, so_far, with_history
from tests.queue.fakes import DOWN, GREY, REFUSED, SENT, mail

SCHEDULE = Schedule(jitter=0.0)
CLASSIFY = Classifier().category_of


def delivery(*recipients: str) -> Delivery:
    return deliveries_of(mail(1, *(recipients or ("a@x",))))[0]


def after(
    before: Delivery, *outcomes: Outcome, now: float = 10.0, schedule: Schedule = SCHEDULE
) -> tuple[Delivery, tuple[RecipientState, ...]]:
    return after_attempt(before, outcomes, now, schedule, random.Random(1), CLASSIFY)


class AfterAttemptTests(SynchronousTestCase):
    def test_success_completes(self) -> None:
        """
        All recipients accepted: the delivery is completed and not scheduled.
        """
        now, results = after(delivery("a@x", "b@x"), SENT, SENT)
        self.assertEqual((now.status, now.attempts, now.next_attempt, now.last_error), (Status.COMPLETED, 1, None, ""))
        self.assertEqual(results, now.recipients)
        self.assertEqual([(r.status, r.reply, r.host) for r in results], [(Status.COMPLETED, SENT.reply, "mx")] * 2)

    def test_a_transient_failure_is_scheduled(self) -> None:
        """
        The delivery waits for its next attempt; each recipient that failed for now is a retry.
        """
        now, results = after(delivery(), DOWN)
        self.assertEqual((now.status, now.attempts, now.next_attempt), (Status.RETRY, 1, 70.0))
        self.assertEqual(now.last_error, "451 4.4.1 no answer")
        self.assertEqual([state.status for state in results], [Status.RETRY])

    def test_a_host_that_wants_time_gets_it(self) -> None:
        """
        Recipients share one next attempt: the longest time that was asked for counts.
        """
        now, _ = after(delivery("a@x", "b@x"), attrs.evolve(DOWN, retry_after=300.0), attrs.evolve(DOWN, retry_after=9))
        self.assertEqual((now.status, now.next_attempt), (Status.RETRY, 310.0))

    def test_a_permanent_failure_fails(self) -> None:
        """
        One recipient refused, the others delivered: failed, at its end, the others stay completed.
        """
        now, _ = after(delivery("a@x", "b@x"), SENT, REFUSED)
        self.assertEqual((now.status, now.next_attempt), (Status.FAILED, None))
        self.assertEqual([state.status for state in now.recipients], [Status.COMPLETED, Status.FAILED])

    def test_only_open_recipients_are_dealt_with_again(self) -> None:
        """
        Recipients at their end keep their state and are in no later results; failures are remembered to the end.
        """
        first, _ = after(delivery("a@x", "b@x", "c@x"), REFUSED, GREY, SENT)
        self.assertEqual((first.status, first.next_attempt), (Status.RETRY, 70.0))
        second, results = after(first, SENT)
        self.assertEqual([state.address.text for state in results], ["b@x"])
        self.assertEqual((second.status, second.attempts), (Status.FAILED, 2))
        self.assertEqual(second.last_error, "450 4.7.1 greylisted")
        self.assertEqual(
            [state.status for state in second.recipients], [Status.FAILED, Status.COMPLETED, Status.COMPLETED]
        )

    def test_expires_with_its_time_or_its_attempts(self) -> None:
        """
        A transient failure after the expiry, or at max_attempts, is the end.
        """
        for now, schedule in ((432000.0, SCHEDULE), (10.0, Schedule(max_attempts=1))):
            ended, results = after(delivery(), DOWN, now=now, schedule=schedule)
            self.assertEqual((ended.status, ended.next_attempt), (Status.EXPIRED, None))
            self.assertEqual([state.status for state in results], [Status.EXPIRED])


class SoFarTests(SynchronousTestCase):
    """
    What is done while an attempt goes on.
    """

    def test_who_has_the_mail_is_through_with_it(self) -> None:
        """
        All others stay as they are, those that failed too, and the delivery as a whole.
        """
        before, _ = after(delivery("a@x", "b@x", "c@x", "d@x"), REFUSED, GREY, GREY, GREY)
        now = so_far(before, (SENT, DOWN, None))
        assert now is not None
        statuses = [Status.FAILED, Status.COMPLETED, Status.RETRY, Status.RETRY]
        self.assertEqual([state.status for state in now.recipients], statuses)
        self.assertEqual((now.recipients[1].reply, now.recipients[1].host), (SENT.reply, "mx"))
        self.assertEqual(attrs.evolve(now, recipients=before.recipients), before)

    def test_nothing_is_to_be_kept(self) -> None:
        """
        Of nobody new, nor of everybody: that is the end of the attempt.
        """
        self.assertIsNone(so_far(delivery("a@x", "b@x"), (None, REFUSED)))
        self.assertIsNone(so_far(delivery("a@x", "b@x"), (SENT, SENT)))

    def test_who_is_told_of_success_stays_open(self) -> None:
        """
        The report is made at the end, and a crash must not lose it.
        """
        before = delivery("a@x", "b@x", "c@x")
        asks = Recipient(before.recipients[0].recipient.address, {"NOTIFY": "FAILURE,success"})
        before = attrs.evolve(before, recipients=(RecipientState(asks), *before.recipients[1:]))
        self.assertIsNone(so_far(before, (SENT, None, None)))
        now = so_far(before, (SENT, SENT, None))
        assert now is not None
        self.assertEqual([state.address.text for state in now.open_recipients], ["a@x", "c@x"])


class LongReplyTests(SynchronousTestCase):
    def test_only_the_beginning_of_a_long_reply_is_kept(self) -> None:
        """
        A peer cannot make the spool, the log and the report grow with what it says, line by line, to each recipient.
        """
        for lines in ([f"line {number} {'x' * 500}" for number in range(100)], ["5.1.1 " + "x" * 60_000]):
            refused = PermanentFailure(Reply.heard(550, lines), Scope.RECIPIENT, "mx")
            after, results = after_attempt(delivery(), (refused,), 0.0, SCHEDULE, random.Random(1), CLASSIFY)
            [state] = after.recipients
            assert state.reply is not None
            self.assertLess(len(str(state.reply)), 1100)
            self.assertTrue(str(refused.reply).startswith(str(state.reply)[:900]))
            self.assertEqual((state.reply.code, state.reply.enhanced), (550, refused.reply.enhanced))
            self.assertEqual((results, after.last_error), ((state,), str(state.reply)))


class OutcomesTests(SynchronousTestCase):
    def test_each_open_recipient_has_one(self) -> None:
        """
        What the agent forgot counts as our own trouble, what it invented as nothing.
        """
        self.assertEqual(outcomes_for(2, (SENT,)), (SENT, LOCAL_TROUBLE))
        self.assertEqual(outcomes_for(1, (SENT, DOWN)), (SENT,))

    def test_what_they_show_about_the_site(self) -> None:
        """
        Any success shows that it works, a failure of host or session that it does not, the rest nothing.
        """
        self.assertIs(site_accepted((DOWN, SENT)), True)
        self.assertIs(site_accepted((DOWN,)), False)
        self.assertIsNone(site_accepted((GREY, REFUSED, LOCAL_TROUBLE)))


class HistoryTests(SynchronousTestCase):
    """
    What a settlement remembers of its attempt.
    """

    ATTEMPT = Attempt(3, 10.0, 10.5, 11.0, 0.0, 0.0, 12.0, "mx", "192.0.2.1", 25, reused=True)

    def remembered(
        self, keep_until: float | None, before: Delivery, *outcomes: Outcome
    ) -> tuple[PastAttempt | None, Delivery]:
        now, results = after(before, *outcomes)
        settlement, told, _ = with_history((Settlement(now, keep_until=keep_until), results, ()), self.ATTEMPT)
        self.assertEqual((told, settlement.keep_until), (results, keep_until))
        self.assertEqual(attrs.evolve(settlement.delivery, history=()), now)
        return (settlement.delivery.history[0] if settlement.delivery.history else None), now

    def test_what_is_deleted_remembers_nothing(self) -> None:
        """
        The row goes; what became of it is in the audit trail.
        """
        for outcome in (SENT, REFUSED):
            self.assertEqual(self.remembered(None, delivery(), outcome)[0], None)

    def test_what_waits_or_is_kept_remembers(self) -> None:
        """
        Host, times and result, and the worst that was heard.
        """
        for keep, outcomes, result, reply in (
            (None, (SENT, GREY), "retry", "450 4.7.1 greylisted"),
            (None, (REFUSED, GREY), "retry", "550 5.1.1 no such user"),
            (9.0, (SENT, REFUSED), "failed", "550 5.1.1 no such user"),
            (9.0, (SENT, SENT), "completed", str(SENT.reply)),
        ):
            past, _ = self.remembered(keep, delivery("a@x", "b@x"), *outcomes)
            assert past is not None
            self.assertEqual((past.number, past.result, past.reply), (1, result, reply))
            self.assertEqual((past.started, past.connected, past.ended), (10.0, 11.0, 12.0))
            self.assertEqual((past.host, past.address, past.port, past.reused), ("mx", "192.0.2.1", 25, True))

    def test_a_long_reply(self) -> None:
        """
        Is cut: there may be many of them.
        """
        long = attrs.evolve(GREY, reply=Reply(450, "4.7.1", ("x" * 900,)))
        past, _ = self.remembered(None, delivery(), long)
        assert past is not None
        self.assertEqual(len(past.reply), MOST_REPLY)

    def test_what_is_kept_while_an_attempt_goes_on(self) -> None:
        """
        Repeats nothing of what is remembered.
        """
        past, _ = self.remembered(None, delivery(), GREY)
        assert past is not None
        before = attrs.evolve(delivery("a@x", "b@x"), history=(past,))
        now = so_far(before, (SENT, None))
        assert now is not None
        self.assertEqual(now.history, ())
