"""
The promises of ISpool about mail that takes long: whose sender is still to be told, and that he is told once.
"""

from __future__ import annotations

from typing import Any

import attrs

from empath.errors import MessageUnknown, QueueIdTaken, SpoolError
from empath.mail.message import Delivery, Status, deliveries_of
from empath.spool import delayed
from tests.spool.contract import SpoolContract

THEN = 1_000_000.0  # queue ids are made from then on


class DelayedContract(SpoolContract):
    """
    As `SpoolContract`, and what delays ask for.
    """

    def late(self: Any, received: float) -> list[Delivery]:
        """
        Page through all mail that takes long.
        """
        found: list[Delivery] = []
        after = ("", "")
        while True:
            page = self.get(self.spool.delayed(received, after))
            found += page.deliveries
            if page.after is None:
                return found
            self.assertGreater(page.after, after)
            after = page.after

    def test_who_is_to_be_told(self: Any) -> None:
        """
        What is scheduled and was received or released by then, and nothing else, page by page.
        """
        self.patch(delayed, "SCANNED", 2)
        _, (a, b) = self.stored("a@a.example", "b@b.example", received=THEN)
        early = a.received
        released = attrs.evolve(self.post.message("c@c.example", received=THEN))
        self.get(self.spool.store(released, deliveries_of(released, release=early + 50.0)))
        held = self.post.message("d@d.example", received=THEN)
        self.get(self.spool.store(held, deliveries_of(held, held="why")))
        later = self.post.message("e@e.example", received=early + 10.0)
        (e,) = deliveries_of(later)
        self.get(self.spool.store(later, (e,)))
        self.assertEqual(self.late(early - 1.0), [])
        self.assertEqual(self.late(early), [a, b])
        self.assertEqual(self.late(early + 10.0), [a, b, e])
        self.settled(b, status=Status.RETRY, attempts=1, next_attempt=50.0)
        self.assertEqual([each.domain for each in self.late(early)], ["a.example", "b.example"])
        self.settled(a, status=Status.FAILED, attempts=1, keep_until=5000.0)
        self.assertEqual([each.domain for each in self.late(early)], ["b.example"])

    def test_told_once(self: Any) -> None:
        """
        The note and the report are stored together, once; attempts that follow do not take the note away.
        """
        _, (a, b) = self.stored("a@a.example", "b@b.example", received=THEN)
        report, other = (
            self.post.message("alice@example.org", received=THEN),
            self.post.message("alice@example.org", received=THEN),
        )
        deliveries = deliveries_of(report)
        self.assertIs(self.get(self.spool.warn([a], report, deliveries)), True)
        self.assertEqual(self.get(self.spool.load(report.queue_id)).header, report.header)
        self.assertIn(deliveries[0], self.get(self.spool.due(1e12, 9, ())))
        self.assertIs(self.get(self.spool.warn([a], other, deliveries_of(other))), False)
        self.refused(self.spool.load(other.queue_id), MessageUnknown)
        self.settled(a, status=Status.RETRY, attempts=1, next_attempt=50.0)
        self.assertEqual([each.domain for each in self.late(a.received)], ["b.example", "example.org"])
        self.assertIs(self.get(self.spool.warn([b])), True)
        self.assertEqual([each.domain for each in self.late(a.received)], ["example.org"])

    def test_several_deliveries(self: Any) -> None:
        """
        One report tells of several deliveries of a message: all are noted, or, where one changed meanwhile, none.
        """
        _, (a, b, c) = self.stored("a@a.example", "b@b.example", "c@c.example", received=THEN)
        self.settled(c, status=Status.RETRY, attempts=1, next_attempt=50.0)
        report = self.post.message("alice@example.org", received=THEN)
        self.assertIs(self.get(self.spool.warn([a, b, c], report, deliveries_of(report))), False)
        self.refused(self.spool.load(report.queue_id), MessageUnknown)
        self.assertEqual([each.domain for each in self.late(a.received)], ["a.example", "b.example", "c.example"])
        self.assertIs(self.get(self.spool.warn([a, b], report, deliveries_of(report))), True)
        self.assertEqual([each.domain for each in self.late(a.received)], ["c.example", "example.org"])

    def test_what_changed_meanwhile_is_not_told(self: Any) -> None:
        """
        A delivery that was attempted, held or ended since it was looked at gets no report; nor does one that cannot be
        stored.
        """
        _, (a, b, c) = self.stored("a@a.example", "b@b.example", "c@c.example", received=THEN)
        self.settled(a, status=Status.RETRY, attempts=1, next_attempt=50.0)
        self.settled(b, status=Status.COMPLETED, attempts=1)
        report = self.post.message("alice@example.org", received=THEN)
        for each in (a, b, attrs.evolve(c, queue_id="gone")):
            self.assertIs(self.get(self.spool.warn([each], report, deliveries_of(report))), False)
        self.refused(self.spool.load(report.queue_id), MessageUnknown)
        self.refused(self.spool.warn([c], report, ()), SpoolError)
        taken = attrs.evolve(report, queue_id=c.queue_id)
        self.refused(self.spool.warn([c], taken, deliveries_of(taken)), QueueIdTaken)
        self.assertEqual([each.domain for each in self.late(c.received)], ["a.example", "c.example"])
