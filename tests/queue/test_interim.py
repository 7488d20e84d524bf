"""
What is done of an attempt is on disk before its end.
"""

from __future__ import annotations

import attrs

from empath.errors import MessageUnknown, SpoolFull
from empath.mail.attempt import Attempt
from empath.mail.envelope import Envelope
from empath.mail.message import Message, Status
from empath.queue.interim import SELDOM
from tests.queue.bench import QueueCase
from tests.queue.fakes import GREY, SENT


class InterimTests(QueueCase):
    """
    An attempt that takes its time.
    """

    def setUp(self) -> None:
        super().setUp()
        self.queue.start()
        self.agent.hang_all = True

    def begin(self, message: Message) -> Attempt:
        """
        Begin an attempt.
        """
        self.queue.fresh(message, self.spool.keep(message))
        return self.agent.calls[-1].attempt

    def standing(self) -> list[Status]:
        """
        Tell how the recipients of the one delivery stand in the spool.
        """
        [delivery] = self.spool.deliveries.values()
        return [state.status for state in delivery.recipients]

    def test_a_crash_repeats_only_the_last_second(self) -> None:
        """
        Who has the mail is kept now and then, and the end of the attempt is as without it.
        """
        keep = self.begin(self.mail(1, "a@x.example", "b@x.example", "c@x.example")).keep
        assert keep is not None
        keep([SENT, None, None])
        self.assertEqual(self.spool.settlements, [])
        self.pass_time(SELDOM)
        keep([SENT, GREY, None])
        self.assertEqual(self.standing(), [Status.COMPLETED, Status.PENDING, Status.PENDING])
        self.assertEqual((self.ended(), self.queue.in_flight), ([], 1))
        self.agent.calls[-1].end(SENT, GREY, SENT)
        self.assertEqual(self.standing(), [Status.COMPLETED, Status.RETRY, Status.COMPLETED])
        [event] = self.ended()
        self.assertEqual([state.status for state in event.results], self.standing())

    def test_one_at_a_time(self) -> None:
        """
        A slow spool is not asked for more, and the settlement comes behind.
        """
        keep = self.begin(self.mail(1, "a@x.example", "b@x.example", "c@x.example")).keep
        assert keep is not None
        self.spool.slow = True
        for _ in range(3):
            self.pass_time(SELDOM)
            keep([SENT, None, None])
        self.assertEqual(len(self.spool.pending), 1)
        self.agent.calls[-1].end(SENT, SENT, SENT)
        self.spool.catch_up()
        self.assertEqual(self.spool.deliveries, {})

    def test_a_spool_that_refuses(self) -> None:
        """
        It does no harm.
        """
        keep = self.begin(self.mail(1, "a@x.example", "b@x.example")).keep
        assert keep is not None
        self.spool.faults["settle"] = [SpoolFull("full"), MessageUnknown("gone"), ZeroDivisionError()]
        for _ in range(4):
            self.pass_time(SELDOM)
            keep([SENT, None])
        self.assertEqual(self.standing(), [Status.COMPLETED, Status.PENDING])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_where_there_is_nothing_to_keep(self) -> None:
        """
        One recipient has no interim, and mail whose times are told of (RFC 2852) waits for its end.
        """
        self.assertIsNone(self.begin(self.mail(1, "a@x.example")).keep)
        message = self.mail(2, "a@x.example", "b@x.example")
        envelope = Envelope(message.envelope.reverse_path, message.envelope.recipients, {"BY": "60;N"})
        self.assertIsNone(self.begin(attrs.evolve(message, envelope=envelope)).keep)
