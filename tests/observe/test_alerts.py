"""
Requirements on the alerts that are shipped, and on the runbook: each leads whom it wakes to what to do.

What promtool and Prometheus itself say of them is in tests/e2e/test_promtool.py and test_prometheus.py.
"""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from typing import Any

import click
from twisted.trial.unittest import SynchronousTestCase

from empath.ctl import main
from tests.observe.shipped import DOCKER, RUNBOOK, read_yaml, rules

ASKED_FOR = {  # what issue 8 wants at least
    "EmpathDeliverySuccessLow", "EmpathQueueAgeHigh", "EmpathOldestMessage", "EmpathQueueLarge", "EmpathBreakerOpen",
    "EmpathDiskLow", "EmpathDeletionFailures", "EmpathEventLoopSlow", "EmpathOrphans", "EmpathCertificateExpires",
    "EmpathDown", "EmpathNotReady", "EmpathAuditNotWritable", "EmpathExportLosing", "EmpathReloadFailed",
    "EmpathModuleErrors", "EmpathSendersStopped",
}  # fmt: skip
SEVERITIES = {"critical", "warning", "info"}


class AlertsTests(SynchronousTestCase):
    """
    The rules as they are written.
    """

    def test_all_that_has_to_be_watched_is(self) -> None:
        """
        The list of the issue, and what is called twice nowhere.
        """
        names = [rule["alert"] for rule in rules()]
        self.assertEqual(ASKED_FOR - set(names), set())
        self.assertEqual(len(names), len(set(names)))

    def test_each_says_what_is_wrong_how_urgent_it_is_and_where_to_read_on(self) -> None:
        """
        The runbook's entry is named by the anchor that the documentation gives it.
        """
        for rule in rules():
            name = rule["alert"]
            self.assertIn(rule["labels"]["severity"], SEVERITIES, name)
            self.assertEqual(rule["annotations"].keys(), {"summary", "description", "runbook"}, name)
            self.assertEqual(rule["annotations"]["runbook"], f"docs/runbook.md#{name.lower()}")

    def test_each_has_an_entry_in_the_runbook_and_each_entry_its_alert(self) -> None:
        """
        In the same order, with what it means, and how urgent it is as the rule has it.
        """
        entries = re.findall(r"^### (\w+)\n\n(.*?)(?=^##|\Z)", RUNBOOK.read_text(), re.MULTILINE | re.DOTALL)
        self.assertEqual([name for name, _ in entries], [rule["alert"] for rule in rules()])
        for rule, (name, text) in zip(rules(), entries, strict=True):
            self.assertTrue(text.startswith("**Means** "), name)
            self.assertIn(f"**{rule['labels']['severity'].capitalize()}**", text, name)
            self.assertIn("\n- ", text, name)

    def test_each_is_tested_firing_and_not_firing(self) -> None:
        """
        Before its time, and, where there are instances, for one that fares well at the same moment.
        """
        fires, silent, beside = self.tested()
        names = {rule["alert"] for rule in rules()}
        self.assertEqual((fires, silent), (names, names))
        self.assertEqual(beside, names - {"EmpathAbsent"})

    def tested(self) -> tuple[set[str], set[str], set[str]]:
        """
        Tell which alerts are expected to fire, not to fire, and to fire for one instance but not for the other.
        """
        kinds: dict[str, set[str]] = defaultdict(set)
        for test in read_yaml(DOCKER / "prometheus" / "alerts_test.yml")["tests"]:
            series = [each["series"] for each in test["input_series"]]
            for expected in test["alert_rule_test"]:
                self.expect(kinds, expected, any("good:9090" in each for each in series))
        return kinds["fires"], kinds["silent"], kinds["beside"]

    def expect(self, kinds: dict[str, set[str]], expected: dict[str, Any], two: bool) -> None:
        """
        Note what is expected of an alert.
        """
        name = expected["alertname"]
        instances = {each["exp_labels"].get("instance") for each in expected["exp_alerts"]}
        kinds["fires" if instances else "silent"].add(name)
        if two and instances == {"bad:9090"}:
            kinds["beside"].add(name)


class RunbookTests(SynchronousTestCase):
    """
    What it has somebody type at three in the morning can be typed.
    """

    def test_every_command_line_is_one_that_empathctl_takes(self) -> None:
        """
        Verb, arguments and options, broken over two lines or not.
        """
        typed = re.findall(r"`empathctl\s+([^`]+)`", RUNBOOK.read_text())
        self.assertGreater(len(typed), 30)
        for line in typed:
            self.parse(line)

    def parse(self, line: str) -> None:
        """
        Go down to the verb, and have it read the rest.
        """
        command, words = main.root(), shlex.split(line)
        while isinstance(command, click.Group):
            inner = command.get_command(click.Context(command), words.pop(0))
            assert inner is not None, line
            command = inner
        try:
            command.make_context(command.name, words).close()
        except click.UsageError as error:
            self.fail(f"{line}: {error.message}")
