"""
What modules keep: by module and key, expiring, in groups, in a file that is ours.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, execute, fail
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from empath.errors import StorageError, StorageFull
from empath.interfaces import IStorage
from empath.storage import MOST_OCTETS, MOST_WAITING, UPKEEP_INTERVAL, UPKEEP_PAUSE, Storages
from empath.storage.owned import LONGEST_KEY, LONGEST_VALUE
from empath.storage.upkeep import STEP


class OneThread:
    """
    Runs calls at once, or, while it is busy, keeps them until `go`.
    """

    def __init__(self) -> None:
        self.busy = False
        self.calls: list[tuple[Callable[[], Any], Deferred[Any]]] = []
        self.ran = 0

    def __call__(self, call: Callable[[], Any]) -> Deferred[Any]:
        """
        See InThread.
        """
        if not self.busy:
            self.ran += 1
            return execute(call)
        done: Deferred[Any] = Deferred()
        self.calls.append((call, done))
        return done

    def go(self) -> None:
        """
        Run the oldest call that waits.
        """
        call, done = self.calls.pop(0)
        self.ran += 1
        done.callback(call())


class StorageCase(SynchronousTestCase):
    """
    A storage in a temporary file.
    """

    path: str | None

    def setUp(self) -> None:
        """
        Open an empty one.
        """
        folder = os.path.abspath(self.mktemp())
        os.makedirs(folder)
        self.path = os.path.join(folder, "storage.sqlite")
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.thread = OneThread()
        self.storages = self.opened()
        self.addCleanup(lambda: self.close())
        self.storage = self.storages.of("greylist")

    def opened(self) -> Storages:
        """
        Open the file once more.
        """
        storages = Storages(self.path, self.thread, self.clock)
        storages.open()
        return storages

    def close(self) -> None:
        """
        Close what was opened.
        """
        self.thread.busy = False
        self.successResultOf(Deferred.fromCoroutine(self.storages.close()))

    def reopen(self) -> None:
        """
        End and begin again.
        """
        self.close()
        self.storages = self.opened()
        self.storage = self.storages.of("greylist")

    def put(self, key: str, value: str = "v", expires: float | None = None) -> None:
        """
        Store, and be told so.
        """
        self.assertIsNone(self.successResultOf(self.storage.put(key, value, expires)))

    def get(self, key: str) -> str | None:
        """
        Read, and be told at once.
        """
        value: str | None = self.successResultOf(self.storage.get(key))
        return value


class FileTests(StorageCase):
    """
    In a file.
    """

    def test_it_is_a_storage(self) -> None:
        """
        It promises what IStorage does.
        """
        verifyObject(IStorage, self.storage)

    def test_values_are_found_after_a_restart(self) -> None:
        """
        What was put is there, what was deleted is not, the last of several values counts.
        """
        self.put("a", "1")
        self.put("a", "2")
        self.put("b")
        self.successResultOf(self.storage.delete("b"))
        self.successResultOf(self.storage.delete("never there"))
        self.reopen()
        self.assertEqual([self.get("a"), self.get("b")], ["2", None])

    def test_every_module_sees_only_its_own(self) -> None:
        """
        The same key of two modules is two values.
        """
        other = self.storages.of("other")
        self.put("key", "ours")
        self.assertIsNone(self.successResultOf(other.get("key")))
        self.successResultOf(other.put("key", "theirs"))
        self.successResultOf(other.delete("key"))
        self.assertEqual(self.get("key"), "ours")
        self.assertEqual(self.successResultOf(other.keys()), [])

    def test_values_expire(self) -> None:
        """
        From that second on there is no such key; a value put again without an expiry stays.
        """
        self.put("a", expires=self.clock.seconds() + 10)
        self.put("b", expires=self.clock.seconds() + 10)
        self.put("b")
        self.clock.advance(9)
        self.assertEqual(self.get("a"), "v")
        self.clock.advance(1)
        self.assertIsNone(self.get("a"))
        self.assertEqual(self.successResultOf(self.storage.keys()), ["b"])

    def test_expired_rows_are_deleted_in_small_steps(self) -> None:
        """
        Upkeep deletes a bounded number a step, soon again while there is more, else once a minute.
        """
        self.thread.busy = True
        for number in range(STEP + 1):
            self.storage.put(str(number), "v", self.clock.seconds() + 1)
        self.thread.go()
        self.thread.go()
        self.thread.busy = False
        self.put("kept")
        self.clock.advance(UPKEEP_INTERVAL)
        self.assertEqual(self.rows(), 2)
        self.clock.advance(1)
        self.assertEqual(self.rows(), 1)
        ran = self.thread.ran
        self.clock.advance(UPKEEP_INTERVAL - 1)
        self.assertEqual(self.thread.ran, ran)
        self.clock.advance(1)
        self.assertEqual(self.thread.ran, ran + 1)

    def test_what_expires_first_goes_where_a_module_stores_too_much(self) -> None:
        """
        Who floods one module makes neither the file nor the others' share grow without end; what never expires stays.
        """
        self.close()
        self.storages = Storages(self.path, self.thread, self.clock, most=3)
        self.storages.open()
        self.storage, other = self.storages.of("greylist"), self.storages.of("other")
        now = self.clock.seconds()
        self.put("forever")
        for number in range(5):
            self.put(f"late {number}", "v", now + 10_000 + number)
            self.put(f"early {number}", "v", now + 5_000 + number)
        for key in "abc":
            self.successResultOf(other.put(key, "v", now + 2_000))
        self.clock.advance(UPKEEP_INTERVAL)
        self.assertEqual(self.successResultOf(self.storage.keys()), ["forever", "late 3", "late 4"])
        self.assertEqual(self.successResultOf(other.keys()), ["a", "b", "c"])
        for key in "wxyz":
            self.put(key)
        ran = self.thread.ran
        for _ in range(3):
            self.clock.advance(UPKEEP_INTERVAL)
        self.assertEqual(self.thread.ran, ran + 3, "for keys that do not expire nothing can be done")
        self.assertEqual(self.successResultOf(self.storage.keys()), ["forever", "w", "x", "y", "z"])

    def test_too_much_is_told_once_an_hour(self) -> None:
        """
        However long the flood.
        """
        self.close()
        self.storages = Storages(self.path, self.thread, self.clock, most=1)
        self.storages.open()
        self.storage = self.storages.of("greylist")
        with capturedLogs() as events:
            for number in range(62):
                self.put(f"a {number}", "v", self.clock.seconds() + 5_000)
                self.put(f"b {number}", "v", self.clock.seconds() + 5_000)
                self.clock.advance(UPKEEP_INTERVAL)
        told = [event["modules"] for event in events if "modules" in event]
        self.assertEqual(told, ["greylist"] * 2)

    def test_too_much_is_forgotten_in_small_steps(self) -> None:
        """
        Of several modules too, and what comes meanwhile is counted afterwards.
        """
        self.close()
        self.storages = Storages(self.path, self.thread, self.clock, most=100)
        self.storages.open()
        self.fill("greylist", 2 * STEP + 100)
        self.fill("recipients", 110)
        self.clock.advance(UPKEEP_INTERVAL)
        self.assertEqual(self.rows(), STEP + 210)
        self.fill("other", 120)
        self.clock.advance(UPKEEP_PAUSE)
        self.assertEqual(self.rows(), 100 + 110 + 120)
        self.clock.advance(UPKEEP_PAUSE)
        self.assertEqual(self.rows(), 100 + 100 + 120)
        ran = self.thread.ran
        self.clock.advance(UPKEEP_PAUSE)
        self.assertEqual(self.thread.ran, ran)
        self.clock.advance(UPKEEP_INTERVAL)
        self.assertEqual(self.rows(), 300)

    def fill(self, module: str, keys: int) -> None:
        """
        Store so many keys that expire, in one group.
        """
        storage = self.storages.of(module)
        self.thread.busy = True
        for number in range(keys):
            storage.put(str(number), "v", self.clock.seconds() + 5_000)
        self.thread.go()
        self.thread.go()
        self.thread.busy = False

    def rows(self) -> int:
        """
        Count what lies in the file.
        """
        assert self.path is not None
        connection = sqlite3.connect(self.path)
        try:
            return int(connection.execute("SELECT count(*) FROM item").fetchone()[0])
        finally:
            connection.close()

    def test_keys_are_listed_in_order_by_prefix(self) -> None:
        """
        The order is that of code points; every character can end a prefix, wildcards mean themselves.
        """
        keys = [
            "",
            "a",
            "a%",
            "a%b",
            "a_",
            "ab",
            "b",
            "b\x00c",
            "\ud7ff",
            "\ud7ffx",
            "\ue000",
            "\U0010ffff",
            "\U0010ffffz",
        ]
        for key in reversed(keys):
            self.put(key)
        for prefix in ("", "a", "a%", "a_", "b", "b\x00", "\ud7ff", "\ue000", "\U0010ffff", "zz"):
            expected = [key for key in keys if key.startswith(prefix)]
            self.assertEqual(self.successResultOf(self.storage.keys(prefix)), expected, prefix)
        self.assertEqual(self.successResultOf(self.storage.keys("a", limit=2)), ["a", "a%"])
        self.assertEqual(self.successResultOf(self.storage.keys(limit=0)), [])

    def test_all_is_given_page_by_page(self) -> None:
        """
        Keys come in order with their values, behind the last one of the page before; what has expired does not.
        """
        for key in ("c", "b", "a", "a%"):
            self.put(key, key.upper())
        self.put("bb", expires=self.clock.seconds() - 1)
        items = self.storage.items
        self.assertEqual(self.successResultOf(items()), [("a", "A"), ("a%", "A%"), ("b", "B"), ("c", "C")])
        self.assertEqual(self.successResultOf(items(limit=2)), [("a", "A"), ("a%", "A%")])
        self.assertEqual(self.successResultOf(items("a%", limit=2)), [("b", "B"), ("c", "C")])
        self.assertEqual(self.successResultOf(items("c")), [])

    def test_what_is_no_key_or_value_is_refused(self) -> None:
        """
        Up to the limits all is stored as it is; beyond them, and for what is no text, the call raises.
        """
        key, value = "k" * LONGEST_KEY, "é" * (LONGEST_VALUE // 2)
        self.put(key, value)
        self.assertEqual(self.get(key), value)
        self.assertRaises(ValueError, self.storage.put, "k", value + "x")
        self.assertRaises(ValueError, self.storage.put, "k", "x" * (LONGEST_VALUE + 1))
        for call in (self.storage.get, self.storage.delete, self.storage.keys, self.storage.items):
            self.assertRaises(ValueError, call, key + "k")
            self.assertRaises(ValueError, call, "\ud800")
            self.assertRaises(TypeError, call, b"k")
        self.assertRaises(TypeError, self.storage.put, "k", 1)
        self.assertRaises(ValueError, self.storage.put, "k", "v", float("nan"))
        self.assertRaises(ValueError, self.storage.keys, "k", -1)
        self.assertRaises(ValueError, self.storage.items, "k", -1)
        self.put("forever", "v", float("inf"))
        self.assertEqual(self.get("forever"), "v")

    def test_what_waits_is_done_together(self) -> None:
        """
        While the thread is busy all others wait for one group; reads see what was written before them.
        """
        self.thread.busy = True
        first = self.storage.put("a", "1")
        others = [self.storage.put(str(number), "v") for number in range(50)]
        read = self.storage.get("7")
        self.assertEqual(len(self.thread.calls), 1)
        self.thread.go()
        self.successResultOf(first)
        self.assertNoResult(others[0])
        self.assertEqual(len(self.thread.calls), 1)
        self.thread.go()
        for other in others:
            self.successResultOf(other)
        self.assertEqual(self.successResultOf(read), "v")
        self.assertEqual(self.thread.calls, [])

    def test_whoever_gives_up_is_not_told(self) -> None:
        """
        A cancelled write stands, and disturbs nobody.
        """
        self.thread.busy = True
        given_up, other = self.storage.put("a", "1"), self.storage.put("b", "2")
        given_up.cancel()
        self.failureResultOf(given_up)
        self.thread.go()
        self.thread.go()
        self.successResultOf(other)
        self.thread.busy = False
        self.assertEqual(self.get("a"), "1")

    def test_what_waits_is_bounded(self) -> None:
        """
        Where the disk does not answer, too many operations fail at once instead of filling memory.
        """
        self.thread.busy = True
        waiting = [self.storage.get("k") for _ in range(MOST_WAITING + 1)]
        self.failureResultOf(self.storage.get("k"), StorageError)
        self.thread.go()
        self.thread.go()
        for told in waiting:
            self.successResultOf(told)
        fitting = MOST_OCTETS // (LONGEST_VALUE + 1)
        large = [self.storage.put("k", "x" * LONGEST_VALUE) for _ in range(fitting + 1)]
        self.failureResultOf(self.storage.put("k", "x" * LONGEST_VALUE), StorageError)
        self.thread.go()
        self.thread.go()
        self.assertEqual([self.successResultOf(told) for told in large], [None] * (fitting + 1))

    def test_closing_finishes_what_was_asked_for(self) -> None:
        """
        What waits is done; what comes later, and before it is opened, fails.
        """
        self.thread.busy = True
        first, second = self.storage.put("a", "1"), self.storage.put("b", "2")
        closing = Deferred.fromCoroutine(self.storages.close())
        self.failureResultOf(self.storage.get("a"), StorageError)
        self.thread.go()
        self.thread.go()
        self.thread.go()
        self.successResultOf(closing)
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.thread.busy = False
        self.storages = self.opened()
        self.storage = self.storages.of("greylist")
        self.assertEqual(self.get("b"), "2")

    def test_a_thread_that_ended_fails_what_it_was_given(self) -> None:
        """
        Nobody waits for ever.
        """
        storages = Storages(None, lambda call: fail(RuntimeError("stopped")), self.clock)
        storages.open()
        failure = self.failureResultOf(storages.of("m").get("k"), StorageError)
        self.assertIn("stopped", failure.getErrorMessage())

    def test_only_we_can_read_the_file(self) -> None:
        """
        Addresses of people are in it.
        """
        assert self.path is not None
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)


class TroubleTests(StorageCase):
    """
    Files that are not ours, and disks that fail.
    """

    def refused(self) -> str:
        """
        Tell why the file is not opened.
        """
        return str(self.assertRaises(StorageError, self.opened))

    def change(self, statement: str) -> None:
        """
        Let somebody else write into the file.
        """
        assert self.path is not None
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.execute(statement)
        connection.close()

    def test_a_foreign_database_is_left_alone(self) -> None:
        """
        It is named, and not one of ours.
        """
        self.close()
        self.change("PRAGMA application_id = 1")
        self.assertIn(f"{self.path} was not made by empath", self.refused())
        assert self.path is not None
        os.unlink(self.path)
        self.change("CREATE TABLE theirs (a)")
        self.assertIn("was not made by empath", self.refused())

    def test_a_newer_file_is_left_alone(self) -> None:
        """
        Its version is told.
        """
        self.close()
        self.change("PRAGMA user_version = 99")
        self.assertIn("has version 99", self.refused())

    def test_what_is_no_database_is_left_alone(self) -> None:
        """
        Text, a folder, a folder that is missing.
        """
        self.close()
        assert self.path is not None
        with open(self.path, "w") as file:
            file.write("not a database" * 100)
        self.assertIn("cannot be opened", self.refused())
        os.unlink(self.path)
        os.mkdir(self.path)
        self.assertIn("cannot be opened", self.refused())
        self.path = os.path.join(self.path, "missing", "storage.sqlite")
        self.assertIn("cannot be opened", self.refused())

    def limit(self, pages: int) -> None:
        """
        Let the disk of the open file be full, or have room again.
        """
        connection = self.storages._file._connection
        assert connection is not None
        connection.execute(f"PRAGMA max_page_count = {pages}").fetchall()

    def test_a_full_disk_fails_writes_and_no_reads(self) -> None:
        """
        Whoever writes hears StorageFull; once there is room, all goes on.
        """
        self.put("a", "1")
        self.limit(1)
        self.thread.busy = True
        self.storage.get("z")
        large, read = self.storage.put("b", "x" * LONGEST_VALUE), self.storage.get("a")
        self.thread.go()
        self.thread.go()
        self.failureResultOf(large, StorageFull)
        self.assertEqual(self.successResultOf(read), "1")
        self.thread.busy = False
        self.limit(1_000_000)
        self.put("b", "2")
        self.assertEqual(self.get("b"), "2")

    def test_a_disk_that_is_full_at_the_start_does_not_keep_us_from_starting(self) -> None:
        """
        Modules hear of it one by one, and the file is used once it can be.
        """
        self.put("a", "1")
        self.close()
        storages = Storages(self.path, self.thread, self.clock)
        opened = storages._file.open

        def no_room() -> None:
            raise StorageFull(os.strerror(errno.ENOSPC))

        storages._file.open = no_room  # type: ignore[method-assign]
        storages.open()
        storages._file.open = opened  # type: ignore[method-assign]
        self.storages, self.storage = storages, storages.of("greylist")
        self.assertEqual(self.get("a"), "1")

    def test_a_file_that_went_away_fails_everything_until_it_is_back(self) -> None:
        """
        It is never made anew behind the back of what was stored.
        """
        assert self.path is not None
        self.put("a", "1")
        self.storages._file.close()
        os.rename(self.path, f"{self.path}.away")
        self.failureResultOf(self.storage.put("b", "2"), StorageError)
        self.failureResultOf(self.storage.get("a"), StorageError)
        self.assertFalse(os.path.exists(self.path))
        self.clock.advance(UPKEEP_INTERVAL)
        os.rename(f"{self.path}.away", self.path)
        self.assertEqual([self.get("a"), self.get("b")], ["1", None])


class MemoryTests(StorageCase):
    """
    In memory, for the spool in memory.
    """

    def setUp(self) -> None:
        """
        Open one without a file.
        """
        super().setUp()
        self.close()
        self.path = None
        self.storages = self.opened()
        self.storage = self.storages.of("greylist")

    def test_it_stores_until_it_is_closed(self) -> None:
        """
        As a file does, but no longer.
        """
        self.put("a", "1", self.clock.seconds() + 5)
        self.put("b", "2")
        self.assertEqual(self.successResultOf(self.storage.keys()), ["a", "b"])
        self.clock.advance(5)
        self.assertEqual([self.get("a"), self.get("b")], [None, "2"])
        self.reopen()
        self.assertIsNone(self.get("b"))
