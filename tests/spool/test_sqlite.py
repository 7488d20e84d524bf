"""
The spool in SQLite keeps the contract.
"""

from __future__ import annotations

import os

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Spool
from empath.config.units import Folder, Size
from empath.spool.sqlite import SqliteSpool
from tests.spool.contract import INLINE, SpoolContract
from tests.spool.support import at_once

MIN_FREE = 1000


class SqliteTests(SpoolContract, SynchronousTestCase):
    """
    The contract, in SQLite.
    """

    def make_spool(self) -> SqliteSpool:
        self.clock = Clock()
        self.free = 10**9
        spool = SqliteSpool(
            Spool(path=Folder(os.path.abspath(self.mktemp())), inline_limit=Size(INLINE), min_free=Size(MIN_FREE)),
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
