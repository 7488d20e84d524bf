"""
kill -9 at any moment: what the spool said is stored is stored.
"""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Spool
from empath.config.units import Folder
from empath.errors import MessageUnknown
from empath.spool.sqlite import SqliteSpool
from tests.spool.support import at_once

KILLS = int(os.environ.get("EMPATH_PROOF_KILLS", "20"))
ROOT = Path(__file__).parents[2]


class KillTests(SynchronousTestCase):
    """
    One spool, killed over and over.
    """

    def run_child(self, path: str, seed: int, seconds: float) -> dict[str, int]:
        """
        Let a child store mail and kill it; tells the queue ids it reported, with the size of each body.
        """
        command = [sys.executable, "-m", "tests.proofs.spool_child", path, str(seed)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as child:
            assert child.stdout is not None
            first = child.stdout.readline()
            time.sleep(seconds)
            child.kill()
            lines = (first + child.stdout.read()).decode().splitlines(keepends=True)
        whole = [line.split() for line in lines if line.endswith("\n")]
        self.assertTrue(whole)
        return {queue_id: int(size) for queue_id, size in whole}

    def test_every_reported_message_is_found(self) -> None:
        """
        After each kill: the database is whole, each reported message is there with its content, no file is left over.
        """
        path = os.path.abspath(self.mktemp())
        chance = random.Random(3)
        reported: dict[str, int] = {}
        for kill in range(KILLS):
            reported.update(self.run_child(path, kill, chance.uniform(0.0, 0.3)))
            self.check(path, reported)

    def check(self, path: str, reported: dict[str, int]) -> None:
        """
        Open the spool as the next start would, and look.
        """
        spool = SqliteSpool(
            Spool(path=Folder(path)),
            clock=Clock(),
            in_writer=at_once,
            in_reader=at_once,
            in_thread=at_once,
            emit=lambda event: None,
        )
        spool.open()
        for queue_id, size in reported.items():
            message = self.successResultOf(spool.load(queue_id))
            self.assertEqual(message.size - len(message.header), size)
            if message.body is None:
                content = os.path.join(path, "content", queue_id[-2:], queue_id)
                self.assertEqual(os.stat(content).st_size, size)
        for _, _, names in os.walk(os.path.join(path, "content")):
            for name in names:
                self.successResultOf(spool.load(name))
        self.failureResultOf(spool.load("0" * 26), MessageUnknown)
        self.successResultOf(Deferred.fromCoroutine(spool.close()))
        connection = sqlite3.connect(os.path.join(path, "spool.sqlite"))
        self.assertEqual(connection.execute("PRAGMA integrity_check").fetchone(), ("ok",))
        connection.close()
