"""
Tables on terminals of any width.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from empath.control.terms.delivery import CircuitRow, Circuits, ListCircuits
from tests.ctl.asked import ran
from tests.ctl.samples import NOW

OPEN: Final = CircuitRow(
    "mx1.a-long-name.example.org:25",
    ("example.org", "example.net"),
    "open",
    NOW + timedelta(minutes=5),
    2,
    20,
    1.5,
)
CLOSED: Final = CircuitRow("mx.example.com", ("example.com",), "closed", None, 0, None, None)


class NarrowTests(SynchronousTestCase):
    """
    Requirements on tables that have no room.
    """

    def lines(self, columns: int) -> list[str]:
        """
        List circuits on a terminal.
        """
        answer = Circuits((OPEN, CLOSED), "")
        got = ran("delivery", "circuits", answers={ListCircuits: answer}, columns=columns)
        return [line.rstrip() for line in re.sub(r"\x1b\[[\d;]*m", "", got.out).splitlines()]

    def test_rows_are_blocks_where_columns_have_no_room(self) -> None:
        """
        Each cell is named; what is empty is left out.
        """
        self.assertEqual(
            self.lines(56),
            [
                "mx1.a-long-name.example.org:25",
                "    breaker open, until in 5m, under way 2, at a time",
                "    20, rate 1.5/s, domains example.org, example.net",
                "mx.example.com",
                "    breaker closed, under way 0, domains example.com",
            ],
        )

    def test_no_word_is_cut_on_any_terminal(self) -> None:
        """
        Whether it is a table or blocks.
        """
        for columns in range(34, 130):
            words = " ".join(self.lines(columns)).split()
            self.assertIn("closed", "".join(words))
            self.assertEqual(
                [word for word in words if len(word) == 1 and word.isalpha() and word not in "aA"], [], columns
            )
            self.assertTrue({"open", "5m", "1.5/s", "closed"} <= {word.strip(",") for word in words}, columns)

    def test_a_table_where_it_has_room(self) -> None:
        """
        With its head.
        """
        lines = self.lines(120)
        self.assertEqual(len(lines), 3)
        self.assertTrue(lines[0].startswith("SITE"))
