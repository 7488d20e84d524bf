"""
Old files: compressed and removed without harm to the chain, and searched without reading more than is needed.
"""

from __future__ import annotations

import errno
import gzip
import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from empath.audit import life_records, safety_records
from empath.audit.files import rotated
from empath.audit.finding import Found, find
from empath.audit.keeping import compress, outdated, remove
from empath.audit.making import Capture
from empath.audit.verifying import verify
from empath.mail.address import Address
from empath.mail.envelope import Envelope
from empath.mail.queue_id import queue_id_at
from tests.audit.trails import DAY, NOON, happened, trail

ADDRESS = Address("a", "x.test", "a@x.test")


def about(queue_id: str, when: float) -> Capture:
    return (life_records.held, when, queue_id, Envelope(ADDRESS, (), {}), "because")


class OldFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        self.path = folder / "audit.jsonl"
        file = trail(self.path)
        file.open(NOON)
        for day in range(4):
            when = NOON + day * DAY
            file.write([happened(number, when) for number in range(500)], sync=True)
            file.write([about(queue_id_at(NOON + each * DAY), when) for each in range(day + 1)], sync=True)
            os.utime(self.path, (when, when))
        file.close(NOON + 3 * DAY)
        for day, old in enumerate(rotated(self.path)):
            os.utime(old, (NOON + day * DAY, NOON + day * DAY))

    def found(self, day: int, patience: float = 5.0) -> Found:
        ticks = iter(range(10_000))
        return find(self.path, queue_id_at(NOON + day * DAY), lambda: float(next(ticks)), patience * 1000)

    def test_compressed_files_are_as_sound_and_as_old(self) -> None:
        before = [file.stat().st_mtime for file in rotated(self.path)]
        compress(self.path, lambda: False)
        files = rotated(self.path)
        self.assertEqual([file.suffix for file in files], [".gz"] * 3)
        self.assertEqual([file.stat().st_mtime for file in files], before)
        self.assertEqual({file.stat().st_mode & 0o777 for file in files}, {0o600})
        self.assertTrue(verify(self.path).sound)
        self.assertTrue(verify(files[1]).sound)

    def test_compressing_that_is_cut_short_begins_anew(self) -> None:
        compress(self.path, lambda: True)
        self.assertEqual([file.suffix == ".gz" for file in rotated(self.path)], [False] * 3)
        answers = iter([False, True, True, True])
        compress(self.path, lambda: next(answers))
        rotated(self.path)[0].with_name("audit.jsonl.2026-01-01.gz.new").write_bytes(b"half")
        self.assertTrue(verify(self.path).sound)
        compress(self.path, lambda: False)
        self.assertEqual([name for name in os.listdir(self.path.parent) if name.endswith(".new")], [])
        self.assertEqual(len(rotated(self.path)), 3)

    def test_a_full_disk_is_left_no_fuller(self) -> None:
        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        self.patch(os, "fsync", full)
        self.assertRaises(OSError, compress, self.path, lambda: False)
        self.assertEqual([name for name in os.listdir(self.path.parent) if ".gz" in name], [])

    def test_whole_files_that_were_swapped_removed_or_packed_anew_are_told_apart(self) -> None:
        compress(self.path, lambda: False)
        first, second, third = rotated(self.path)
        second.write_bytes(gzip.compress(gzip.decompress(second.read_bytes()), 1))
        self.assertTrue(verify(self.path).sound)
        kept = second.read_bytes()
        second.write_bytes(third.read_bytes())
        third.write_bytes(kept)
        self.assertFalse(verify(self.path).sound)
        second.write_bytes(third.read_bytes())
        third.unlink()
        self.assertFalse(verify(self.path).sound)
        second.unlink()
        self.assertFalse(verify(self.path).sound)
        first.unlink()
        self.assertFalse(verify(self.path).sound)

    def test_a_crash_between_compressing_and_removing_counts_no_record_twice(self) -> None:
        first = rotated(self.path)[0]
        with gzip.open(f"{first}.gz", "wb") as packed:
            packed.write(first.read_bytes())
        self.assertTrue(verify(self.path).sound)
        compress(self.path, lambda: False)
        self.assertEqual(len(rotated(self.path)), 3)
        self.assertTrue(verify(self.path).sound)

    def test_what_is_removed_by_age_is_accounted_for_in_the_trail(self) -> None:
        old = outdated(self.path, NOON + 1.5 * DAY)
        self.assertEqual([each.file for each in old], rotated(self.path)[:2])
        told = {"last_seq": old[-1].last.seq, "last_hash": old[-1].last.hash}
        file = trail(self.path)
        file.open(NOON + 3 * DAY)
        file.write([(safety_records.trail, NOON + 3 * DAY, "files-removed", "ok", told)], sync=True)
        file.close(NOON + 3 * DAY)
        remove(old)
        remove(old)
        self.assertEqual(len(rotated(self.path)), 1)
        self.assertTrue(verify(self.path).sound)

    def test_what_somebody_else_removed_is_not(self) -> None:
        remove(outdated(self.path, NOON + 1.5 * DAY))
        self.assertFalse(verify(self.path).sound)

    def test_a_damaged_file_is_not_removed(self) -> None:
        with rotated(self.path)[0].open("ab") as file:
            file.write(b"junk\n")
        os.utime(rotated(self.path)[0], (NOON, NOON))
        self.assertEqual(outdated(self.path, NOON + 1.5 * DAY), [])

    def test_a_message_is_found_over_all_files_from_its_day_on(self) -> None:
        for _ in range(2):
            self.assertEqual([len(self.found(day).records) for day in range(4)], [4, 3, 2, 1])
            sequence = [record["seq"] for record in self.found(0).records]
            self.assertEqual(sequence, sorted(sequence))
            compress(self.path, lambda: False)

    def test_who_asks_waits_only_so_long(self) -> None:
        self.assertTrue(self.found(0, 0.0).more)

    def test_a_message_that_nobody_knows_is_not_found(self) -> None:
        self.assertEqual(self.found(9), Found(()))
        self.assertEqual(find(self.path, "x", lambda: 0.0), Found(()))

    def test_a_large_file_is_searched_from_the_message_on(self) -> None:
        file = trail(self.path, daily=False)
        file.open(NOON + 3 * DAY)
        start = NOON + 3 * DAY
        file.write([happened(each, start + each) for each in range(4000)], sync=True)
        wanted = queue_id_at(start + 3000)
        file.write([about(wanted, start + 4000)], sync=True)
        file.close(start + 4001)
        self.assertEqual(len(find(self.path, wanted, lambda: 0.0).records), 1)
