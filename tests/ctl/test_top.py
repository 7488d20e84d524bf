"""
The full-screen view: what is drawn, which rates it finds, what keys do.
"""

from __future__ import annotations

import os
import pty
import termios
from datetime import timedelta
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from empath.control.terms.system import GetTop, SiteRow, Top
from empath.ctl.errors import Trouble
from empath.ctl.keys import Keys, named
from empath.ctl.tool import Surroundings, Tool
from empath.ctl.top import Screen
from empath.ctl.top_view import SORTS, Look, Snapshots, screen, sites
from tests.ctl.asked import Terminal, ran
from tests.ctl.samples import NOW, TIMES, ago, shown


def site(name: str, ready: int = 0, **fields: Any) -> SiteRow:
    """
    Give a site.
    """
    return attrs.evolve(SiteRow(name, ready, 0, 0, 0, 0, 0, 0.0, "closed", ""), **fields)


FIRST = Top(
    NOW,
    3600.0,
    {
        "received": 100,
        "delivered": 90,
        "deferred": 5,
        "failed": 1,
        "refused": 7,
        "connections": 50,
        "octets_in": 409600,
    },
    {"pending": 1204, "in-progress": 3, "retry": 30, "held": 0},
    ago(hours=9),
    12,
    34,
    (
        site("mx.busy.example", 900, in_flight=3, connections=4, delivered=80, seconds=0.2),
        site("mx.slow.example", 4, delivered=10, deferred=5, seconds=12.5, circuit="open", limit="3 connections"),
    ),
    ("frozen.example", ""),
    1,
    2,
    0.0012,
)
SECOND = attrs.evolve(
    FIRST,
    time=NOW + timedelta(seconds=2),
    uptime=3602.0,
    totals={**FIRST.totals, "received": 340, "delivered": 90, "octets_in": 409600 + 4096},
    sites=(
        attrs.evolve(FIRST.sites[0], delivered=90),
        attrs.evolve(FIRST.sites[1], deferred=25),
        site("mx.new.example", 1, delivered=7),
    ),
)
BOTH = Snapshots(FIRST).then(SECOND)


def lines(
    snapshots: Snapshots, look: Look | None = None, width: int = 120, height: int = 20, trouble: str = ""
) -> list[str]:
    """
    Draw it.
    """
    return shown(screen(snapshots, look or Look(), TIMES, width, height, trouble), width).splitlines()


class RateTests(SynchronousTestCase):
    """
    Requirements on rates.
    """

    def test_rates_need_two_snapshots(self) -> None:
        """
        The first one has none.
        """
        self.assertIsNone(Snapshots(FIRST).rate("received"))
        self.assertEqual((BOTH.rate("received"), BOTH.rate("failed"), BOTH.rate("unknown")), (120.0, 0.0, 0.0))

    def test_a_restarted_mta_begins_anew(self) -> None:
        """
        Its counts would make rates that are negative.
        """
        again = BOTH.then(attrs.evolve(FIRST, uptime=1.0))
        self.assertIsNone(again.rate("received"))
        self.assertEqual([each.sent for each in sites(again, "ready")], [0.0, 0.0])

    def test_sites_are_sorted_by_each_column(self) -> None:
        """
        The largest first; names as one reads them. A site that is new has no rates.
        """
        first = {sort: sites(BOTH, sort)[0].row.site for sort in SORTS}
        self.assertEqual(
            first,
            {
                "ready": "mx.busy.example",
                "busy": "mx.busy.example",
                "sent/s": "mx.busy.example",
                "defer/s": "mx.slow.example",
                "fail/s": "mx.busy.example",
                "time": "mx.slow.example",
                "site": "mx.busy.example",
            },
        )
        rates = {each.row.site: (each.sent, each.deferred) for each in sites(BOTH, "site")}
        self.assertEqual(
            rates, {"mx.busy.example": (5.0, 0.0), "mx.slow.example": (0.0, 10.0), "mx.new.example": (0.0, 0.0)}
        )


