"""
A check of the spool finds what is wrong, names it, and changes nothing.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Spool
from empath.config.units import Folder, Size
from empath.mail.message import Message, deliveries_of
from empath.mail.stored import Check
from empath.spool import checking, verifying
from empath.spool.sqlite import SqliteSpool
from tests.spool.support import HeldThread, Post, at_once, in_file

INLINE = 1000


class SpoolToDamage(SynchronousTestCase):
    """
    A spool with three messages, one of them large.
    """

    def setUp(self) -> None:
        self.root = Path(os.path.abspath(self.mktemp()))
        self.post = Post()
        self.thread = HeldThread()
        self.thread.held = False
        self.spool = SqliteSpool(
            Spool(path=Folder(str(self.root)), inline_limit=Size(INLINE)),
            clock=Clock(),
            in_writer=at_once,
            in_reader=at_once,
            in_thread=self.thread,
            emit=lambda event: None,
            ballast=4096,
        )
        self.spool.open()
        self.addCleanup(lambda: self.successResultOf(Deferred.fromCoroutine(self.spool.close())))
        self.small = [self.stored() for _ in range(2)]
        self.large = self.large_one()

    def stored(self) -> Message:
        message, deliveries = self.post.with_deliveries()
        self.successResultOf(self.spool.store(message, deliveries))
        return message

    def large_one(self) -> Message:
        writer = self.spool.begin(self.post.new_id())
        waiting = writer.write(b"\r\n" + b"x" * 2 * INLINE)
        assert waiting is None
        message = in_file(self.post.message(queue_id=writer.body_file), writer.body_file)
        message = attrs.evolve(message, size=len(message.header) + writer.size)
        self.successResultOf(writer.commit(message, deliveries_of(message)))
        return message

    def file_of(self, queue_id: str) -> Path:
        return self.root / "content" / queue_id[-2:] / queue_id

    def change(self, statement: str, *values: Any) -> None:
        with contextlib.closing(sqlite3.connect(self.root / "spool.sqlite")) as connection:
            connection.execute(statement, values)
            connection.commit()

    def checked(self) -> Check:
        return self.successResultOf(self.spool.verify(lambda done, total: None))

    def found(self) -> list[tuple[str, str]]:
        """
        Tell kind and name of each fault; a second check finds the same.
        """
        faults = self.checked().faults
        self.assertEqual(self.checked().faults, faults)
        return [(each.kind, each.name) for each in faults]


class VerifyingTests(SpoolToDamage):
    """
    What may happen to it.
    """

    def test_whole(self) -> None:
        """
        Three messages, three deliveries, a file, and no fault.
        """
        self.assertEqual(self.checked(), Check(3, 3, 1, ()))

    def test_content_that_is_gone(self) -> None:
        """
        Of a file, or of the row.
        """
        self.file_of(self.large.queue_id).unlink()
        self.change("UPDATE message SET body = NULL WHERE queue_id = ?", self.small[0].queue_id)
        names = {self.large.queue_id, self.small[0].queue_id}
        self.assertEqual(set(self.found()), {("no-content", name) for name in names})

    def test_content_of_another_size(self) -> None:
        """
        Longer or shorter.
        """
        self.file_of(self.large.queue_id).write_bytes(b"short")
        self.change("UPDATE message SET body = body || x'00' WHERE queue_id = ?", self.small[1].queue_id)
        names = {self.large.queue_id, self.small[1].queue_id}
        self.assertEqual(set(self.found()), {("size", name) for name in names})

    def test_rows_without_their_like(self) -> None:
        """
        A message without a delivery, a delivery without a message.
        """
        self.change("DELETE FROM delivery WHERE queue_id = ?", self.small[0].queue_id)
        self.change("DELETE FROM message WHERE queue_id = ?", self.small[1].queue_id)
        wanted = [("no-delivery", self.small[0].queue_id), ("no-message", self.small[1].queue_id)]
        self.assertEqual(self.found(), wanted)

    def test_rows_that_cannot_be_read(self) -> None:
        """
        Each is named, and those behind it are read.
        """
        self.change("UPDATE message SET envelope = '{' WHERE queue_id = ?", self.small[0].queue_id)
        self.change("UPDATE message SET header = NULL WHERE 0")
        self.change("UPDATE delivery SET history = '[1]' WHERE queue_id = ?", self.small[1].queue_id)
        self.change("UPDATE delivery SET status = 'odd' WHERE queue_id = ?", self.large.queue_id)
        names = (self.small[0].queue_id, self.small[1].queue_id, self.large.queue_id)
        self.assertEqual(self.found(), [("unreadable", name) for name in names])

    def test_a_damaged_history_is_no_trouble_for_delivery(self) -> None:
        """
        The next attempt begins a new one.
        """
        queue_id = self.small[0].queue_id
        for damage in ("[", "{}", "[[[", "3"):
            self.change("UPDATE delivery SET history = ? WHERE queue_id = ?", damage, queue_id)
            self.assertEqual(len(self.successResultOf(self.spool.due(1e9, 9, ()))), 3)

    def test_files_of_nobody(self) -> None:
        """
        A file without a message, and one that lies in the wrong folder; other names are not ours.
        """
        nobodys = self.file_of(self.post.new_id())
        nobodys.parent.mkdir(exist_ok=True)
        nobodys.write_bytes(b"x")
        (nobodys.parent / "notes").write_bytes(b"x")
        astray = self.root / "content" / "ZZ" / self.large.queue_id
        astray.parent.mkdir(exist_ok=True)
        astray.write_bytes(b"x")
        self.assertEqual(set(self.found()), {("orphan", nobodys.name), ("orphan", self.large.queue_id)})
        self.assertTrue(nobodys.exists())

    def test_what_is_being_received_is_nobodys_for_now(self) -> None:
        """
        And no fault.
        """
        writer = self.spool.begin(self.post.new_id())
        writer.write(b"x" * 200_000)
        self.assertTrue(self.file_of(writer.body_file).exists())
        self.assertEqual(self.found(), [])
        writer.abort()

    def test_what_goes_while_it_is_checked(self) -> None:
        """
        Is no fault: the row goes before the file.
        """
        self.thread.held = True
        verified = self.spool.verify(lambda done, total: None)
        self.thread.run()
        self.change("DELETE FROM message WHERE queue_id = ?", self.large.queue_id)
        self.change("DELETE FROM delivery WHERE queue_id = ?", self.large.queue_id)
        self.file_of(self.large.queue_id).unlink()
        self.thread.release()
        self.assertEqual(self.successResultOf(verified).faults, ())

    def test_what_could_not_be_deleted(self) -> None:
        """
        Is told as that.
        """
        name = self.post.new_id()
        self.spool._cleanup.failed(name, 0.0, OSError("busy"))
        self.assertEqual(self.found(), [("cleanup", name)])
        self.spool._cleanup._failed.clear()

    def test_damaged_pages(self) -> None:
        """
        Are SQLite's to find, and no reason to end early.
        """
        for small in (checking.SMALL, 0):
            self.patch(checking, "SMALL", small)
            self.change("PRAGMA wal_checkpoint(TRUNCATE)")
        path = self.root / "spool.sqlite"
        size = path.stat().st_size
        with path.open("r+b") as file:
            for page in range(2, size // 4096):
                file.seek(page * 4096)
                file.write(b"\xff" * 100)
        kinds = {kind for kind, _ in self.found()}
        self.assertIn("database", kinds)

    def test_too_many_faults(self) -> None:
        """
        The first ones are listed, the others counted.
        """
        self.patch(verifying, "MOST", 2)
        self.change("DELETE FROM delivery")
        check = self.checked()
        self.assertEqual((len(check.faults), check.omitted), (2, 1))

    def test_in_small_pieces(self) -> None:
        """
        Whatever their size, they find the same, and who is told can have the next one wait.
        """
        self.patch(checking, "MESSAGES", 1)
        self.patch(checking, "DELIVERIES", 1)
        waiting: list[Deferred[None]] = []

        def progress(done: int, total: int) -> Deferred[None]:
            waiting.append(Deferred())
            return waiting[-1]

        checked = self.spool.verify(progress)
        number = 0
        while not checked.called:
            number += 1
            self.assertEqual(len(waiting), number)
            waiting[-1].callback(None)
        self.assertEqual(self.successResultOf(checked), Check(3, 3, 1, ()))
