"""
Requirements on the dashboard that is shipped: it names what there is, and Grafana can draw it.
"""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.observe.shipped import RUNBOOK, base, dashboard, documented, expressions

ROWS = [
    "Now", "SMTP", "Delivery", "Queue", "Errors", "Circuit breakers, limits, shaping", "DNS",
    "Spool, certificates, configuration", "Reactor and process", "Audit, export, cardinality", "Messages",
]  # fmt: skip
SOURCES = {"prometheus", "loki", "tempo"}
KINDS = {"row", "stat", "table", "timeseries", "heatmap", "state-timeline", "logs"}
OF_PROMETHEUS = {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_max_fds",
                 "process_start_time_seconds"}  # fmt: skip


def apart(one: dict[str, int], other: dict[str, int]) -> bool:
    """
    Tell whether two places on the grid share nothing.
    """
    beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
    return beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]


class NamesTests(SynchronousTestCase):
    """
    What alerts, dashboard and runbook name is what the reference of the metrics has.
    """

    def test_every_metric_of_the_alerts_and_the_dashboard_is_documented_with_its_labels(self) -> None:
        """
        A name or a label that is not there draws nothing, and never fires.
        """
        known = documented()
        for each in expressions():
            names = {base(name) for name in each.names()}
            self.assertEqual(names - known.keys() - OF_PROMETHEUS, set(), each.where)
            labels = set[str]().union(*(known.get(name, frozenset()) for name in names))
            self.assertEqual(each.labels() - labels - {"le"}, set(), each.where)

    def test_every_metric_of_the_runbook_is_documented(self) -> None:
        """
        With `{label}` or without.
        """
        named = {base(name) for name in re.findall(r"`(empath_\w+)", RUNBOOK.read_text())}
        self.assertGreater(len(named), 5)
        self.assertEqual(named - documented().keys(), set())


class DashboardTests(SynchronousTestCase):
    """
    The JSON that Grafana reads.
    """

    def setUp(self) -> None:
        self.board = dashboard()
        self.panels: list[dict[str, Any]] = self.board["panels"]

    def test_it_has_a_row_for_each_room(self) -> None:
        """
        In the order in which an on-call engineer looks.
        """
        self.assertEqual([panel["title"] for panel in self.panels if panel["type"] == "row"], ROWS)

    def test_panels_lie_beside_each_other_on_a_grid_of_24_columns(self) -> None:
        """
        Each has an id of its own.
        """
        self.assertEqual(len({panel["id"] for panel in self.panels}), len(self.panels))
        for panel in self.panels:
            self.assertLessEqual(panel["gridPos"]["x"] + panel["gridPos"]["w"], 24, panel["title"])
        for one, other in combinations(self.panels, 2):
            self.assertTrue(apart(one["gridPos"], other["gridPos"]), (one["title"], other["title"]))

    def test_each_panel_asks_a_source_that_can_be_chosen(self) -> None:
        """
        None is bound to the Grafana that it was drawn with.
        """
        for panel in self.panels:
            self.assertIn(panel["type"], KINDS)
            if panel["type"] == "row":
                continue
            self.assertTrue(panel["title"] and panel["targets"], panel["id"])
            refs = [query["refId"] for query in panel["targets"]]
            self.assertEqual(len(refs), len(set(refs)), panel["title"])
            for asked in (panel["datasource"], *(query["datasource"] for query in panel["targets"])):
                self.assertEqual(asked["uid"], f"${{{asked['type']}}}", panel["title"])
                self.assertIn(asked["type"], SOURCES)

    def test_what_is_chosen_is_a_variable(self) -> None:
        """
        Whatever begins with `$`, but for Grafana's own interval.
        """
        variables = {variable["name"] for variable in self.board["templating"]["list"]}
        self.assertEqual(variables, {"job", "instance", "domain"} | SOURCES)
        used = {name for each in expressions() for name in re.findall(r"\$(\w+)", each.text)}
        self.assertEqual(used - variables - {"__rate_interval"}, set())

    def test_each_query_of_ours_is_about_what_is_chosen(self) -> None:
        """
        Two jobs have the same numbers where empath is scraped and pushes: never are both added up.
        """
        for panel in self.panels:
            for query in panel.get("targets", ()):
                for selector in re.findall(r"\bempath_\w+(\{[^}]*\})?", query.get("expr", "")):
                    self.assertIn('job="$job", instance=~"$instance"', selector, panel["title"])

    def test_every_runbook_entry_that_is_named_is_there(self) -> None:
        """
        In the descriptions of panels.
        """
        entries = set(re.findall(r"^### (\w+)", RUNBOOK.read_text(), re.MULTILINE))
        named = {name for panel in self.panels for name in re.findall(r"\bEmpath\w+", panel.get("description", ""))}
        self.assertGreater(len(named), 10)
        self.assertEqual(named - entries, set())