class DrawnTests(SynchronousTestCase):
    """
    Requirements on the screen.
    """

    def test_everything_is_on_one_screen(self) -> None:
        """
        Rates, the queue, what is in force, the sites.
        """
        drawn = lines(BOTH)
        self.assertEqual(
            drawn[:5],
            [
                "empath 03:04:07, up 1h, 12 sessions, 34 attempts, reactor 1ms late",
                "flow   in 120/s  out 0.0/s  deferred 0.0/s  failed 0.0/s  refused 0.0/s  connects 0.0/s  2.0 KiB/s",
                "queue  pending 1,204  in-progress 3  retry 30  oldest 9h",
                "limits frozen: frozen.example, everything  1 circuit open  2 waiting for a rate limit",
                "q quit  s, left and right: sort  p pause  up and down: scroll",
            ],
        )
        self.assertEqual(
            [line.split() for line in drawn[6:]],
            [
                ["SITE", "READY", "BUSY", "CONNS", "SENT/S", "DEFER/S", "FAIL/S", "TIME", "CIRCUIT", "LIMIT"],
                ["mx.busy.example", "900", "3", "4", "5.0", "0.0", "0.0", "200ms", "closed"],
                ["mx.slow.example", "4", "0", "0", "0.0", "10.0", "0.0", "12s", "open", "3", "connections"],
                ["mx.new.example", "1", "0", "0", "0.0", "0.0", "0.0", "-", "closed"],
            ],
        )

    def test_a_narrow_terminal_loses_what_matters_least(self) -> None:
        """
        No line is wider than the terminal, whatever a site is called.
        """
        long = attrs.evolve(SECOND, sites=(site("mx." + "x" * 200 + "\x1b[2J", 5),))
        drawn = lines(Snapshots(FIRST).then(long), width=60)
        self.assertLessEqual(max(len(line) for line in drawn), 60)
        self.assertEqual(drawn[6].split(), ["SITE", "READY", "BUSY", "SENT/S", "DEFER/S", "TIME", "CIRCUIT"])
        self.assertEqual(len(drawn), 8)

    def test_no_terminal_is_too_low(self) -> None:
        """
        What does not fit is counted, and seen by scrolling.
        """
        many = attrs.evolve(SECOND, sites=tuple(site(f"mx{at:02}", 99 - at) for at in range(50)))
        for height in (1, 9, 10, 24):
            drawn = lines(Snapshots(many), height=height)
            self.assertLessEqual(len(drawn), max(height, 8))
        self.assertEqual(drawn[-1], "35 more below")
        self.assertIn("mx49", lines(Snapshots(many), Look(first=40), height=24)[-1])

    def test_trouble_and_pause_are_seen_at_the_top(self) -> None:
        """
        Trouble before anything else.
        """
        self.assertTrue(lines(BOTH, Look(paused=True))[0].endswith("PAUSED"))
        self.assertTrue(lines(BOTH, Look(paused=True), trouble="UNREACHABLE")[0].endswith("UNREACHABLE"))

    def test_an_idle_mta_is_drawn_too(self) -> None:
        """
        Nothing waits, nothing is in force.
        """
        idle = attrs.evolve(FIRST, queue={}, oldest=None, sites=(), frozen=(), open_circuits=0, rate_limited=0)
        drawn = lines(Snapshots(idle))
        self.assertEqual(drawn[2:4], ["queue  empty", "limits none in force"])
        self.assertIn("in -  out -", drawn[1])


class KeyTests(SynchronousTestCase):
    """
    Requirements on keys.
    """

    def setUp(self) -> None:
        """
        Look at a screen.
        """
        environment = {"COLUMNS": "100", "LINES": "10"}
        around = Surroundings(
            Terminal(), Terminal(), Terminal(), environment, None, lambda: NOW, lambda seconds: None, None  # type: ignore[arg-type]  # not used
        )  # fmt: skip
        self.screen = Screen(Tool(around), attrs.evolve(SECOND, sites=tuple(site(f"mx{at}") for at in range(9))))

    def press(self, *keys: str) -> Look:
        """
        Press some keys.
        """
        for key in keys:
            self.screen.press(key)
        return self.screen.look

    def test_s_and_arrows_go_through_the_columns(self) -> None:
        """
        Round and round.
        """
        self.assertEqual(self.press("s").sort, "busy")
        self.assertEqual(self.press("right").sort, "sent/s")
        self.assertEqual(self.press("left", "left", "left").sort, "site")
        self.assertEqual(self.press("s").sort, "ready")

    def test_arrows_scroll_between_the_ends(self) -> None:
        """
        Neither above the first row nor below the last page.
        """
        self.assertEqual(self.press("up").first, 0)
        self.assertEqual(self.press("down", "down", "up").first, 1)
        self.assertEqual(self.press("page-down", "page-down").first, 8)
        self.assertEqual(self.press("page-up", "home").first, 0)
        self.assertEqual(self.press("x"), Look())

    def test_while_it_stands_still_nothing_moves(self) -> None:
        """
        But trouble is told, and it goes on.
        """
        self.press("p")
        later = attrs.evolve(SECOND, uptime=9999.0)
        self.screen.take([later])
        self.assertEqual(self.screen.snapshots.last.uptime, 3602.0)
        self.screen.take([Trouble("unreachable", ("gone",), 69)])
        self.assertIn("UNREACHABLE: trying again", shown(self.screen.drawn()))
        self.press("p")
        self.screen.take([later])
        self.assertEqual((self.screen.snapshots.last.uptime, self.screen.trouble), (9999.0, ""))

    def test_q_ends_it(self) -> None:
        """
        So does a terminal that is gone, which reads as q.
        """
        self.press("q")
        self.assertTrue(self.screen.over)

    def test_keys_have_names(self) -> None:
        """
        Sequences that nobody knows are no keys, and do not become some.
        """
        self.assertEqual(named(b"s\x1b[A\x1bOBq"), ["s", "up", "down", "q"])
        self.assertEqual(named(b"p\x1b[99;9~q"), ["p"])

    def test_a_terminal_hands_over_each_key_and_is_as_before_afterwards(self) -> None:
        """
        A wait ends with a key, with a call from elsewhere, and with a terminal that is closed.
        """
        operator, typed = pty.openpty()
        before = termios.tcgetattr(typed)
        with Keys(typed) as keys:
            os.write(operator, b"s")
            self.assertEqual(keys.wait(60), ["s"])
            keys.rouse()
            self.assertEqual(keys.wait(60), [])
            self.assertEqual(keys.wait(0), [])
        self.assertEqual(termios.tcgetattr(typed), before)
        keys.rouse()
        os.close(operator)
        os.close(typed)


class VerbTests(SynchronousTestCase):
    """
    Requirements on `system top` where no terminal is.
    """

    def test_one_snapshot_is_shown(self) -> None:
        """
        Uncut.
        """
        done = ran("system", "top", answers={GetTop: SECOND})
        self.assertEqual(len(done.out.splitlines()), 10)
        self.assertIn("mx.slow.example", done.out)

    def test_as_json_it_is_the_snapshot(self) -> None:
        """
        As the MTA told it.
        """
        done = ran("system", "top", "--json", answers={GetTop: SECOND})
        self.assertIn('"loop_latency": 0.0012', done.out)
