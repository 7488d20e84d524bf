"""
Requirements that promtool judges: rules, their tests, configuration, and the queries of the dashboard.
"""

from __future__ import annotations

from typing import Final

import yaml
from twisted.trial.unittest import SynchronousTestCase

from tests.e2e.processes import temporary_folder
from tests.e2e.prometheus import promtool
from tests.observe.shipped import DOCKER, chosen, drawn

FOLDER: Final = DOCKER / "prometheus"


class PromtoolTests(SynchronousTestCase):
    """
    What can be said without an MTA.
    """

    def test_the_rules_are_right_and_each_fires_when_it_should_and_not_else(self) -> None:
        """
        `promtool check rules` and `promtool test rules`.
        """
        self.passes("check", "rules", str(FOLDER / "alerts.yml"))
        self.passes("test", "rules", str(FOLDER / "alerts_test.yml"))

    def test_a_test_that_expects_nothing_of_a_rule_that_fires_fails(self) -> None:
        """
        The tests would find out.
        """
        folder = temporary_folder(self)
        text = (FOLDER / "alerts_test.yml").read_text()
        (folder / "alerts.yml").write_text((FOLDER / "alerts.yml").read_text())
        (folder / "tests.yml").write_text(text.replace('values: "1x5 0x10"', 'values: "1x15"', 1))
        ended = promtool("test", "rules", str(folder / "tests.yml"))
        self.assertNotEqual(ended.returncode, 0)
        self.assertIn(b"EmpathDown", ended.stdout + ended.stderr)

    def test_its_configuration_is_right(self) -> None:
        """
        With the rules and the token that it names.
        """
        self.passes("check", "config", str(FOLDER / "prometheus.yml"))

    def test_every_query_of_the_dashboard_is_promql(self) -> None:
        """
        With what Grafana puts in for its variables.
        """
        file = temporary_folder(self) / "queries.yml"
        queries = [{"record": f"query:{nth}", "expr": chosen(each)} for nth, each in enumerate(drawn())]
        file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": queries}]}))
        self.passes("check", "rules", str(file))

    def passes(self, *arguments: str) -> None:
        """
        promtool has nothing to say against it.
        """
        ended = promtool(*arguments)
        self.assertEqual(ended.returncode, 0, (ended.stdout + ended.stderr).decode())
