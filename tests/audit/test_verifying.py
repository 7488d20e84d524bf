"""
Whatever was done to a trail after it was written is found, and named.
"""

from __future__ import annotations

import gzip
import os
from hashlib import sha256
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.audit.chain import MARK, TAIL
from empath.audit.files import MOST_LINE, HeadFile, bounded, head_path, rotated
from empath.audit.verifying import Verification, verify
from empath.errors import AuditError
from tests.audit.trails import DAY, NOON, happened, rewritten, trail, written


def forged(line: bytes, old: bytes, new: bytes) -> bytes:
    """
    Change a record, and give it the hash that fits.
    """
    body = line[:-1][:-TAIL].replace(old, new)
    return body + MARK + sha256(body).hexdigest().encode() + b'"}\n'


class VerifyingTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        self.path = folder / "audit.jsonl"

    def found(self, anchor: str = "") -> list[tuple[int, str]]:
        """
        Verify; tells the records of what was found, and the first word about each.
        """
        return [(each.seq, each.what.partition(":")[0].partition(" ")[0]) for each in self.verified(anchor).findings]

    def verified(self, anchor: str = "") -> Verification:
        return verify(self.path, anchor)

    def test_a_trail_as_it_was_written_is_sound(self) -> None:
        lines = written(self.path, 10)
        told = self.verified()
        self.assertTrue(told.sound)
        self.assertEqual((told.records, told.first, told.last.seq), (12, 1, 12))
        self.assertEqual(len(lines), 12)

    def test_a_changed_record_is_named_with_its_line(self) -> None:
        lines = written(self.path, 10)
        lines[4] = lines[4].replace(b"step-3", b"step-9")
        rewritten(self.path, lines)
        [finding] = self.verified().findings
        self.assertEqual((finding.file, finding.line, finding.seq), (str(self.path), 5, 5))
        self.assertIn("changed", finding.what)

    def test_a_changed_record_with_a_hash_that_fits_is_named(self) -> None:
        lines = written(self.path, 10)
        lines[4] = forged(lines[4], b"step-3", b"step-9")
        rewritten(self.path, lines)
        self.assertEqual(self.found(), [(5, "changed")])

    def test_removed_records_are_named(self) -> None:
        lines = written(self.path, 10)
        rewritten(self.path, lines[:3] + lines[5:])
        [finding] = self.verified().findings
        self.assertEqual((finding.line, finding.seq), (4, 4))
        self.assertIn("records 4 to 5", finding.what)

    def test_records_removed_at_the_end_are_named(self) -> None:
        lines = written(self.path, 10)
        rewritten(self.path, lines[:-2])
        [finding] = self.verified().findings
        self.assertEqual(finding.seq, 11)
        self.assertIn("up to record 12", finding.what)

    def test_records_removed_at_the_beginning_are_named(self) -> None:
        lines = written(self.path, 10)
        rewritten(self.path, lines[2:])
        [finding] = self.verified().findings
        self.assertIn("records 1 to 2", finding.what)

    def test_swapped_records_are_named(self) -> None:
        lines = written(self.path, 10)
        lines[4], lines[5] = lines[5], lines[4]
        rewritten(self.path, lines)
        self.assertEqual(self.found(), [(5, "out")])

    def test_an_added_record_is_named(self) -> None:
        lines = written(self.path, 10)
        rewritten(self.path, [*lines[:6], lines[3], *lines[6:]])
        self.assertEqual(self.found(), [(4, "added")])

    def test_a_record_added_behind_the_end_is_named_though_its_hashes_fit(self) -> None:
        lines = written(self.path, 3)
        last = self.verified().last
        body = lines[-1][:-1][:-TAIL]
        body = body.replace(b'"seq":5', b'"seq":6')
        body = body[: body.rindex(b'"prev":')] + b'"prev":"' + last.hash.encode() + b'"'
        rewritten(self.path, [*lines, body + MARK + sha256(body).hexdigest().encode() + b'"}\n'])
        self.assertEqual(self.found(), [(6, "added")])

    def test_what_is_no_record_is_named(self) -> None:
        lines = written(self.path, 10)
        for junk in (b"\n", b"junk\n", b"{}\n", b"\xff\n", b'{"seq":"x"}\n', b"[" * 5000 + b"\n"):
            rewritten(self.path, [*lines[:6], junk, *lines[7:]])
            self.assertEqual(self.found(), [(7, "not")], junk[:20])

    def test_the_first_record_of_all_is_held_against_the_beginning(self) -> None:
        lines = written(self.path, 3)
        rewritten(self.path, [forged(lines[0], b"0" * 64, b"1" * 64), *lines[1:]])
        self.assertIn((1, "replaced"), self.found())

    def test_the_chain_goes_over_rotated_files(self) -> None:
        file = trail(self.path)
        file.open(NOON)
        for day in range(4):
            file.write([happened(number, NOON + day * DAY) for number in range(5)], sync=True)
        file.close(NOON + 3 * DAY)
        files = rotated(self.path)
        self.assertEqual(len(files), 3)
        self.assertTrue(self.verified().sound)
        self.assertEqual(self.verified().records, 22)
        self.assertTrue(verify(files[1]).sound)
        plain = files[0].read_bytes()
        with gzip.open(f"{files[0]}.gz", "wb") as packed:
            packed.write(plain)
        files[0].unlink()
        self.assertTrue(self.verified().sound)
        os.unlink(files[1])
        [finding] = self.verified().findings
        self.assertEqual((finding.file, finding.line, finding.seq), (str(files[2]), 1, 7))

    def test_half_a_record_at_the_end_is_no_trouble_where_it_may_be_under_way(self) -> None:
        lines = written(self.path, 3)
        head_path(self.path).unlink()
        rewritten(self.path, [*lines, b'{"version":1,"ti'])
        told = self.verified()
        self.assertTrue(told.sound)
        half, headless = told.notes
        self.assertIn("half a record", half)
        self.assertIn("nothing tells how far the trail came", headless)

    def test_a_note_that_is_not_as_it_was_written_is_found(self) -> None:
        written(self.path, 3)
        for text in (b"{", b"[" * 100_000, b"\xff" * 10, b'{"seq":"x"}'):
            head_path(self.path).write_bytes(text)
            [finding] = self.verified().findings
            self.assertIn("audit.jsonl.head", finding.file)

    def test_a_line_of_any_length_is_found_and_not_held_in_memory(self) -> None:
        lines = written(self.path, 3)
        rewritten(self.path, [*lines[:2], b"x" * (2 * MOST_LINE + 5) + b"\n", *lines[2:], b"y" * (MOST_LINE + 5)])
        with self.path.open("rb") as file:
            self.assertTrue(all(len(line) < 2000 for line in bounded(file)))
        self.assertIn((3, "not a record"), {(each.line, each.what) for each in self.verified().findings})

    def test_a_trail_that_is_being_written_may_be_ahead_of_its_note(self) -> None:
        written(self.path, 3)
        file = trail(self.path)
        file.open(NOON)
        self.addCleanup(file.close, NOON)
        file.write([happened(1)], sync=False)
        self.assertTrue(self.verified().sound)

    def test_a_hash_that_was_kept_elsewhere_must_be_there(self) -> None:
        written(self.path, 3)
        self.assertEqual(self.found(self.verified().last.hash), [])
        self.assertEqual(self.found("f" * 64), [(0, "no")])

    def test_a_whole_trail_written_anew_is_found_by_the_note_and_by_a_hash_kept_elsewhere(self) -> None:
        written(self.path, 3)
        kept = self.verified().last.hash
        self.path.unlink()
        note = head_path(self.path).read_bytes()
        head_path(self.path).unlink()
        written(self.path, 3, NOON + 1)
        self.assertEqual(self.found(kept), [(0, "no")])
        head_path(self.path).write_bytes(note)
        self.assertEqual(self.found(), [(5, "replaced")])

    def test_no_file_is_an_error(self) -> None:
        self.assertRaises(AuditError, verify, self.path)
        self.assertRaises(AuditError, verify, self.path / "x" / "y")

    def test_a_damaged_compressed_file_is_named(self) -> None:
        lines = written(self.path, 3)
        packed = gzip.compress(b"".join(lines))
        day = self.path.with_name(self.path.name + ".2026-09-21.gz")
        day.write_bytes(packed[:-9])
        self.path.unlink()
        head_path(self.path).unlink()
        self.assertIn("cannot be read", verify(self.path).findings[0].what)

    @settings(max_examples=150)
    @given(st.data())
    def test_any_octet_that_is_changed_is_found(self, data: st.DataObject) -> None:
        if not self.path.exists():
            self.lines = b"".join(written(self.path, 5))
        at = data.draw(st.integers(0, len(self.lines) - 1))
        octet = data.draw(st.integers(0, 255).filter(lambda octet: octet != self.lines[at]))
        self.path.write_bytes(self.lines[:at] + bytes([octet]) + self.lines[at + 1 :])
        self.assertFalse(self.verified().sound and not self.verified().notes)

    def test_who_writes_holds_the_trail(self) -> None:
        held = HeadFile(self.path)
        self.assertRaises(BlockingIOError, HeadFile, self.path)
        held.close()
        HeadFile(self.path).close()
