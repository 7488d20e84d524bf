"""
The spool in SQLite keeps the contract.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3

import attrs
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Spool
from empath.config.units import Folder, Size
from empath.mail.decision import Decision
from empath.mail.message import Status, deliveries_of
from empath.spool.sqlite import SqliteSpool
from tests.spool.contract import INLINE
from tests.spool.delayed_contract import DelayedContract
from tests.spool.managing_contract import ManagingContract
from tests.spool.support import at_once
from tests.spool.survey_contract import SurveyContract

MIN_FREE = 1000


class SqliteTests(ManagingContract, DelayedContract, SurveyContract, SynchronousTestCase):
    """
    The contract, in SQLite.
    """

    def make_spool(self) -> SqliteSpool:
        self.clock = Clock()
        self.free = 10**9
        self.path = os.path.abspath(self.mktemp())
        return self.opened()

    def opened(self) -> SqliteSpool:
        spool = SqliteSpool(
            Spool(path=Folder(self.path), inline_limit=Size(INLINE), min_free=Size(MIN_FREE)),
            clock=self.clock,
            in_writer=at_once,
            in_reader=at_once,
            in_thread=at_once,
            emit=self.events.append,
            ballast=4096,
            free=lambda path: self.free,
        )
        spool.open()
        self.addCleanup(lambda: self.get(spool.close()))
        return spool

    def fill(self) -> None:
        self.free = MIN_FREE
        self.clock.advance(2)

    def test_after_a_restart(self) -> None:
        """
        What was held is held, what was decided is known, and what waits for another route still goes it.
        """
        message = attrs.evolve(
            self.post.message("x@a.example", "y@b.example"), decisions=(Decision("data", "spam", "accept", why="odd"),)
        )
        held = deliveries_of(message, held="odd")
        self.get(self.spool.store(message, held))
        other = self.post.message("x@a.example", "y@b.example")
        self.get(self.spool.store(other, deliveries_of(other, routes={None: "archive"})))
        self.get(self.spool.close())
        self.spool = self.opened()
        self.assertEqual(self.get(self.spool.load(message.queue_id)), message)
        (due,) = self.all_due()
        self.assertEqual((due.domain, len(due.recipients)), ("archive", 2))
        self.assertEqual(self.get(self.spool.counts())[Status.HELD], 2)

    def test_a_damaged_delivery_holds_up_no_other(self) -> None:
        """
        A row that cannot be read is passed over, and told: everything behind it is still found.
        """
        _, (damaged,) = self.stored("bob@example.net")
        _, (whole,) = self.stored("carl@example.com")
        with contextlib.closing(sqlite3.connect(os.path.join(self.path, "spool.sqlite"))) as connection:
            connection.execute("UPDATE delivery SET recipients = '[' WHERE queue_id = ?", (damaged.queue_id,))
            connection.commit()
        with capturedLogs() as events:
            self.assertEqual([each.queue_id for each in self.all_due()], [whole.queue_id])
        self.assertEqual([event["log_level"] for event in events], [LogLevel.error])
        self.assertIn(damaged.queue_id, formatEvent(events[0]))
