"""
The report that an address stood for several others.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from empath.errors import SpoolError
from empath.mail.envelope import Recipient
from empath.mail.expansion import Expanded
from empath.mail.life import LifeEvent, MessageReceived, ReportDropped, ReportQueued
from empath.mail.message import Delivery, Message, deliveries_of
from empath.mail.notice import Notice
from empath.report.expansion import Expansions
from tests.mail.test_dsn import address, original

Made = tuple[Message, tuple[Delivery, ...]]


class ExpansionTests(SynchronousTestCase):
    """
    Tests for `Expansions`.
    """

    def setUp(self) -> None:
        self.events: list[LifeEvent] = []
        self.notices: list[Notice] = []
        self.fresh: list[str] = []
        self.stored: Deferred[None] = succeed(None)
        self.fault: Exception | None = None
        self.makes = True
        self.report = original()
        store = lambda message, deliveries: self.stored  # noqa: E731
        self.expansions = Expansions(
            self.make, store, lambda message, _: self.fresh.append(message.queue_id), self.events.append
        )

    def make(self, message: Message, notices: tuple[Notice, ...]) -> Made | None:
        if self.fault is not None:
            raise self.fault
        self.notices += notices
        return (self.report, deliveries_of(self.report)) if self.makes else None

    def tell(self, *to: str) -> Deferred[None] | None:
        expanded = Expanded(Recipient(address("all@example.net"), {"NOTIFY": "SUCCESS"}), tuple(map(address, to)))
        return self.expansions.tell(original(), [expanded])

    def test_it_is_stored_and_sent(self) -> None:
        """
        And told; for somebody whose mail goes on only.
        """
        self.tell("else@example.net")
        self.assertEqual(self.events, [])
        self.tell("bob@example.net", "cid@example.net")
        self.assertEqual([notice.state.address.text for notice in self.notices], ["all@example.net"])
        self.assertEqual([type(event) for event in self.events], [MessageReceived, ReportQueued])
        self.assertEqual(self.fresh, [self.report.queue_id])

    def test_there_is_something_to_wait_for(self) -> None:
        """
        Until the report is on disk, or cannot be.
        """
        self.stored = Deferred()
        told = self.tell("bob@example.net")
        assert told is not None
        self.assertNoResult(told)
        self.stored.callback(None)
        self.assertIsNone(self.successResultOf(told))
        self.stored = fail(SpoolError("away"))
        again = self.tell("bob@example.net")
        assert again is not None
        self.assertIsNone(self.successResultOf(again))

    def test_there_is_none(self) -> None:
        """
        For a null sender, say.
        """
        self.makes = False
        self.tell("bob@example.net")
        self.assertEqual((self.events, self.fresh), ([], []))

    def test_what_fails_is_told(self) -> None:
        """
        A spool that does not take it, or a report that cannot be made, does the message no harm.
        """
        self.stored = fail(SpoolError("away"))
        self.tell("bob@example.net")
        (dropped,) = self.events
        assert isinstance(dropped, ReportDropped)
        self.assertIn("away", dropped.reason)
        self.fault = ZeroDivisionError()
        self.tell("bob@example.net")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
