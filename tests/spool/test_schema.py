"""
Versions of the schema, and how the statements find their rows.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import sqlite3
from pathlib import Path

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Spool
from empath.config.units import Folder
from empath.errors import SpoolError, SpoolLocked, SpoolTooNew
from empath.mail.decision import Decision
from empath.mail.message import Status, deliveries_of
from empath.mail.queue_id import new_queue_id
from empath.mail.settlement import Settlement
from empath.policy.selection import Selection
from empath.spool import rows, schema
from empath.spool.sqlite import SqliteSpool
from tests.spool.support import Post, at_once

FIXTURES = Path(__file__).parent / "fixtures"


class VersionTests(SynchronousTestCase):
    """
    Opening what other versions, and others, have written.
    """

    def setUp(self) -> None:
        self.root = Path(os.path.abspath(self.mktemp()))
        self.root.mkdir()

    def spool(self, clock: Clock | None = None) -> SqliteSpool:
        return SqliteSpool(
            Spool(path=Folder(str(self.root))),
            clock=clock or Clock(),
            in_writer=at_once,
            in_reader=at_once,
            in_thread=at_once,
            emit=lambda event: None,
            ballast=4096,
        )

    def close(self, spool: SqliteSpool) -> None:
        self.successResultOf(Deferred.fromCoroutine(spool.close()))

    def database(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.root / "spool.sqlite", isolation_level=None)
        self.addCleanup(connection.close)
        return connection

    def pragma(self, name: str) -> object:
        return self.database().execute(f"PRAGMA {name}").fetchone()[0]

    def test_a_new_spool(self) -> None:
        """
        Has our application id, the newest version, WAL, 4096 bytes a page, and nobody else can read it.
        """
        spool = self.spool()
        spool.open()
        self.assertEqual(self.pragma("application_id"), schema.APPLICATION_ID)
        self.assertEqual(self.pragma("user_version"), len(schema.MIGRATIONS))
        self.assertEqual(
            (self.pragma("journal_mode"), self.pragma("page_size"), self.pragma("auto_vacuum")), ("wal", 4096, 2)
        )
        for name in ("spool.sqlite", "spool.sqlite-wal", "lock", "ballast"):
            self.assertEqual((self.root / name).stat().st_mode & 0o077, 0, name)
        self.close(spool)

    def test_the_writer_syncs_each_commit(self) -> None:
        """
        synchronous is FULL (2), autocheckpoint 1000, and secure_delete FAST (2): what is deleted is not written again.
        """
        spool = self.spool()
        spool.open()
        connection = spool._writer._connection
        assert connection is not None
        names = ("synchronous", "wal_autocheckpoint", "secure_delete")
        self.assertEqual([connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names], [2, 1000, 2])
        self.close(spool)

    def test_version_1(self) -> None:
        """
        A spool that the first release wrote opens, with everything in it.
        """
        self.database().executescript((FIXTURES / "version-1.sql").read_text())
        spool = self.spool()
        spool.open()
        (delivery,) = self.successResultOf(spool.due(1e10, 10, ()))
        message = self.successResultOf(spool.load(delivery.queue_id))
        assert message.envelope.reverse_path is not None
        self.assertEqual(message.envelope.reverse_path.text, "alice@example.org")
        self.assertEqual(message.envelope.parameters, {"SIZE": "100", "BODY": "8BITMIME"})
        self.assertEqual((message.metadata, message.decisions), ({"color": "blü"}, ()))
        self.assertEqual((message.header[:8], message.body), (b"Received", b"\r\nhello\r\n"))
        (state,) = delivery.recipients
        assert state.reply is not None
        self.assertEqual((delivery.attempts, delivery.status), (2, Status.RETRY))
        self.assertEqual((str(state.reply), state.host), ("451 4.3.0 later", "mx.example.net"))
        self.assertEqual(self.pragma("user_version"), len(schema.MIGRATIONS))
        ended = attrs.evolve(delivery, status=Status.COMPLETED)
        judged = attrs.evolve(
            message, queue_id=new_queue_id(1000.0, random.Random(1)), decisions=(Decision("data", "m", "accept"),)
        )
        self.successResultOf(spool.settle(Settlement(ended, judged, deliveries_of(judged))))
        self.assertEqual(self.successResultOf(spool.load(judged.queue_id)), judged)
        self.close(spool)

    def test_version_4(self) -> None:
        """
        Knows neither how mail came nor its attempts, and has no index of domains: all of it is found all the same, at
        once and once it was taken up.
        """
        connection = self.database()
        schema.migrate(connection, schema.MIGRATIONS[:4])
        message, deliveries = Post().with_deliveries("a@a.example", "b@b.example")
        marks = ", ".join("?" * 14)
        connection.execute(f"INSERT INTO message VALUES ({marks})", rows.message_row(1, message)[:14])
        for delivery in deliveries:
            *row, held_since, _ = rows.delivery_row(delivery)
            connection.execute(f"INSERT INTO delivery VALUES ({marks})", (*row, None, None, None, held_since, None))
        clock = Clock()
        spool = self.spool(clock)
        spool.open()
        for _ in range(2):
            self.assertEqual(self.successResultOf(spool.load(message.queue_id)), message)
            page = self.successResultOf(spool.select(Selection(domain="b.example"), ("", ""), 9))
            self.assertEqual(page.deliveries, deliveries[1:])
            self.assertEqual(self.successResultOf(spool.destinations(9)).number, 2)
            clock.advance(3e6)
        self.assertEqual(self.database().execute("SELECT sum(listed) FROM delivery").fetchone(), (2,))
        self.assertEqual(self.pragma("user_version"), 5)
        self.close(spool)

    def test_the_first_version_never_changes(self) -> None:
        """
        What a release wrote must not be rewritten: a spool that has the version is not migrated to it again.
        """
        digest = hashlib.sha256("\n".join(schema.MIGRATIONS[0]).encode()).hexdigest()
        self.assertEqual(digest, "9f74e2056bb4f8452b4687e5421245abe0082c6669182657a10c8ffc86d20ae2")

    def test_a_newer_one_is_refused(self) -> None:
        """
        With SpoolTooNew, untouched, and unlocked again.
        """
        spool = self.spool()
        spool.open()
        self.close(spool)
        self.database().execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
        for _ in range(2):
            failure = self.assertRaises(SpoolTooNew, self.spool().open)
            self.assertIn("version", str(failure))

    def test_somebody_elses_database_is_refused(self) -> None:
        """
        And so is what is no database at all.
        """
        self.database().execute("CREATE TABLE theirs (x)")
        self.assertRaises(SpoolError, self.spool().open)
        (self.root / "spool.sqlite").write_bytes(b"not a database " * 1000)
        self.assertRaises(SpoolError, self.spool().open)

    def test_a_second_spool_is_refused(self) -> None:
        """
        Until the first one is closed.
        """
        spool = self.spool()
        spool.open()
        self.assertRaises(SpoolLocked, self.spool().open)
        self.close(spool)
        spool = self.spool()
        spool.open()
        self.close(spool)

    def test_a_migration_is_done_whole_or_not_at_all(self) -> None:
        """
        One that fails leaves version and tables as they were; one that works is done once.
        """
        connection = self.database()
        schema.migrate(connection)
        newer = (*schema.MIGRATIONS, ("CREATE TABLE more (x)", "ALTER TABLE message ADD COLUMN extra TEXT"))
        broken = (*newer, ("CREATE TABLE most (x)", "THIS IS NO SQL"))
        self.assertRaises(sqlite3.OperationalError, schema.migrate, connection, broken)
        self.assertEqual(self.pragma("user_version"), len(schema.MIGRATIONS))
        self.assertRaises(sqlite3.OperationalError, connection.execute, "SELECT * FROM more")
        for _ in range(2):
            if self.pragma("user_version") == len(schema.MIGRATIONS):
                schema.migrate(connection, newer)
        self.assertEqual(self.pragma("user_version"), len(newer))
        connection.execute("SELECT extra FROM message")


class PlanTests(SynchronousTestCase):
    """
    No statement of the running service reads a whole table.
    """

    def plan(self, statement: str) -> str:
        connection = sqlite3.connect(":memory:")
        self.addCleanup(connection.close)
        for migration in schema.MIGRATIONS:
            for each in migration:
                connection.execute(each)
        numbered = set(re.findall(r"\?[0-9]+", statement))
        number = len(numbered) or statement.count("?")
        rows = connection.execute("EXPLAIN QUERY PLAN " + statement, ("[]",) * number)
        return "; ".join(str(row[3]) for row in rows)

    def test_searches_use_an_index(self) -> None:
        """
        Each SCAN in a plan is of an index (for counting) or of a list that was given.
        """
        for name in (
            *("UPDATE_DELIVERY", "DELETE_DELIVERY", "DELETE_EMPTY", "WITHDRAW_DELIVERIES", "WITHDRAW_MESSAGE"),
            *("HASTEN", "KEPT_TOO_LONG", "LOAD", "DUE", "NEXT_DUE", "DUE_COUNT"),
            *("ACCEPTED", "FORGET_ACCEPTED", "WITHDRAW_ACCEPTED"),
            *("SCHEDULED_COUNT", "RETRY_COUNT", "RESTING_COUNT", "WITH_FILE"),
        ):
            plan = self.plan(getattr(schema, name))
            for step in plan.split("; "):
                if step.startswith("SCAN"):
                    self.assertTrue("json_each" in step or "COVERING INDEX" in step or "CONSTANT" in step, (name, plan))

    def test_due_mail_is_found_in_its_order(self) -> None:
        """
        By the index on what is scheduled, without sorting; counting and the next moment read nothing but the index.
        """
        plan = self.plan(schema.DUE)
        self.assertIn("USING INDEX delivery_due (next_attempt>? AND next_attempt<?)", plan)
        self.assertNotIn("TEMP B-TREE", plan)
        for statement in (schema.DUE_COUNT, schema.NEXT_DUE):
            self.assertIn("USING COVERING INDEX delivery_due", self.plan(statement))
