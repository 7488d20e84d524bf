"""
One damaged row holds up nothing else.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Any

from empath.errors import SpoolError
from empath.mail.message import Status
from empath.policy.selection import Selection
from empath.spool import checking, indexes
from tests.spool.test_verifying import SpoolToDamage


class DamageTests(SpoolToDamage):
    """
    The spool of `SpoolToDamage`, and what is asked of it when the disk has changed some bytes.
    """

    def damaged(self, column: str, value: str, table: str = "delivery") -> str:
        """
        Damage the first of three messages.
        """
        queue_id = self.small[0].queue_id
        self.change(f"UPDATE {table} SET {column} = {value} WHERE queue_id = ?", queue_id)
        return queue_id

    def due(self) -> set[str]:
        return {each.queue_id for each in self.successResultOf(self.spool.due(1e9, 9, ()))}

    def behind_the_back(self, index: str, statement: str) -> None:
        """
        Change rows while SQLite does not know of an index.
        """
        with contextlib.closing(sqlite3.connect(self.root / "spool.sqlite", isolation_level=None)) as connection:
            (before,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (index,)).fetchone()
        for sql, change in ((f"{before} AND 0", statement), (before, "SELECT 1")):
            with contextlib.closing(sqlite3.connect(self.root / "spool.sqlite", isolation_level=None)) as connection:
                connection.execute("PRAGMA writable_schema = ON")
                connection.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (sql, index))
            with contextlib.closing(sqlite3.connect(self.root / "spool.sqlite", isolation_level=None)) as connection:
                connection.execute(change)

    def test_texts_that_are_no_texts(self) -> None:
        """
        Are passed over, in whatever column, by all questions; and the check names the row.
        """
        others = {self.small[1].queue_id, self.large.queue_id}
        for column in ("recipients", "last_error", "status"):
            queue_id = self.damaged(column, "CAST(x'5bff5d' AS TEXT)")
            self.assertEqual(self.due(), others, column)
            page = self.successResultOf(self.spool.select(Selection(everything=True), ("", ""), 9))
            self.assertEqual({each.queue_id for each in page.deliveries}, others)
            self.assertEqual(self.found(), [("unreadable", queue_id)])
            self.successResultOf(self.spool.counts())
            self.successResultOf(self.spool.destinations(9))
            self.successResultOf(self.spool.listing("", 9))
            self.change("UPDATE delivery SET recipients = '[]', last_error = '', status = 'pending'")

    def test_numbers_that_are_none(self) -> None:
        """
        Are no numbers to reckon with.
        """
        others = {self.small[1].queue_id, self.large.queue_id}
        for column, value in (("received", "'x'"), ("attempts", "'x'"), ("priority", "x'00'"), ("held_since", "'x'")):
            self.damaged(column, value)
            self.assertEqual(self.due(), others, column)
            self.change(f"UPDATE delivery SET {column} = 1")

    def test_messages(self) -> None:
        """
        Of which a text is none are no messages; heads and lists tell of the others.
        """
        for column in ("envelope", "trace", "arrival"):
            queue_id = self.damaged(column, "CAST(x'5bff5d' AS TEXT)", "message")
            self.assertIn(("unreadable", queue_id), self.found())
            self.failureResultOf(self.spool.load(queue_id), SpoolError)
            self.successResultOf(self.spool.load(self.small[1].queue_id))
            self.change("UPDATE message SET arrival = NULL, trace = ''")
            self.assertIn(self.large.queue_id, self.successResultOf(self.spool.heads([queue_id, self.large.queue_id])))

    def test_a_status_that_is_none(self) -> None:
        """
        Counts as what waits for nothing.
        """
        self.damaged("next_attempt = NULL, status", "'odd'")
        counts: dict[Any, int] = self.successResultOf(self.spool.counts())
        self.assertEqual((counts[Status.HELD], counts[Status.PENDING]), (1, 2))

    def test_rows_that_are_missing_in_an_index(self) -> None:
        """
        Are named with it, whether SQLite checks its pages or not.
        """
        self.patch(checking, "SMALL", 0)
        where = f"WHERE queue_id = '{self.small[1].queue_id}'"
        changes = {
            "delivery_due": "next_attempt = 5",
            "delivery_retry": "status = 'retry', next_attempt = 6",
            "delivery_resting": "status = 'held', next_attempt = NULL",
            "delivery_kept": "keep_until = 5",
            "delivery_listed": "listed = 1",
        }
        for index, change in changes.items():
            self.behind_the_back(index, f"UPDATE delivery SET {change} {where}")
            details = [each.detail for each in self.checked().faults if each.name == self.small[1].queue_id]
            self.assertIn(f"the delivery to example.net is missing in the index {index}", details)
            self.change(f"REINDEX {index}")
            self.assertEqual(self.found(), [])

    def test_entries_of_no_row(self) -> None:
        """
        Are named with the index.
        """
        self.patch(checking, "SMALL", 0)
        self.patch(indexes, "ENTRIES", 1)
        self.change("UPDATE delivery SET listed = 1")
        queue_id = self.small[1].queue_id
        for index in ("delivery_due", "delivery_listed"):
            change = f"UPDATE delivery SET next_attempt = NULL, listed = NULL WHERE queue_id = '{queue_id}'"
            self.behind_the_back(index, change)
            details = [each.detail for each in self.checked().faults if each.name == queue_id]
            self.assertEqual(details, [f"the index {index} has an entry that no delivery has"])
            self.change("UPDATE delivery SET next_attempt = 7, listed = 1")
            self.change("REINDEX")
            self.assertEqual(self.found(), [])

    def test_damaged_pages_of_many(self) -> None:
        """
        What lies on others is still looked at, and what lies on them is named, however large the database.
        """
        self.patch(checking, "SMALL", 0)
        ids = [self.stored().queue_id for _ in range(300)]
        self.change("UPDATE message SET envelope = '{' WHERE queue_id IN (?, ?)", ids[1], ids[-1])
        self.change("UPDATE delivery SET recipients = '{' WHERE queue_id IN (?, ?)", ids[2], ids[-2])
        self.change("PRAGMA wal_checkpoint(TRUNCATE)")
        for table in ("delivery", "message"):
            with contextlib.closing(sqlite3.connect(self.root / "spool.sqlite")) as connection:
                pages = f"SELECT pageno FROM dbstat WHERE name = '{table}' AND pagetype = 'leaf' ORDER BY path"
                leaves = [page for (page,) in connection.execute(pages)]
            with (self.root / "spool.sqlite").open("r+b") as file:
                file.seek((leaves[len(leaves) // 2] - 1) * 4096)
                file.write(b"\xff" * 100)
            self.successResultOf(self.spool._patient._in_reader(self.spool._patient._drop))
            check = self.checked()
            self.assertLessEqual({ids[1], ids[-1], ids[2], ids[-2]}, {each.name for each in check.faults})
            told = [each for each in check.faults if "malformed" in each.detail]
            self.assertTrue(told, table)
            self.assertGreater(check.messages, 290)
            self.assertGreater(check.deliveries, 250)
