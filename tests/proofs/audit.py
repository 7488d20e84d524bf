"""
Proof: the audit trail under load is whole, what is done to it afterwards is found, and `kill -9` costs only its end.

`python -m pytest -s tests/proofs/audit.py`; EMPATH_EVENTS, EMPATH_KILLS and EMPATH_SEED change it.
"""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

from empath.audit.files import head_path
from empath.audit.finding import find
from empath.audit.verifying import Verification, verify
from tests.e2e.harness import EndToEndTestCase
from tests.e2e.load import Load
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath
from tests.e2e.storing_session import Options

EVENTS = int(os.environ.get("EMPATH_EVENTS", "100000"))
KILLS = int(os.environ.get("EMPATH_KILLS", "25"))
TAMPERINGS = 100  # of each kind
LONGEST = 1.5  # seconds from the banner to the kill
PATIENCE = 3600.0
SEED = int(os.environ.get("EMPATH_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)


class AuditProof(EndToEndTestCase):
    """
    Twenty sessions send, one peer takes it.
    """

    def setUp(self) -> None:
        super().setUp()
        self.chance = random.Random(SEED)
        self.server = self.peer("127.0.0.14", Options(keep_content=False))
        self.mta: Empath = self.to_peer(self.server, {})
        self.path = self.mta.folder / "audit.jsonl"
        print(f"seed {SEED}")

    def sound(self) -> Verification:
        """
        Verify, and expect nothing to be found.
        """
        began = time.monotonic()
        told = verify(self.path)
        print(f"{told.records} records verified in {time.monotonic() - began:.2f} s")
        self.assertEqual(told.findings, ())
        return told

    def test_what_is_written_under_load_is_sound_and_what_is_done_to_it_is_found(self) -> None:
        load = Load(self.mta.port, 20)
        load.start()
        wait_until("records", lambda: self.path.read_bytes().count(b"\n") >= EVENTS, PATIENCE)
        load.finish()
        self.mta.stop(60.0)
        told = self.sound()
        self.assertGreaterEqual(told.records, EVENTS)
        lines = self.path.read_bytes().splitlines(keepends=True)
        began = time.monotonic()
        wanted = json.loads(next(line for line in lines[len(lines) // 2 :] if b'"received"' in line))["message_id"]
        self.assertEqual(find(self.path, wanted, time.time).records[0]["event"], "received")
        print(f"a message found in {time.monotonic() - began:.3f} s")
        self.tamper(lines)

    def tamper(self, lines: list[bytes]) -> None:
        """
        Do to a smaller trail, at places by chance, what is to be found; a smaller one, as each is verified whole.
        """
        few = lines[:2000]
        small = Path(self.mktemp()).absolute()
        last = json.loads(few[-1])
        head_path(small).write_text(json.dumps({"seq": last["seq"], "hash": last["hash"], "closed": True}))
        small.write_bytes(b"".join(few))
        self.assertTrue(verify(small).sound)
        for _ in range(TAMPERINGS):
            for kind in (self.flipped, self.removed, self.swapped, self.appended):
                at = self.chance.randrange(len(few) - 1)
                small.write_bytes(b"".join(kind(few, at)))
                found = verify(small).findings
                self.assertTrue(found, f"{kind.__name__} at {at}")
                self.assertIn(at + 1, {each.seq for each in found}, f"{kind.__name__} at {at}: {found}")
        print(f"{4 * TAMPERINGS} tamperings found, each at its place")

    def flipped(self, lines: list[bytes], at: int) -> list[bytes]:
        """
        Change one octet of one record's content.
        """
        line = bytearray(lines[at])
        where = self.chance.randrange(line.index(b'"event"') + 10, line.index(b'"seq":') - 2)
        line[where] = ord("0") if line[where] != ord("0") else ord("1")
        return [*lines[:at], bytes(line), *lines[at + 1 :]]

    def removed(self, lines: list[bytes], at: int) -> list[bytes]:
        """
        Remove one record.
        """
        return lines[:at] + lines[at + 1 :]

    def swapped(self, lines: list[bytes], at: int) -> list[bytes]:
        """
        Swap two records.
        """
        return [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]]

    def appended(self, lines: list[bytes], at: int) -> list[bytes]:
        """
        Add one of the records once more, at the end.
        """
        return [*lines, lines[at]]

    def test_kill_9_costs_only_what_was_not_written(self) -> None:
        load = Load(self.mta.port, 20)
        load.start()
        torn = 0
        for _ in range(KILLS):
            time.sleep(self.chance.uniform(0.3, LONGEST))
            self.mta.kill()
            torn += not self.path.read_bytes().endswith(b"\n")
            self.assertEqual(verify(self.path).findings, ())
            self.mta.start()
        load.finish()
        self.mta.stop(60.0)
        told = self.sound()
        print(f"{KILLS} kills, {torn} with half a record at the end, {told.records} records in one chain")
