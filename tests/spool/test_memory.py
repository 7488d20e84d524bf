"""
The spool in memory keeps the contract.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Spool
from empath.config.units import Size
from empath.spool.memory import MemorySpool
from tests.spool.contract import INLINE
from tests.spool.delayed_contract import DelayedContract
from tests.spool.managing_contract import ManagingContract
from tests.spool.support import Post
from tests.spool.survey_contract import SurveyContract


class MemoryTests(ManagingContract, DelayedContract, SurveyContract, SynchronousTestCase):
    """
    The contract, in memory.
    """

    def make_spool(self) -> MemorySpool:
        spool = MemorySpool(Spool(inline_limit=Size(INLINE)), emit=self.events.append, capacity=10_000_000)
        spool.open()
        return spool

    def fill(self) -> None:
        self.filling = self.spool.begin(Post().new_id())
        self.filling.write(b"x" * (10_000_000 - 200))
        while self.spool.has_room(1):
            self.filling.write(b"x")

    def test_capacity_is_given_back(self) -> None:
        """
        Room that was taken by mail or by its reception returns.
        """
        self.fill()
        self.filling.abort()
        self.assertTrue(self.spool.has_room(10_000_000))
        self.assertFalse(self.spool.has_room(10_000_001))

    def test_reconfigure(self) -> None:
        """
        A new inline limit holds from now on.
        """
        self.spool.reconfigure(Spool(inline_limit=Size(5)))
        writer, _ = self.written(b"123456")
        self.assertEqual((writer.body, bool(writer.body_file)), (None, True))
