"""
The file of a trail: whole records, chained across stops, crashes and days.
"""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from empath.audit.files import MOST_LINE, head_path, read_head, rotated, torn_path
from empath.audit.verifying import verify
from empath.errors import AuditError
from tests.audit.trails import DAY, NOON, happened, trail, written


class WritingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.path = self.folder / "deep" / "audit.jsonl"

    def records(self, path: Path | None = None) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (path or self.path).read_bytes().splitlines()]

    def test_only_its_owner_may_read_it(self) -> None:
        written(self.path, 1)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(head_path(self.path).stat().st_mode & 0o777, 0o600)

    def test_each_record_has_all_fields_in_their_order(self) -> None:
        written(self.path, 1)
        fields = (
            "version time event actor resource action result message_id sender recipients host reply duration_ms "
            "attempt metadata seq prev hash"
        )
        for record in self.records():
            self.assertEqual(" ".join(record), fields)

    def test_the_chain_goes_on_after_a_stop(self) -> None:
        written(self.path, 3)
        written(self.path, 3)
        self.assertEqual([record["seq"] for record in self.records()], list(range(1, 11)))
        self.assertTrue(verify(self.path).sound)

    def test_half_a_record_that_a_crash_left_is_set_aside_and_told(self) -> None:
        lines = written(self.path, 3)
        with self.path.open("ab") as file:
            file.write(lines[2][:50])
        written(self.path, 1)
        self.assertTrue(verify(self.path).sound)
        self.assertEqual(torn_path(self.path).read_bytes(), lines[2][:50] + b"\n")
        self.assertEqual(self.records()[5]["metadata"]["torn"]["octets"], 50)
        self.flushLoggedErrors()

    def test_more_than_a_crash_leaves_stays_where_it_is(self) -> None:
        written(self.path, 2)
        with self.path.open("ab") as file:
            file.write(b"x" * (MOST_LINE + 1))
        written(self.path, 1)
        self.assertFalse(torn_path(self.path).exists())
        self.assertEqual(next(each.what for each in verify(self.path).findings), "not a record")

    def test_a_note_that_is_gone_is_told_at_the_start(self) -> None:
        written(self.path, 1)
        head_path(self.path).unlink()
        written(self.path, 1)
        self.assertIn("missing", self.records()[3]["metadata"]["head"])
        self.assertNotIn("head", self.records()[0]["metadata"])
        self.flushLoggedErrors()

    def test_a_crash_before_the_first_record_was_whole(self) -> None:
        self.path.parent.mkdir(parents=True)
        self.path.write_bytes(b'{"vers')
        written(self.path, 1)
        self.assertTrue(verify(self.path).sound)

    def test_what_was_written_and_not_yet_noted_at_a_crash_counts(self) -> None:
        written(self.path, 1)
        file = trail(self.path)
        file.open(NOON)
        file.write([happened(1), happened(2)], sync=False)
        file._let_go()
        self.assertEqual(read_head(self.path).seq, 4)  # type: ignore[union-attr]  # it is there
        written(self.path, 1)
        self.assertTrue(verify(self.path).sound)
        self.assertEqual(len(self.records()), 9)

    def test_records_that_are_gone_leave_a_gap_for_ever(self) -> None:
        lines = written(self.path, 5)
        self.path.write_bytes(b"".join(lines[:4]))
        written(self.path, 1)
        [finding] = verify(self.path).findings
        self.assertEqual((finding.line, finding.seq), (5, 5))
        self.assertEqual(self.records()[4]["metadata"]["found"], "records 5 to 7 are missing")

    def test_a_trail_that_was_removed_leaves_a_gap_for_ever(self) -> None:
        written(self.path, 5)
        self.path.unlink()
        written(self.path, 1)
        self.assertIn("records 1 to 7", verify(self.path).findings[0].what)

    def test_what_was_added_behind_the_end_stays_known_as_that(self) -> None:
        lines = written(self.path, 2)
        other = self.folder / "other.jsonl"
        written(other, 3)
        self.path.write_bytes(b"".join([*lines, lines[-1].replace(b'"seq":4', b'"seq":5')]))
        written(self.path, 1)
        self.assertFalse(verify(self.path).sound)

    def test_another_process_is_kept_out(self) -> None:
        file = trail(self.path)
        file.open(NOON)
        self.assertRaises(AuditError, trail(self.path).open, NOON)
        file.close(NOON)
        written(self.path, 1)

    def test_a_place_that_cannot_be_written_is_an_error(self) -> None:
        self.folder.mkdir()
        (self.folder / "file").touch()
        self.assertRaises(AuditError, trail(self.folder / "file" / "audit.jsonl").open, NOON)
        (self.folder / "link").symlink_to("/dev/null")
        self.assertRaises(AuditError, trail(self.folder / "link").open, NOON)

    def test_a_record_of_another_day_begins_a_new_file(self) -> None:
        file = trail(self.path)
        file.open(NOON)
        told = file.write(
            [happened(1), happened(2, NOON + DAY), happened(3, NOON), happened(4, NOON + DAY)], sync=False
        )
        file.close(NOON + DAY)
        [before] = rotated(self.path)
        self.assertEqual(told.ended, [before])
        self.assertEqual(told.records, 4)
        self.assertEqual([record["action"] for record in self.records(before)], ["trail-opened", "step-1"])
        self.assertEqual(before.name, f"audit.jsonl.{self.records(before)[0]['time'][:10]}")
        self.assertTrue(verify(self.path).sound)

    def test_a_day_that_ended_while_nothing_ran_ends_the_file_at_the_start(self) -> None:
        written(self.path, 1)
        written(self.path, 1, NOON + DAY)
        written(self.path, 1, NOON + DAY)
        self.assertEqual(len(rotated(self.path)), 1)
        self.assertEqual(len(self.records()), 6)
        self.assertTrue(verify(self.path).sound)

    def test_a_clock_that_jumps_both_ways_ends_files_at_midnight_in_their_order(self) -> None:
        file = trail(self.path)
        file.open(NOON)
        days = (400, 400, 0, 1, 2, -900, -899, 3, 401, 4)
        for number, day in enumerate(days):
            file.write([happened(number, NOON + day * DAY)], sync=True)
        file.close(NOON + 4 * DAY)
        firsts = [self.records(each)[0]["seq"] for each in [*rotated(self.path), self.path]]
        self.assertEqual(firsts, sorted(firsts))
        self.assertGreaterEqual(len(firsts), 6)
        self.assertTrue(verify(self.path).sound)

    def test_numbers_of_names_are_not_given_again_where_files_were_removed(self) -> None:
        for day in range(4):
            written(self.path, 1, NOON)
            self.path.rename(self.path.with_name(f"audit.jsonl.2030-01-01{f'.{day + 1}' if day else ''}"))
        self.path.with_name("audit.jsonl.2030-01-01.2").unlink()
        written(self.path, 1, NOON)
        written(self.path, 1, NOON + DAY)
        self.assertEqual(rotated(self.path)[-1].name, "audit.jsonl.2030-01-01.5")

    def test_a_file_that_was_taken_away_before_midnight_does_not_end_the_trail(self) -> None:
        for replaced in (False, True):
            file = trail(self.path)
            file.open(NOON)
            self.path.rename(self.path.with_name("elsewhere"))
            if replaced:
                self.path.write_bytes(b"somebody else's\n")
            told = file.write([happened(1, NOON + DAY)], sync=True)
            self.assertEqual((told.trouble, told.done, told.ended), ("", 1, []))
            file.close(NOON + DAY)
            self.assertEqual(self.records_behind(replaced)[0]["action"], "step-1")
            for each in list(self.path.parent.iterdir()):
                each.unlink()

    def records_behind(self, lines: int) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_bytes().splitlines()[lines:]]

    def test_a_name_that_is_taken_is_not_taken_again(self) -> None:
        written(self.path, 1)
        self.path.rename(self.path.with_name("audit.jsonl." + self.records()[0]["time"][:10]))
        written(self.path, 1)
        written(self.path, 1, NOON + DAY)
        names = [each.name for each in rotated(self.path)]
        self.assertEqual(names[1], names[0] + ".2")
        self.assertTrue(verify(self.path).sound)

    def test_without_rotation_all_stays_in_one_file(self) -> None:
        file = trail(self.path, daily=False)
        file.open(NOON)
        file.write([happened(1, NOON + 5 * DAY)], sync=True)
        file.close(NOON + 9 * DAY)
        self.assertEqual(rotated(self.path), [])

    def test_an_event_of_which_no_record_can_be_made_harms_no_other(self) -> None:
        file = trail(self.path)
        file.open(NOON)

        def broken(*_: object) -> list[Any]:
            raise ZeroDivisionError

        told = file.write([happened(1), (broken, NOON), happened(2)], sync=True)
        file.close(NOON)
        self.assertEqual((told.done, told.records, told.faults, told.trouble), (3, 2, 1, ""))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_whatever_peers_say_is_one_line_of_json(self) -> None:
        file = trail(self.path)
        file.open(NOON)
        hostile = 'a\n{"seq":1}\r\n\x00\ud800\u2028"}'
        file.write([(happened(1)[0], NOON, hostile, "ok", {hostile: [hostile, {"x": hostile}]})], sync=True)
        file.close(NOON)
        self.assertEqual(len(self.records()), 3)
        self.assertTrue(verify(self.path).sound)

    def test_a_file_that_is_changed_meanwhile_does_not_end_the_trail(self) -> None:
        file = trail(self.path)
        file.open(NOON)
        with self.path.open("ab") as other:
            other.write(b"half")
        self.assertEqual(file.write([happened(1)], sync=True).trouble, "")
        self.path.unlink()
        self.assertEqual(file.write([happened(2)], sync=True).trouble, "")
        self.assertEqual(file.write([happened(3)], sync=True).trouble, "")
        file.close(NOON)
        self.assertEqual(self.records()[-1]["action"], "trail-closed")
        self.assertFalse(verify(self.path).sound)

    def test_without_a_file_records_are_made_for_others(self) -> None:
        file = trail(None)
        file.wants_lines = True
        file.open(NOON)
        told = file.write([happened(1)], sync=True)
        file.close(NOON)
        self.assertEqual(len(told.lines), 1)


class FullDiskTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        self.path = folder / "audit.jsonl"

    def test_half_a_piece_is_taken_back_and_the_chain_goes_on_later(self) -> None:
        file = trail(self.path)
        file.open(NOON)
        real = os.write
        size = self.path.stat().st_size

        def full(descriptor: int, octets: bytes) -> int:
            if os.fstat(descriptor).st_size > size:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(descriptor, octets[:100])

        self.patch(os, "write", full)
        told = file.write([happened(1), happened(2)], sync=True)
        self.assertEqual((told.done, told.records, told.trouble), (0, 0, "No space left on device"))
        self.assertEqual(self.path.stat().st_size, size)
        self.patch(os, "write", real)
        self.assertEqual(file.write([happened(1), happened(2)], sync=True).records, 2)
        file.close(NOON)
        self.assertTrue(verify(self.path).sound)
        self.assertEqual(verify(self.path).records, 4)
